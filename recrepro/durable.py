"""Files and folders that appear whole or not at all, and survive a power failure.

Content is written to a draft beside its final place, synced to the disk, renamed, and the folder
that holds the new name is synced as well.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

DRAFT = ".draft-"
"""Start of a draft's name; the name of its final place and a random token follow."""


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Write a new file, or replace a file as a whole.

    Parameters
    ----------
    path : Path
        Final place. Missing folders above it are made.

    Yields
    ------
    Path
        Draft for the caller to write. It becomes `path` at the end, and is deleted after an error.
    """
    draft = _draft(path)
    try:
        yield draft
        _sync(draft)
        _move(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path, is_whole: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Write a new folder with all its files.

    Parameters
    ----------
    path : Path
        Final place. Missing folders above it are made.
    is_whole : callable, optional
        For a folder that several processes may write at the same time: decides under a lock
        whether the folder at `path` is complete. A complete folder is kept and the draft is
        dropped; anything else is replaced. By default only an empty folder is replaced.

    Yields
    ------
    Path
        Empty draft folder. It becomes `path` at the end, and is deleted after an error.

    Raises
    ------
    OSError
        If `path` is a folder with content and `is_whole` is not given, or the disk is full.
    """
    draft = _draft(path)
    draft.mkdir()
    try:
        yield draft
        for place in [*draft.rglob("*"), draft]:
            _sync(place)
        if is_whole is None:
            _move(draft, path)
        else:
            with FileLock(path.parent / ".lock"):
                if not is_whole(path):
                    shutil.rmtree(path, ignore_errors=True)
                    _move(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _draft(path: Path) -> Path:
    """Return the place of a new draft, in a folder whose own name is on the disk."""
    missing = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        _sync(folder.parent)
    return path.with_name(f"{DRAFT}{path.name}-{secrets.token_hex(8)}")


def _move(draft: Path, path: Path) -> None:
    draft.replace(path)
    _sync(path.parent)


def _sync(place: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk."""
    # The process of a cell may write files that it may not read.
    descriptor = os.open(place, os.O_RDONLY if place.is_dir() else os.O_WRONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
