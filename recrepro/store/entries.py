"""What the ledger tells of experiments and cells."""

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from recrepro.spec.identity import Identity
from recrepro.store.leases import Lease
from recrepro.store.names import CellName
from recrepro.store.openings import Opening
from recrepro.store.records import Record
from recrepro.store.schema import CellState
from recrepro.store.searches import Before


class Member(NamedTuple):
    """A cell in an experiment: its key and its name there."""

    cell: str
    name: CellName


@dataclass(frozen=True)
class CellStatus:
    """What the ledger knows of a cell; `record` is set once it is done.

    `alarmed` says that a second run gave another result, which was not taken. `openings` are those
    of the test part, in their order. `before` tells of those for other cells of the same search.
    `withdrawn` is the reason why the result is in no table any more, if it was withdrawn.
    """

    cell: str
    state: CellState
    reason: str | None
    record: Record | None
    alarmed: bool = False
    openings: tuple[Opening, ...] = ()
    before: Before = field(default_factory=Before)
    withdrawn: str | None = None

    def facts(self) -> dict[str, Any]:
        """Return what copies and snapshots tell of a cell beside its record, as plain values."""
        return {
            "state": self.state,
            "reason": self.reason,
            "alarmed": self.alarmed,
            "openings": [asdict(opening) for opening in self.openings],
            "before": self.before.to_json(),
            "withdrawn": self.withdrawn,
        }

    @property
    def reopened(self) -> int:
        """How often the test part was opened on request, though there was a result."""
        return sum(opening.reason == "reopened" for opening in self.openings)

    @property
    def tries(self) -> int:
        """How often the test part was opened for run files of this name."""
        return sum(opening.reason == "external" for opening in self.openings)

    @property
    def inline(self) -> int:
        """How often the test part was opened inline, for numbers that are not published."""
        return sum(opening.reason == "inline" for opening in self.openings)


@dataclass(frozen=True)
class CellWork:
    """How far a cell is: its state, its lease if it has one, how many trials are finished."""

    cell: str
    identity: Identity
    state: CellState
    reason: str | None
    lease: Lease | None
    finished: int


@dataclass(frozen=True)
class Planned:
    """A version of an experiment that was run, with the text of its file."""

    name: str
    grid_hash: str
    source: str
