"""Results that were scored from run files of other programs, as the ledger keeps them."""

import json
import time
from typing import Any

import sqlalchemy as sa

from recrepro.spec.identity import protocol_fingerprint
from recrepro.store import schema as tables
from recrepro.store.openings import Opening, openings


def add(
    connection: sa.Connection,
    name: str,
    cell: str,
    titles: dict[str, Any],
    identity: dict[str, Any],
    record: dict[str, Any],
) -> None:
    """Write a result in place of an earlier one with the same titles, whose openings it inherits.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        In a transaction.
    name : str
        Of the experiment.
    cell : str
        Key of the result: the hash of its identity.
    titles, identity, record : dict
        As for the cells of an experiment.
    """
    now, table = time.time(), tables.EXTERNALS
    same = (table.c.name == name, table.c.titles == json.dumps(titles))
    earlier = {cell, *connection.scalars(sa.select(table.c.cell).where(*same))}
    opened = sorted(
        (opening for one in earlier for opening in openings(connection, one)),
        key=lambda opening: opening.at,
    )
    connection.execute(table.delete().where(*same))
    for written in (tables.CELLS, tables.OPENINGS):
        connection.execute(written.delete().where(written.c.cell == cell))
    for place, opening in enumerate([*opened, Opening(now, "external")]):
        row = {"cell": cell, "token": f"external-{place}"}
        connection.execute(
            tables.OPENINGS.insert().values(**row, opened_at=opening.at, reason=opening.reason)
        )
    connection.execute(
        tables.CELLS.insert().values(
            cell=cell,
            identity=json.dumps(identity),
            state="done",
            record=json.dumps(record),
            result_digest=record["result_digest"],
            ended_at=now,
        )
    )
    connection.execute(
        table.insert().values(name=name, cell=cell, titles=json.dumps(titles), added_at=now)
    )


def comparable(
    connection: sa.Connection, name: str, grid_hash: str
) -> list[tuple[str, dict[str, Any]]]:
    """Return key and titles of the results of an experiment that its present cells compare with."""
    cells, members, table = tables.CELLS, tables.MEMBERS, tables.EXTERNALS
    planned = (
        sa.select(cells.c.identity)
        .join(members, members.c.cell == cells.c.cell)
        .where(members.c.name == name, members.c.grid_hash == grid_hash)
    )
    protocols = {_protocol(identity) for identity in connection.scalars(planned)}
    found = (
        sa.select(table.c.cell, table.c.titles, cells.c.identity)
        .join(cells, table.c.cell == cells.c.cell)
        .where(table.c.name == name)
        .order_by(table.c.added_at)
    )
    return [
        (cell, json.loads(titles))
        for cell, titles, identity in connection.execute(found)
        if _protocol(identity) in protocols
    ]


def _protocol(identity: str) -> str:
    return protocol_fingerprint(json.loads(identity))
