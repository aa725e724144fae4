"""Runs are struck at random moments, in each way a run can end, and run again until all is done.

A sweep for the night: `test_crash_safety.py` kills at every promise, one after the other.
``RECREPRO_KILLS=4 pytest tests/run/test_kill.py`` strikes four times; by default it is fifty.
"""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from support.crashes import check_nothing_is_torn, mlflow_runs, openings
from support.places import toy_experiment

KILLS = int(os.environ.get("RECREPRO_KILLS", "50"))
SEED = 20261123
GRID = toy_experiment(
    "whatever ends a run, the next one goes on to the same results",
    """[tune]
trials = 3
[[models]]
name = "eager"
params = { epochs = 4 }
[[models]]
name = "itemknn"
""",
    seeds=[1, 2],
    metrics=["ndcg@10", "recall@5"],
)


def workers(coordinator):
    """Return the processes of the cells that run now, and of the next one."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [p for p in coordinator.children() if "recrepro.run.worker" in p.cmdline()]
    return []


def strike_all(coordinator, rng):
    """Kill everything at once, as when the power fails."""
    for process in [coordinator, *workers(coordinator)]:
        process.kill()


def cut_power(coordinator, rng):
    """Kill everything, and cut off what was not yet synced to the disk."""
    folder = Path(coordinator.cwd()) / "runs"
    strike_all(coordinator, rng)
    names = ("splits/*/*", "checkpoints/*/*", "logs/*", "blobs/*/.draft-*", ".draft-*")
    for path in sorted(path for name in names for path in folder.glob(name)):
        with contextlib.suppress(FileNotFoundError):
            os.truncate(path, rng.randint(0, path.stat().st_size))


def strike_coordinator(coordinator, rng):
    coordinator.kill()


def strike_worker(coordinator, rng):
    if running := workers(coordinator):
        rng.choice(running).kill()


def terminate(coordinator, rng):
    coordinator.send_signal(signal.SIGTERM)


def interrupt(coordinator, rng):
    coordinator.send_signal(signal.SIGINT)


STRIKES = {
    strike_all: (0, -signal.SIGKILL),
    cut_power: (0, -signal.SIGKILL),
    strike_coordinator: (0, -signal.SIGKILL),
    strike_worker: (0, 3),
    terminate: (0, 130, -signal.SIGTERM),  # before and after the grid it is not caught
    interrupt: (0, 130, -signal.SIGINT),
}
"""With the exit codes that they may lead to: 0 if the run was over before."""


@dataclass
class Undisturbed:
    """What every disturbed run is compared with, and how long it took."""

    outcome: dict
    tables: list
    mlflow: list
    seconds: float


@pytest.fixture(scope="module")
def eager(make_place, plugin):
    """Make places of the grid, each with a workspace of its own."""
    variables = plugin("eager")

    def make():
        place = make_place(GRID)
        place.environment = variables
        return place

    return make


@pytest.fixture(scope="module")
def undisturbed(eager):
    place = eager()
    began = time.monotonic()
    done = place.run("--jobs", "2")
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert set(openings(place).values()) == {("first",)}
    return Undisturbed(place.outcome(), tables(place), mlflow_runs(place), seconds)


def tables(place):
    """Return the leaderboards; the verdicts that go with them tell of times, too."""
    return place.board()["leaderboards"]


def run_and_strike(place, strike, seconds, rng):
    """Start the run, strike after some seconds; return its exit code and whether it was hit."""
    process = place.start("run", str(place.file), "--workspace", str(place.workspace))
    hit = False
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        coordinator = psutil.Process(process.pid)
        hit = strike is not strike_worker or bool(workers(coordinator))
        with contextlib.suppress(psutil.NoSuchProcess):
            strike(coordinator, rng)
        out, err = process.communicate(timeout=900)
    code = process.returncode
    assert code in (STRIKES[strike] if hit else (0,)), (strike.__name__, seconds, code, out, err)
    assert out == "" or "Traceback" not in err, (strike.__name__, seconds, err)
    return code, hit


@pytest.mark.nightly
def test_a_run_that_is_struck_anywhere_ends_like_an_undisturbed_one(
    eager, undisturbed, record_property
):
    rng = random.Random(SEED)
    hits: Counter[str] = Counter()
    while hits.total() < KILLS:
        place, attempts, code = eager(), 0, None
        while code != 0:
            attempts += 1
            strike = rng.choice(list(STRIKES))
            # When all strikes are spent, the run may go on to its end.
            seconds = rng.uniform(0, undisturbed.seconds) if hits.total() < KILLS else 900
            code, hit = run_and_strike(place, strike, seconds, rng)
            hits[strike.__name__] += hit
            check_nothing_is_torn(place)
        assert place.outcome() == undisturbed.outcome
        assert tables(place) == undisturbed.tables
        assert mlflow_runs(place) == undisturbed.mlflow
        for first, *more in openings(place).values():
            assert (first, set(more)) in [("first", set()), ("first", {"resumed"})]
            assert len(more) < attempts
    record_property("strikes", dict(hits))
