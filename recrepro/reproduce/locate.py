"""Finds the record of a run by what people call it: a file, a cell, an MLflow run."""

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recrepro.errors import DataError, RecreproError, UnknownName, UsageError
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.names import CellNames
from recrepro.store.records import Record
from recrepro.store.workspace import Workspace
from recrepro.tracking.reader import LONGEST, files_of_run

PER_USER = "per_user.parquet"
"""The file beside a record that has the values of each user."""
HOW = (
    "A run is a record file, a cell (dataset/split/model/seed N, or 8 or more characters of its "
    "key), or the id of an MLflow run."
)
NOT_PUBLISHED = (
    "run inline only, which is not for publication. Run its experiment without --executor inline: "
    "that runs it anew."
)


@dataclass(frozen=True)
class FoundRun:
    """A run that was found.

    Parameters
    ----------
    record : Record
        The record.
    folder : Path
        Where a relative `base` of the record starts.
    read_per_user : callable
        Returns the Parquet file with the values of each user; None if it is not there.
    """

    record: Record
    folder: Path
    read_per_user: Callable[[], bytes | None]


def find_run(name: str, workspace: Path, ledger_url: str | None = None) -> FoundRun:
    """Find a run.

    Parameters
    ----------
    name : str
        A record file, a cell's path or the start of its key, or an MLflow run id.
    workspace : Path
        Where cells and MLflow runs are looked for.
    ledger_url : str, optional
        Address of the ledger, if it is not in the workspace.

    Raises
    ------
    UsageError
        If nothing, or more than one cell, has that name, or the file is no record.
    RecreproError
        If the record is there and cannot be read.
    """
    if Path(name).is_file():
        return _from_file(Path(name))
    place = Workspace(workspace.resolve())
    known = []
    if ledger_url or (workspace / "ledger.db").is_file():
        opened = Ledger.in_workspace(place.root, ledger_url, read_only=True)
        with contextlib.closing(opened) as ledger:
            known = ledger.done()
            if CellNames(known).find(name):
                return _from_ledger(ledger, place, find_cell(name, ledger).cell)
            if CellNames(ledger.only_inline()).find(name):
                raise UsageError(f"{name!r} was {NOT_PUBLISHED}")
    stores = (place.root / "mlflow.db").is_file() or "MLFLOW_TRACKING_URI" in os.environ
    if re.fullmatch(r"[0-9a-f]{32}", name) and stores:
        files = files_of_run(place, name)
        record = _parsed(files["record.json"], f"record.json of the MLflow run {name}")
        return FoundRun(record, Path(), lambda: _checked(record, files.get(PER_USER), name))
    if not known and Path(name).exists():
        what = "a folder" if Path(name).is_dir() else "not a regular file"
        raise UsageError(f"{name} is {what}, and no run has this name. {HOW}")
    if not known:
        raise UsageError(
            f"there is no run {name!r}: no such file, and no results in the workspace {workspace}. "
            f"{HOW} Name the workspace with --workspace DIR."
        )
    raise UnknownName("run", name, {cell.name.path for cell in known}, HOW)


def find_cell(name: str, ledger: Ledger) -> Member:
    """Find a cell that has a result, by its path or the start of its key.

    Raises
    ------
    UsageError
        If no cell, or more than one, has that name; the message then tells them apart.
    """
    known = ledger.done()
    found = CellNames(known).find(name)
    if not found:
        raise UnknownName("cell", name, {cell.name.path for cell in known}, HOW)
    if len(found) > 1:
        cells = {cell.cell: cell.name for cell in known if cell.cell in found}
        fitting = "; ".join(
            f"{cells[key].path}, key {key[:8]} ({_told_apart(ledger, key)})" for key in cells
        )
        raise UsageError(
            f"{name!r} fits {len(found)} cells: {fitting}. Name one of them in full, or by its key."
        )
    return next(cell for cell in known if cell.cell in found)


def _told_apart(ledger: Ledger, key: str) -> str:
    """Say what the name of a cell does not tell: metrics, budget, code, and when it was done."""
    record = ledger.status(key).record
    assert record is not None
    identity = record.identity
    parts = [", ".join(identity.metrics)]
    if identity.budget.trials != 0:
        parts.append(str(identity.budget))
    if identity.model is not None and identity.model.code is not None:
        parts.append(f"code {identity.model.code[:8]}")
    day = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(record.ended_at))
    return "; ".join([*parts, day])


def _from_ledger(ledger: Ledger, place: Workspace, key: str) -> FoundRun:
    record = ledger.status(key).record
    assert record is not None
    return FoundRun(record, Path(), lambda: place.read_blob(record.per_user))


def _from_file(path: Path) -> FoundRun:
    longest = LONGEST["record.json"]
    with path.open("rb") as file:  # some files of the system say that they are empty
        content = file.read(longest + 1)
    if len(content) > longest:
        raise UsageError(f"{path} is larger than {longest:,} bytes: it is no record. {HOW}")
    record = _parsed(content, str(path))
    beside = path.with_name(PER_USER)

    def read_per_user() -> bytes | None:
        if not beside.is_file():
            return None
        n_bytes = beside.stat().st_size
        if n_bytes > LONGEST[PER_USER]:
            raise RecreproError(
                f"{beside} has {n_bytes:,} bytes, and may have {LONGEST[PER_USER]:,}. Take it "
                "away; metrics are then compared alone."
            )
        return _checked(record, beside.read_bytes(), str(beside))

    return FoundRun(record, path.resolve().parent, read_per_user)


def _parsed(content: bytes, place: str) -> Record:
    try:
        record = Record.read(content, place)
    except DataError as error:
        raise UsageError(f"{error} {HOW}") from error
    if record.identity.is_inline:
        raise UsageError(f"{place} was {NOT_PUBLISHED}")
    return record


def _checked(record: Record, content: bytes | None, place: str) -> bytes | None:
    """Refuse per-user values that are not those of the record."""
    if content is not None and hashlib.sha256(content).hexdigest() != record.per_user:
        raise RecreproError(
            f"{PER_USER} of {place} is not that of the record: its SHA-256 is another. Restore it, "
            "or take it away; metrics are then compared alone."
        )
    return content
