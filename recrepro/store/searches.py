"""Searches and fits that cells share: their trials, and what was opened or fitted before."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from recrepro.spec.identity import Identity
from recrepro.store import schema as tables
from recrepro.store.records import Record, Trial
from recrepro.store.rows import Damage, checked, fetch, identity_of, record_of, trials_of


@dataclass(frozen=True)
class Before:
    """Openings of the test part for other cells of the same search, before a cell was tested.

    Those of the other final fits that an experiment asks for do not count.

    Parameters
    ----------
    openings : int
        How often.
    budget : bool
        True if one of those cells had another budget.
    metrics : tuple of str
        Metrics of the cell that none of the others had.
    validation : bool
        True if the final model of one of them was given something else of the validation part.
    """

    openings: int = 0
    budget: bool = False
    metrics: tuple[str, ...] = ()
    validation: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "metrics": list(self.metrics)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any] | None) -> "Before":
        """Read what `to_json` gave; copies of harness 3 and before have none."""
        return cls(**{**content, "metrics": tuple(content["metrics"])}) if content else cls()


def used_trials(connection: sa.Connection, row: Any) -> list[Trial]:
    """Return the trials that a cell uses, in their order: the first ones that fit its budget.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Of the ledger.
    row : row of `recrepro.store.schema.CELLS`
        The cell.
    """
    identity = checked(row)
    trials = trials_of(connection, row, identity)
    used = trials[: identity.budget.used([trial.seconds for trial in trials])]
    found = record_of(row, identity).tuning if row.state == "done" else None
    if found is not None and len(used) < found.trials:
        problem = f"{len(used)} of {found.trials} trials are there, which the record tells of"
        raise Damage(problem, "trials", "search", row.cell)
    return used


def forget_failed(connection: sa.Connection, row: Any) -> None:
    """Delete the trials of a cell's search from the first failed one on, but those in results."""
    table, cells = tables.TRIALS, tables.CELLS
    done = sa.select(cells).where(cells.c.search == row.search, cells.c.state == "done")
    records = [record_of(each, checked(each)) for each in fetch(connection, done)]
    used = max([0, *(record.tuning.trials for record in records if record.tuning)])
    trials = trials_of(connection, row, checked(row))
    failed = [trial.number for trial in trials[used:] if trial.state == "failed"]
    if failed:
        gone = table.c.number >= failed[0]
        connection.execute(table.delete().where(table.c.search == row.search, gone))


def fitted(connection: sa.Connection, search: str, fit: str) -> list[Record]:
    """Return the records of done cells with a final fit, the latest first."""
    cells = tables.CELLS
    query = sa.select(cells).where(
        cells.c.search == search, cells.c.fit == fit, cells.c.state == "done"
    )
    rows = fetch(connection, query.order_by(cells.c.ended_at.desc()))
    return [record_of(row, checked(row)) for row in rows]


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
    found, own = fetch(connection, query), identity_of(row)
    identities = {each.cell: identity_of(each) for each in found}
    others = {cell: one for cell, one in identities.items() if not _is_another_fit(one, own)}
    if not others:
        return Before()
    given = own.ranking.get("validation")
    return Before(
        sum(each.cell in others for each in found),
        any(other.budget != own.budget for other in others.values()),
        _new_metrics(own, list(others.values())),
        any(other.ranking.get("validation") != given for other in others.values()),
    )


def _is_another_fit(one: Identity, other: Identity) -> bool:
    """Say whether two cells are fits of one search that differ in their seeds only."""

    def but_for_the_fit(identity: Identity) -> dict[str, Any]:
        whole = identity.to_json()
        fit = {k: v for k, v in whole.get("fit", {}).items() if k not in ("number", "seed")}
        return {**whole, "fit": fit}

    return but_for_the_fit(one) == but_for_the_fit(other)


def _new_metrics(own: Identity, others: Sequence[Identity]) -> tuple[str, ...]:
    known = {metric for other in others for metric in other.metrics}
    return tuple(metric for metric in own.metrics if metric not in known)
