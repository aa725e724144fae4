"""What an experiment will take, before it is run: time, memory, disk, and what cannot be run.

Time is for `recrepro.run.paces`.

Disk: splits that are not in the workspace yet, at the size of their arrays; for each cell the
values of its users, here and in the copy for MLflow, and what MLflow's tables take.
"""

import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heapreplace
from pathlib import Path

from recrepro.compute.memory import available_bytes
from recrepro.errors import RecreproError
from recrepro.run.admission import default_budget, expected_memory
from recrepro.run.materials import by_split, draw
from recrepro.run.paces import Pace, Pacer, Paces
from recrepro.run.plan import Cell, Plan
from recrepro.spec.budget import Budget
from recrepro.splits.draw import Drawn
from recrepro.splits.sealed import StoredSplit
from recrepro.store.entries import CellWork
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace
from recrepro.text.words import size

PARTS = ("train", "validation", "test")
START_SECONDS = 3.0
"""What a process takes to start, on a machine that has nothing else to do."""
RUN_BYTES = 15_000
"""What a cell or a trial takes in MLflow's tables (measured with 30 metrics and 20 parameters)."""


@dataclass(frozen=True)
class CellCost:
    """What a cell will take.

    Parameters
    ----------
    cell : Cell
        Which.
    state : str
        ``done``, ``failed``, ``running`` or ``to run``.
    trials : int or None
        That are left; None if not their number is limited, but their time.
    seconds : float or None
        Until it is done; None if that is not known.
    source : str
        How `seconds` is known, or why not.
    memory : int
        Bytes that its process needs.
    disk : int
        Bytes that its result takes.
    problem : str
        Why it cannot be run; empty if it can.
    """

    cell: Cell
    state: str
    trials: int | None
    seconds: float | None
    source: str
    memory: int
    disk: int
    problem: str = ""

    @property
    def left(self) -> bool:
        """Whether it is to be run, and can be."""
        return self.state != "done" and not self.problem


@dataclass(frozen=True)
class SplitCost:
    """A split: its name, what is in it, and what it will take on disk (0 if it is there)."""

    name: str
    sizes: dict[str, int]
    audit: str
    disk: int


@dataclass
class Costs:
    """What an experiment will take.

    Parameters
    ----------
    splits, cells : list
        In the order of the file.
    jobs, threads : int
        Cells side by side, and threads in each.
    memory : int
        What the cells that run side by side may need together.
    available : int
        Memory that is available.
    free_disk : int
        Where the workspace is.
    """

    jobs: int
    threads: int
    memory: int
    available: int
    free_disk: int
    splits: list[SplitCost] = field(default_factory=list)
    cells: list[CellCost] = field(default_factory=list)

    @property
    def left(self) -> list[CellCost]:
        """The cells that are to be run, and can be."""
        return [cost for cost in self.cells if cost.left]

    @property
    def trials(self) -> int:
        """How many are left, but for searches of which only the time is limited."""
        return sum(cost.trials or 0 for cost in self.left)

    @property
    def seconds(self) -> float:
        """How long it takes with so many jobs, without the cells of which that is not known."""
        return makespan([c.seconds for c in self.left if c.seconds is not None], self.jobs)

    @property
    def unknown(self) -> int:
        """Of how many cells the time is not known."""
        return sum(cost.seconds is None for cost in self.left)

    @property
    def peak_memory(self) -> int:
        """What the largest cells need that may run side by side."""
        largest = sorted((cost.memory for cost in self.left), reverse=True)
        together = sum(largest[: self.jobs])
        return max(min(together, self.memory), largest[0]) if largest else 0

    @property
    def disk(self) -> int:
        """Bytes that the run adds."""
        return sum(s.disk for s in self.splits) + sum(cost.disk for cost in self.left)

    @property
    def problems(self) -> list[str]:
        """Return what cannot be run and why, each reason once."""
        found = {cost.problem: None for cost in self.cells if cost.problem}
        if self.disk > self.free_disk:
            short = f"{size(self.disk)} of disk are needed, {size(self.free_disk)} are free"
            found[short] = None
        return list(found)


def makespan(seconds: Iterable[float], jobs: int) -> float:
    """Return how long tasks take that each go to the worker who is free first, in their order."""
    busy = [0.0] * jobs
    heapify(busy)
    for each in seconds:
        heapreplace(busy, busy[0] + each)
    return max(busy)


def estimate(
    plan: Plan,
    place: Path,
    ledger: Ledger | None,
    *,
    jobs: int,
    threads: int,
    memory: int | None = None,
    time_trials: bool = False,
) -> Costs:
    """Estimate what is left of an experiment.

    Parameters
    ----------
    plan : Plan
        The experiment.
    place : Path
        Folder of the workspace, which need not be there.
    ledger : Ledger, optional
        That of the workspace, if it is there.
    jobs, threads : int
        Cells side by side, and threads in each.
    memory : int, optional
        What cells side by side may need together; by default a share of what is available.
    time_trials : bool
        Whether to time a trial on a sample where nothing is known of a model.
    """
    records = [] if ledger is None else ledger.records()
    work = {} if ledger is None else ledger.work()
    available = available_bytes()
    costs = Costs(
        jobs=jobs,
        threads=threads,
        memory=default_budget(available) if memory is None else memory,
        available=available,
        free_disk=shutil.disk_usage(next(p for p in (place, *place.parents) if p.exists())).free,
    )
    needs = expected_memory(plan, records)
    pacer = Pacer(plan, Paces(records, ledger), threads, time_trials=time_trials)
    for name, cells in by_split(plan).items():
        problem, drawn = "", None
        try:
            drawn = draw(plan, cells[0])
        except RecreproError as error:
            problem = f"{name}: {error}"
        else:
            folder = Workspace(place.resolve()).split(cells[0].identity.split)
            there = StoredSplit(folder).is_whole
            sizes = {part: len(getattr(drawn.parts, part)) for part in PARTS}
            audit, disk = drawn.audit.line, 0 if there else drawn.stored_bytes
            costs.splits.append(SplitCost(name, sizes, audit, disk))
        for cell in cells:
            needed = needs[cell.key]
            why = problem or _why_not(cell, drawn, needed, available)
            pace = None if drawn is None or why else pacer.of(cell, drawn, work.get(cell.key))
            costs.cells.append(_cell_cost(plan, cell, drawn, work.get(cell.key), pace, needed, why))
    return costs


def _why_not(cell: Cell, drawn: Drawn | None, needed: int, available: int) -> str:
    """Say why a cell cannot be run; empty if it can."""
    tuned = cell.identity.tuning is not None
    for part in ("train", "validation") if tuned and drawn is not None else ():
        if drawn is not None and not len(getattr(drawn.parts, part)):
            split = f"{cell.name.dataset} / {cell.name.split}"
            return f"{split}: the {part} part is empty, and tuning needs it"
    if needed > available:
        return (
            f"{cell.name.model} on {cell.name.dataset} needs about {size(needed)} of memory, "
            f"{size(available)} are available"
        )
    return ""


def _cell_cost(
    plan: Plan,
    cell: Cell,
    drawn: Drawn | None,
    work: CellWork | None,
    pace: Pace | None,
    needed: int,
    problem: str,
) -> CellCost:
    state = "to run"
    if work is not None and work.state in ("done", "failed"):
        state = work.state
    elif work is not None and work.lease is not None and work.lease.alive:
        state = "running"
    if state == "done":
        return CellCost(cell, state, 0, None, "", needed, 0)
    finished = 0 if work is None or state == "failed" else work.finished
    # Fits after the first one find the trials of the search that it has made.
    budget = cell.identity.budget if cell.name.fit in (None, 1) else Budget(0)
    trials, limit = budget.trials, budget.seconds
    trials = None if trials is None else max(0, trials - finished)
    users = 0 if drawn is None else int((drawn.parts.test.user_counts > 0).sum())
    values = 8 * users * (1 + len(plan.experiment.evaluate.metrics))
    return CellCost(
        cell,
        state,
        trials,
        _seconds(pace, trials, limit, finished),
        "" if pace is None else pace.source,
        needed,
        2 * values + RUN_BYTES * (1 + (trials or 0)),
        problem,
    )


def _seconds(
    pace: Pace | None, trials: int | None, limit: float | None, finished: int
) -> float | None:
    if pace is None:
        return None
    search = math.inf if trials is None else trials * pace.trial
    if limit is not None:
        search = min(search, max(0.0, limit - finished * pace.trial))
    return START_SECONDS + search + pace.final
