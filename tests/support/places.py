"""A small grid that runs in seconds, and the command line as a subprocess."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from recrepro.store.ledger import Ledger
from recrepro.store.records import Record
from recrepro.store.workspace import Workspace
from recrepro.tracking.store import set_up_store


def toy_experiment(
    claim: str,
    rest: str,
    *,
    seeds: Sequence[int] = (),
    metrics: Sequence[str] = ("ndcg@10",),
    name: str = "toy",
) -> str:
    """Write an experiment on a small synthetic data set; `rest` has its search and its models."""
    lines = [
        "schema = 1",
        f'claim = "{claim}"',
        "[[datasets]]",
        f'name = "{name}"',
        "synthetic = { users = 60, items = 40, interactions = 900, seed = 3 }",
        "[[splits]]",
        'name = "random-holdout"',
        *([f"seeds = {list(seeds)}"] if seeds else []),
        "[evaluate]",
        f"metrics = {json.dumps(list(metrics))}",
    ]
    return "\n".join(["", *lines, rest])


GRID = toy_experiment(
    "a small grid for tests",
    """[tune]
trials = 4
[[models]]
name = "toppopular"
[[models]]
name = "itemknn"
[[models]]
name = "ease"
""",
    seeds=[1, 2],
    metrics=["ndcg@10", "recall@5"],
)


@dataclass
class Place:
    """An experiment file, its workspace, and the command line."""

    root: Path
    text: str = GRID
    environment: dict[str, str] = field(default_factory=dict)
    ledger: str | None = None

    def __post_init__(self):
        self.file = self.root / "toy.toml"
        self.file.write_text(self.text)
        self.workspace = self.root / "runs"

    def with_store(self) -> "Place":
        """Give the workspace an MLflow database ahead: a process would take seconds to make it."""
        set_up_store(Workspace.create(self.workspace))
        return self

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "recrepro", *arguments]

    def start(self, *arguments: str, variables=None, **options) -> subprocess.Popen:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.root,
            env=os.environ | {"COLUMNS": "200"} | self.environment | (variables or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def call(self, *arguments: str) -> subprocess.CompletedProcess:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=540)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def run(self, *more: str) -> subprocess.CompletedProcess:
        return self.call("run", str(self.file), "--workspace", str(self.workspace), *more)

    def board(self) -> dict:
        done = self.call(
            "leaderboard", str(self.file), "--workspace", str(self.workspace), "--format", "json"
        )
        assert done.returncode == 0, done.stderr
        return without_costs(json.loads(done.stdout))

    def outcome(self) -> dict:
        """All that must not depend on interruptions: trials and results of every cell."""
        ledger = Ledger.in_workspace(self.workspace, self.ledger)
        cells = {}
        for cell, state in sorted(ledger.states().items()):
            trials = [replace(trial, seconds=0.0) for trial in ledger.trials(cell)]
            record = ledger.status(cell).record
            cells[cell] = (state, trials, record and without_times(record))
            if record:
                assert Workspace(self.workspace).read_blob(record.per_user)
        ledger.close()
        return cells


def without_costs(tables: dict) -> dict:
    """Return tables as JSON without the costs of verdicts: two runs need not take the same time."""
    for board in tables["verdicts"]["boards"]:
        for model in board["models"]:
            model.update(dict.fromkeys(("fit_ratio", "tune_ratio", "energy_ratio")))
    return tables


def without_times(record: Record) -> dict:
    """Return a record as JSON without what two runs need not have in common.

    That is when, where and how long they ran, what confined them, and how often the test part was
    opened.
    """
    # Kept rankings are encrypted, each time otherwise.
    differs = {
        "confined_by",
        "openings",
        "rankings",
        "times",
        "energy_joules",
        "peak_memory_bytes",
        "started_at",
        "ended_at",
    }
    kept = {k: v for k, v in record.to_json().items() if k not in {*differs, "base", "provenance"}}
    if kept["tuning"]:
        tuning = {**kept["tuning"], "seconds": None}
        kept["tuning"] = {**tuning, "best": {**tuning["best"], "seconds": None}}
    return kept


def install_plugin(name: str, folder: Path) -> dict[str, str]:
    """Install a file of `support/plugins` as a package; return the variables that make it found."""
    shutil.copy(Path(__file__).parent / "plugins" / f"{name}.py", folder)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[recrepro.models]\n{name} = {name}:MODELS\n")
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}
