"""Cells side by side on one machine: a cell starts only if the memory for it is there.

What a cell is expected to need is an estimate: that of its model (`Recommender.memory_needed`, with
the declared defaults of what is searched), its data, and a process with the numeric libraries; or
what the same model on the same data has needed before, if that was more.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from recrepro.models import family_of
from recrepro.run.materials import memory_needed
from recrepro.run.plan import Plan
from recrepro.store.records import Record

PROCESS_BYTES = 500_000_000
"""A process with numpy, scipy, numba, pandas and Optuna."""
TORCH_BYTES = 250_000_000
"""What torch adds to it, which models that are no baselines may use."""
DATA_COPIES = 6
"""How often a process holds its interactions at once while it reads a locked split."""
SHARE = 0.8
"""Of the memory that is available when a run starts, so much is used if nothing else is said."""


def expected_memory(plan: Plan, records: Iterable[Record]) -> dict[str, int]:
    """Return the bytes that the process of each cell is expected to need, by key of the cell.

    Parameters
    ----------
    plan : Plan
        Has the cells and their data.
    records : iterable of Record
        Records of earlier cells.
    """
    seen: dict[tuple[str, str], int] = {}
    for record in records:
        if record.model.family == "external":
            continue
        of = (record.model.name, record.identity.data.fingerprint)
        seen[of] = max(seen.get(of, 0), record.peak_memory_bytes)
    estimated: dict[tuple[str, str], int] = {}
    needed = {}
    for cell in plan.cells:
        of = (cell.name.dataset, cell.name.model)
        if of not in estimated:
            data = DATA_COPIES * plan.datasets[cell.name.dataset].interactions.n_bytes
            torch = TORCH_BYTES * (family_of(plan.models[cell.name.model]) != "simple")
            estimated[of] = PROCESS_BYTES + torch + data + memory_needed(plan, cell)
        before = seen.get((cell.model.name, cell.identity.data.fingerprint), 0)
        needed[cell.key] = max(estimated[of], before)
    return needed


def default_budget(available: int) -> int:
    """Return the bytes that the cells of a run may need together, if nothing else is said."""
    return int(SHARE * available)


@dataclass(frozen=True)
class MemoryBudget:
    """Says which cells may run side by side.

    Parameters
    ----------
    total : int
        Bytes that they may need together.
    needs : mapping of str to int
        What each cell needs, by key.
    """

    total: int
    needs: Mapping[str, int]

    def admits(self, cell: str, running: Collection[str]) -> bool:
        """Say whether a cell may start beside others; one that is too large runs alone."""
        together = self.needs[cell] + sum(self.needs[other] for other in running)
        return not running or together <= self.total
