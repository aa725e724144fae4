"""What `recrepro gc` deletes: caches and leftovers, never what a record or a running cell needs.

Whoever works on a cell has leased it before it looks for its split. So what is deleted of splits,
logs and checkpoints is decided, and moved out of the way, while nobody can take a lease.

A blob is announced to the ledger, then written, then named by a record. One that was announced and
has no record a day later was left by a process that was killed: it goes to the trash, and is
deleted when it has been there for a week. A blob that was never announced stays. It may be a result
that this ledger does not know, because an older copy of the ledger was put back.
"""

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recrepro.compute.failpoints import reach
from recrepro.durable import DRAFT
from recrepro.store.belonging import stored_blobs
from recrepro.store.entries import CellWork
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace

_FOLDERS = ("splits", "features", "logs", "checkpoints")


GRACE_SECONDS = 24 * 3600.0
"""What is younger may belong to a process that is about to use it."""


TRASH = ".gc-"
"""Start of the name that something has between the decision to delete it and its end."""


TRASH_SECONDS = 7 * 24 * 3600.0
"""How long a blob stays in the folder `trash` before it is deleted."""


WasteKind = Literal["split", "features", "log", "checkpoint", "blob", "trash", "leftover"]


KINDS: dict[WasteKind, str] = {
    "split": "splits that no cell needs which is left or running; they are drawn again on demand",
    "features": "side information that no cell needs which is left or running; it is read again",
    "log": "what the processes of done cells printed",
    "checkpoint": "checkpoints of done cells",
    "blob": "moved to trash/: blobs that no record refers to, a day old; deleted a week later",
    "trash": "blobs that have been in trash/ for a week",
    "leftover": "temporary files of processes that were killed, a day old",
}


@dataclass(frozen=True)
class Waste:
    """Something that can be deleted, or moved to the trash."""

    kind: WasteKind
    path: Path
    n_bytes: int

    @property
    def freed(self) -> int:
        """Bytes that the disk has more of when it is gone: none if it is only moved."""
        return 0 if self.kind == "blob" else self.n_bytes


def waste(workspace: Workspace, ledger: Ledger, now: float) -> list[Waste]:
    """List what can be deleted.

    Parameters
    ----------
    workspace, ledger
        A workspace.
    now : float
        Seconds since 1970; decides what is a day old.
    """
    work = ledger.work()
    found = [*_leased(workspace, work), *_blobs(workspace, ledger, now), *_trash(workspace, now)]
    whole = {one.path for one in found}
    leftovers = [path for path in _leftovers(workspace, now) if path.parent not in whole]
    return found + [Waste("leftover", path, _size(path)) for path in leftovers]


def clean(workspace: Workspace, ledger: Ledger, now: float | None = None) -> list[Waste]:
    """Delete it, or move it to the trash; return what was there."""
    now = time.time() if now is None else now
    moved: list[tuple[Waste, Path]] = []
    with ledger.standing_still():
        for one in _leased(workspace, ledger.work()):
            trash = one.path.with_name(f"{TRASH}{secrets.token_hex(8)}")
            with contextlib.suppress(FileNotFoundError):  # a worker deletes its own checkpoints
                one.path.rename(trash)
                moved.append((one, trash))
    reach("garbage-moved")
    for _, trash in moved:
        _delete(trash)
    gone = [one for one, _ in moved]
    for one in list(_trash(workspace, now)):
        one.path.unlink(missing_ok=True)
        gone.append(one)
    gone += [one for one in _blobs(workspace, ledger, now) if _discard(workspace, one, now)]
    for path in _leftovers(workspace, now):
        gone.append(Waste("leftover", path, _size(path)))
        _delete(path)
    return gone


def _leased(workspace: Workspace, work: dict[str, CellWork]) -> Iterator[Waste]:
    """Yield what leases decide about: splits, logs, checkpoints."""
    open_cells = [w for w in work.values() if w.state in ("pending", "leased") or w.lease]
    needed = {workspace.split(w.identity.split) for w in open_cells}
    for folder in sorted(workspace.splits.glob("[!.]*")):
        if folder not in needed:
            yield Waste("split", folder, _size(folder))
    described = [(w.identity.features, w.identity.split) for w in open_cells]
    needed = {workspace.features(sets, split) for sets, split in described if sets}
    for folder in sorted((workspace.root / "features").glob("[!.]*")):
        if folder not in needed:
            yield Waste("features", folder, _size(folder))
    for one in work.values():
        if one.state == "done" and one.lease is None:
            places: dict[WasteKind, Path] = {
                "log": workspace.log(one.cell),
                "checkpoint": workspace.checkpoints(one.cell),
            }
            yield from (Waste(k, path, _size(path)) for k, path in places.items() if path.exists())


def _blobs(workspace: Workspace, ledger: Ledger, now: float) -> Iterator[Waste]:
    """Yield old blobs that were announced to this ledger and that no record names."""
    kept, announced = ledger.referenced(), ledger.announced()
    for path in stored_blobs(workspace.root):
        if path.name in announced and path.name not in kept and _is_old(path, now):
            yield Waste("blob", path, _size(path))


def unknown_blobs(workspace: Workspace, ledger: Ledger) -> int:
    """Count the blobs that the ledger knows nothing of; they are never deleted."""
    stored = {path.name for path in stored_blobs(workspace.root)}
    return len(stored - ledger.referenced() - ledger.announced())


def _trash(workspace: Workspace, now: float) -> Iterator[Waste]:
    """Yield the blobs that have been in the trash long enough."""
    for path in sorted((workspace.root / "trash").glob("[!.]*")):
        if _is_old(path, now, TRASH_SECONDS):
            yield Waste("trash", path, _size(path))


def _discard(workspace: Workspace, blob: Waste, now: float) -> bool:
    """Move a blob to the trash, unless someone has written the same one again meanwhile."""
    trash = workspace.root / "trash"
    trash.mkdir(exist_ok=True)
    with workspace.blobs_lock:
        if not _is_old(blob.path, now):
            return False
        os.utime(blob.path)  # its time in the trash starts now
        blob.path.rename(trash / blob.path.name)
    return True


def _leftovers(workspace: Workspace, now: float) -> Iterator[Path]:
    """Yield drafts whose writer was killed, and what an earlier `gc` was about to delete."""
    places: Iterable[tuple[Path, str]] = (
        (workspace.root / "blobs", f"??/{DRAFT}*"),
        (workspace.splits, f"{DRAFT}*"),
        (workspace.root / "features", f"{DRAFT}*"),
        (workspace.root / "checkpoints", f"*/{DRAFT}*"),
        *((workspace.root / name, f"{TRASH}*") for name in _FOLDERS),
    )
    for folder, pattern in places:
        yield from sorted(path for path in folder.glob(pattern) if _is_old(path, now))


def _is_old(path: Path, now: float, seconds: float = GRACE_SECONDS) -> bool:
    try:
        return now - path.stat().st_mtime > seconds
    except FileNotFoundError:  # another process was faster
        return False


def _size(path: Path) -> int:
    n_bytes = 0
    with contextlib.suppress(FileNotFoundError):  # a worker deletes its own folder meanwhile
        for file in path.rglob("*") if path.is_dir() else [path]:
            with contextlib.suppress(FileNotFoundError):
                n_bytes += file.stat().st_size if file.is_file() else 0
    return n_bytes


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
