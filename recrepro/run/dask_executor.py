"""Jobs on the workers of a Dask cluster: which may be reached how, and the executor.

A job is one Dask task, a string of JSON for `recrepro.run.dask_worker.run_job`. Keys of test parts
and files go another way, as answers to a job that runs: a task is kept by the scheduler, an answer
is not.
"""

import contextlib
import hashlib
import json
import queue
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from recrepro.errors import DataError, RecreproError, UsageError
from recrepro.run.dask_worker import hear, read_blob, run_job, versions
from recrepro.run.events import SAID, Event, Exited, Failed, Lost
from recrepro.run.executors import Eventful
from recrepro.run.job import Job
from recrepro.run.transfer import Manifest, manifest, read_chunk
from recrepro.store.address import LedgerAddress
from recrepro.store.workspace import Workspace

if TYPE_CHECKING:
    from distributed import Client, Future


def is_here(address: str) -> bool:
    """Say whether a scheduler's address is one of this machine."""
    try:
        host = urlsplit(address if "://" in address else f"tcp://{address}").hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def check_address(address: str, ledger: LedgerAddress) -> None:
    """Refuse a cluster that others could listen to or give work to, and one without a ledger.

    Parameters
    ----------
    address : str
        Of the scheduler.
    ledger : LedgerAddress
        Where results go.

    Raises
    ------
    UsageError
        With what to do.
    """
    from distributed import Security

    scheme = address.partition("://")[0] if "://" in address else "tcp"
    if scheme not in ("tcp", "tls") or (scheme == "tcp" and not is_here(address)):
        raise UsageError(
            f"the scheduler {address} is not on this machine, and the way to it is not encrypted: "
            "whoever reaches such a scheduler can run programs as you. Give scheduler and workers "
            "a certificate (--tls-ca-file, --tls-cert, --tls-key) and name the scheduler as "
            "tls://HOST:PORT; docs/clusters.md has the steps."
        )
    if scheme == "tls" and not Security().get_connection_args("client").get("ssl_context"):
        raise UsageError(
            f"the scheduler {address} wants certificates, and Dask knows none here. Set "
            "distributed.comm.tls.ca-file, .client.cert and .client.key in ~/.config/dask/, or "
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE and so on; docs/clusters.md has the steps."
        )
    if not ledger.is_server and not is_here(address):
        raise UsageError(
            f"workers of {address} cannot write to the file {ledger}: SQLite is for one machine. "
            "Give a ledger on PostgreSQL: --ledger postgresql://USER@HOST/DATABASE."
        )


def demanded(wants: Mapping[str, int], declared: Iterable[Mapping[str, float]]) -> dict[str, int]:
    """Return the Dask resources that a job demands: those of its wants that any worker declares.

    Raises
    ------
    RecreproError
        If no worker has enough: the job would wait for ever.
    """
    workers = list(declared)
    known = {n: v for n, v in wants.items() if any(n in worker for worker in workers)}
    if known and not any(all(w.get(n, 0) >= v for n, v in known.items()) for w in workers):
        need = ", ".join(f"{name} {amount:,.0f}" for name, amount in known.items())
        have = {n: max(worker.get(n, 0) for worker in workers) for n in known}
        most = ", ".join(f"{name} {amount:,.0f}" for name, amount in have.items())
        raise RecreproError(
            f"it needs {need}, and no worker of the cluster declares as much (at most {most}). "
            "Start a larger one, such as: dask worker ... --resources 'MEMORY=64e9 GPU=1'."
        )
    return known


@dataclass(eq=False)
class _Submitted:
    """A job on its way: `attempt` and `worker` are known once it has begun."""

    job: Job
    future: "Future[Any] | None" = None
    attempt: str | None = None
    worker: str = ""
    over: bool = False


class DaskCluster(Eventful):
    """Runs every job as a task on a Dask cluster, there in a process of its own.

    Parameters
    ----------
    address : str
        Of the scheduler.
    workspace : Workspace
        Where splits are and blobs and logs go. Workers that do not see the folder get the parts of
        a split once, and send what they have made.
    threads : int
        Threads of the numeric libraries in each process.

    Raises
    ------
    RecreproError
        If the scheduler cannot be reached, now or when a job is started.
    """

    def __init__(self, address: str, workspace: Workspace, threads: int = 1) -> None:
        super().__init__()
        self._address = address
        self._workspace = workspace
        self._threads = threads
        self._topic = f"recrepro-{secrets.token_hex(8)}"
        self._submitted: dict[str, _Submitted] = {}
        self._manifests: dict[str, Manifest] = {}
        self._mail: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._client = self._connect()
        self._torn = False
        # Not in the client's own thread: answers wait for the cluster, and it must not wait.
        threading.Thread(target=self._read_mail, daemon=True).start()

    def _connect(self) -> "Client":
        from distributed import Client

        try:
            client = Client(self._address, set_as_default=False)
        except (OSError, ValueError) as error:
            raise RecreproError(
                f"the scheduler {self._address} cannot be reached: {error}. Start it (dask "
                "scheduler, dask worker) and run the same command again: it goes on after what is "
                "done."
            ) from error
        client.subscribe_topic(self._topic, lambda event: self._mail.put(event[1]))
        return client

    @property
    def running(self) -> list[str]:
        """Cells whose task has not been seen to end."""
        return list(self._submitted)

    @property
    def places(self) -> int:
        """How many threads the workers have that are there now."""
        with contextlib.suppress(OSError):
            return sum(map(int, self._client.nthreads().values()))
        return 0

    @property
    def slots(self) -> int:
        """How many tasks the workers take at a time; at least one, for those that come later."""
        return 1 if self._torn else max(1, self.places)

    def start(self, job: Job) -> None:
        """Start a job; one that no worker is large enough for fails at once."""
        if self._torn or self._client.status != "running":
            self._client.close(timeout=1)
            self._client = self._connect()
            self._torn = False
        mark = f"On a cluster, attempt {secrets.token_hex(16)}\n"
        log = self._workspace.log(job.cell)
        log.write_text(mark, encoding="utf-8")
        order = {"job": job.to_json(), "threads": self._threads, "topic": self._topic}
        spec = json.dumps({**order, "log": str(log), "mark": mark})
        one = self._submitted[job.cell] = _Submitted(job)
        workers = self._client.scheduler_info()["workers"].values()
        try:
            resources = demanded(job.wants, [worker["resources"] for worker in workers])
        except RecreproError as error:
            self._fail(one, str(error))
            return
        one.future = self._client.submit(
            run_job,
            spec,
            key=f"recrepro-{job.cell[:16]}-{secrets.token_hex(8)}",
            resources=resources,
        )
        one.future.add_done_callback(
            lambda future: self._mail.put({"event": "over", "cell": job.cell, "future": future})
        )

    def prepare(self) -> None:
        """Do nothing: which worker takes the next task is for the scheduler to say."""

    def answer(self, cell: str, content: dict[str, str]) -> None:
        """Send a line to a job's process."""
        self._tell(self._submitted[cell], content)

    def _tell(self, one: _Submitted, content: dict[str, Any]) -> None:
        # If it cannot be reached, whatever Dask calls that, the end of the task says so.
        with contextlib.suppress(Exception):
            self._client.run(hear, one.attempt, content, workers=[one.worker])

    def _read_mail(self) -> None:
        while (word := self._mail.get()) is not None:
            one = self._submitted.get(word["cell"])
            if one is None or one.over:
                continue
            try:
                self._read(one, word)
            except Exception as error:  # noqa: BLE001 - one job fails, and the others go on
                self._fail(one, f"{type(error).__name__}: {error}")

    def _read(self, one: _Submitted, word: dict[str, Any]) -> None:
        if word["event"] == "over":
            if one.future is not None and word["future"] is one.future:
                self._over(one, one.future)
        elif word["event"] == "begin":
            self._begin(one, word)
        elif word["attempt"] == one.attempt:
            self._take(one, word)

    def _begin(self, one: _Submitted, word: dict[str, Any]) -> None:
        """Answer a task that has begun, unless it has begun before: then its worker has died."""
        if one.attempt is not None:
            self._lose(one, f"the worker {one.worker} has gone")
            return
        one.attempt, one.worker = word["attempt"], word["worker"]
        mine = versions()
        if word["versions"] != mine:
            theirs = word["versions"]
            wrong = [f"{n} {theirs.get(n)} (here {v})" for n, v in mine.items() if theirs[n] != v]
            self._fail(one, f"the worker {one.worker} has {', '.join(wrong)}: install the same.")
        elif word["shared"]:
            self._tell(one, {"split": None, "features": None})
        elif not LedgerAddress(one.job.ledger).is_server:
            self._fail(
                one,
                f"the worker {one.worker} does not see the workspace, so it cannot write to the "
                "ledger in it. Give one on PostgreSQL: --ledger postgresql://USER@HOST/DATABASE.",
            )
        else:
            folders = _folders(one.job)
            files = {of: self._manifest(folder) for of, folder in folders.items()}
            self._tell(one, {"features": None, **files})

    def _manifest(self, folder: str) -> Manifest:
        if folder not in self._manifests:
            self._manifests[folder] = manifest(Path(folder))
        return self._manifests[folder]

    def _take(self, one: _Submitted, word: dict[str, Any]) -> None:
        """Take a word of a job that runs."""
        event = word["event"]
        try:
            if event == "fetch":
                folder = _folders(one.job).get(word["of"])
                if folder is None:
                    raise DataError(f"it reads no {word['of']!r}")
                if word["name"] not in self._manifest(folder):
                    raise DataError(f"{word['name']!r} is no file of the {word['of']}")
                chunk = read_chunk(Path(folder) / word["name"], word["offset"])
                self._tell(one, {"bytes": chunk})
            elif event == "blob":
                self._store(one, word["sha256"])
                self._tell(one, {"stored": word["sha256"]})
            elif event == "exit":
                if word["log"]:
                    self._workspace.log(one.job.cell).write_text(word["log"], encoding="utf-8")
                self._end(one, Exited(code=word["code"]))
            else:
                self.events.put(Event(one.job.cell, SAID.validate_python(word["said"])))
        except (OSError, RecreproError) as error:
            self._tell(one, {"refused": f"{type(error).__name__}: {error}"})

    def _store(self, one: _Submitted, sha256: str) -> None:
        """Fetch a blob from the worker that has made it."""
        content = bytearray()
        while chunk := self._client.run(
            read_blob, one.attempt, sha256, len(content), workers=[one.worker]
        )[one.worker]:
            content += chunk
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DataError(f"the blob {sha256} of the worker {one.worker} came as something else")
        self._workspace.write_blob(bytes(content))

    def _over(self, one: _Submitted, future: "Future[Any]") -> None:
        """Take note of a task that is over though its job has not said so."""
        if future.status == "error":
            error = future.exception()
            if type(error).__name__ == "KilledWorker":
                self._lose(one, "its workers died one after the other")
            else:
                self._fail(one, f"it could not be run by a worker: {type(error).__name__}: {error}")
        else:
            self._torn = self._torn or future.client is self._client
            self._lose(one, f"the connection to the scheduler {self._address} was lost")

    def _lose(self, one: _Submitted, reason: str) -> None:
        self._end(one, Lost(reason=reason))

    def _fail(self, one: _Submitted, reason: str) -> None:
        self.events.put(Event(one.job.cell, Failed(reason=reason)))
        self._end(one, Exited(code=1))

    def _end(self, one: _Submitted, content: Exited | Lost) -> None:
        one.over = True
        self.events.put(Event(one.job.cell, content))

    def forget(self, cell: str) -> None:
        """Let go of a task that has ended; one that Dask would still run is cancelled."""
        future = self._submitted.pop(cell).future
        if future is not None:
            with contextlib.suppress(OSError):
                future.cancel()

    def stop(self) -> None:
        """Cancel all tasks; their workers end the processes within a second."""
        for cell in self.running:
            self.forget(cell)
        self._mail.put(None)
        self._client.close(timeout=1)


def _folders(job: Job) -> dict[str, str]:
    """Return the folders that a job reads, by what is in them."""
    return {"split": job.split_folder} | (
        {} if job.features_folder is None else {"features": job.features_folder}
    )
