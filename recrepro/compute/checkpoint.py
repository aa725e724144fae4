"""A file that a long training goes on from after an interruption."""

import io
import json
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recrepro.compute.failpoints import reach
from recrepro.durable import new_file

SECONDS_BETWEEN = 60.0
"""How much work may be lost, unless an epoch takes longer."""


class Checkpoint:
    """What a training needs to go on, in an ``.npz`` file that is replaced as a whole.

    Only arrays and plain values are stored: reading it never unpickles anything.

    Parameters
    ----------
    path : Path
        The file; its folder is made when needed.
    seconds : float
        Least wall time between two writings.
    """

    def __init__(self, path: Path, seconds: float = SECONDS_BETWEEN) -> None:
        self.path = path
        self._seconds = seconds
        self._written = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() - self._written >= self._seconds

    def stage(self, name: str) -> "Checkpoint":
        """Return the checkpoint of a part of the training that comes before the rest."""
        return Checkpoint(self.path.with_suffix(f".{name}{self.path.suffix}"), self._seconds)

    def write(self, arrays: Mapping[str, NDArray[Any]], notes: Mapping[str, Any]) -> None:
        """Replace the file.

        Parameters
        ----------
        arrays : mapping of str to array
            The state of the model.
        notes : mapping of str to object
            Plain values, as JSON has them.
        """
        parts = {f"array {name}": array for name, array in arrays.items()}
        parts["notes"] = _as_bytes(notes)
        with new_file(self.path) as draft, draft.open("wb") as file:
            np.savez(file, **parts)  # type: ignore[arg-type]  # numpy stubs: allow_pickle
            reach("checkpoint-drafted")
        reach("checkpoint-stored")
        self._written = time.monotonic()

    def read(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
        """Return arrays and notes, or None if there is no file or it was damaged."""
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                parts = dict(stored)
            notes = json.loads(parts.pop("notes").tobytes())
            narrowed = json.loads(parts.pop("narrowed").tobytes()) if "narrowed" in parts else []
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
            return None
        arrays = {name.removeprefix("array "): part for name, part in parts.items()}
        return arrays | {name: arrays[name].astype(np.float64) for name in narrowed}, notes

    def remove(self) -> None:
        """Delete the file and those of the stages, once the training is over."""
        for path in self.path.parent.glob(f"{self.path.stem}.*"):
            path.unlink(missing_ok=True)


def compact(path: Path) -> bytes:
    """Return a checkpoint as small as it can be without a change of the training.

    Arrays of float64 become float32 where that keeps every value, which it does for what was
    computed in float32; `Checkpoint.read` gives the wider type back. The arrays are compressed.

    Parameters
    ----------
    path : Path
        The file of a checkpoint.

    Returns
    -------
    bytes
        Content for a file that `Checkpoint.read` reads. A damaged file is returned as it is.
    """
    stored = Checkpoint(path).read()
    if stored is None:
        return path.read_bytes()
    arrays, notes = stored
    narrowed = {}
    for name, array in arrays.items():
        if array.dtype == np.float64:
            with np.errstate(over="ignore"):
                narrow = array.astype(np.float32)
            if np.array_equal(narrow.astype(np.float64), array, equal_nan=True):
                narrowed[name] = narrow
    parts = {f"array {name}": array for name, array in (arrays | narrowed).items()}
    parts["notes"] = _as_bytes(notes)
    if narrowed:
        parts["narrowed"] = _as_bytes(sorted(narrowed))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **parts)  # type: ignore[arg-type]  # numpy stubs: allow_pickle
    return buffer.getvalue()


def _as_bytes(content: Any) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(content).encode(), np.uint8)
