"""A small experiment's results, and real servers to send them to."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from recrepro.cli import cli
from recrepro.experiment import load_experiment
from recrepro.ledger import Ledger, Member
from recrepro.tracking import MlflowMirror
from recrepro.workspace import Workspace

GRID = """
schema = 1
claim = "a small grid for tests"
[[datasets]]
name = "synthetic-small"
synthetic = { users = 60, items = 40, interactions = 900, seed = 3 }
[[splits]]
name = "random-holdout"
seeds = [1, 2]
[evaluate]
metrics = ["ndcg@10", "recall@5"]
[tune]
trials = 3
evaluate_every = 2
[[models]]
name = "toppopular"
[[models]]
name = "ease"
[[models]]
name = "gmf"
params = { epochs = 4 }
"""
FAILED = Member(
    "f" * 64,
    {"dataset": "synthetic-small", "split": "random-holdout", "model": "lost", "seed": 1},
)
DEADLINE = 180.0
"""Seconds that a server may take to come up, however loaded the machine is."""


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
        code = "from recrepro.cli import main; main()"
        return [sys.executable, "-P", "-c", code, *arguments]

    def output(self, name: str, *arguments: str) -> str:
        """Return what a command prints about the experiment; its errors are raised."""
        whole = [name, str(self.file), "--workspace", str(self.workspace.root), *arguments]
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
        cells = [(member, {}) for member in members]
        ledger.plan("toy", hashed, GRID, cells)
        ledger.fail(FAILED.cell, ledger.lease(FAILED.cell), "no memory left")
    assert toy.sync() == 1
    return toy


@pytest.fixture(scope="session")
def free_port():
    """Give `unused_port` to tests."""
    return unused_port


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(ready, process: subprocess.Popen, what: str) -> None:
    """Ask again and again, until it is so, its process has ended, or the deadline is over."""
    end = time.monotonic() + DEADLINE
    while not ready():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
        assert process.poll() is None, f"{what} ended with {process.returncode}"
        assert time.monotonic() < end, f"{what} did not come up in {DEADLINE} s"


@pytest.fixture(scope="session")
def until():
    """Give `wait_until` to tests."""
    return wait_until


@pytest.fixture(scope="session")
def run_until():
    """Give `started` to tests."""
    return started


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.RequestException:
        return False


@contextlib.contextmanager
def started(command: list[str], log: Path, **options):
    """Run a program in a process group of its own, which ends with the block."""
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, **options
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """Address of a PostgreSQL of our own, on a socket in a folder that only its user can enter."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    initdb = shutil.which("initdb", path=str(found[-1].parent) if found else None)
    if initdb is None:
        pytest.skip("PostgreSQL: no initdb here; apt install postgresql")
    user = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        try:
            who = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL: it does not run as root, and there is no user postgres")
        user = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:  # short: a socket's path is limited
        if user:
            os.chown(folder, user["user"], user["group"])
        data = f"{folder}/data"
        making = [initdb, "-D", data, "-U", "recrepro", "--auth=trust", "--no-sync", "-E", "UTF8"]
        subprocess.run([*making, "--locale=C"], cwd=folder, check=True, capture_output=True, **user)
        command = [str(Path(initdb).with_name("postgres")), "-D", data, "-k", folder]
        command += ["-c", "listen_addresses=", "-c", "fsync=off"]
        log = tmp_path_factory.mktemp("postgres") / "log"
        with started(command, log, cwd=folder, **user) as process:
            import psycopg

            def ready():
                try:
                    psycopg.connect(f"host={folder} user=recrepro dbname=postgres").close()
                except psycopg.OperationalError:
                    return False
                return True

            wait_until(ready, process, "PostgreSQL")
            yield f"postgresql+psycopg://recrepro@/postgres?host={folder}"


@contextlib.contextmanager
def serving(store: str, folder: Path, port: int | None = None):
    """Run an MLflow server on the loopback interface."""
    url = f"http://127.0.0.1:{port or unused_port()}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", url.rpartition(":")[2], "--workers", "1", "--backend-store-uri", store]
    command += ["--artifacts-destination", (folder / "artifacts").as_uri()]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with started(command, folder / "log", cwd=folder, env=os.environ | quiet) as process:
        wait_until(lambda: answers(url), process, f"MLflow ({folder / 'log'})")
        yield url


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def server(request, tmp_path_factory):
    """Address of an MLflow server on SQLite, and of one on PostgreSQL."""
    folder = tmp_path_factory.mktemp(request.param)
    store = f"sqlite:///{folder / 'mlflow.db'}"
    if request.param == "postgresql":
        store = request.getfixturevalue("postgres")
    with serving(store, folder) as url:
        yield url


@pytest.fixture
def late_server(tmp_path):
    """Address of an MLflow server that is not there yet, and what starts it."""
    folder, port = tmp_path / "late", unused_port()
    folder.mkdir()
    with contextlib.ExitStack() as stack:

        def start() -> None:
            stack.enter_context(serving(f"sqlite:///{folder / 'mlflow.db'}", folder, port))

        yield f"http://127.0.0.1:{port}", start
