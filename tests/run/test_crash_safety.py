"""A process is killed at each promise of docs/resume.md, and the same command is run again.

The outcome is that of an undisturbed run, and nothing that was finished is done again.
"""

import os
import shutil
from dataclasses import dataclass

import psutil
import pytest
from support import forks
from support.crashes import check_nothing_is_torn, mlflow_runs, openings
from support.places import toy_experiment

from recrepro.compute.failpoints import POINTS, VARIABLE
from recrepro.store.workspace import Workspace
from recrepro.tracking.store import set_up_store

GRID = toy_experiment(
    "whatever ends a run, the next one goes on to the same results",
    """[tune]
trials = 2
[[models]]
name = "steady"
""",
)
COORDINATOR, WORKER, NOBODY_MINDS = -9, 3, 0
"""Exit code of a run, by who is killed. A worker that had committed its result is not missed."""
FITTED = 99
"""More epochs than a cell has: none is left."""

RUNS = {
    # fail point: exit code, epochs that are not computed again, openings of the test part
    "lease-taken": (COORDINATOR, 0, 1),
    "split-drafted": (COORDINATOR, 0, 1),
    "checkpoint-drafted:2": (WORKER, 1, 1),
    "checkpoint-stored": (WORKER, 1, 1),
    "trial-finished": (WORKER, 3, 1),
    "trial-stored": (WORKER, 4, 1),
    "opening-stored": (COORDINATOR, FITTED, 2),
    "key-received": (WORKER, FITTED, 2),
    "blob-drafted": (WORKER, FITTED, 2),
    "blob-stored": (WORKER, FITTED, 2),
    "record-pending": (WORKER, FITTED, 2),
    # From here on the cell is done: the next run does not start it.
    "record-committed": (NOBODY_MINDS, 0, 1),
    "cell-done": (COORDINATOR, 0, 1),
    "mlflow-store-drafted": (COORDINATOR, 0, 1),
    "mlflow-run-started": (COORDINATOR, 0, 1),
    "mlflow-run-marked": (COORDINATOR, 0, 1),
}
OTHER_COMMANDS = {"garbage-moved", "snapshot-drafted"}

pytestmark = pytest.mark.slow


def test_every_fail_point_is_reached_by_a_test():
    assert {point.partition(":")[0] for point in RUNS} | OTHER_COMMANDS == POINTS.keys()


@pytest.fixture(scope="module")
def empty_mlflow(tmp_path_factory):
    """MLflow's database without runs: making one takes longer than a run."""
    folder = tmp_path_factory.mktemp("empty")
    set_up_store(Workspace(folder))
    return folder / "mlflow.db"


@pytest.fixture(scope="module")
def steady(make_place, plugin, empty_mlflow):
    """Make places of the grid, each with a workspace of its own."""
    variables = plugin("steady")

    def make(*, mlflow=True):
        place = make_place(GRID)
        place.environment = variables
        place.workspace.mkdir()
        if mlflow:
            shutil.copy(empty_mlflow, place.workspace)
        return place

    return make


def call(place, *arguments, fail_at=""):
    return forks.call(place, *arguments, "--workspace", str(place.workspace), **{VARIABLE: fail_at})


def run(place, *more, fail_at=""):
    return call(place, "run", str(place.file), *more, fail_at=fail_at)


def epochs(place):
    """Return the epochs that the last attempt has computed."""
    (log,) = (place.workspace / "logs").iterdir()
    return log.read_text().splitlines()


@dataclass
class Undisturbed:
    """What a disturbed run is compared with."""

    place: object
    outcome: dict
    mlflow: list
    epochs: list


@pytest.fixture(scope="module")
def undisturbed(steady):
    place = steady()
    done = run(place)
    assert done.returncode == 0, done.stderr
    assert set(openings(place).values()) == {("first",)}
    return Undisturbed(place, place.outcome(), mlflow_runs(place), epochs(place))


@pytest.fixture
def copied(steady, undisturbed):
    """A place where the undisturbed run has been."""
    place = steady()
    shutil.rmtree(place.workspace)
    shutil.copytree(undisturbed.place.workspace, place.workspace)
    return place


def check_no_orphans(place):
    """Check that workers end when the run that has started them is gone."""
    workers = [
        process
        for process in psutil.process_iter(["cwd", "cmdline"])
        if process.info["cwd"] == os.path.realpath(place.root)
        and "recrepro.run.worker" in (process.info["cmdline"] or ())
    ]
    assert psutil.wait_procs(workers, timeout=60)[1] == []


@pytest.mark.parametrize("point", RUNS)
def test_a_run_that_is_killed_at_a_fail_point_ends_like_an_undisturbed_one(
    steady, undisturbed, point
):
    code, computed, opened = RUNS[point]
    place = steady(mlflow=point != "mlflow-store-drafted")
    killed = run(place, fail_at=point)
    assert killed.returncode == code, killed
    assert ("ended by SIGKILL" in killed.stdout) == (code == WORKER)
    check_no_orphans(place)
    check_nothing_is_torn(place)
    resumed = run(place)
    assert resumed.returncode == 0, resumed
    assert place.outcome() == undisturbed.outcome
    assert mlflow_runs(place) == undisturbed.mlflow
    assert epochs(place) == undisturbed.epochs[computed:]
    assert set(openings(place).values()) == {("first", "resumed")[:opened]}


def test_a_killed_worker_fails_its_own_cell_only(steady, undisturbed):
    place = steady()
    place.file.write_text(GRID + '[[models]]\nname = "toppopular"\n')
    killed = run(place, fail_at="checkpoint-stored")  # which simple models have none of
    assert killed.returncode == WORKER
    assert "1 of 2 cells failed" in killed.stderr
    assert sorted(state for state, _, _ in place.outcome().values()) == ["done", "failed"]


def test_a_cell_that_is_killed_while_it_is_reopened_keeps_its_first_result(copied, undisturbed):
    assert run(copied, "--reopen", "steady", fail_at="record-pending").returncode == WORKER
    assert copied.outcome() == undisturbed.outcome
    again = run(copied, "--reopen", "steady")
    assert again.returncode == 0, again
    assert copied.outcome() == undisturbed.outcome
    assert set(openings(copied).values()) == {("first", "reopened", "reopened")}


def test_garbage_that_was_moved_but_not_deleted_is_deleted_by_a_later_call(copied, undisturbed):
    assert call(copied, "gc", fail_at="garbage-moved").returncode == COORDINATOR
    (trash,) = copied.workspace.glob("splits/.gc-*")
    assert not list(copied.workspace.glob("splits/[!.]*"))
    day_before_yesterday = trash.stat().st_mtime - 2 * 24 * 3600
    for place in copied.workspace.glob("*/.gc-*"):
        os.utime(place, (day_before_yesterday, day_before_yesterday))
    assert call(copied, "gc").returncode == 0
    assert not list(copied.workspace.glob("*/.gc-*"))
    assert copied.outcome() == undisturbed.outcome


def test_a_snapshot_that_was_cut_off_is_not_there_and_is_made_again(copied):
    target, other = copied.root / "snapshot", copied.root / "other"
    cite = ("cite", str(copied.file))
    assert call(copied, *cite, str(target), fail_at="snapshot-drafted").returncode == COORDINATOR
    assert not target.exists()
    for folder in (target, other):
        done = call(copied, *cite, str(folder))
        assert done.returncode == 0, done.stderr
    assert files(target) == files(other)


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
