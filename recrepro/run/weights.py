"""What a fitted model has learned, as arrays in an ``.npz`` file; nothing is pickled."""

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recrepro.model import Recommender

if TYPE_CHECKING:
    from numpy.typing import NDArray


def weights_of(model: Recommender) -> bytes | None:
    """Write what a model has learned.

    Parameters
    ----------
    model : Recommender
        Fitted. If it has a method ``save(path)``, that writes the file. Of others, attributes that
        are arrays or numbers are stored under their names, sparse ones as ``<name>.data``,
        ``<name>.indices``, ``<name>.indptr`` and ``<name>.shape``.

    Returns
    -------
    bytes or None
        An ``.npz`` file, which ``numpy.load(file, allow_pickle=False)`` reads; None if the model
        keeps nothing of these kinds.
    """
    save = getattr(model, "save", None)
    if save is not None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.npz"
            save(path)
            return path.read_bytes()
    arrays: dict[str, NDArray[Any]] = {}
    for name, value in vars(model).items():
        if hasattr(value, "tocsr"):
            matrix = value.tocsr()
            parts = {key: getattr(matrix, key) for key in ("data", "indices", "indptr")}
            arrays |= {f"{name}.{key}": part for key, part in parts.items()}
            arrays[f"{name}.shape"] = np.array(matrix.shape)
        elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
            arrays[name] = value
        elif isinstance(value, int | float):
            arrays[name] = np.asarray(value)
    if not arrays:
        return None
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy stubs: allow_pickle
    return buffer.getvalue()
