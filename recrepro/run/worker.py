"""The process of one cell: a job comes in on standard input, events go out on standard output.

Started by an executor as ``python -m recrepro.run.worker``. What a model prints goes to the job's
log or, without one, to standard error, which the executor keeps. Standard input stays open as long
as the coordinator lives; when it closes, the worker ends at once.

The worker asks for the key of the test part (event ``unseal``) and, where the coordinator does not
see the workspace, to have its blobs fetched (event ``blob``). The answer is a line on standard
input: ``{"key": ...}``, ``{"stored": ...}``, or ``{"refused": ...}`` with the reason.
"""

import gc
import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from recrepro.errors import RecreproError, SealError
from recrepro.run.events import BlobWritten, Said, UnsealAsked
from recrepro.run.executors import attempt

if TYPE_CHECKING:
    from recrepro.run.confinement import Confinement
    from recrepro.run.job import Job


def main() -> None:
    """Run the job that stands in the first line of standard input."""
    # Before there is a job: a process that was started ahead is then ready when one comes.
    from recrepro.run.cell import get_ready, run_cell
    from recrepro.run.confinement import confinement_of
    from recrepro.run.job import Job

    get_ready()
    line = sys.stdin.readline()
    if not line:
        return
    job = Job.model_validate_json(line)
    if job.log:
        with Path(job.log).open("w", encoding="utf-8") as log:
            os.dup2(log.fileno(), sys.stderr.fileno())
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def emit(event: Said) -> None:
        events.write(event.model_dump_json() + "\n")

    def run() -> None:
        with confinement_of(job) as confinement:
            confinement.begin()
            coordinator = _Coordinator(job, emit, confinement)
            run_cell(job, coordinator.unseal, emit, coordinator.deliver, confinement.means)

    code = attempt(run, emit)
    if code:
        sys.exit(code)


class _Coordinator:
    """Asks the coordinator, unless the model has read what it may not."""

    def __init__(
        self, job: "Job", emit: Callable[[Said], None], confinement: "Confinement"
    ) -> None:
        self._job, self._emit, self._confinement = job, emit, confinement
        self._answers: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        threading.Thread(target=_listen_to_coordinator, args=(self._answers,), daemon=True).start()

    def unseal(self) -> bytes:
        """Have the opening of the test part written down; return its key."""
        self._confinement.require_nothing_read()
        self._emit(UnsealAsked())
        answer = self._answers.get()
        if "key" not in answer:
            raise SealError(answer["refused"])
        return bytes.fromhex(answer["key"])

    def deliver(self, digest: str) -> None:
        """Have a blob fetched, where the coordinator does not see the workspace."""
        self._confinement.require_nothing_read()
        if self._job.deliver_blobs:
            self._emit(BlobWritten(sha256=digest))
            answer = self._answers.get()
            if "stored" not in answer:
                raise RecreproError(answer["refused"])


def _listen_to_coordinator(answers: "queue.SimpleQueue[dict[str, str]]") -> None:
    for line in sys.stdin:
        answers.put(json.loads(line))
    os._exit(1)


if __name__ == "__main__":
    main()
    gc.freeze()  # at its end, Python would look through all that was loaded: half a second
