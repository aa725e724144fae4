"""A budget of seconds, from the file to the table, and repeated on a machine of any speed."""

import re

import pytest

from recrepro.store.ledger import Ledger

pytestmark = pytest.mark.slow  # whole runs

pytest.importorskip("torch", reason="neural models need torch")

GRID = """
schema = 1
claim = "in next to no time, each model gets one trial, and a neural one its first validation"
[[datasets]]
name = "toy"
synthetic = { users = 60, items = 40, interactions = 900, seed = 3 }
[[splits]]
name = "random-holdout"
[tune]
seconds = 0.0001
evaluate_every = 2
[[models]]
name = "toppopular"
[[models]]
name = "ease"
[[models]]
name = "gmf"
params = { epochs = 9 }
"""


@pytest.fixture(scope="module")
def hasty(make_place_here):
    place = make_place_here(GRID)
    done = place.run()
    assert done.returncode == 0, done.stderr
    return place, done


def records(place):
    ledger = Ledger.in_workspace(place.workspace)
    found = {m.name.model: ledger.status(m.cell).record for m in ledger.done()}
    ledger.close()
    return found


def test_the_seal_opens_and_the_last_trial_has_ended_in_time(hasty):
    place, _ = hasty
    found = {model: record.tuning for model, record in records(place).items()}
    assert {model: tuning.trials for model, tuning in found.items()} == dict.fromkeys(found, 1)
    assert {m: t.stopped for m, t in found.items()} == {
        "toppopular": None,
        "ease": None,
        "gmf": 2,
    }
    assert found["gmf"].best.epochs == 2
    assert found["ease"].seconds == found["ease"].best.seconds >= 0.0001


def test_the_budget_is_said_before_and_after(hasty):
    place, done = hasty
    assert "at most 0.0003 s of trials to run" in done.stdout
    assert "Tuned with 0.0001 s each (TPE), on validation ndcg@10: 1 trial made" in done.stdout
    checked = place.call("check", str(place.file), "--workspace", str(place.workspace))
    assert "budget: 0.0001 s each (TPE), on validation ndcg@10" in checked.stdout
    assert re.search(r"toppopular +done", checked.stdout)
    assert re.search(r"ease +done", checked.stdout)


@pytest.mark.parametrize("more", [(), ("--retune",)])
def test_the_result_is_reproduced_with_as_many_trials_and_epochs_as_were_made(hasty, more):
    place, _ = hasty
    cell = records(place)["gmf"].cell
    again = place.call("reproduce", cell, "--workspace", str(place.workspace), *more)
    assert again.returncode == 0, again.stderr
    assert "identical: " in again.stdout
    assert ("after 1 trial, " in again.stdout) == bool(more)
