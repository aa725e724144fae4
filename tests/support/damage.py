"""Damages of a ledger: flipped bits, and columns with values that nobody writes there."""

import random
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.inprocess import call_here

ODD = (None, "", "x", "[]", "{}", -1, float("inf"), b"\xff\x00")
"""Values that are no value of most columns."""

NO_ANSWER = "fault of recrepro|mend the folder|Traceback"
"""What is said of other things than a damaged file."""

FREE = {("experiments", "source"), ("withdrawn", "because"), ("cells", "reason")}
"""Columns with what a person or a model wrote: nobody can tell that another text was meant."""


@dataclass(frozen=True)
class Edit:
    """A value in a row of a table; None in place of the column takes the row away."""

    table: str
    row: int
    column: str | None = None
    value: Any = None

    def apply(self, ledger: Path) -> bool:
        """Do it; say whether anything was changed."""
        change = f"DELETE FROM {self.table} WHERE rowid = ?"
        values = [self.row]
        if self.column is not None:
            change = (
                f"UPDATE OR IGNORE {self.table} SET {self.column} = ? "
                f"WHERE rowid = ? AND {self.column} IS NOT ?"
            )
            values = [self.value, self.row, self.value]
        with closing(sqlite3.connect(ledger)) as connection, connection:
            try:
                return connection.execute(change, values).rowcount > 0
            except sqlite3.IntegrityError:
                return False


@dataclass(frozen=True)
class Flip:
    """A bit that is the other one; the place is a share of the file."""

    place: float

    def apply(self, ledger: Path) -> bool:
        """Do it."""
        content = bytearray(ledger.read_bytes())
        bit = int(self.place * 8 * len(content))
        content[bit // 8] ^= 1 << (bit % 8)
        ledger.write_bytes(content)
        return True


def edits(ledger: Path, rng: random.Random) -> Iterator[Edit]:
    """Yield each odd value for each column, in a row that is drawn; and take such a row away."""
    with closing(sqlite3.connect(ledger)) as connection:
        named = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        for (table,) in connection.execute(named).fetchall():
            rows = [row for (row,) in connection.execute(f"SELECT rowid FROM {table}")]
            for _, column, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
                for value in ODD if rows else ():
                    text = isinstance(value, str | int | float)
                    if not ((table, column) in FREE and text):
                        yield Edit(table, rng.choice(rows), column, value)


def sweep(
    root: Path,
    commands: Sequence[Sequence[str]],
    damages: Sequence[Edit | Flip],
    rng: random.Random,
    share: float = 1.0,
) -> tuple[Mapping[str, int], list[str]]:
    """Call commands on a workspace whose ledger is damaged.

    Parameters
    ----------
    root : Path
        Folder of the commands, with the workspace ``runs`` in it.
    commands : sequence of sequence of str
        Arguments; each command ends well with the ledger as it is.
    damages : sequence of Edit or Flip
        Tried one at a time.
    rng : random.Random
        Draws the pairs that are tried.
    share : float
        How many of all pairs.

    Returns
    -------
    dict of str to int, list of str
        How often the output was the same and how often the command refused; and what was neither.
    """
    workspace, whole = root / "runs", root / "whole"
    workspace.rename(whole)

    def call(command: Sequence[str], damage: Edit | Flip | None = None) -> Any:
        for path in (workspace, root / "out"):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(whole, workspace)
        if damage is not None and not damage.apply(workspace / "ledger.db"):
            return None
        variables = {"COLUMNS": "200", "RECREPRO_WORKSPACE": "runs"}
        return call_here(command, root, variables)

    found: Counter[str] = Counter()
    faults = []
    for command in commands:
        good = call(command)
        assert good.returncode == 0, good.stderr
        for damage in damages:
            if rng.random() > share or (done := call(command, damage)) is None:
                continue
            if done.returncode == 0 and done.stdout == good.stdout:
                found["same"] += 1
            elif done.returncode in (2, 3) and not re.search(NO_ANSWER, done.stderr):
                found["refused"] += 1
            else:
                faults.append(f"{' '.join(command)} after {damage}: {done.stdout}{done.stderr}")
    shutil.rmtree(workspace)
    whole.rename(workspace)
    return found, faults
