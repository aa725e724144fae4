"""Fixtures that tests of several parts share."""

import hashlib
import io
import os

# Before torch is imported: for networks as small as those of the tests, threads take more time to
# meet than they save.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import contextlib
import itertools
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import requests
from hypothesis import settings
from numpy.typing import ArrayLike
from sqlalchemy import make_url

from recrepro.interactions import Interactions
from recrepro.spec.identity import cell_key
from recrepro.store.entries import CellStatus
from recrepro.store.openings import Opening
from recrepro.store.results import Result
from recrepro.testing import interactions_from

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

# No test is judged by its wall time: the first call of a kernel compiles it.
settings.register_profile("recrepro", deadline=None)
settings.load_profile("recrepro")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first, so that both workers are busy until the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


CONTRACT = "contract/test_models.py"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file on one worker, but spread the models of the contract over all.

    Marks of `xdist_group` would say the same, but pytest-xdist 3.8 loses them under pytest 9.2: it
    appends the group to `item._nodeid`, which pytest no longer reads.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFileOrModel(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return nodeid.partition("-")[0] if file.endswith(CONTRACT) else file

    return ByFileOrModel(config, log)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the data sets that may not be redistributed."""
    folder = os.environ.get("RECREPRO_DATA")
    if not folder:
        pytest.skip("real data: RECREPRO_DATA does not name a folder that holds it")
    if not (Path(folder) / "ml-100k").is_dir():
        pytest.skip(f"real data: {folder} has no ml-100k")
    return Path(folder)


@pytest.fixture(scope="session")
def interactions() -> Callable[[ArrayLike], Interactions]:
    """Give `interactions_from` to tests."""
    return interactions_from


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Chrome]":
    """Chromium without a window; nothing but this machine can be reached from its pages."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("browser: no chromium and chromedriver here; apt install chromium-driver")
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = browser
    for argument in (
        "--headless=new",
        "--no-sandbox",  # which root cannot have
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1600,1000",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options=options, service=ChromeService(driver)) as chrome:
        yield chrome


@pytest.fixture
def browser(chromium: "Chrome") -> "Chrome":
    """Give a Selenium driver on an empty page; `get_log("browser")` has the console's lines."""
    chromium.get("about:blank")
    chromium.get_log("browser")  # reading it empties it
    return chromium


@pytest.fixture(scope="session")
def make_result() -> Callable[..., Result]:
    """Make the result of a cell from the values of its users, with all that a record has."""

    def make(
        model: str,
        values: dict[str, ArrayLike],
        *,
        dataset: str = "toy",
        split: str = "s",
        seed: int = 1,
        family: str = "simple",
        status: str = "tuned",
        validation: float = 0.3,
        **more: Any,
    ) -> Result:
        frame = pd.DataFrame(values)
        frame.insert(0, "user", np.arange(len(frame)))
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        per_user = buffer.getvalue()
        identity = {"data": dataset, "split": {"name": split, "seed": seed}, "model": model}
        best = {"number": 0, "params": {}, "state": "complete", "value": validation}
        record = {
            "cell": cell_key(identity),
            "identity": identity,
            "model": {
                "name": model,
                "family": family,
                "version": 1,
                "params": {},
                "status": status,
            },
            "tuning": {"trials": 1, "failed": 0, "best": best, "at_edge": []},
            "metrics": {name: float(np.mean(column)) for name, column in values.items()},
            "users": len(frame),
            "groups": {"activity": [], "popularity": []},
            "sampled": False,
            "split": {
                "dropped": {},
                "parts": {"test": {"interactions": 3 * len(frame)}},
                "audit": {"verdict": "clean", "findings": []},
            },
            "per_user": hashlib.sha256(per_user).hexdigest(),
            "times": {name: {"wall_s": 1.0} for name in ("tune", "fit", "score")},
            "ended_at": 1_750_000_000.0 + seed,
        } | more
        titles = {"dataset": dataset, "split": split, "model": model, "seed": seed}
        opened = (Opening(1_750_000_000.0, "first"),)
        found = CellStatus(record["cell"], "done", None, record, openings=opened)
        return Result(titles, found, lambda: [best], lambda: per_user)

    return make


DEADLINE = 180.0
"""Seconds that a server may take to come up, however loaded the machine is."""


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


@pytest.fixture(scope="session")
def new_ledger(postgres):
    """Make an empty schema on the server of the tests; give the address of a ledger in it."""
    import psycopg

    server = make_url(postgres)
    numbers = itertools.count()

    def make() -> str:
        name = f"ledger_{next(numbers)}"
        whom = f"host={server.query['host']} user={server.username} dbname={server.database}"
        with psycopg.connect(whom, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        own = server.update_query_dict({"options": f"-csearch_path={name}"})
        return own.render_as_string(hide_password=False)

    return make


@pytest.fixture(scope="session")
def mlflow_serving():
    """Give `serving` to tests."""
    return serving


@pytest.fixture(scope="session")
def mlflow_on_postgres(postgres, tmp_path_factory):
    """Address of an MLflow server on PostgreSQL."""
    folder = tmp_path_factory.mktemp("mlflow-postgresql")
    with serving(postgres, folder) as url:
        yield url
