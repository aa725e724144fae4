"""Notes on times that do not tell what a split or a model takes from them."""

import pytest

from recrepro.run.notes import notes
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment

DAY = 86_400
ORDER, DAYS = "are only an order, from 0 to 2", "are days: 67% of the interactions share"


def found(tmp_path, times, split, model="toppopular"):
    rows = [f"{user},{item},{time}" for user, line in enumerate(times) for item, time in line]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *rows]))
    (tmp_path / "e.toml").write_text(
        f"""schema = 1
claim = "c"
datasets = [{{ name = "log", file = "log.csv" }}]
splits = [{{ name = "{split}" }}]
models = [{{ name = "{model}" }}]
"""
    )
    plan = make_plan(load_experiment(tmp_path / "e.toml"), tmp_path, None)
    return [text for _, text in notes(plan) if "order" in text or "days" in text]


PLACES = [[(0, 0), (1, 1), (2, 2)], [(2, 0), (0, 1)]]
DATES = [[(0, 5 * DAY), (1, 5 * DAY), (2, 6 * DAY)], [(2, 5 * DAY), (0, 5 * DAY), (1, 9 * DAY)]]
MOMENTS = [[(0, 5 * DAY), (1, 5 * DAY + 1), (2, 6 * DAY)], [(2, 5 * DAY), (0, 5 * DAY)]]


@pytest.mark.parametrize(("times", "note"), [(PLACES, ORDER), (DATES, DAYS), (MOMENTS, None)])
@pytest.mark.parametrize(
    ("split", "model", "noted"),
    [
        ("leave-one-out", "toppopular", True),
        ("random-holdout", "sequentialrules", True),
        ("random-holdout", "toppopular", False),
    ],
)
def test_what_goes_by_the_order_is_told_what_the_times_are(
    tmp_path, times, note, split, model, noted
):
    texts = found(tmp_path, times, split, model)
    assert len(texts) == (noted and note is not None)
    assert all(note in text for text in texts)
