"""After `recrepro gc` everything that people look at is the same, and a run beside it too."""

import contextlib
import shutil
import threading
from pathlib import Path

import pytest

from recrepro.store import garbage as cleaning
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace

pytestmark = pytest.mark.slow  # whole runs

CELL = "toy/random-holdout/ease/seed 1"


def test_what_people_look_at_is_the_same_after_gc(finished_here, place_here):
    shutil.copytree(finished_here.workspace, place_here.workspace)
    workspace = ("--workspace", str(place_here.workspace))
    for cell in place_here.outcome():  # as processes leave them
        Workspace(place_here.workspace).log(cell).write_text("what a model printed")

    def looked_at():
        report = place_here.root / "report.html"
        commands = {
            "board": ("leaderboard", str(place_here.file), "--format", "json"),
            "show": ("show", CELL),
            "reproduce": ("reproduce", CELL),
            "report": ("report", str(place_here.file), "--output", str(report)),
        }
        said = {}
        for name, command in commands.items():
            done = place_here.call(*command, *workspace)
            assert done.returncode == 0, done.stderr
            said[name] = done.stdout
        assert "identical" in said["reproduce"]
        return said, report.read_bytes()

    before, outcome = looked_at(), place_here.outcome()
    listed = place_here.call("gc", "--dry-run", *workspace)
    assert list((place_here.workspace / "splits").glob("[!.]*"))
    freed = place_here.call("gc", *workspace)
    assert freed.stdout.splitlines()[-1] in listed.stdout.replace("Would free", "Freed")
    assert not list((place_here.workspace / "splits").glob("[!.]*"))
    assert not list((place_here.workspace / "logs").iterdir())
    assert (looked_at(), place_here.outcome()) == (before, outcome)
    place_here.file.write_text(place_here.text + '[[models]]\nname = "random"\n')
    more = place_here.run()
    assert "8 cells (6 done before), 2 trials to run" in more.stdout
    assert {cell: place_here.outcome()[cell] for cell in outcome} == outcome


@pytest.mark.nightly  # at random moments
def test_gc_over_and_over_does_not_disturb_a_run(place, finished_here):
    workspace = Workspace.create(place.workspace)
    over = threading.Event()
    rounds = []

    def clean():
        with contextlib.closing(Ledger.in_workspace(workspace.root)) as ledger:
            while not over.is_set():
                rounds.append(cleaning.clean(workspace, ledger))
                over.wait(0.02)  # so that the run gets at the ledger, too

    thread = threading.Thread(target=clean)
    thread.start()
    done = place.run("--jobs", "1")
    over.set()
    thread.join()
    assert done.returncode == 0, done.stderr
    assert place.outcome() == finished_here.outcome()
    gone = [waste.kind for deleted in rounds for waste in deleted]
    assert gone.count("log") >= 5
    assert gone.count("split") >= 1


def test_a_folder_that_goes_while_it_is_measured_has_no_size(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    monkeypatch.setattr(Path, "is_dir", lambda path: path == gone or path.exists())
    assert cleaning._size(gone) == 0
