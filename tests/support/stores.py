"""MLflow databases without runs: one is made, which takes MLflow seconds; the others are copies."""

import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from recrepro.tracking.store import make_database


def empty_store(folder: Path) -> Path:
    """Return the database without runs in a folder, made by whichever process needs it first."""
    path = folder / "mlflow.db"
    with FileLock(folder / "made.lock"):
        if not path.is_file():
            make_database(path)
    return path


def copying(folder: Path) -> Callable[[Path], None]:
    """Return what stands in for `make_database`: it copies the one of a folder."""
    return lambda path: shutil.copy(empty_store(folder), path)
