"""The columns of an interaction file: found by name, cleaned, turned into text and numbers."""

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recrepro.errors import DataError

COLUMNS = {
    "user": ("user", "userid", "uid", "visitorid", "reviewerid"),
    "item": ("item", "itemid", "iid", "movieid", "artistid", "productid", "gameid", "asin"),
    "value": ("value", "rating", "stars", "weight", "count"),
    "time": ("time", "timestamp", "datetime", "date", "unixreviewtime"),
}
"""Our columns, and the names that need no mapping (case, blanks and underscores do not count)."""


def match_columns(header: Sequence[str], columns: Mapping[str, str], where: str) -> dict[str, int]:
    """Find the position of each of our columns in a file's header.

    Parameters
    ----------
    header : sequence of str
        The file's column names; a type after a colon is ignored.
    columns : mapping of str to str
        Our names to the file's, where the usual names do not do.
    where : str
        What error messages call the file.

    Raises
    ------
    DataError
        If the user, the item or a column named in `columns` is not there.
    """
    names = [name.strip() for name in header]
    plain = [re.sub(r"[^a-z0-9]", "", name.split(":")[0].lower()) for name in names]
    found = {}
    for ours, usual in COLUMNS.items():
        theirs = columns.get(ours)
        known = [name for name in usual if name in plain]
        if theirs in names:
            found[ours] = names.index(theirs)
        elif theirs is None and known:
            found[ours] = plain.index(known[0])
        elif theirs is not None or ours in {"user", "item"}:
            near = get_close_matches(theirs or ours, names, n=1, cutoff=0.5)
            raise DataError(
                f"{where} has no column {theirs or ours!r}; its first line gives "
                f"{', '.join(map(repr, names))}. "
                + (f"Did you mean {near[0]!r}? " if near else "")
                + f"Say which column it is with columns = {{ {ours} = '...' }}; a file without "
                f"a header line needs one."
            )
    return found


def arrow_frame(arrays: Mapping[str, Any], locate: Callable[[int], str]) -> pd.DataFrame:
    """Turn Arrow columns into a data frame of labels and numbers.

    Parameters
    ----------
    arrays : mapping of str to pyarrow.ChunkedArray
        Our column names to the columns as read.
    locate : callable
        Names the place of a row for an error message.

    Raises
    ------
    DataError
        If a value or a time is not a finite number (or, for a time, a date), or a label spans
        lines.
    """
    frame = {}
    for name, given in arrays.items():
        array = given
        if pa.types.is_dictionary(array.type):
            array = pc.cast(array, array.type.value_type)
        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            array = pc.utf8_trim_whitespace(array)
            # pandas writes an unknown time as "nan" or "NaT"; a label may well be "nan".
            blanks = pa.array(["", "nan", "nat"] if name == "time" else [""], array.type)
            blank = pc.is_in(pc.utf8_lower(array), blanks)
            array = pc.if_else(blank, pa.scalar(None, array.type), array)
        if name in {"user", "item"}:
            frame[name] = array.to_pandas()
            if pa.types.is_string(array.type) and (at := _first_spanning(array)) is not None:
                raise DataError(
                    f"{locate(at)}: the {name} {frame[name].iloc[at][:40]!r} spans lines. Is a "
                    f"quote left open?"
                )
        else:
            frame[name] = _numbers(array, name, locate)
    return pd.DataFrame(frame)


def _first_spanning(labels: Any) -> int | None:
    at = pc.index(pc.match_substring(labels, "\n"), True).as_py()
    return None if at < 0 else int(at)


def _numbers(array: Any, name: str, locate: Callable[[int], str]) -> "pd.Series[float]":
    try:
        given = numbers = pc.cast(array, pa.float64()).to_pandas()
    except pa.ArrowException:
        given = array.to_pandas()
        numbers = _dates(given) if name == "time" else None
        if numbers is None:
            numbers = pd.to_numeric(given, errors="coerce")
    # What the file leaves empty is Arrow's null, and for the caller to judge; NaN is not null.
    bad = array.is_valid().to_numpy() & ~np.isfinite(numbers.to_numpy(np.float64))
    if name == "time" and pa.types.is_floating(array.type):
        bad &= numbers.notna().to_numpy()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        allowed = "a finite number" + (" or a date such as 2024-05-31" if name == "time" else "")
        raise DataError(
            f"{locate(row)}: the {name} '{given.iloc[row]}' is not {allowed} "
            f"({int(bad.sum())} such rows). Correct or remove these rows."
        )
    finite: pd.Series[float] = numbers.astype(np.float64)
    return finite


def _dates(given: "pd.Series[Any]") -> "pd.Series[float] | None":
    """Return seconds since 1970 (UTC where no zone is given), or None if nothing is a date."""
    dates = pd.to_datetime(given, format="ISO8601", utc=True, errors="coerce")
    if dates.isna().all():
        return None
    seconds: pd.Series[float] = (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    return seconds
