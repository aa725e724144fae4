"""A ``[[datasets]]`` table and the data set that it becomes: `min_value` and its refusals."""

import numpy as np
import pytest

from recrepro.data.load import load_dataset
from recrepro.errors import UsageError
from recrepro.spec.experiment import DatasetSpec

RATED = "user,item,rating\n1,10,5\n1,11,3\n2,12,2\n"
PLAIN = "user,item\n1,10\n1,11\n"
MADE = {"users": 5, "items": 5, "interactions": 9}


def load(folder, **table):
    for name, content in (("rated", RATED), ("again", RATED), ("plain", PLAIN)):
        (folder / f"{name}.csv").write_text(content)
    return load_dataset(DatasetSpec(name="toy", **table), folder)


def test_min_value_drops_what_is_smaller_and_unused_labels(tmp_path):
    kept = load(tmp_path, file="rated.csv", min_value=3, values="keep").interactions
    assert kept.user_ids.tolist() == [1]
    assert kept.item_ids.tolist() == [10, 11]
    assert kept.values.tolist() == [5, 3]
    binary = load(tmp_path, file="rated.csv", min_value=3).interactions
    assert np.all(binary.values == 1)


def test_min_value_is_applied_to_both_published_parts(tmp_path):
    made = load(tmp_path, train="rated.csv", test="again.csv", min_value=5)
    assert len(made.published.train) == len(made.published.test) == len(made.interactions) == 1
    assert made.published.train.n_users == 2


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ({"file": "plain.csv"}, True),
        ({"train": "rated.csv", "test": "plain.csv"}, True),
        ({"synthetic": MADE}, False),
    ],
)
@pytest.mark.parametrize("smallest", [0, 4])
def test_min_value_needs_values(tmp_path, source, advice, smallest):
    assert not load(tmp_path, **source).has_values
    with pytest.raises(UsageError, match=r"'min_value' needs values, .*'toy' has none") as caught:
        load(tmp_path, **source, min_value=smallest)
    assert ("columns = { value" in str(caught.value)) == advice


def test_min_value_must_leave_something(tmp_path):
    with pytest.raises(
        UsageError, match=r"'min-value' leaves nothing of 'toy'; its largest value is 5\. Weaken"
    ):
        load(tmp_path, file="rated.csv", min_value=5.5)
    (tmp_path / "low.csv").write_text("user,item,rating\n1,10,1\n")
    with pytest.raises(UsageError, match="leaves nothing of the test part of 'toy'"):
        load(tmp_path, train="rated.csv", test="low.csv", min_value=2)
