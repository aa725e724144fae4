"""Labels of users and items: 64-bit integers, or text of any length, and how they are stored."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recrepro.errors import DataError

Labels = NDArray[Any]

TEXT = np.dtypes.StringDType()
"""How text is held. NumPy's text of a fixed width would take the longest label's memory for each,
and lose NUL characters at the end."""

_WHOLE = r"^(0|-?[1-9][0-9]*)$"


def as_ids(labels: pd.Series) -> Labels:
    """Return labels as int64 if every one is a plain whole number, else as text.

    "007" stays text: as a number it would meet "7".
    """
    if pd.api.types.is_integer_dtype(labels) and labels.max() <= np.iinfo(np.int64).max:
        return labels.to_numpy(np.int64)
    text = pa.array(labels.astype(str), pa.large_string(), from_pandas=True)
    try:
        if pc.all(pc.match_substring_regex(text, _WHOLE), min_count=0).as_py():
            numbers: Labels = pc.cast(text, pa.int64()).to_numpy().copy()
            return numbers
    except pa.ArrowInvalid:  # beyond 64 bits
        pass
    return _from_arrow(text)


def index_labels(
    labels: pd.Series, column: str, known: NDArray[Any] | None
) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Turn labels into indices of their sorted distinct values.

    Parameters
    ----------
    labels : pandas.Series
        A label a row.
    column : str
        What messages call it.
    known : array, optional
        The labels to use instead, sorted.

    Returns
    -------
    indices : array of int32, shape (n,)
    labels : array
        What they are indices of.

    Raises
    ------
    DataError
        If a label is empty, or is not among the known ones.
    """
    missing = labels.isna().to_numpy()
    if missing.any():
        raise DataError(
            f"the column {column!r} has {int(missing.sum())} empty labels, first in row "
            f"{int(np.flatnonzero(missing)[0]) + 1}."
        )
    codes, distinct = pd.factorize(labels)
    ids, rank = np.unique(as_ids(pd.Series(np.asarray(distinct))), return_inverse=True)
    if known is None:
        return rank.astype(np.int32)[codes], ids
    at = places(known, ids)
    if (at < 0).any():
        shown = as_text(ids) if known.dtype.kind in "TU" else ids
        raise DataError(
            f"the column {column!r} has the unknown label {shown[at < 0].tolist()[0]!r}."
        )
    return at.astype(np.int32)[rank[codes]], known


def places(labels: Labels, wanted: Labels) -> NDArray[np.int64]:
    """Return where each of the wanted labels is among others, which are distinct; -1 if nowhere.

    Numbers are compared with text as text: "007" may stand beside numbers.
    """
    # By Arrow: np.searchsorted of numpy 2.4 finds wrong places for text of more than 15 bytes.
    if not labels.dtype.kind == wanted.dtype.kind == "i":
        labels, wanted = as_text(labels), as_text(wanted)
    found = pc.index_in(_to_arrow(wanted), value_set=_to_arrow(labels))
    rows: NDArray[np.int64] = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    return rows


def as_text(labels: Any) -> Labels:
    """Return labels of any kind, or a list of them, as text."""
    given = np.asarray(labels, object if isinstance(labels, (list, tuple)) else None)
    return given.astype(TEXT, copy=False)


def to_pandas(labels: Labels) -> "pd.Series[Any]":
    """Return labels as a column."""
    if labels.dtype.kind == "T":
        return pd.Series(labels.astype(object), dtype=str)
    return pd.Series(labels)


def joined(labels: Labels) -> bytes:
    """Return labels as bytes to be hashed: NUL is between them; if one has it, with lengths."""
    text = "\x00".join(map(str, labels.tolist()))
    if text.count("\x00") <= max(len(labels) - 1, 0):
        return text.encode()
    sizes = [len(str(label).encode()) for label in labels.tolist()]
    return b"lengths:" + np.array(sizes, np.int64).tobytes() + text.encode()


def packed(name: str, labels: Labels) -> dict[str, NDArray[Any]]:
    """Return arrays that NumPy stores without pickle: text becomes bytes, and where each starts."""
    if labels.dtype.kind != "T":
        return {name: labels}
    text = _to_arrow(labels)
    _, starts, content = text.buffers()
    return {
        f"{name}.starts": np.frombuffer(starts, np.int64, len(labels) + 1),
        f"{name}.text": np.frombuffer(content or b"", np.uint8),
    }


def unpacked(name: str, arrays: Mapping[str, NDArray[Any]]) -> Labels:
    """Return the labels that `packed` made arrays of."""
    if name in arrays:
        labels = arrays[name]
        return labels.astype(TEXT) if labels.dtype.kind == "U" else labels
    starts = arrays[f"{name}.starts"]
    buffers = [None, *(pa.py_buffer(a) for a in (starts, arrays[f"{name}.text"]))]
    return _from_arrow(pa.Array.from_buffers(pa.large_string(), len(starts) - 1, buffers))


def _to_arrow(labels: Labels) -> Any:
    if labels.dtype.kind == "T":
        return pa.array(labels.astype(object), pa.large_string())
    return pa.array(labels)


def _from_arrow(text: Any) -> Labels:
    labels: Labels = text.to_numpy(zero_copy_only=False).astype(TEXT)
    return labels
