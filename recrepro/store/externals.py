"""Results that were scored from run files of other programs, as the ledger keeps them."""

import time

import sqlalchemy as sa

from recrepro.spec.canonical import canonical_json
from recrepro.store import schema as tables
from recrepro.store.entries import Member
from recrepro.store.openings import Opening
from recrepro.store.records import Record
from recrepro.store.rows import fetch, hash_of, identity_of, name_of, titles_of
from recrepro.store.seal import openings


def add(connection: sa.Connection, experiment: str, record: Record) -> None:
    """Write a result in place of an earlier one of the same name, whose openings it inherits.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        In a transaction.
    experiment : str
        Name of the experiment.
    record : Record
        The result.
    """
    now, table = time.time(), tables.EXTERNALS
    cell, titles, text = record.cell, titles_of(record.name), record.dumps()
    same = (table.c.name == experiment, table.c.titles == titles)
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
            search=record.identity.search_key,
            identity=canonical_json(record.identity.to_json()),
            state="done",
            record=text,
            record_hash=hash_of(text),
            result_digest=record.result_digest,
            ended_at=now,
        )
    )
    connection.execute(
        table.insert().values(name=experiment, cell=cell, titles=titles, added_at=now)
    )


def comparable(connection: sa.Connection, name: str, grid_hash: str) -> list[Member]:
    """Return the results of an experiment that its present cells compare with."""
    cells, members, table = tables.CELLS, tables.MEMBERS, tables.EXTERNALS
    planned = (
        sa.select(cells.c.cell, cells.c.identity)
        .join(members, members.c.cell == cells.c.cell)
        .where(members.c.name == name, members.c.grid_hash == grid_hash)
    )
    protocols = {identity_of(row).protocol_fingerprint for row in fetch(connection, planned)}
    found = (
        sa.select(table.c.cell, table.c.titles, cells.c.identity)
        .join(cells, table.c.cell == cells.c.cell)
        .where(table.c.name == name)
        .order_by(table.c.added_at)
    )
    return [
        Member(row.cell, name_of(row))
        for row in fetch(connection, found)
        if identity_of(row).protocol_fingerprint in protocols
    ]
