"""One file with what is unfinished in a workspace, for another machine to go on with.

It is a zip archive of a small workspace: ``ledger.db`` with the experiments that have cells left,
their trials and openings of the test part, and ``checkpoints/`` with the newest checkpoint of each
cell.
"""

import contextlib
import re
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recrepro.compute.checkpoint import compact
from recrepro.durable import new_file
from recrepro.errors import DataError, UsageError
from recrepro.store.ledger import Ledger
from recrepro.store.merge import merge
from recrepro.store.parcel import Parcel, parcel_of_records
from recrepro.store.workspace import Workspace

_MEMBER = re.compile(r"ledger\.db|workspace\.id|checkpoints/[0-9a-f]{16}/[\w.-]{1,100}\.npz")
"""Names that a packed file may have; anything else is not read."""

LARGEST_MEMBER = 16 * 2**30
"""Bytes of the largest file in a packed file, unpacked."""

RATIO = 1000
"""Times that a member may be larger than it is packed, above a megabyte: fresh tables of the ledger
are mostly zeros."""


@dataclass(frozen=True)
class Packed:
    """What a packed file has: numbers of cells, trials and checkpoints."""

    cells: int
    trials: int
    checkpoints: int


def pack(ledger: Ledger, workspace: Workspace, target: Path) -> Packed:
    """Write what is unfinished in a workspace to one file.

    Parameters
    ----------
    ledger, workspace
        The workspace, which stays as it is.
    target : Path
        A file that is not there yet.

    Returns
    -------
    Packed
        What is in it.

    Raises
    ------
    UsageError
        If the file is there, or nothing is unfinished.
    """
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} is there already; name a new file.")
    rows = ledger.parcel_rows(unfinished=True)
    open_cells = [key for key, work in ledger.work().items() if work.state != "done"]
    if not open_cells:
        raise UsageError(f"nothing in {workspace.root} is unfinished: there is nothing to pack.")
    with tempfile.TemporaryDirectory() as folder:
        small = Workspace.create(Path(folder) / "workspace")
        with contextlib.closing(Ledger.in_workspace(small.root)) as copy:
            merged = merge(Parcel(str(workspace.root), rows, workspace.read_blob), copy, small)
        packed = Path(folder) / "ledger.db"
        with contextlib.closing(sqlite3.connect(small.root / "ledger.db")) as connection:
            connection.execute("VACUUM INTO ?", [str(packed)])
        with new_file(target) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as file:
            file.write(packed, "ledger.db")
            file.write(small.root / "workspace.id", "workspace.id")
            n_checkpoints = 0
            for cell in open_cells:
                found = _newest(workspace.checkpoints(cell))
                n_checkpoints += bool(found)
                for path in found:
                    file.writestr(f"checkpoints/{cell[:16]}/{path.name}", compact(path))
    return Packed(len(open_cells), merged.trials, n_checkpoints)


def _newest(folder: Path) -> list[Path]:
    """Return the files of the checkpoint that was written last, with those of its stages."""
    files = list(folder.glob("[!.]*.npz"))
    if not files:
        return []
    newest = max(files, key=lambda path: path.stat().st_mtime)
    training = newest.name.partition(".")[0]
    return [path for path in files if path.name.partition(".")[0] == training]


@contextlib.contextmanager
def opened(place: Path, ledger_url: str | None = None) -> Iterator[Parcel]:
    """Open what results can be taken from, for as long as the context lasts.

    Parameters
    ----------
    place : Path
        A workspace, a file that `pack` wrote, or a folder of records.
    ledger_url : str, optional
        Address of the ledger of a workspace, if it is not in the folder.

    Raises
    ------
    UsageError
        If it is none of the three, or its ledger was written by another version.
    RecreproError
        If it is damaged.
    """
    with contextlib.ExitStack() as stack:
        if place.is_file():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            _unpack(place, folder)
            yield stack.enter_context(_of_workspace(place, folder))
        elif ledger_url is not None or (place / "ledger.db").is_file():
            yield stack.enter_context(_of_workspace(place, place, ledger_url))
        elif place.is_dir():
            yield parcel_of_records(place)
        else:
            raise UsageError(
                f"{place} is not there. Name a workspace, a file that `recrepro pack` wrote, or a "
                "folder of records."
            )


@contextlib.contextmanager
def _of_workspace(named: Path, folder: Path, ledger_url: str | None = None) -> Iterator[Parcel]:
    workspace = Workspace(folder.resolve())
    with contextlib.closing(
        Ledger.in_workspace(workspace.root, ledger_url, read_only=True)
    ) as ledger:
        if ledger.older:
            raise UsageError(
                f"{named} was written by an older recrepro, whose numbers may differ. Run its "
                "experiments here; equal numbers are then no coincidence."
            )
        checkpoints = workspace.root / "checkpoints"
        yield Parcel(str(named), ledger.parcel_rows(), workspace.read_blob, checkpoints)


def _unpack(path: Path, folder: Path) -> None:
    """Write the members of a packed file to a folder."""
    try:
        with zipfile.ZipFile(path) as file:
            members = file.infolist()
            strange = [info.filename for info in members if not _MEMBER.fullmatch(info.filename)]
            if strange or "ledger.db" not in file.namelist():
                what = f"it has {strange[0]!r}" if strange else "it has no ledger.db"
                raise DataError(
                    f"{path} was not written by `recrepro pack`: {what}. Nothing was taken."
                )
            for info in members:
                if info.file_size > min(LARGEST_MEMBER, max(2**20, RATIO * info.compress_size)):
                    raise DataError(
                        f"{path}: {info.filename!r} unpacks to {info.file_size:,} bytes from "
                        f"{info.compress_size:,}, which `recrepro pack` never writes. Nothing was "
                        "taken."
                    )
                target = folder / info.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with file.open(info) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise DataError(
            f"{path} is not a whole file of `recrepro pack` ({error}). Nothing was taken: copy it "
            "again."
        ) from error
