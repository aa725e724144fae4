"""A cell on a worker of a Dask cluster: the same process as on one machine, and a line to it.

The task of a cell is `run_job`, with one string of JSON. It says on a topic of the scheduler what
its process says; the coordinator answers by calling `hear` on the worker. The first word is
``begin``: no process is started before the coordinator has answered it, so that a task which Dask
starts again after it has lost a worker cannot go on under the lease of the first.
"""

import contextlib
import json
import queue
import re
import secrets
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

import recrepro
from recrepro.errors import RecreproError
from recrepro.run.executors import end_process, sayings, send_line, start_process
from recrepro.run.transfer import Manifest, read_chunk, receive
from recrepro.spec.canonical import canonical_hash
from recrepro.spec.identity import HARNESS_VERSION
from recrepro.store.workspace import Workspace

if TYPE_CHECKING:
    from distributed import Worker

FOLDERS = {"split": "splits", "features": "features"}
"""Where in the worker's own workspace lies what it fetches."""
LONGEST_LOG = 1 << 16
"""Bytes of a log that are sent to the coordinator, counted from its end."""


class _UnwantedError(Exception):
    """Nobody waits for the job any more: the run was stopped, or the cluster has come apart."""


@dataclass(eq=False)
class _Line:
    """The line between a job here and its coordinator."""

    worker: "Worker"
    task: Any
    topic: str
    cell: str
    place: Workspace
    attempt: str = field(default_factory=lambda: secrets.token_hex(8))
    inbox: "queue.SimpleQueue[dict[str, Any]]" = field(default_factory=queue.SimpleQueue)

    def say(self, content: dict[str, Any]) -> None:
        """Tell the coordinator something."""
        me = {"cell": self.cell, "attempt": self.attempt}
        self.worker.log_event(self.topic, {**content, **me})

    def listen(self) -> dict[str, Any]:
        """Wait for the next word of the coordinator."""
        while True:
            with contextlib.suppress(queue.Empty):
                return self.inbox.get(timeout=1.0)
            task = self.worker.state.tasks.get(self.task)
            if task is None or task.state != "executing" or self.worker.status.name == "closing":
                raise _UnwantedError

    def ask(self, content: dict[str, Any]) -> dict[str, Any]:
        """Tell the coordinator something, and return the answer."""
        self.say(content)
        answer = self.listen()
        if "refused" in answer:
            raise RecreproError(answer["refused"])
        return answer


_LINES: dict[str, _Line] = {}
"""The jobs on this worker, by attempt."""


def hear(attempt: str, content: dict[str, Any]) -> None:
    """Take a word of the coordinator to a job; called on the worker by the coordinator."""
    if attempt in _LINES:
        _LINES[attempt].inbox.put(content)


def read_blob(attempt: str, digest: str, offset: int) -> bytes:
    """Return the next bytes of a blob that a job has written; called by the coordinator."""
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise RecreproError(f"{digest!r:.80} is no SHA-256")
    return read_chunk(_LINES[attempt].place.blob(digest), offset)


def versions() -> dict[str, str]:
    """Return what has to be the same here and at the coordinator: a cell's key is made from it."""
    return {
        "recrepro": recrepro.__version__,
        "recrepro's harness": str(HARNESS_VERSION),
        "optuna": version("optuna"),
    }


def run_job(spec: str) -> None:
    """Run a job to its end.

    Parameters
    ----------
    spec : str
        JSON: the `job`, the `threads` of its process, the `topic` that events are sent to, and
        the first line (`mark`) that the file `log` has where the workspace is the coordinator's.
    """
    order = json.loads(spec)
    job, log = order["job"], Path(order["log"])
    with contextlib.suppress(_UnwantedError), _line(order) as line:
        shared = log.is_file() and log.read_text("utf-8").startswith(order["mark"])
        word = {"event": "begin", "worker": line.worker.address, "shared": shared}
        files = line.ask({**word, "versions": versions()})
        if not shared:
            job |= {"workspace": str(line.place.root), "deliver_blobs": True}
            for of in FOLDERS:
                if files[of] is not None:
                    job[f"{of}_folder"] = str(_fetched(line, of, files[of]))
            log = line.place.log(line.cell)
        with log.open("a" if shared else "w", encoding="utf-8") as out:
            code = _run(line, json.dumps(job), start_process(order["threads"], log=out))
        text = "" if shared else log.read_text("utf-8", errors="replace")[-LONGEST_LOG:]
        line.say({"event": "exit", "code": code, "log": text})


@contextlib.contextmanager
def _line(order: dict[str, Any]) -> Iterator[_Line]:
    from distributed import get_worker

    worker = get_worker()
    place = Workspace.create(Path(worker.local_directory) / "recrepro")
    task = worker.get_current_task()
    line = _Line(worker, task, order["topic"], order["job"]["cell"], place)
    _LINES[line.attempt] = line
    try:
        yield line
    finally:
        del _LINES[line.attempt]


def _fetched(line: _Line, of: str, parts: Manifest) -> Path:
    """Return a folder of a job, whose files are fetched if this worker has not had them yet."""
    folder = line.place.root / FOLDERS[of] / canonical_hash(parts)
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        for name, (size, sha256) in parts.items():
            if not (folder / name).is_file():
                receive(folder / name, sha256, size, partial(_ask_for, line, of, name))
    return folder


def _ask_for(line: _Line, of: str, name: str, offset: int) -> bytes:
    word = {"event": "fetch", "of": of, "name": name, "offset": offset}
    content: bytes = line.ask(word)["bytes"]
    return content


def _run(line: _Line, job: str, process: subprocess.Popen[str]) -> int:
    """Run the process of a job; return its exit code."""

    def relay() -> None:
        for content in sayings(process):
            # Dask adds keys of its own to what is said; a blob is fetched by the executor itself.
            plain = content.model_dump()
            line.say(plain if content.event == "blob" else {"event": "said", "said": plain})
        line.inbox.put({"ended": True})

    threading.Thread(target=relay, daemon=True).start()
    try:
        send_line(process, job)
        while "ended" not in (word := line.listen()):
            send_line(process, json.dumps(word))
        return process.wait()
    finally:
        end_process(process)
