"""Rows of the ledger that refer to others: what is missing is found, not left out of a table."""

from collections import defaultdict

import sqlalchemy as sa

from recrepro.store import schema as tables
from recrepro.store.rows import Damage, fetch


def check_references(connection: sa.Connection) -> None:
    """Refuse a ledger in which rows are missing that others refer to.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        In a transaction that sees all tables at one moment.

    Raises
    ------
    Damage
        Naming the row that refers to a missing one.
    """
    _check_experiments(connection)
    cells = tables.CELLS
    searches = {
        row.cell: row.search for row in fetch(connection, sa.select(cells.c.cell, cells.c.search))
    }
    for table in (
        *(tables.MEMBERS, tables.SUPERSEDED, tables.EXTERNALS, tables.WITHDRAWN),
        *(tables.OPENINGS, tables.ALARMS),
    ):
        for row in fetch(connection, sa.select(table.c.cell).distinct()):
            if row.cell not in searches:
                raise Damage("there is no such cell", table.name, "cell", row.cell)
    known = set(searches.values())
    for row in fetch(connection, sa.select(tables.TRIALS.c.search).distinct()):
        if row.search not in known:
            raise Damage("no cell has this search", tables.TRIALS.name, "search", row.search)


def _check_experiments(connection: sa.Connection) -> None:
    """Refuse an experiment without some of its cells, and rows of one that was never planned."""
    table, members = tables.EXPERIMENTS, tables.MEMBERS
    planned = {
        (row.name, row.grid_hash)
        for row in fetch(connection, sa.select(table.c.name, table.c.grid_hash))
    }
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in fetch(connection, sa.select(members)):
        places[row.name, row.grid_hash].append(row.place)
    for version in planned | places.keys():
        found = sorted(places[version])
        if version not in planned or not found or found != list(range(len(found))):
            problem = f"rows of the experiment {version[0]!r} are missing"
            raise Damage(problem, members.name, "place")
    table = tables.SUPERSEDED
    for row in fetch(connection, sa.select(table)):
        if (row.name, row.grid_hash) not in planned:
            raise Damage(f"there is no such version of {row.name!r}", table.name, "name", row.cell)
    table, names = tables.EXTERNALS, {name for name, _ in planned}
    for row in fetch(connection, sa.select(table)):
        if row.name not in names:
            raise Damage(f"there is no experiment {row.name!r}", table.name, "name", row.cell)
