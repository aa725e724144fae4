"""Search, final fit and scoring: a change of one keeps what the parts before it have given."""

import contextlib

import pytest
from support.places import toy_experiment, without_times

from recrepro.errors import SealError
from recrepro.splits.keys import unlock
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace

pytestmark = pytest.mark.slow  # whole runs

MODELS = """[tune]
trials = {trials}
{rest}
[[models]]
name = "ease"
[[models]]
name = "toppopular"
"""


def experiment(trials=2, metrics=("ndcg@10",), rest=""):
    models = MODELS.format(trials=trials, rest=rest)
    return toy_experiment("parts of an identity", models, metrics=metrics)


def run(place, text):
    """Run an experiment in a place that may have run another version of it; return what it did."""
    place.file.write_text(text)
    done = place.run()
    assert done.returncode == 0, done.stderr
    return done.stdout


def newest(place):
    """Return status and trials of the cells of the file as it is now, by model."""
    rows = {}
    with contextlib.closing(Ledger.in_workspace(place.workspace)) as ledger:
        version = ledger.planned()[0]
        for member in ledger.members(version.name, version.grid_hash):
            rows[member.name.model] = ledger.status(member.cell), ledger.trials(member.cell)
    return rows


def comparable(status, trials):
    """Return what must not depend on what was run before."""
    record = without_times(status.record)
    if record["tuning"]:  # trials of an earlier version were validated by its metrics
        record["tuning"]["best"]["metrics"] = record["tuning"]["best"]["metrics"]["ndcg@10"]
    record = {k: v for k, v in record.items() if k not in ("rescored", "experiment")}
    return record, [(t.number, t.params, t.value, t.metrics.get("ndcg@10")) for t in trials]


def notes(place, model):
    rows = place.board()["leaderboards"][0]["rows"]
    return next(row["notes"] for row in rows if row["model"] == model)


@pytest.fixture(scope="module")
def undisturbed(make_place_here):
    """What comes out in a fresh workspace, by the text of the experiment."""
    known = {}

    def of(text):
        if text not in known:
            place = make_place_here(text)
            assert place.run().returncode == 0
            known[text] = {model: comparable(*found) for model, found in newest(place).items()}
        return known[text]

    return of


@pytest.mark.parametrize(("first", "then"), [(2, 5), (5, 2)])
def test_another_budget_takes_the_trials_that_exist(place_here, undisturbed, first, then):
    run(place_here, experiment(first))
    told = run(place_here, experiment(then))
    found = newest(place_here)
    assert {m: comparable(*f) for m, f in found.items()} == undisturbed(experiment(then))
    assert told.count("trial 1/") == 0  # none is made again
    assert len(found["ease"][1]) == then
    assert "(1 done before)" in told  # the budget is no part of a model without a search
    (note,) = (n for n in notes(place_here, "ease") if "after the test part was opened" in n)
    assert note.startswith("the budget was changed after the test part was opened")
    assert not any("opened" in n for n in notes(place_here, "toppopular"))


def test_a_metric_that_is_added_is_computed_from_what_was_kept(place_here, undisturbed):
    run(place_here, experiment())
    more = experiment(metrics=("ndcg@10", "map@7", "coverage@20", "auc"))
    told = run(place_here, more)
    found = newest(place_here)
    assert {m: comparable(*f) for m, f in found.items()} == undisturbed(more)
    assert " start " not in told
    for status, _ in found.values():
        assert status.openings == ()
        assert status.before.openings == 1
        assert status.record.rescored not in (None, status.cell)
    assert notes(place_here, "ease")[0] == (
        "map@7, coverage@20, auc added after the test part was opened; opened once in all"
    )


def test_lists_that_were_kept_too_short_need_a_new_fit_and_it_is_said(place_here, undisturbed):
    run(place_here, experiment())
    deeper = experiment(metrics=("ndcg@10", "coverage@30"))
    told = run(place_here, deeper)
    assert told.count(" start ") == 2
    found = newest(place_here)
    assert {m: comparable(*f) for m, f in found.items()} == undisturbed(deeper)
    assert found["ease"][0].record.rescored is None
    assert notes(place_here, "ease")[0] == (
        "coverage@30 added after the test part was opened; opened 2 times in all"
    )


def test_a_search_is_continued_only_by_rules_that_are_the_same(place_here):
    run(place_here, experiment(3))
    told = run(place_here, experiment(3, rest='sampler = "random"'))
    assert "trial 1/3" in told


def test_kept_rankings_open_with_no_key_that_a_worker_has(place_here):
    run(place_here, experiment())
    status, _ = newest(place_here)["ease"]
    content = Workspace(place_here.workspace).read_blob(status.record.rankings.sha256)
    with pytest.raises(SealError, match="the key is not its own"):
        unlock("rankings", b"\0" * 32, content)
    assert b"held_items" not in content


def test_a_kept_file_that_is_gone_costs_a_new_fit(place_here, undisturbed):
    run(place_here, experiment())
    status, _ = newest(place_here)["ease"]
    Workspace(place_here.workspace).blob(status.record.rankings.sha256).unlink()
    more = experiment(metrics=("ndcg@10", "map@7"))
    run(place_here, more)
    found = newest(place_here)
    assert found["ease"][0].record.rescored is None
    assert found["toppopular"][0].record.rescored is not None
    assert {m: comparable(*f) for m, f in found.items()} == undisturbed(more)


def test_a_reopened_cell_is_fitted_again(place_here):
    run(place_here, experiment())
    done = place_here.run("--reopen", "ease")
    assert done.returncode == 0, done.stderr
    status, _ = newest(place_here)["ease"]
    assert [opening.reason for opening in status.openings] == ["first", "reopened"]
