"""An experiment's cells as jobs: which are done, which are left; hands them to an executor."""

import contextlib
import signal
from collections import Counter, deque
from collections.abc import Collection
from typing import Protocol

from recrepro.compute.failpoints import reach
from recrepro.errors import LeaseLost, LedgerError, RecreproError, SealError
from recrepro.run.admission import MemoryBudget
from recrepro.run.events import Event, Exited, Failed, FitKnown, Lost, UnsealAsked
from recrepro.run.executors import TRY_AGAIN, Executor
from recrepro.run.interrupts import signals_as_interrupt
from recrepro.run.materials import Materials
from recrepro.run.plan import Cell, Plan
from recrepro.run.renewal import LeaseRenewal
from recrepro.run.rescore import rescore
from recrepro.store.ledger import Ledger, new_token
from recrepro.store.workspace import Workspace

MOST_LOSSES = 3
"""A cell fails that was lost so often: it may be what its workers died of."""


class Observer(Protocol):
    """Is told what happens in a grid; a progress display, or a log."""

    def started(self, cell: Cell) -> None:
        """A cell's process has been started."""

    def said(self, cell: Cell, event: Event) -> None:
        """A cell's process reported a stage or a trial; or it was lost, and starts again."""

    def ended(self, cell: Cell, reason: str | None) -> None:
        """A cell is done, or has failed for a reason."""

    def skipped(self, cell: Cell) -> None:
        """A cell was done before."""


class Grid:
    """Runs the cells of a plan that are not done yet.

    Parameters
    ----------
    plan : Plan
        The cells.
    ledger : Ledger
        Where they are leased and where their results go.
    workspace : Workspace
        Where splits and blobs go.
    executor : Executor
        Where they run.
    jobs : int or None
        How many cells run side by side; None for as many as the executor has places.
    observer : Observer
        Is told what happens.
    reopen : collection of str
        Keys of done cells that are run again, from their trials, to a second opening of the test
        part. Their first results stay unless the second are equal.
    keep_models : bool
        Whether to store what the final models have learned.
    memory : MemoryBudget, optional
        Which cells may run side by side; by default all.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        workspace: Workspace,
        executor: Executor,
        *,
        jobs: int | None,
        observer: Observer,
        reopen: Collection[str] = (),
        keep_models: bool = False,
        memory: MemoryBudget | None = None,
    ) -> None:
        self._memory = memory
        self._plan = plan
        self._materials = Materials(plan, workspace)
        self._ledger = ledger
        self._workspace = workspace
        self._jobs = jobs
        self._keep_models = keep_models
        self._observer = observer
        self._executor = executor
        self._waiting = deque(plan.cells)
        self._losses: Counter[str] = Counter()
        self._cells = {cell.key: cell for cell in plan.cells}
        self._tokens: dict[str, str] = {}
        self._reasons: dict[str, str] = {}
        self._reopen = frozenset(reopen)
        self._fit_known: set[str] = set()
        self._passed_on: set[str] = set()
        self._anew: set[str] = set()
        self._prepared = ""
        self.failed: list[str] = []

    def run(self) -> None:
        """Run everything that is left; returns when each cell is done or in `failed`.

        Cells that another process is working on are waited for. On Ctrl-C (or SIGTERM, SIGHUP) the
        processes are ended, their leases given back, and the interrupt goes on to the caller.
        """
        with signals_as_interrupt(), LeaseRenewal(self._ledger, self._tokens) as renewal:
            try:
                while self._waiting or self._executor.running:
                    self._start_what_fits()
                    if self._waiting and self._executor.running:
                        self._prepare_next()
                    self._executor.listen(self._handle)
                    renewal.check()
            finally:
                self._executor.stop()
                for cell, token in self._tokens.items():
                    self._ledger.release(cell, token)

    def _start_what_fits(self) -> None:
        for _ in range(len(self._waiting)):
            if len(self._executor.running) >= (self._jobs or self._executor.slots):
                return
            cell = self._waiting.popleft()
            if self._memory and not self._memory.admits(cell.key, self._executor.running):
                self._waiting.append(cell)
                continue
            reopen = cell.key in self._reopen
            # Noted before it is valid: an interrupt at any moment gives it back.
            token = self._tokens[cell.key] = new_token()
            if self._ledger.lease(cell.key, token=token, reopen=reopen) is not None:
                reach("lease-taken")
                if reopen or not self._rescore(cell):
                    self._start(cell, token)
                continue
            del self._tokens[cell.key]
            if not reopen and self._ledger.status(cell.key).state == "done":
                self._observer.skipped(cell)
            else:  # another run is at it: ask again later
                self._waiting.append(cell)

    def _prepare_next(self) -> None:
        """Have a process ready, and the split, so that the next cell starts at once."""
        self._executor.prepare()
        cell = self._waiting[0]
        if cell.key != self._prepared:
            self._prepared = cell.key
            with contextlib.suppress(RecreproError, OSError):  # said when it is started
                self._materials.split(cell)

    def _rescore(self, cell: Cell) -> bool:
        """Compute a cell's metrics from what another cell of the same fit has kept, if one has."""
        record = rescore(self._plan, cell, self._materials, self._ledger, self._workspace)
        if record is None:
            return False
        try:
            self._ledger.commit(self._tokens[cell.key], record)
        except LeaseLost:
            self._waiting.append(cell)
        else:
            self._observer.ended(cell, None)
        del self._tokens[cell.key]
        return True

    def _start(self, cell: Cell, token: str) -> None:
        try:
            job = self._materials.job(cell, token, str(self._ledger.address))
            anew = cell.key in self._reopen | self._anew
            wanted = {"keep_model": self._keep_models, "anew": anew}
            job = job.model_copy(update=wanted)
        except RecreproError as error:
            self._fail(cell, str(error))
            return
        self._executor.start(job)
        self._observer.started(cell)

    def _handle(self, event: Event) -> None:
        cell = self._cells[event.cell]
        match event.content:
            case Failed(reason=reason):
                self._reasons[cell.key] = reason
            case FitKnown():
                self._fit_known.add(cell.key)
            case UnsealAsked():
                self._unseal(cell)
            case Exited(code=code):
                self._executor.forget(cell.key)
                if code == TRY_AGAIN or (code and cell.key in self._passed_on):
                    self._passed_on.discard(cell.key)
                    self._lost(cell, self._reasons.pop(cell.key, "the ledger was out of reach"))
                else:
                    self._end(cell, code)
            case Lost(reason=reason):
                self._executor.forget(cell.key)
                self._lost(cell, reason)
            case _:
                self._observer.said(cell, event)

    def _unseal(self, cell: Cell) -> None:
        """Write an opening of the test part; only then give out its key."""
        try:
            budget, token = self._plan.budget(cell), self._tokens[cell.key]
            self._ledger.open_seal(cell.key, token, budget.trials, budget.seconds)
        except (LedgerError, SealError) as error:
            if isinstance(error, LeaseLost):
                self._passed_on.add(cell.key)
            self._executor.answer(cell.key, {"refused": str(error)})
        else:
            reach("opening-stored")
            self._executor.answer(cell.key, {"key": self._materials.keys(cell).test.hex()})

    def _end(self, cell: Cell, code: int) -> None:
        reason = self._reasons.pop(cell.key, None) or (_died(code) if code else None)
        done = self._ledger.status(cell.key).state == "done"
        # A cell that is reopened was done before: only its process can say whether it is again.
        if done and (reason is None or cell.key not in self._reopen):
            del self._tokens[cell.key]
            reach("cell-done")
            self._observer.ended(cell, None)
        elif cell.key in self._fit_known and not reason:
            self._fit_known.discard(cell.key)
            if not self._rescore(cell):  # what was kept cannot be read any more
                self._anew.add(cell.key)
                self._give_back(cell)
        else:
            self._fail(cell, reason or _died(code))

    def _lost(self, cell: Cell, reason: str) -> None:
        """Take a cell up again that is not to blame for its end; it goes on after its trials."""
        self._losses[cell.key] += 1
        done = self._ledger.status(cell.key).state == "done" and cell.key not in self._reopen
        if done or self._losses[cell.key] == MOST_LOSSES:
            self._reasons[cell.key] = reason
            self._end(cell, 1)
            return
        self._observer.said(cell, Event(cell.key, Lost(reason=reason)))
        self._give_back(cell)

    def _give_back(self, cell: Cell) -> None:
        self._ledger.release(cell.key, self._tokens[cell.key])
        del self._tokens[cell.key]
        self._waiting.append(cell)

    def _fail(self, cell: Cell, reason: str) -> None:
        self._ledger.fail(cell.key, self._tokens[cell.key], reason)
        del self._tokens[cell.key]
        self.failed.append(cell.key)
        self._observer.ended(cell, reason)


def _died(code: int) -> str:
    if code >= 0:
        return f"its process ended with exit code {code} and no result; see its log."
    name = signal.Signals(-code).name
    hint = " The system kills processes when memory runs out." if name == "SIGKILL" else ""
    return f"its process was ended by {name}.{hint}"
