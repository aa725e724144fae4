"""Results and trials on their way from one workspace to another.

A parcel has the rows of a ledger as they are stored, so that hashes made where they were written
still hold. It comes from a ledger, or from a folder of records.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from recrepro.errors import DataError, UsageError
from recrepro.spec.canonical import canonical_json
from recrepro.store import schema as tables
from recrepro.store.records import Record
from recrepro.store.rows import hash_of

Row = dict[str, Any]
"""A row of the ledger: values by column."""

LONGEST_RECORD = 64 * 2**20
"""Bytes of the largest JSON file that is read as a record or as a list of trials."""


@dataclass(frozen=True)
class Parcel:
    """What is taken from elsewhere: rows by table, and where their blobs are.

    Parameters
    ----------
    place : str
        Where it is from, for messages.
    rows : dict of str to list of dict
        Rows of the ledger, by table.
    read_blob : callable
        Returns the content stored under a SHA-256. It raises `RecreproError` if that is missing or
        was altered.
    checkpoints : Path or None
        Folder with the checkpoints of unfinished cells, in a folder for each.
    """

    place: str
    rows: dict[str, list[Row]]
    read_blob: Callable[[str], bytes]
    checkpoints: Path | None = None

    def of(self, table: sa.Table) -> list[Row]:
        """Return the rows of a table."""
        return self.rows.get(table.name, [])


_TAKEN = (
    tables.EXPERIMENTS,
    tables.MEMBERS,
    tables.SUPERSEDED,
    tables.EXTERNALS,
    tables.CELLS,
    tables.TRIALS,
    tables.OPENINGS,
    tables.WITHDRAWN,
    tables.ALARMS,
)

_RESULT = (
    "token",
    "owner",
    "deadline",
    "reason",
    "record",
    "record_hash",
    "result_digest",
    "fit",
    "ended_at",
)
"""Columns that a cell without a result and without a worker does not have."""


def rows_of(connection: sa.Connection, *, unfinished: bool) -> dict[str, list[Row]]:
    """Read the rows of a ledger that can be taken elsewhere.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Of the ledger.
    unfinished : bool
        Whether to leave out results, and the experiments and trials that are over.
    """
    rows: dict[str, list[Row]] = {
        table.name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
        for table in _TAKEN
    }
    if unfinished:
        _leave_out_results(rows)
    for row in rows[tables.CELLS.name]:
        if unfinished or row["state"] != "done":
            row.update(dict.fromkeys(_RESULT), state="pending")
    return rows


def _leave_out_results(rows: dict[str, list[Row]]) -> None:
    cells = rows[tables.CELLS.name]
    open_cells = {row["cell"] for row in cells if row["state"] != "done"}
    searches = {row["search"] for row in cells if row["cell"] in open_cells}
    members = rows[tables.MEMBERS.name]
    left = {(row["name"], row["grid_hash"]) for row in members if row["cell"] in open_cells}
    listed = {row["cell"] for row in members if (row["name"], row["grid_hash"]) in left}
    kept = open_cells | listed
    for name in (tables.EXPERIMENTS.name, tables.MEMBERS.name):
        rows[name] = [row for row in rows[name] if (row["name"], row["grid_hash"]) in left]
    for name in (tables.CELLS.name, tables.OPENINGS.name):
        rows[name] = [row for row in rows[name] if row["cell"] in kept]
    rows[tables.TRIALS.name] = [r for r in rows[tables.TRIALS.name] if r["search"] in searches]
    for table in (tables.SUPERSEDED, tables.EXTERNALS, tables.WITHDRAWN, tables.ALARMS):
        rows[table.name] = []


def parcel_of_records(folder: Path) -> Parcel:
    """Read a folder of records, such as a snapshot or exported bundles.

    Every JSON file that is a record is taken. The values of users are found by their SHA-256 among
    the Parquet files, and the trials of ``records/NAME.json`` in ``trials/NAME.json``. Links are
    not followed.

    Raises
    ------
    UsageError
        If no file is a record.
    """
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    blobs = {_sha256(path): path for path in files if path.suffix == ".parquet"}
    rows: dict[str, list[Row]] = {
        table.name: [] for table in (tables.CELLS, tables.TRIALS, tables.OPENINGS)
    }
    reasons: list[str] = []
    for path, record in _records(sorted(files), reasons):
        text = record.dumps()
        search = record.identity.search_key
        rows[tables.CELLS.name].append(
            {
                "cell": record.cell,
                "search": search,
                "identity": canonical_json(record.identity.to_json()),
                "state": "done",
                "record": text,
                "record_hash": hash_of(text),
                "result_digest": record.result_digest,
                "fit": record.fit,
                "ended_at": record.ended_at,
            }
        )
        rows[tables.OPENINGS.name] += [
            {"cell": record.cell, "token": f"record-{n}", "opened_at": o.at, "reason": o.reason}
            for n, o in enumerate(record.openings)
        ]
        for trial in _trials_beside(path):
            written = json.dumps(trial)
            row = {"search": search, "number": trial.get("number"), "trial": written}
            rows[tables.TRIALS.name].append(row | {"trial_hash": hash_of(written)})
    if not rows[tables.CELLS.name]:
        why = f" {reasons[0]}" if reasons else ""
        raise UsageError(
            f"{folder} is neither a workspace nor a folder of records: no file in it is the record "
            f"of a result.{why} Name a workspace, a file that `recrepro pack` wrote, a snapshot "
            "(recrepro cite), or a folder with exported bundles."
        )

    def read_blob(digest: str) -> bytes:
        if digest not in blobs:
            raise DataError(f"no Parquet file in {folder} has the SHA-256 {digest[:16]}...")
        return blobs[digest].read_bytes()

    return Parcel(str(folder), rows, read_blob)


def _records(files: list[Path], reasons: list[str]) -> Iterator[tuple[Path, Record]]:
    """Yield the records among files; say in `reasons` why others that look like one are none."""
    for path in files:
        if path.suffix != ".json" or path.stat().st_size > LONGEST_RECORD:
            continue
        content = path.read_bytes()
        if b'"result_digest"' not in content:
            continue
        try:
            yield path, Record.read(content, str(path))
        except DataError as error:
            reasons.append(str(error))


def _trials_beside(record: Path) -> list[Row]:
    path = record.parent.parent / "trials" / record.name
    if record.parent.name != "records" or not path.is_file():
        return []
    if path.is_symlink() or path.stat().st_size > LONGEST_RECORD:
        return []
    try:
        trials = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return []
    return (
        [trial for trial in trials if isinstance(trial, dict)] if isinstance(trials, list) else []
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class Merged:
    """What became of a parcel.

    Parameters
    ----------
    cells : list of str
        Names of the cells whose results were taken.
    trials : int
        Number of trials that were taken.
    known : int
        Number of results that were here already, and equal.
    checkpoints : int
        Number of cells whose checkpoint was taken.
    busy : list of str
        Names of the cells that somebody is working on here.
    alarms : list of str
        What differs from what is here.
    refused : list of str
        What is damaged or altered, and was not taken.
    """

    cells: list[str] = field(default_factory=list)
    trials: int = 0
    known: int = 0
    checkpoints: int = 0
    busy: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
