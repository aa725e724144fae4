"""Splits with folds, windows and unseen users, through a whole run."""

from statistics import mean, stdev

import numpy as np
import pytest

from recrepro.data.dataset import Dataset
from recrepro.data.synthetic import synthetic
from recrepro.splits.draw import draw_split
from recrepro.splits.unseen_users import UnseenUsers
from recrepro.store.ledger import Ledger

pytestmark = pytest.mark.slow  # whole runs of every fold

EVERY_KIND = """
schema = 1
claim = "splits of every kind"
[[datasets]]
name = "toy"
synthetic = { users = 60, items = 30, interactions = 900, seed = 3 }
[[splits]]
name = "k-fold"
folds = 3
seeds = [1, 2]
[[splits]]
name = "sliding-windows"
windows = 2
[[splits]]
name = "leave-k-out"
k = 2
[[splits]]
name = "random-holdout"
over = "all"
[[splits]]
name = "temporal-user"
[[splits]]
name = "unseen-users"
test_users = 12
[evaluate]
metrics = ["ndcg@10", "recall@5"]
[tune]
trials = 2
[[models]]
name = "toppopular"
[[models]]
name = "itemknn"
"""
REPEATS = {
    "k-fold": 6,
    "sliding-windows": 2,
    "leave-k-out": 1,
    "random-holdout": 1,
    "temporal-user": 1,
    "unseen-users": 1,
}


@pytest.fixture(scope="module")
def every_kind(make_place_here):
    """An experiment with splits of every kind, run."""
    place = make_place_here(EVERY_KIND)
    done = place.run()
    assert done.returncode == 0, done.stderr
    return place, done


@pytest.fixture(scope="module")
def records(every_kind):
    ledger = Ledger.in_workspace(every_kind[0].workspace)
    found = [ledger.status(cell).record for cell in ledger.states()]
    ledger.close()
    return found


@pytest.fixture(scope="module")
def boards(every_kind):
    found = every_kind[0].board()["leaderboards"]
    return {board["split"]: board for board in found}


def of(records, split, model="itemknn"):
    return [r for r in records if (r.name.split, r.name.model) == (split, model)]


@pytest.mark.parametrize(("split", "repeats"), REPEATS.items())
def test_each_seed_and_fold_is_a_cell_and_a_row_averages_them(boards, records, split, repeats):
    cells = of(records, split)
    assert len(cells) == repeats
    (row,) = (r for r in boards[split]["rows"] if r["model"] == "itemknn")
    assert row["repeats"] == repeats
    for metric in ("ndcg@10", "recall@5"):
        values = [cell.metrics[metric] for cell in cells]
        assert row["means"][metric] == pytest.approx(mean(values), abs=1e-12)
        if repeats > 1:
            assert row["spreads"][metric] == pytest.approx(stdev(values), abs=1e-12)


def test_folds_are_counted_from_one_and_named(every_kind, records):
    names = [record.name for record in of(records, "k-fold")]
    assert sorted((name.seed, name.fold) for name in names) == [
        (seed, fold) for seed in (1, 2) for fold in (1, 2, 3)
    ]
    assert "k-fold / itemknn / seed 2 / fold 3" in every_kind[1].stdout
    assert "unseen-users / itemknn / seed 1 /" not in every_kind[1].stdout


def test_folds_of_a_seed_test_every_interaction_once(records):
    for seed in (1, 2):
        folds = [r for r in of(records, "k-fold") if r.name.seed == seed]
        tested = [r.split.parts["test"].interactions for r in folds]
        dropped = [n for r in folds for why, n in r.split.dropped.items() if "test" in why]
        assert sum(tested) + sum(dropped) == 900


def test_nobody_else_is_evaluated_than_the_unseen_users(records):
    (record,) = of(records, "unseen-users")
    assert record.users == 12


@pytest.mark.parametrize("split", REPEATS)
def test_the_leaderboard_has_the_verdict_of_the_audit(boards, split):
    assert boards[split]["audit"] == "clean"


def test_a_second_run_has_nothing_to_do(every_kind):
    place, _ = every_kind
    again = place.run()
    assert again.returncode == 0, again.stderr
    assert "24 cells (24 done before), 0 trials to run" in again.stdout


def test_a_model_that_knows_fitted_users_only_is_refused_for_unseen_ones(make_place_here):
    place = make_place_here(EVERY_KIND + '[[models]]\nname = "userknn"\n')
    done = place.run()
    assert done.returncode == 2
    assert "'userknn' cannot score users it was not fitted on" in done.stderr
    assert not (place.workspace / "ledger.db").exists()


STRONG = """
schema = 1
claim = "EASE on users it has not seen"
[[datasets]]
name = "toy"
synthetic = { users = 60, items = 30, interactions = 900, seed = 3 }
[[splits]]
name = "unseen-users"
test_users = 15
[evaluate]
metrics = ["ndcg@10", "recall@5"]
[[models]]
name = "ease"
params = { l2 = 20.0 }
"""


def test_unseen_users_are_scored_from_what_is_shown_of_them_alone(make_place_here):
    place = make_place_here(STRONG)
    assert place.run().returncode == 0
    (row,) = place.board()["leaderboards"][0]["rows"]

    parts = draw_split(
        Dataset("toy", synthetic(60, 30, 900, seed=3)), UnseenUsers(test_users=15), 1, "full"
    ).parts
    fitted = parts.known.matrix.toarray()
    shown, hidden = (part.matrix.toarray() for part in (parts.test_shown, parts.test))
    users = np.flatnonzero(hidden.any(axis=1))
    assert len(users) == 15
    assert not fitted[users].any()
    # Steck (WWW 2019), equation 8, written out.
    inverse = np.linalg.inv(fitted.T @ fitted + 20 * np.eye(30))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    ndcg, recall = [], []
    for user in users:
        scores = np.where(shown[user] > 0, -np.inf, shown[user] @ weights)
        hits = hidden[user][np.argsort(-scores)] > 0
        gains = 1 / np.log2(np.arange(2, 12))
        ndcg.append((hits[:10] * gains).sum() / gains[: hits.sum()].sum())
        recall.append(hits[:5].sum() / hits.sum())
    assert row["means"]["ndcg@10"] == pytest.approx(np.mean(ndcg), abs=1e-9)
    assert row["means"]["recall@5"] == pytest.approx(np.mean(recall), abs=1e-9)
