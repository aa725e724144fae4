"""Runs cells in the calling process, for debuggers and notebooks: nothing of it is published."""

import bdb
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from recrepro.errors import SealError
from recrepro.run.cell import run_cell
from recrepro.run.events import Event, Exited, Said, UnsealAsked
from recrepro.run.executors import attempt
from recrepro.run.job import Job
from recrepro.run.plan import Plan


def as_inline(plan: Plan) -> Plan:
    """Return a plan of the same cells with identities, and so keys, of inline ones."""
    cells = [replace(cell, identity=cell.identity.inline()) for cell in plan.cells]
    return replace(plan, cells=cells)


class Inline:
    """Runs one job after another in the calling thread, while the coordinator listens.

    A breakpoint in a model works: standard input and output are those of the caller.

    Parameters
    ----------
    variables : mapping of str to str, optional
        Environment variables that are set while a job runs, such as the password of the ledger.
    """

    slots = 1

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = dict(variables or {})
        self._jobs: dict[str, Job] = {}
        self._answer: dict[str, str] = {}

    @property
    def running(self) -> list[str]:
        """Cells that were started; the first one is run by `listen`."""
        return list(self._jobs)

    def start(self, job: Job) -> None:
        """Take a job on; it runs when the coordinator listens."""
        self._jobs[job.cell] = job

    def prepare(self) -> None:
        """Do nothing: there is no process to start ahead."""

    def listen(self, handle: Callable[[Event], None]) -> None:
        """Run the first job, and hand over each event as it happens.

        Raises
        ------
        KeyboardInterrupt
            On Ctrl-C, or when a debugger is left.
        """
        if not self._jobs:
            return
        job = next(iter(self._jobs.values()))

        def emit(content: Said | Exited) -> None:
            handle(Event(job.cell, content))

        def unseal() -> bytes:
            emit(UnsealAsked())  # the coordinator answers before this returns
            if "key" not in self._answer:
                raise SealError(self._answer["refused"])
            return bytes.fromhex(self._answer["key"])

        def run() -> None:
            try:
                run_cell(job, unseal, emit)
            except bdb.BdbQuit:
                raise KeyboardInterrupt from None

        with _environment(self._variables):
            code = attempt(run, emit)
        emit(Exited(code=code))

    def answer(self, cell: str, content: dict[str, str]) -> None:
        """Keep what the running job has asked for."""
        del cell
        self._answer = content

    def forget(self, cell: str) -> None:
        """Let go of a job that has ended."""
        del self._jobs[cell]

    def stop(self) -> None:
        """Let go of all jobs."""
        self._jobs.clear()


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables as long as the context lasts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
