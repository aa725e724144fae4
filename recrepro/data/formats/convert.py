"""The columns of an interaction file once read: cleaned, turned into labels and numbers."""

from collections.abc import Callable, MutableMapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recrepro.data.formats.numeric import read_numbers, read_times
from recrepro.data.formats.times import note_times
from recrepro.errors import DataError
from recrepro.text.words import count


def arrow_frame(
    arrays: MutableMapping[str, Any], where: str, locate: Callable[[int], str]
) -> pd.DataFrame:
    """Turn Arrow columns into a data frame of labels and numbers.

    Parameters
    ----------
    arrays : mapping of str to pyarrow.ChunkedArray
        Our column names to the columns as read. It is emptied, to need less memory.
    where : str
        What error messages call the file.
    locate : callable
        Names the place of a row for an error message.

    Returns
    -------
    pandas.DataFrame
        User and item as text, or as integers where whole numbers are stored as numbers; value
        as float; time as int64, or as Int64 where some are empty. `settle_times` has to give the
        times their unit.

    Raises
    ------
    DataError
        If a column is of another kind, a label, or a value, is empty, a value or a time is not a
        finite number (or, for a time, a date), or a label spans lines.
    """
    frame: dict[str, pd.Series[Any] | pd.Categorical] = {}
    times = None
    for name in tuple(arrays):
        array = arrays.pop(name)
        is_label = name in {"user", "item"}
        if pa.types.is_dictionary(array.type):
            if is_label and (categories := _categories(array)) is not None:
                frame[name] = categories
                continue
            array = pc.cast(array, array.type.value_type)
        _check_kind(array.type, name, where)
        if _is_text(array.type):
            array = _without_blanks(array, name)
        if is_label:
            array = _whole(array)
            _refuse_spanning(array, name, locate)
        if name != "time":
            _refuse_empty(array, name, locate)
        if name == "time":
            times = read_times(array, locate)
            frame[name] = times.column
        else:
            frame[name] = array.to_pandas() if is_label else read_numbers(array, name, locate)
    # Arrow keeps what it has freed for later; what comes next are no arrays of its own.
    pa.default_memory_pool().release_unused()
    read = pd.DataFrame(frame, copy=False)
    if times is not None:
        note_times(read, dates=times.dates, decimals=times.decimals)
    return read


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _without_blanks(array: Any, name: str) -> Any:
    array = pc.utf8_trim_whitespace(array)
    # pandas writes an unknown time as "nan" or "NaT"; a label may well be "nan".
    blanks = pa.array(["", "nan", "nat"] if name == "time" else [""], array.type)
    blank = pc.is_in(pc.utf8_lower(array), blanks)
    return pc.if_else(blank, pa.scalar(None, array.type), array)


def _categories(array: Any) -> pd.Categorical | None:
    """Clean distinct labels once each; None if there are others than text, or bad ones."""
    if array.null_count or not array.length() or not _is_text(array.type.value_type):
        return None
    whole = array.unify_dictionaries().combine_chunks()
    distinct = _without_blanks(whole.dictionary, "label")
    if distinct.null_count or pc.any(pc.match_substring(distinct, "\n")).as_py():
        return None
    # Two may be the same without their blanks.
    merged = distinct.dictionary_encode()
    codes = merged.indices.to_numpy()[whole.indices.to_numpy()]
    return pd.Categorical.from_codes(codes, merged.dictionary.to_pandas())


def _check_kind(kind: Any, name: str, where: str) -> None:
    kinds = pa.types
    number = (kinds.is_integer, kinds.is_floating, kinds.is_decimal, kinds.is_boolean)
    if _is_text(kind) or kinds.is_null(kind) or any(is_kind(kind) for is_kind in number):
        return
    if name == "time" and (kinds.is_timestamp(kind) or kinds.is_date(kind)):
        return
    allowed = {"value": "numbers", "time": "numbers or dates"}.get(name, "text or numbers")
    raise DataError(
        f"{where}: the column for the {name} holds {kind}, and should hold {allowed}. Convert it, "
        f"or choose another one with columns = {{ {name} = '...' }}."
    )


def _whole(labels: Any) -> Any:
    """Return floats as integers if all of them are whole: 5 and 5.0 are one user."""
    if not pa.types.is_floating(labels.type):
        return labels
    known = pc.if_else(pc.is_nan(labels), pa.scalar(None, labels.type), labels)
    try:
        return pc.cast(known, pa.int64())
    except pa.ArrowInvalid:
        return known


def _refuse_spanning(labels: Any, name: str, locate: Callable[[int], str]) -> None:
    if not _is_text(labels.type):
        return
    at = pc.index(pc.match_substring(labels, "\n"), True).as_py()
    if at >= 0:
        raise DataError(
            f"{locate(at)}: the {name} {labels[at].as_py()[:40]!r} spans lines. Is a quote left "
            f"open?"
        )


def _refuse_empty(array: Any, name: str, locate: Callable[[int], str]) -> None:
    if array.null_count:
        row = int(np.flatnonzero(array.is_null().to_numpy())[0])
        raise DataError(
            f"{locate(row)}: the {name} is empty ({count(array.null_count, 'such row')}). Fill in "
            "or remove what is empty."
        )
