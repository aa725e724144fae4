"""`recrepro sensitivity`: variants of a protocol, against fits that are made by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.inprocess import PlaceHere
from support.places import toy_experiment

from recrepro.analysis.sensitivity import variants
from recrepro.baselines.ease import EASE
from recrepro.data.filters import KCore
from recrepro.data.synthetic import synthetic
from recrepro.errors import UsageError
from recrepro.run.materials import draw
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment
from recrepro.store.ledger import Ledger
from recrepro.store.results import results_in
from recrepro.store.workspace import Workspace

pytestmark = pytest.mark.slow  # whole runs

REST = """[tune]
trials = 2
[[models]]
name = "toppopular"
[[models]]
name = "ease"
role = "judged"
"""
TOY = toy_experiment("the protocol", REST).replace("random-holdout", "leave-one-out")
CHANGES = [
    "as it is",
    "final models do not learn from the validation part",
    "they do not see the validation part at all",
    "seen items are kept",
    "equal times in another order",
    "5-core of users and items",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A workspace in which the experiment was run."""
    # Nothing here is about MLflow, whose import takes seconds: its server cannot be reached.
    elsewhere = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    made = PlaceHere(tmp_path_factory.mktemp("place"), TOY, environment=elsewhere)
    done = made.run()
    assert done.returncode == 0, done.stderr
    return made


def call(place, *options):
    done = place.call("sensitivity", str(place.file), "--workspace", str(place.workspace), *options)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def shown(place):
    done = call(place, "--format", "json")
    (table,) = json.loads(done.stdout)["tables"]
    return {row["change"]: row for row in table["rows"]}


def ndcg_of_one(scores, removed, test, k=10):
    """Return the mean NDCG where each user has one test item."""
    values = []
    for user, item in zip(test.users, test.items, strict=True):
        row = scores[user].copy()
        if removed is not None:
            row[removed.matrix[[user]].indices] = -np.inf
        rank = 1 + (row > row[item]).sum()
        values.append(1 / np.log2(rank + 1) if rank <= k else 0.0)
    return np.mean(values)


def by_hand(place, change):
    """NDCG@10 of EASE with what the search has found, for a change."""
    plan = make_plan(load_experiment(place.file), place.file.parent, None)
    (cell,) = [cell for cell in plan.cells if cell.name.model == "ease"]
    parts = draw(plan, cell).parts
    ledger = Ledger.in_workspace(place.workspace)
    l2 = ledger.status(cell.key).record.model.params["l2"]
    ledger.close()
    fitted = parts.train if "part" in change else parts.known
    shown = parts.train if "at all" in change else parts.known
    users = np.arange(fitted.n_users, dtype=np.int32)
    scores = EASE(l2=l2).fit(fitted, None).score(users, shown.matrix)
    return ndcg_of_one(scores, None if "kept" in change else parts.known, parts.test)


def test_there_is_a_row_for_each_change_and_one_for_the_table_itself(shown):
    assert list(shown) == CHANGES


@pytest.mark.parametrize("change", CHANGES[:4])
def test_values_are_those_of_fits_by_hand(place, shown, change):
    assert shown[change]["winner"] == "ease"
    assert shown[change]["value"] == pytest.approx(by_hand(place, change))


def test_the_core_is_what_is_left_of_the_data(shown):
    whole = synthetic(60, 40, 900, seed=3)
    left = whole.select(KCore(users=5, items=5).keep(whole))
    several = (np.bincount(left.users) >= 2).sum()
    assert shown["5-core of users and items"]["users"] <= several
    assert shown["as it is"]["users"] <= (whole.user_counts >= 2).sum()


def test_judged_models_are_compared_with_the_reference_of_the_table(shown):
    for row in shown.values():
        (judged,) = row["judged"]
        assert judged["model"] == "ease"
        assert judged["sign"] in ("better", "worse", "open")
        assert judged["low"] <= judged["difference"] <= judged["high"]


def test_the_second_time_nothing_is_run_and_the_tables_are_written(place, shown):
    again = call(place, "--format", "md")
    assert again.stderr.count("2 cells (2 done before)") == len(CHANGES) - 1
    assert again.stdout.count("\n| ") == 2 + len(CHANGES)
    others = sum(row["winner"] != shown["as it is"]["winner"] for row in shown.values())
    assert f"The winner is another one in {others} of 5 variants" in again.stdout
    printed = call(place)
    assert "how much the protocol decides" in printed.stdout
    assert "This is no verdict" in printed.stdout


def test_what_was_not_run_cannot_be_varied(place, tmp_path):
    experiment = load_experiment(place.file)
    ledger = Ledger.in_workspace(place.workspace)
    results = results_in(Workspace(place.workspace), ledger, experiment, place.file.stem)
    ledger.close()
    missing = [replace(results[0], status=replace(results[0].status, record=None)), *results[1:]]
    with pytest.raises(UsageError, match="1 cells of the experiment have no result yet"):
        variants(experiment, missing)


def test_a_core_and_options_that_are_set_are_taken_away(place):
    core = 'filters = [{ name = "k-core", users = 5, items = 5 }]\n[[splits]]'
    changed = TOY.replace("[[splits]]", core).replace(
        "[evaluate]\n", '[evaluate]\nseen = "kept"\nvalidation = "history"\n'
    )
    place.file.write_text(changed)
    try:
        experiment = load_experiment(place.file)
        ledger = Ledger.in_workspace(place.workspace)
        place.file.write_text(TOY)
        results = results_in(
            Workspace(place.workspace), ledger, load_experiment(place.file), place.file.stem
        )
        ledger.close()
    finally:
        place.file.write_text(TOY)
    found = {one.change: one.experiments[0] for one in variants(experiment, results)}
    assert set(found) == {
        "final models learn from the validation part",
        "seen items are removed",
        "equal times in another order",
        "without the k-core",
    }
    assert found["without the k-core"].datasets[0].filters == ()
    assert found["seen items are removed"].evaluate.seen == "removed"
    assert found["equal times in another order"].splits[0].seeds == (1001,)
    assert all(model.tune is False for one in found.values() for model in one.models)
