"""Servers of the tests, started and ended by them: PostgreSQL, MLflow; a free port."""

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

DEADLINE = 180.0
"""Seconds that a server may take to come up, however loaded the machine is."""


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


@contextlib.contextmanager
def postgresql(log: Path):
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
