"""The seal of the test part: which openings are allowed, and how each is written down.

Everything here happens inside a transaction of the ledger, on the side of the coordinator: the
opening is on disk before the process of the cell gets the key.
"""

from typing import Any

import sqlalchemy as sa

from recrepro.spec.budget import Budget
from recrepro.store import schema as tables
from recrepro.store.openings import Opening
from recrepro.store.rows import checked, fetch, trials_of
from recrepro.store.schema import Reason


def openings(connection: sa.Connection, cell: str) -> tuple[Opening, ...]:
    """Return what was written of a cell, in its order."""
    table = tables.OPENINGS
    query = sa.select(table.c.opened_at, table.c.reason).where(table.c.cell == cell)
    rows = fetch(connection, query.order_by(table.c.opened_at))
    return tuple(Opening(row.opened_at, row.reason) for row in rows)


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
    table, identity = tables.OPENINGS, checked(row)
    name = f"the test part of cell {row.cell[:12]}"
    mine = sa.select(table).where(table.c.cell == row.cell, table.c.token == token)
    before = next(iter(fetch(connection, mine)), None)
    if before is not None and before.opened_at != now:
        early = before.reason == "refused"
        what = "was asked for" if early else "was opened"
        when = "before its tuning was over" if early else "once in this attempt"
        return (
            f"{name} {what} {when}, by something else than the step that tests the final model. "
            "The attempt is void. The model, or what it imports, reaches for test data: read its "
            "code before you trust its other results."
        )
    times = [trial.seconds for trial in trials_of(connection, row, identity)]
    refused = not budget.is_spent(times)
    reason: Reason = "refused"
    if not refused:
        reason = _reason(row, openings(connection, row.cell))
    if before is None:
        attempt = {"token": token, "opened_at": now}
        connection.execute(table.insert().values(cell=row.cell, reason=reason, **attempt))
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
