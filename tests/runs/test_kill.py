"""SIGKILL at random moments, then the same command again: the outcome is the undisturbed one."""

import random
import signal
import threading

import pytest

from recrepro.ledger import Ledger

MOMENTS = 6


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_like_an_undisturbed_one(place, finished):
    rng = random.Random(20261123)
    kills = 0
    for _ in range(MOMENTS):
        process = place.start(
            "run", str(place.file), "--workspace", str(place.workspace), stdin=None
        )
        timer = threading.Timer(rng.uniform(1.0, 6.0), process.kill)
        timer.start()
        process.communicate(timeout=300)
        timer.cancel()
        kills += process.returncode == -signal.SIGKILL
        if place.workspace.joinpath("ledger.db").is_file():
            _check_nothing_is_torn(place)
    assert kills > 0, "no kill came in time: the grid is too small for this test"
    last = place.run()
    assert last.returncode == 0, last.stderr
    assert place.outcome() == finished[0].outcome()
    assert place.board() == finished[0].board()


def _check_nothing_is_torn(place):
    """Whatever the ledger calls done is whole: record and blob."""
    ledger = Ledger.in_workspace(place.workspace)
    for cell, state in ledger.states().items():
        if state == "done":
            record = ledger.status(cell).record
            blob = place.workspace / "blobs" / record["per_user"][:2] / record["per_user"]
            assert blob.is_file()
    ledger.close()


@pytest.mark.slow
def test_a_killed_worker_fails_its_cell_and_the_next_run_mends_it(place, finished):
    import psutil

    process = place.start(
        "run", str(place.file), "--workspace", str(place.workspace), "--jobs", "1"
    )
    for line in process.stdout:
        if " start " in line:
            (worker,) = psutil.Process(process.pid).children()
            worker.kill()
            break
    out, err = process.communicate(timeout=300)
    assert process.returncode == 3, out
    assert "ended by SIGKILL" in out
    assert "1 of 6 cells failed" in err
    assert place.run().returncode == 0
    assert place.outcome() == finished[0].outcome()
