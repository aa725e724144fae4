"""A Dask cluster of separate processes on the loopback interface, and a grid to run on it."""

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import Place, install_plugin, toy_experiment, without_costs

GRID = toy_experiment(
    "a grid for several machines",
    """[tune]
trials = 4
[[models]]
name = "stumbler"
[[models]]
name = "itemknncfcbf"
""",
    seeds=[1, 2],
    metrics=["ndcg@10", "recall@5"],
)
FITS = 2 * (4 + 1)
"""Of the model that writes them down: of two cells, four trials and the final one each."""
PASSWORD = "s3same-open"


class Site(Place):
    """An experiment, its workspace, and everything that is run on it."""

    def __init__(self, root: Path, ledger: str | None = None):
        plugin = root / "plugin"
        plugin.mkdir()
        self.notes = root / "notes"
        self.notes.mkdir()
        variables = install_plugin("stumbling", plugin) | {
            "STUMBLING": str(self.notes),
            # A scheduler that is gone is given up soon.
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
        }
        super().__init__(root, GRID, variables, ledger)

    def start(self, command: str, *arguments: str, **environment: str) -> subprocess.Popen:
        where = ["--workspace", str(self.workspace)]
        where += ["--ledger", self.ledger] if self.ledger else []
        whole = [command, str(self.file), *where, *arguments]
        return super().start(*whole, variables=environment)

    def board(self, *more: str) -> dict:
        done = self.call("leaderboard", "--format", "json", *more)
        assert done.returncode == 0, done.stderr
        return without_costs(json.loads(done.stdout))

    @property
    def fits(self) -> int:
        return len((self.notes / "fits").read_text().splitlines())


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The grid, run once on this machine."""
    site = Site(tmp_path_factory.mktemp("undisturbed"))
    done = site.call("run")
    assert done.returncode == 0, done.stderr
    assert site.fits == FITS
    return site


@pytest.fixture
def site(tmp_path, new_ledger):
    """The grid, not run yet, with a ledger on PostgreSQL and a password in its address."""
    return Site(tmp_path, new_ledger().replace("recrepro@", f"recrepro:{PASSWORD}@"))


class Cluster:
    """A scheduler and its workers; all end with the block that made it."""

    def __init__(self, site: Site, tools, stack: contextlib.ExitStack, options=(), wrap=()):
        self.site, self.run_until, self.until, self.stack = site, *tools, stack
        self.options, self.wrap = options, wrap
        self.workers, self.logs = {}, []

    def _start(self, name: str, *command: str) -> subprocess.Popen:
        log = self.site.root / f"{name}-{len(self.logs)}.log"
        self.logs.append(log)
        whole = [sys.executable, "-P", "-m", "dask", *command, *self.options]
        environment = os.environ | {
            **self.site.environment,
            "DASK_DISTRIBUTED__WORKER__DAEMON": "false",
        }
        started = self.run_until(
            [*self.wrap, *whole] if name != "scheduler" else whole, log, env=environment
        )
        process = self.stack.enter_context(started)
        self.stack.callback(kill, process)  # in order, it takes ten seconds a worker
        return process

    def scheduler(self, address: str) -> None:
        protocol, host, port = address.replace("//", "").split(":")
        self.address = address
        where = ["--protocol", protocol, "--host", host, "--port", port]
        process = self._start("scheduler", "scheduler", *where, "--no-dashboard")
        self.until(lambda: "Scheduler at" in self.logs[-1].read_text(), process, "the scheduler")
        self.process = process

    def worker(self, *more: str) -> None:
        folder = self.site.root / f"worker-{len(self.workers)}"
        own = ["--nthreads", "1", "--local-directory", str(folder), "--no-dashboard"]
        process = self._start("worker", "worker", self.address, *own, *more)
        log = self.logs[-1]
        self.until(lambda: "Registered to" in log.read_text(), process, "a worker")
        self.workers[process.pid] = process


@pytest.fixture
def make_cluster(free_port, until, run_until):
    """Make a cluster for a site, with a scheduler and two workers."""
    with contextlib.ExitStack() as stack:

        def make(site, protocol="tcp", workers=2, options=(), wrap=(), resources=()):
            cluster = Cluster(site, (run_until, until), stack, options, wrap)
            cluster.scheduler(f"{protocol}://127.0.0.1:{free_port()}")
            for _ in range(workers):
                cluster.worker(*resources)
            return cluster

        yield make


def kill(process: subprocess.Popen) -> None:
    """End a process and its group by SIGKILL."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="session")
def sigkill():
    """Give `kill` to tests."""
    return kill


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A certificate that is its own authority, as Dask's options name its files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificates")
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, *plain))
    cert, secret = str(folder / "cert.pem"), str(folder / "key.pem")
    return {"ca-file": cert} | {
        f"{role}.{part}": path
        for role in ("client", "scheduler", "worker")
        for part, path in (("cert", cert), ("key", secret))
    }
