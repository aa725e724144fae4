"""Where jobs run: each in a fresh local process with its own number of threads."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from recrepro.records import Job

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


SAYINGS = frozenset({"stage", "trial", "epoch", "failed", "unseal"})
"""The events that a job's process may send; anything else on its standard output is ignored."""


@dataclass(frozen=True)
class Event:
    """Something a job's process said, or its end (``{"event": "exit", "code": ...}``)."""

    cell: str
    content: dict[str, Any]


class LocalProcesses:
    """Runs every job in a process of its own, so that a crash touches one cell only.

    Parameters
    ----------
    log_path : callable
        From a cell's key to the file that keeps what its process prints.
    threads : int
        Threads of the numeric libraries in each process. Results are bit-equal for equal numbers.
    """

    def __init__(self, log_path: Callable[[str], Path], threads: int = 1) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self._log_path = log_path
        self._threads = threads
        self._processes: dict[str, subprocess.Popen[str]] = {}

    @property
    def running(self) -> list[str]:
        """Cells whose process has not been seen to end."""
        return list(self._processes)

    def start(self, job: Job) -> None:
        """Start a job."""
        environment = dict(os.environ)
        environment |= dict.fromkeys(THREAD_VARIABLES, str(self._threads))
        environment["PYTHONHASHSEED"] = "0"
        # Threads that spin while they wait slow down whatever shares their cores, tenfold at worst.
        environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        with self._log_path(job.cell).open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                # -P: the folder that recrepro is called from must not shadow installed packages.
                [sys.executable, "-P", "-m", "recrepro.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                text=True,
                start_new_session=True,  # Ctrl-C is for the coordinator, which ends us in order
            )
        self._processes[job.cell] = process
        assert process.stdout is not None
        threading.Thread(
            target=self._listen, args=(job.cell, process, process.stdout), daemon=True
        ).start()
        self._send(process, job.to_json())

    def answer(self, cell: str, content: dict[str, str]) -> None:
        """Send a line to a job's process."""
        self._send(self._processes[cell], json.dumps(content))

    @staticmethod
    def _send(process: subprocess.Popen[str], line: str) -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died, and its end is reported
            process.stdin.write(line + "\n")
            process.stdin.flush()

    def _listen(self, cell: str, process: subprocess.Popen[str], lines: IO[str]) -> None:
        with lines:
            for line in lines:
                try:
                    content = json.loads(line)
                except ValueError:
                    continue  # the process was killed inside a line
                if isinstance(content, dict) and content.get("event") in SAYINGS:
                    self.events.put(Event(cell, content))
        self.events.put(Event(cell, {"event": "exit", "code": process.wait()}))

    def forget(self, cell: str) -> None:
        """Let go of a process that has ended."""
        process = self._processes.pop(cell)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()

    def stop(self) -> None:
        """End all processes."""
        for process in self._processes.values():
            process.terminate()
        for cell, process in list(self._processes.items()):
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self.forget(cell)
