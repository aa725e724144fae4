"""A small grid that runs in seconds, and the command line as a subprocess."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace

GRID = """
schema = 1
claim = "a small grid for tests"
[[datasets]]
name = "toy"
synthetic = { users = 60, items = 40, interactions = 900, seed = 3 }
[[splits]]
name = "random-holdout"
seeds = [1, 2]
[evaluate]
metrics = ["ndcg@10", "recall@5"]
[tune]
trials = 4
[[models]]
name = "toppopular"
[[models]]
name = "itemknn"
[[models]]
name = "ease"
"""


@dataclass
class Place:
    """An experiment file, its workspace, and the command line."""

    root: Path
    text: str = GRID
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.file = self.root / "toy.toml"
        self.file.write_text(self.text)
        self.workspace = self.root / "runs"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "recrepro", *arguments]

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.root,
            env=os.environ | {"COLUMNS": "200"} | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def call(self, *arguments: str) -> subprocess.CompletedProcess:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=900)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def run(self, *more: str) -> subprocess.CompletedProcess:
        return self.call("run", str(self.file), "--workspace", str(self.workspace), *more)

    def board(self) -> dict:
        done = self.call(
            "leaderboard", str(self.file), "--workspace", str(self.workspace), "--format", "json"
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def outcome(self) -> dict:
        """All that must not depend on interruptions: trials and results of every cell."""
        ledger = Ledger.in_workspace(self.workspace)
        cells = {}
        for cell, state in sorted(ledger.states().items()):
            trials = [{**t, "seconds": None} for t in ledger.trials(cell)]
            record = ledger.status(cell).record
            cells[cell] = (state, trials, record and _without_times(record))
            if record:
                assert Workspace(self.workspace).read_blob(record["per_user"])
        ledger.close()
        return cells


def _without_times(record: dict) -> dict:
    """Leave out what two runs need not have in common: when, how long, how often opened."""
    differs = {"openings", "times", "energy_joules", "peak_memory_bytes", "started_at", "ended_at"}
    kept = {k: v for k, v in record.items() if k not in {*differs, "base", "provenance"}}
    if kept["tuning"]:
        tuning = {**kept["tuning"], "seconds": None}
        kept["tuning"] = {**tuning, "best": {**tuning["best"], "seconds": None}}
    return kept


@pytest.fixture(scope="session")
def plugin(tmp_path_factory):
    """Install a file of this folder that has a table `MODELS`; return the variables to set."""

    def install(name: str) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("plugin")
        shutil.copy(Path(__file__).with_name(f"{name}.py"), folder)
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[recrepro.models]\n{name} = {name}:MODELS\n")
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {"PYTHONPATH": os.pathsep.join(paths)}

    return install


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture(scope="session")
def make_place(tmp_path_factory):
    """Make a place with another experiment."""
    return lambda text: Place(tmp_path_factory.mktemp("place"), text)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The small grid, run once without disturbance."""
    place = Place(tmp_path_factory.mktemp("finished"))
    done = place.run()
    assert done.returncode == 0, done.stderr
    return place, done
