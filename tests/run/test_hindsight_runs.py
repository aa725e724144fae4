"""A run that looks back: results are those of one that does not, and the record has more."""

import pytest
from support.places import toy_experiment

from recrepro.store.ledger import Ledger

pytestmark = pytest.mark.slow  # whole runs

GRID = toy_experiment(
    "looking back changes nothing",
    """[tune]
trials = 2
evaluate_every = 1
patience = 1
hindsight = true
[[models]]
name = "gmf"
params = { epochs = 6 }
[[models]]
name = "itemknn"
""",
)


def records(place):
    ledger = Ledger.in_workspace(place.workspace)
    found = {r.model.name: r for r in ledger.records()}
    ledger.close()
    return found


def test_looking_back_comes_after_the_result(make_place_here):
    pytest.importorskip("torch", reason="neural models need torch")
    asked, plain = make_place_here(GRID), make_place_here(GRID.replace("hindsight = true", ""))
    for place in (asked, plain):
        done = place.run()
        assert done.returncode == 0, done.stderr
    with_it, without = records(asked), records(plain)
    for name in ("gmf", "itemknn"):
        assert with_it[name].metrics == without[name].metrics
        assert len(with_it[name].openings) == 1
    assert with_it["itemknn"].cell == without["itemknn"].cell
    assert "hindsight" not in with_it["itemknn"].to_json() | without["gmf"].to_json()
    seen = with_it["gmf"].hindsight
    assert [row["epoch"] for row in seen.curve] == [1, 2, 3, 4, 5, 6]
    assert seen.best_value == max(row["ndcg@10"] for row in seen.curve)
    assert seen.gain >= 0
    assert with_it["gmf"].times["hindsight"].wall_s > 0
