"""What held-out items are ranked against: what is refused, and what makes another cell."""

import pytest

from recrepro.errors import UsageError
from recrepro.run.materials import draw
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment

TEXT = """
schema = 1
claim = "none"
datasets = [{{ name = "toy", synthetic = {{ users = 40, items = 30, interactions = 500 }} }}]
splits = [{{ name = "leave-one-out" }}]
models = [{{ name = "toppopular" }}]
[evaluate]
metrics = [{metrics}]
{more}
"""


@pytest.fixture
def plan(tmp_path):
    def make(more="", metrics='"ndcg@10"'):
        path = tmp_path / "e.toml"
        path.write_text(TEXT.format(more=more, metrics=metrics))
        return make_plan(load_experiment(path), tmp_path, None)

    return make


def test_each_choice_makes_another_cell(plan, tmp_path):
    (tmp_path / "items.txt").write_text("1\n2\n3\n")
    (tmp_path / "same.txt").write_text("3\n\n 2 \n1\n1\n")
    (tmp_path / "more.txt").write_text("1\n2\n3\n4\n")
    choices = [
        "",
        "candidates = 5",
        'candidates = 5\nsampling = "popularity"',
        'items = "train"',
        'outside = "ignored"',
        'item_file = "items.txt"',
        'item_file = "more.txt"',
    ]
    keys = [plan(choice).cells[0].key for choice in choices]
    assert len(set(keys)) == len(choices)
    assert plan('item_file = "same.txt"').cells[0].key == keys[5]


def test_drawing_by_popularity_makes_another_split(plan):
    uniform, popular = plan("candidates = 5"), plan('candidates = 5\nsampling = "popularity"')
    drawn = [draw(p, p.cells[0]) for p in (uniform, popular)]
    assert drawn[0].parts.test.fingerprint == drawn[1].parts.test.fingerprint
    counts = drawn[0].parts.known.item_counts
    means = [float(counts[d.test_negatives.indices].mean()) for d in drawn]
    assert means[1] > means[0]


@pytest.mark.parametrize(
    ("more", "metrics", "message"),
    [
        ('sampling = "popularity"', '"ndcg@10"', "goes with a number of 'candidates'"),
        ('items = "train"\nitem_file = "i.txt"', '"ndcg@10"', "'items' or 'item_file', not both"),
        ('item_file = "nope.txt"', '"ndcg@10"', r"nope\.txt is not there"),
        ("", '"ndcg[cls]@10"', r"ranked in full: use 'ndcg@10'"),
        ('candidates = 5\nsampling = "popularity"', '"ndcg[bv]@10"', "drawn uniformly"),
        ("", '"ild[features]@10"', r"needs features of the items.*use 'ild@10'"),
    ],
)
def test_what_cannot_be_is_refused(plan, more, metrics, message):
    with pytest.raises(UsageError, match=message):
        plan(more, metrics)


@pytest.mark.parametrize(
    ("content", "message"),
    [("1\n999\nx\n", "lists 2 of 3 items that the data set 'toy' does not have"), ("\n", "empty")],
)
def test_a_list_must_be_of_the_items_of_the_data(plan, tmp_path, content, message):
    (tmp_path / "items.txt").write_text(content)
    with pytest.raises(UsageError, match=message):
        plan('item_file = "items.txt"')


def test_tuning_cannot_maximise_a_metric_of_lists(plan):
    with pytest.raises(UsageError, match="tuning cannot maximise 'gini@10'"):
        plan("[tune]\ntrials = 2", '"gini@10"')
