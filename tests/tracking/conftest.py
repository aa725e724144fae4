"""A small experiment's results, and real servers to send them to."""

import contextlib
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.inprocess import cells_here
from support.places import toy_experiment
from support.results import make_identity, make_name

from recrepro.cli import cli
from recrepro.spec.experiment import load_experiment
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace
from recrepro.tracking.mirror import MlflowMirror

GRID = toy_experiment(
    "a small grid for tests",
    """[tune]
trials = 3
evaluate_every = 2
[[models]]
name = "toppopular"
[[models]]
name = "ease"
[[models]]
name = "gmf"
params = { epochs = 4 }
""",
    seeds=[1, 2],
    metrics=["ndcg@10", "recall@5"],
    name="synthetic-small",
)
LOST = make_identity("lost")
FAILED = Member(
    LOST.key,
    make_name("lost", dataset="synthetic-small", split="random-holdout"),
)


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


class Toy:
    """The results of the small grid, with a cell that failed.

    Each test may have a copy of its own.
    """

    def __init__(self, root: Path):
        self.file = root / "toy.toml"
        self.workspace = Workspace(root / "runs")
        self.experiment = load_experiment(self.file)

    def copied(self, root: Path) -> "Toy":
        shutil.copytree(self.file.parent, root, dirs_exist_ok=True)
        return Toy(root)

    @contextlib.contextmanager
    def ledger(self):
        with contextlib.closing(Ledger.in_workspace(self.workspace.root)) as ledger:
            yield ledger

    def sync(self) -> int:
        with self.ledger() as ledger:
            text = self.file.read_text()
            return MlflowMirror(
                ledger, self.workspace, "toy", self.experiment.grid_hash, text
            ).sync()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "recrepro", *arguments]

    def output(self, name: str, *arguments: str) -> str:
        """Return what a command prints about the experiment; its errors are raised."""
        whole = [name, str(self.file), "--workspace", str(self.workspace.root), *arguments]
        with cells_here():
            done = CliRunner(env={"COLUMNS": "200"}).invoke(cli, whole, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """The small grid, run once; nobody writes to it."""
    root = tmp_path_factory.mktemp("toy")
    (root / "toy.toml").write_text(GRID)
    (root / "runs").mkdir()
    toy = Toy(root)
    toy.output("run", "--jobs", "1", "--keep-models")
    with toy.ledger() as ledger:
        hashed = toy.experiment.grid_hash
        members = [*ledger.members("toy", hashed), FAILED]
        cells = [(member, LOST) for member in members]  # those that are done stay as they are
        ledger.plan("toy", hashed, GRID, cells)
        ledger.fail(FAILED.cell, ledger.lease(FAILED.cell), "no memory left")
    assert toy.sync() == 1
    return toy


SERVERS = [pytest.param("sqlite", marks=pytest.mark.nightly), "postgresql"]
"""On SQLite at night: the embedded store, which is on SQLite too, is looked at on each push."""


@pytest.fixture(scope="session", params=SERVERS)
def server(request, tmp_path_factory, mlflow_serving, empty_store):
    """Address of an MLflow server on SQLite, and of one on PostgreSQL."""
    if request.param == "postgresql":
        yield request.getfixturevalue("mlflow_on_postgres")
        return
    folder = tmp_path_factory.mktemp("mlflow")
    shutil.copy(empty_store, folder)
    with mlflow_serving(f"sqlite:///{folder / 'mlflow.db'}", folder) as url:
        yield url


@pytest.fixture
def late_server(tmp_path, free_port, mlflow_serving, empty_store):
    """Address of an MLflow server that is not there yet, and what starts it."""
    folder, port = tmp_path / "late", free_port()
    folder.mkdir()
    shutil.copy(empty_store, folder)
    with contextlib.ExitStack() as stack:

        def start() -> None:
            stack.enter_context(mlflow_serving(f"sqlite:///{folder / 'mlflow.db'}", folder, port))

        yield f"http://127.0.0.1:{port}", start
