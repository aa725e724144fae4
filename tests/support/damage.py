"""Damages of a ledger: flipped bits, and columns with values that nobody writes there."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

ODD = (None, "", "x", "[]", "{}", -1, float("inf"), b"\xff\x00")
"""Values that are no value of most columns."""

ANY_TEXT = {
    ("experiments", "source"),
    ("withdrawn", "because"),
    ("cells", "reason"),
}
"""What a person wrote: nobody can tell that another text was meant."""


@dataclass(frozen=True)
class Damage:
    """What is done to a ledger, and how to do it."""

    name: str
    content: bytes


def edits(ledger: Path, scratch: Path, rng: random.Random) -> Iterator[Damage]:
    """Give a row, drawn by chance, each odd value in each column; also take the row away."""
    with closing(sqlite3.connect(ledger)) as connection:
        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        tables = [name for (name,) in connection.execute(names)]
        columns = {
            table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            for table in tables
        }
        rows = {
            table: [row for (row,) in connection.execute(f"SELECT rowid FROM {table}")]
            for table in tables
        }
    for table, known in columns.items():
        if not rows[table]:
            continue
        for column in known:
            for value in ODD:
                row = rng.choice(rows[table])
                if (table, column) in ANY_TEXT and isinstance(value, (str, int)) and value != "":
                    continue
                change = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
                content = _changed(ledger, scratch, change, (value, row))
                if content is not None:
                    yield Damage(f"{table}.{column} = {value!r} in row {row}", content)


def flips(ledger: Path, number: int, rng: random.Random) -> Iterator[Damage]:
    """Flip one bit somewhere, many times over."""
    whole = ledger.read_bytes()
    for _ in range(number):
        place = rng.randrange(8 * len(whole))
        content = bytearray(whole)
        content[place // 8] ^= 1 << (place % 8)
        yield Damage(f"bit {place}", bytes(content))


def _changed(ledger: Path, scratch: Path, change: str, values: tuple) -> bytes | None:
    """Return the file with a change; None where SQLite refuses it, or nothing changes."""
    path = scratch / "changed.db"
    shutil.copy(ledger, path)
    with closing(sqlite3.connect(path)) as connection:
        before = list(connection.iterdump())
        try:
            connection.execute(change, values)
        except sqlite3.IntegrityError:
            return None
        connection.commit()
        if list(connection.iterdump()) == before:
            return None
    return path.read_bytes()
