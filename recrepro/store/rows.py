"""Rows of the ledger as values; whatever is not as recrepro writes it is called damage here.

A disk loses bits, a copy is cut off, and people edit databases. So no row is believed: each value
must be of its column's kind, a record and a trial must have the hash that was written with them,
the key of a cell must be the hash of its identity, and rows that refer to others must find them.
"""

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, get_args

import sqlalchemy as sa
from pydantic import ValidationError

from recrepro.errors import DataError
from recrepro.spec.identity import Identity
from recrepro.store import schema as tables
from recrepro.store.address import LedgerAddress
from recrepro.store.leases import Lease, lease_of
from recrepro.store.names import CellName
from recrepro.store.openings import Opening
from recrepro.store.records import Record, Trial, read_trials

HASHED = 4
"""The harness that began to write hashes of records and trials, and searches that cells share."""


class Damage(Exception):
    """What is wrong with a row; `explained` tells it with the ledger, and what to do.

    Parameters
    ----------
    problem : str
        What is wrong, as the end of a sentence.
    table, column : str
        Where.
    cell : str or None
        Key of the cell, or of its search, if the row is about one.
    """

    def __init__(self, problem: str, table: str, column: str, cell: Any = None) -> None:
        about = f"cell {cell[:12]}, " if isinstance(cell, str) and cell else ""
        super().__init__(f"{about}column {column!r} of table {table!r}: {problem}")


@contextmanager
def explained(address: LedgerAddress) -> Iterator[None]:
    """Turn what goes wrong while a ledger is read or written into messages.

    Parameters
    ----------
    address : LedgerAddress
        The ledger.

    Raises
    ------
    LedgerError
        If the ledger is damaged, or another process keeps it locked. Errors of a server, and those
        of the disk, such as one that is full, are passed on as they are.
    """
    try:
        yield
    except Damage as damage:
        raise address.damaged(str(damage)) from damage
    except (sa.exc.DatabaseError, sqlite3.Error) as error:
        refusal = None if address.is_server else address.refusal(error)
        if refusal is None:
            raise
        raise refusal from error


def fetch(connection: sa.Connection, query: "sa.Select[Any]") -> list[Any]:
    """Return the rows of a query whose columns are those of tables.

    Raises
    ------
    Damage
        If a value is not of its column's kind.
    """
    columns = list(query.selected_columns)
    rows = list(connection.execute(query))
    for row in rows:
        cell = row._mapping.get("cell", row._mapping.get("search"))  # noqa: SLF001 - public
        check_values(columns, row, cell)
    return rows


def check_values(columns: Sequence[Any], values: Sequence[Any], cell: Any) -> None:
    """Refuse values that are not of their columns' kinds.

    Parameters
    ----------
    columns : sequence of sqlalchemy.Column
        Columns of tables, or expressions such as counts, which are not checked: they are SQL's own.
    values : sequence of object
        A value for each.
    cell : object
        Key of the cell, or of its search, that the row is about.
    """
    for column, value in zip(columns, values, strict=True):
        problem = _problem(column, value) if isinstance(column, sa.Column) else None
        if problem is not None:
            raise Damage(problem, _table(column), column.name, cell)


def _table(column: Any) -> str:
    return str(getattr(column.table, "name", column.table))


def _problem(column: Any, value: Any) -> str | None:
    """Say why a value is none of its column's, if it is not."""
    if value is None:
        return None if column.nullable else "the value is missing"
    kind = column.type.python_type
    if kind is str:
        words, filled = column.info.get("words"), column.info.get("filled")
        fits = isinstance(value, str) and (value in words if words else bool(value or not filled))
        wanted = f"one of {', '.join(words)}" if words else "a text"
    elif kind is float:
        fits = isinstance(value, int | float) and 0 <= value < math.inf
        wanted = "seconds since 1970"
    else:
        fits, wanted = isinstance(value, int) and value >= 0, "a whole number from 0"
    return None if fits else f"{_short(value)} is not {wanted}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def hash_of(text: str) -> str:
    """Return the SHA-256 of an identity, a record or a trial as it is stored."""
    return hashlib.sha256(text.encode()).hexdigest()


# cells


def identity_of(row: Any) -> Identity:
    """Return the identity of a cell, whose hash is its key.

    Parameters
    ----------
    row : row
        With `cell` and `identity`.
    """
    if hash_of(row.identity) != row.cell:
        raise Damage("the key of the cell is not its hash", "cells", "identity", row.cell)
    try:
        return Identity.model_validate_json(row.identity)
    except ValidationError as error:
        problem = f"it is no identity ({error.errors()[0]['msg']})"
        raise Damage(problem, "cells", "identity", row.cell) from error


def checked(row: Any) -> Identity:
    """Return the identity of a cell whose other columns must go together.

    Parameters
    ----------
    row : row
        With all columns of `recrepro.store.schema.CELLS` but the record and its hash.
    """
    identity = identity_of(row)
    if identity.harness < HASHED:
        return identity
    done, failed = row.state == "done", row.state == "failed"
    for fits, column, problem in (
        (row.search == identity.search_key, "search", "it is not the search of its identity"),
        ((row.reason is not None) == failed, "reason", "only what failed has a reason"),
        ((row.result_digest is not None) == done, "result_digest", "only what is done has one"),
        (row.ended_at is not None or not (done or failed), "ended_at", "the value is missing"),
        ((row.token is None) == (row.owner is None), "owner", "there is one of token and owner"),
        ((row.token is None) == (row.deadline is None), "deadline", "it goes with a token"),
        ((row.token is None) or done or row.state == "leased", "token", "the cell is not leased"),
        ((row.token is not None) or row.state != "leased", "token", "the value is missing"),
    ):
        if not fits:
            raise Damage(problem, "cells", column, row.cell)
    return identity


def lease(row: Any, now: float) -> Lease | None:
    """Return the lease of a cell at a time in seconds since 1970, or None if it has none."""
    if row.token is None:
        return None
    try:
        return lease_of(row.owner, row.deadline, now)
    except ValidationError as error:
        problem = f"{_short(row.owner)} does not describe a process"
        raise Damage(problem, "cells", "owner", row.cell) from error


def record_of(row: Any, identity: Identity) -> Record:
    """Return the record of a done cell, which agrees with the other columns.

    Parameters
    ----------
    row : row of `recrepro.store.schema.CELLS`
        The cell.
    identity : Identity
        What `checked` gave.
    """

    def damage(problem: str, column: str = "record") -> Damage:
        return Damage(problem, "cells", column, row.cell)

    if row.record is None:
        raise damage("the record of a done cell is missing")
    if identity.harness >= HASHED:
        check_hash(row.record, row.record_hash, "cells", "record", row.cell)
    try:
        record = Record.read(row.record, "it")
    except DataError as error:
        raise damage(str(error).rstrip(".")) from error
    if record.cell != row.cell or record.identity != identity:
        raise damage("it is the record of another cell")
    for column in ("result_digest", "fit") if identity.harness >= HASHED else ():
        if getattr(row, column) != getattr(record, column):
            raise damage("it is not the one in the record", column)
    return record


def is_done() -> sa.ColumnElement[bool]:
    """Return the condition that a cell is done, for queries that select its state.

    It holds for words that are no state, too: `fetch` then refuses what would be left out silently.
    """
    return tables.CELLS.c.state.not_in(
        [word for word in get_args(tables.CellState) if word != "done"]
    )


def all_records(connection: sa.Connection) -> Iterator[Record]:
    """Yield the record of each done cell and of each alarm."""
    cells = tables.CELLS
    for row in fetch(connection, sa.select(cells).where(is_done())):
        yield record_of(row, checked(row))
    for row in fetch(connection, sa.select(tables.ALARMS)):
        try:
            yield Record.read(row.record, "it")
        except DataError as error:
            raise Damage(str(error).rstrip("."), "alarms", "record", row.cell) from error


def check_openings(record: Record, openings: Sequence[Opening]) -> None:
    """Refuse openings of a cell among which one is missing that its result needs."""
    missing = missing_opening(record, openings)
    if missing is not None:
        problem = f"the opening of the test part {missing} is missing"
        raise Damage(problem, "openings", "opened_at", record.cell)


def missing_opening(record: Record, openings: Sequence[Opening]) -> str | None:
    """Say which opening that a result needs is not among those written of its cell, if one is."""
    for opening in record.openings:
        if opening not in openings:
            return f"at {opening.at} ({opening.reason}), which the record has,"
    if record.identity.external and all(opening.reason != "external" for opening in openings):
        return "for a run file"
    return None


def name_of(row: Any) -> CellName:
    """Return the name of a cell from a row with `cell` and `titles`."""
    try:
        return CellName.model_validate_json(row.titles)
    except ValidationError as error:
        problem = f"{_short(row.titles)} is no name of a cell"
        raise Damage(problem, "experiment_cells", "titles", row.cell) from error


# trials


def trials_of(connection: sa.Connection, cell: Any, identity: Identity) -> list[Trial]:
    """Return the finished trials of a cell's search, in their order.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Of the ledger.
    cell : row of `recrepro.store.schema.CELLS`
        The cell.
    identity : Identity
        What `checked` gave.
    """
    query = sa.select(tables.TRIALS).where(tables.TRIALS.c.search == cell.search)
    trials = []
    for place, row in enumerate(fetch(connection, query.order_by(tables.TRIALS.c.number))):
        if row.number != place:
            raise Damage(f"trial {place} is missing", "trials", "number", cell.cell)
        if identity.harness >= HASHED:
            check_hash(row.trial, row.trial_hash, "trials", "trial", cell.cell)
        try:
            trials += read_trials([json.loads(row.trial)], f"trial {place}")
        except (DataError, ValueError, RecursionError) as error:
            raise Damage(str(error).rstrip("."), "trials", "trial", cell.cell) from error
    return trials


def check_hash(text: str, stored: str | None, table: str, column: str, cell: str) -> None:
    """Refuse a record or a trial whose hash is not the one that was written with it."""
    if stored != hash_of(text):
        problem = "it was altered: its hash is not the one that was written with it"
        raise Damage(problem, table, column, cell)
