"""Searches and fits that cells share: their trials, and what was opened or fitted before."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from recrepro.errors import LedgerError
from recrepro.spec.identity import Identity
from recrepro.store import schema as tables
from recrepro.store.records import Record, Trial


@dataclass(frozen=True)
class Before:
    """Openings of the test part for other cells of the same search, before a cell was tested.

    Parameters
    ----------
    openings : int
        How often.
    budget : bool
        True if one of those cells had another budget.
    metrics : tuple of str
        Metrics of the cell that none of the others had.
    """

    openings: int = 0
    budget: bool = False
    metrics: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "metrics": list(self.metrics)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any] | None) -> "Before":
        """Read what `to_json` gave; copies of harness 3 and before have none."""
        return cls(**{**content, "metrics": tuple(content["metrics"])}) if content else cls()


def hash_of(text: str) -> str:
    """Return the SHA-256 of a record or a trial as it is stored."""
    return hashlib.sha256(text.encode()).hexdigest()


def check_hash(text: str, stored: str | None, place: str) -> None:
    """Refuse a record or a trial that is not as it was written.

    Parameters
    ----------
    text : str
        What is stored.
    stored : str or None
        The hash beside it; results of harness 3 and before have none.
    place : str
        Where it is stored, for the message.

    Raises
    ------
    LedgerError
        If the hash is another one.
    """
    if stored is not None and stored != hash_of(text):
        raise LedgerError(
            f"{place} was altered: its hash is not the one that was written with it. Restore the "
            "ledger from a copy; or run the experiment again in a new workspace (--workspace DIR)."
        )


def trials_of(connection: sa.Connection, row: Any, ledger: str) -> list[Trial]:
    """Return the trials that a cell uses, in their order: the first ones that fit its budget.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Of the ledger.
    row : row of `recrepro.store.schema.CELLS`
        The cell.
    ledger : str
        Address of the ledger, for messages.
    """
    table = tables.TRIALS
    query = sa.select(table).where(table.c.search == row.search).order_by(table.c.number)
    trials = []
    for stored in connection.execute(query):
        place = f"trial {stored.number} of cell {row.cell[:12]} in {ledger}"
        check_hash(stored.trial, stored.trial_hash, place)
        trials.append(Trial(**json.loads(stored.trial)))
    budget = Identity.model_validate_json(row.identity).budget
    return trials[: budget.used([trial.seconds for trial in trials])]


def forget_failed(connection: sa.Connection, search: str) -> None:
    """Delete the trials of a search from the first failed one on, but those that a result uses."""
    table, cells = tables.TRIALS, tables.CELLS
    stored = sa.select(table.c.number, table.c.trial).where(table.c.search == search)
    trials = [(number, json.loads(text)) for number, text in connection.execute(stored)]
    failed = [number for number, trial in trials if trial.get("state") == "failed"]
    done = sa.select(cells.c.record).where(cells.c.search == search, cells.c.state == "done")
    records = [json.loads(text) for text in connection.scalars(done)]
    used = max([0, *((record.get("tuning") or {}).get("trials", 0) for record in records)])
    first = min((number for number in failed if number >= used), default=None)
    if first is not None:
        connection.execute(table.delete().where(table.c.search == search, table.c.number >= first))


def fitted(connection: sa.Connection, search: str, fit: str) -> list[Any]:
    """Return the rows of done cells with a final fit, the latest first."""
    cells = tables.CELLS
    query = sa.select(cells.c.cell, cells.c.record, cells.c.record_hash).where(
        cells.c.search == search, cells.c.fit == fit, cells.c.state == "done"
    )
    return list(connection.execute(query.order_by(cells.c.ended_at.desc())))


def before(connection: sa.Connection, row: Any, record: Record | None) -> Before:
    """Return what was opened for other cells of a cell's search before it was tested itself."""
    cells, openings = tables.CELLS, tables.OPENINGS
    query = (
        sa.select(cells.c.cell, cells.c.identity, openings.c.opened_at)
        .join(openings, openings.c.cell == cells.c.cell)
        .where(cells.c.search == row.search, cells.c.cell != row.cell)
        .where(openings.c.reason != "refused")
    )
    if record is not None:
        mine = [opening.at for opening in record.openings if opening.reason != "refused"]
        query = query.where(openings.c.opened_at < min([*mine, row.ended_at]))
    found = connection.execute(query).all()
    if not found:
        return Before()
    own = Identity.model_validate_json(row.identity)
    others = [Identity.model_validate_json(other) for other in {each.identity for each in found}]
    return Before(
        len(found),
        any(other.budget != own.budget for other in others),
        _new_metrics(own, others),
    )


def _new_metrics(own: Identity, others: Sequence[Identity]) -> tuple[str, ...]:
    known = {metric for other in others for metric in other.metrics}
    return tuple(metric for metric in own.metrics if metric not in known)
