"""Runs without room: a full disk, no memory. What is done stays done, and the next run goes on."""

import contextlib
import re
import resource
import subprocess

import pytest
from support.places import toy_experiment

from recrepro.spec.experiment import load_experiment
from recrepro.store.ledger import Ledger

KIB = 1024
NO_MEMORY = toy_experiment(
    "memory that runs out costs a cell, not the run",
    """[tune]
trials = 2
[[models]]
name = "greedy"
[[models]]
name = "greedy"
label = "greedy-at-last"
tune = false
[[models]]
name = "doomed"
[[models]]
name = "toppopular"
""",
)


SMALL = (
    NO_MEMORY.partition("[[models]]")[0]
    + """
[[models]]
name = "itemknn"
"""
)


@pytest.fixture(scope="module")
def roomy(make_place):
    """What comes out where there is room."""
    place = make_place(SMALL)
    assert place.run().returncode == 0
    return place.outcome(), place.board()


@pytest.fixture
def cramped(make_place):
    return make_place(SMALL)


@pytest.fixture
def out_of_memory(make_place, plugin):
    place = make_place(NO_MEMORY)
    place.environment = plugin("greedy")
    return place


def cells(place):
    """Return state and trials of each cell, by model."""
    grid = load_experiment(place.file).grid_hash
    with contextlib.closing(Ledger.in_workspace(place.workspace)) as ledger:
        return {
            member.name.model: (ledger.status(member.cell).state, ledger.trials(member.cell))
            for member in ledger.members("toy", grid)
        }


@pytest.mark.nightly  # 42 processor seconds
def test_memory_that_runs_out_fails_the_cell_with_its_reason_and_no_other(out_of_memory):
    place = out_of_memory
    done = place.run("--jobs", "1")
    assert done.returncode == 3
    assert "3 of 4 cells failed" in done.stderr
    rows = {row["model"]: row for row in place.board()["leaderboards"][0]["rows"]}
    assert rows["toppopular"]["status"] == "parameter-free"
    for model, reason in {
        "greedy": r"all 1 trials of 'greedy' failed; the last one: .*Unable to allocate 1\.00 PiB",
        "greedy-at-last": r"Unable to allocate 1\.00 PiB",
        "doomed": r"ended by SIGKILL\. The system kills processes when memory runs out",
    }.items():
        assert rows[model]["status"] == "failed"
        assert re.search(reason, rows[model]["notes"][0]), rows[model]
    before = cells(place)
    place.environment |= {"ENOUGH_MEMORY": "yes"}
    assert place.run().returncode == 0
    after = cells(place)
    assert {state for state, _ in after.values()} == {"done"}
    assert after["doomed"][1] == before["doomed"][1]  # the finished trial was not repeated
    assert before["greedy"][1][0].state == "failed"
    assert after["greedy"][1][0].state == "complete"


@pytest.fixture
def small_disk(tmp_path):
    """A disk of some KiB, and what makes it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(kib, *options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join([*options, f"size={kib}k"]), "tmpfs"]
        return subprocess.run([*command, str(folder)], check=False, capture_output=True).returncode

    if mount(64):
        pytest.skip("full disk: mounting a small one needs root and its rights")
    yield folder, lambda kib: mount(kib, "remount")
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def says_what_is_full(done):
    """Check how a run ended that had no room; say whether it was complete all the same."""
    text = done.stdout + done.stderr
    assert "Traceback" not in text
    assert "fault of recrepro" not in text
    full = re.search("No space left|disk is full|disk I/O|File too large", text)
    if done.returncode == 0:  # MLflow is a copy: that it has no room ends no run
        assert "MLflow could not be brought up to date" in done.stdout or not full
        return not full
    assert done.returncode == 3
    assert full, text
    assert re.search("run the same command again|Running the same file again", done.stderr)
    return False


ENOUGH = 2**19
"""KiB of a disk that everything fits on."""


@pytest.mark.nightly  # 50 s; on a push, a kill at each fail point stands for it
def test_a_disk_that_is_full_during_a_cell_and_during_the_copy_to_mlflow_loses_nothing(
    cramped, roomy, small_disk
):
    place, (folder, grow) = cramped, small_disk
    place.workspace = folder / "runs"
    for kib, done in ((192, False), (512, True)):
        assert grow(kib) == 0
        assert not says_what_is_full(place.run())
        assert [state == "done" for state, _ in cells(place).values()] == [done]
    assert grow(ENOUGH) == 0
    assert says_what_is_full(place.run())
    assert (place.outcome(), place.board()) == roomy


@pytest.mark.nightly
def test_a_disk_that_is_full_anywhere_loses_nothing(cramped, roomy, small_disk):
    place, (folder, grow) = cramped, small_disk
    place.workspace = folder / "runs"
    sizes = iter([2**n for n in range(7, 19)] + [ENOUGH])
    tried = 1
    while not says_what_is_full(place.run()):
        assert grow(next(sizes)) == 0
        tried += 1
    assert tried > 3
    assert (place.outcome(), place.board()) == roomy


@pytest.mark.nightly
def test_files_that_must_not_grow_lose_nothing(cramped, roomy):
    place = cramped
    for size in (2, 16, 40, 120, 600):

        def limit(size=size):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size * KIB, size * KIB))

        command = ("run", str(place.file), "--workspace", str(place.workspace))
        process = place.start(*command, preexec_fn=limit)
        out, err = process.communicate(timeout=900)
        ended = subprocess.CompletedProcess(command, process.returncode, out, err)
        assert not says_what_is_full(ended), size
    assert place.run().returncode == 0
    assert (place.outcome(), place.board()) == roomy
