"""Openings of the test part: which are allowed, and how each is written down.

Everything here happens inside a transaction of the ledger, on the side of the coordinator: the
opening is on disk before the process of the cell gets the key.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from recrepro.spec.budget import Budget
from recrepro.spec.identity import Identity
from recrepro.store import schema as tables

Reason = Literal["first", "resumed", "reopened", "refused", "external", "inline"]
"""Why the test part was opened: for the first time; again, because an attempt that had opened it
ended without a result; again, on request, though there was a result; for a run file that another
program made; for the same cell in the caller's process (`--executor inline`). Or it was asked for
before tuning was over, and was not opened."""


@dataclass(frozen=True)
class Opening:
    """One opening, or a refused attempt at one: when, in seconds since 1970, and why."""

    at: float
    reason: Reason


def openings(connection: sa.Connection, cell: str) -> tuple[Opening, ...]:
    """Return what was written of a cell, in its order."""
    table = tables.OPENINGS
    query = sa.select(table.c.opened_at, table.c.reason).where(table.c.cell == cell)
    rows = connection.execute(query.order_by(table.c.opened_at))
    return tuple(Opening(at, reason) for at, reason in rows)


def ask(connection: sa.Connection, row: Any, token: str, budget: Budget, now: float) -> str | None:
    """Write an opening for the holder of a lease, or say why it must not happen.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        In a transaction that is to be committed whatever the answer: a refusal is written, too.
    row : row of `recrepro.store.schema.CELLS`
        The cell, which is leased under the token.
    token : str
        The lease.
    budget : Budget
        What the search of the cell may spend.
    now : float
        When it was asked for, in seconds since 1970. Asking again at the very same time is the
        same question, whose first answer may have been lost on its way.

    Returns
    -------
    str or None
        None if the test part may be opened now, which is then written.
    """
    table, trials = tables.OPENINGS, tables.TRIALS
    name = f"the test part of cell {row.cell[:12]}"
    mine = sa.select(table).where(table.c.cell == row.cell, table.c.token == token)
    before = connection.execute(mine).one_or_none()
    if before is not None and before.opened_at != now:
        early = before.reason == "refused"
        what = "was asked for" if early else "was opened"
        when = "before its tuning was over" if early else "once in this attempt"
        return (
            f"{name} {what} {when}, by something else than the step that tests the final model. "
            "The attempt is void. The model, or what it imports, reaches for test data: read its "
            "code before you trust its other results."
        )
    stored = sa.select(trials.c.trial).where(trials.c.search == row.search)
    texts = connection.scalars(stored.order_by(trials.c.number))
    times = [float(json.loads(text).get("seconds") or 0) for text in texts]
    refused = not budget.is_spent(times)
    reason: Reason = "refused"
    if not refused:
        reason = _reason(row, openings(connection, row.cell))
    if before is None:
        attempt = {"token": token, "opened_at": now}
        connection.execute(table.insert().values(cell=row.cell, reason=reason, **attempt))
        identity = Identity.model_validate_json(row.identity)
        if not refused and identity.is_inline:  # the cell that it stands for tells of it, too
            published = identity.published().key
            connection.execute(table.insert().values(cell=published, reason="inline", **attempt))
    if refused:
        spent = "" if budget.seconds is None else f" trials in {sum(times):.1f} s"
        return f"{name} stays sealed: {len(times)}{spent} of {budget} of its tuning are finished."
    return None


def _reason(row: Any, before: tuple[Opening, ...]) -> Reason:
    if row.state == "done":
        return "reopened"
    return "resumed" if any(o.reason != "refused" for o in before) else "first"
