"""Where jobs run: each in a fresh process with its own number of threads, here on this machine."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from pydantic import ValidationError

from recrepro.errors import LeaseLost, LedgerUnreachable, RecreproError, blame
from recrepro.run.events import SAID, Event, Exited, Failed, Said

if TYPE_CHECKING:  # it loads much, and `recrepro run` starts a process before it has done so
    from recrepro.run.job import Job

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


TRY_AGAIN = 75
"""Exit code of a job's process that could not reach the ledger, or whose cell another run has taken
over: nothing is wrong with its cell."""


class Executor(Protocol):
    """Runs jobs and tells what happens to them."""

    @property
    def running(self) -> list[str]:
        """Cells that were started and whose end was not taken note of with `forget`."""

    @property
    def slots(self) -> int:
        """How many jobs find a place at the same time."""

    def start(self, job: "Job") -> None:
        """Start a job."""

    def prepare(self) -> None:
        """Get ready for a job that will be started later."""

    def listen(self, handle: Callable[[Event], None]) -> None:
        """Hand over what has happened; return after a second at most if nothing does."""

    def answer(self, cell: str, content: dict[str, str]) -> None:
        """Send a line to a job's process."""

    def forget(self, cell: str) -> None:
        """Let go of a job that has ended."""

    def stop(self) -> None:
        """End all jobs."""


class Eventful:
    """The part of an executor that keeps what other threads hear of the jobs, in its order."""

    def __init__(self) -> None:
        self.events: queue.Queue[Event] = queue.Queue()

    def listen(self, handle: Callable[[Event], None]) -> None:
        """Hand over the next event; return after a second if there is none."""
        with contextlib.suppress(queue.Empty):
            handle(self.events.get(timeout=1.0))


def attempt(run: Callable[[], None], emit: Callable[[Said], None]) -> int:
    """Run a cell, and tell of the error that it may end with.

    Parameters
    ----------
    run : callable
        Runs the cell.
    emit : callable
        Is told why it failed, in the event ``failed``.

    Returns
    -------
    int
        Exit code: 0 if the cell has a result, `TRY_AGAIN` if nothing is wrong with it.
    """
    try:
        run()
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the coordinator records it
        traceback.print_exc()
        own = isinstance(error, RecreproError)
        reason = str(error) if own else blame(error)
        emit(Failed(reason=reason))
        return TRY_AGAIN if isinstance(error, LeaseLost | LedgerUnreachable) else 1
    return 0


def start_process(
    threads: int, variables: Mapping[str, str] | None = None, log: IO[str] | None = None
) -> subprocess.Popen[str]:
    """Start the process of one job; it waits for the job on its standard input.

    Parameters
    ----------
    threads : int
        Threads of the numeric libraries.
    variables : mapping of str to str, optional
        Environment variables that it gets beside ours.
    log : file, optional
        Keeps what the process prints; by default it goes to our standard error, until there is a
        job with a log.
    """
    environment = os.environ | (variables or {}) | dict.fromkeys(THREAD_VARIABLES, str(threads))
    environment["PYTHONHASHSEED"] = "0"
    # Threads that spin while they wait slow down whatever shares their cores, tenfold at worst.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return subprocess.Popen(
        # -P: the folder that recrepro is called from must not shadow installed packages.
        [sys.executable, "-P", "-m", "recrepro.run.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment,
        text=True,
        start_new_session=True,  # Ctrl-C is for the coordinator, which ends us in order
    )


def send_line(process: subprocess.Popen[str], line: str) -> None:
    """Write a line to a process, unless it has died: its end is reported anyway."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(line + "\n")
        process.stdin.flush()


def sayings(process: subprocess.Popen[str]) -> Iterator[Said]:
    """Yield what a process says, until it closes its standard output."""
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            try:
                said = SAID.validate_json(line)
            except ValidationError:
                continue  # it comes from something else, or a kill has cut it off
            yield said


def end_process(process: subprocess.Popen[str]) -> None:
    """End a process, in order if it can, and close the pipe to it."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def end_waiting(process: subprocess.Popen[str]) -> None:
    """End a process that has had no job, so that nobody listens to it."""
    end_process(process)
    assert process.stdout is not None
    process.stdout.close()


class LocalProcesses(Eventful):
    """Runs every job in a process of its own, so that a crash touches one cell only.

    It takes seconds until a process has loaded what it needs. So one can be started ahead
    (`prepare`), and waits for its job.

    Parameters
    ----------
    log_path : callable
        From a cell's key to the file that keeps what its process prints.
    threads : int
        Threads of the numeric libraries in each process. Results are bit-equal for equal numbers.
    variables : mapping of str to str
        Environment variables for the processes, such as the password of the ledger.
    ready : subprocess.Popen, optional
        A process that was started ahead, for the first job.
    """

    slots = 1

    def __init__(
        self,
        log_path: Callable[[str], Path],
        threads: int = 1,
        variables: Mapping[str, str] | None = None,
        ready: subprocess.Popen[str] | None = None,
    ) -> None:
        super().__init__()
        self._log_path = log_path
        self._threads = threads
        self._variables = variables
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._ready = ready

    @property
    def running(self) -> list[str]:
        """Cells whose process has not been seen to end."""
        return list(self._processes)

    def start(self, job: "Job") -> None:
        """Start a job, in the process that is ready if there is one."""
        self.prepare()
        process, self._ready = self._ready, None
        assert process is not None
        self._processes[job.cell] = process
        threading.Thread(target=self._listen, args=(job.cell, process), daemon=True).start()
        log = str(self._log_path(job.cell))
        send_line(process, job.model_copy(update={"log": log}).to_line())

    def prepare(self) -> None:
        """Start a process that waits for a job, unless one does."""
        if self._ready is None or self._ready.poll() is not None:
            self._end_ready()
            self._ready = start_process(self._threads, self._variables)

    def _end_ready(self) -> None:
        if self._ready is not None:
            end_waiting(self._ready)
            self._ready = None

    def answer(self, cell: str, content: dict[str, str]) -> None:
        """Send a line to a job's process."""
        send_line(self._processes[cell], json.dumps(content))

    def _listen(self, cell: str, process: subprocess.Popen[str]) -> None:
        for content in sayings(process):
            self.events.put(Event(cell, content))
        self.events.put(Event(cell, Exited(code=process.wait())))

    def forget(self, cell: str) -> None:
        """Let go of a process that has ended."""
        end_process(self._processes.pop(cell))

    def stop(self) -> None:
        """End all processes."""
        for process in self._processes.values():
            process.terminate()
        for cell in self.running:
            self.forget(cell)
        self._end_ready()
