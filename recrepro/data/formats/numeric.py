"""Columns of values and of times, as numbers."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recrepro.data.formats.times import EXACT, LARGEST, column, too_fine
from recrepro.errors import DataError
from recrepro.text.words import count

Locate = Callable[[int], str]
"""Names the place of a row for an error message."""

_LARGEST_VALUE = float(np.finfo(np.float32).max)
"""What `Interactions` and features can hold, beside `LARGEST` of times."""

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"

_FRACTION = r"^(?P<before>.*(\d\d:\d\d:\d\d|[T ]\d{6}))[.,](?P<digits>\d+)(?P<after>.*)$"
"""A moment with a fraction of a second."""

_WIDE = pa.decimal256(76, 38)


class Times(NamedTuple):
    """Times as whole numbers, and what they are.

    Parameters
    ----------
    column : Series of int64, or of Int64 if some are missing
        The numbers, or the seconds since 1970 of dates, times a power of ten.
    dates : bool
        True if they were dates.
    decimals : int
        The power of ten: 0, 3, 6 or 9.
    """

    column: "pd.Series[int]"
    dates: bool
    decimals: int


def read_numbers(array: Any, name: str, locate: Locate) -> "pd.Series[float]":
    """Return a column as float64, NaN where it is null.

    Parameters
    ----------
    array : pyarrow.ChunkedArray
        Numbers, or text.
    name : str
        What messages call it.
    locate : callable
        Names the place of a row for a message.

    Raises
    ------
    DataError
        If one is not a finite number, or too large.
    """
    try:
        given = numbers = pc.cast(array, pa.float64()).to_pandas()
    except pa.ArrowException:
        given = array.to_pandas()
        numbers = pd.to_numeric(given, errors="coerce")
    sizes = np.abs(numbers.to_numpy(np.float64))
    _refuse(name, array.is_valid().to_numpy(), given, sizes, "a finite number", locate)
    finite: pd.Series[float] = numbers.astype(np.float64)
    return finite


def read_times(array: Any, locate: Locate) -> Times:
    """Return times as whole numbers, without loss; dates in UTC where they give no zone.

    Raises
    ------
    DataError
        If one is neither a finite number nor a date, is too large, or is finer than a nanosecond.
    """
    is_a = pa.types
    if is_a.is_timestamp(array.type) or is_a.is_date(array.type):
        return _of_timestamps(array)
    if is_a.is_string(array.type) or is_a.is_large_string(array.type):
        return _of_text(array, locate)
    if is_a.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    _refuse_large(array, "a finite number or a date such as 2024-05-31", locate)
    if is_a.is_decimal(array.type):
        return _of_decimals(array)
    try:
        return Times(_from_arrow(pc.cast(array, pa.int64())), dates=False, decimals=0)
    except pa.ArrowInvalid:
        # A float has the shortest text that means it: what a text file would hold.
        return _of_decimals(pc.cast(array, pa.string()))


def _of_text(text: Any, locate: Locate) -> Times:
    """Read numbers, or dates where most are no numbers."""
    is_number = pc.match_substring_regex(text, _NUMBER)
    n_numbers = pc.sum(is_number).as_py() or 0
    if 2 * n_numbers < len(text) - text.null_count:
        dates = _of_dates(pc.if_else(is_number, pa.scalar(None, text.type), text), text, locate)
        if dates is not None:
            return dates
        allowed = "a finite number or a date such as 2024-05-31"
    else:
        allowed = "a finite number, as other times here are"
    numbers = pc.if_else(is_number, text, pa.scalar(None, text.type))
    sizes = np.abs(pc.cast(numbers, pa.float64()).to_pandas().to_numpy(np.float64))
    _refuse("time", text.is_valid().to_numpy(), text.to_pandas(), sizes, allowed, locate)
    return _of_decimals(numbers)


def _of_dates(dates: Any, text: Any, locate: Locate) -> Times | None:
    """Read ISO dates; None if there is none among them."""
    given = dates.to_pandas()
    parts = given.str.extract(_FRACTION) if _any(dates, _FRACTION) else None
    if parts is not None:
        has = parts["digits"].notna()
        given = given.mask(has, parts["before"] + parts["after"])
    moments = pd.to_datetime(given, format="ISO8601", utc=True, errors="coerce")
    if not moments.notna().any():
        return None
    whole = moments.dt.as_unit("s")
    known = (whole == moments).to_numpy()
    allowed = "a date, as other times here are"
    sizes = np.where(known, 0.0, np.nan)
    _refuse("time", text.is_valid().to_numpy(), text.to_pandas(), sizes, allowed, locate)
    seconds = whole.astype("int64").to_numpy().copy()
    seconds[~known] = 0
    if parts is None:
        return Times(column(seconds, ~known), dates=True, decimals=0)
    digits = parts["digits"].fillna("").str.rstrip("0")
    longest = int(digits.str.len().max())
    if longest > 9:
        row = int(digits.str.len().to_numpy().argmax())
        raise DataError(
            f"{locate(row)}: the time {text[row].as_py()!r} is finer than a nanosecond. Cut such "
            "fractions to nine digits."
        )
    decimals = -(-longest // 3) * 3
    nanoseconds = digits.str.ljust(9, "0").astype("int64").to_numpy(np.int64)
    _refuse_overflow(float(np.abs(seconds).max()), decimals)
    return Times(
        column(seconds * 10**decimals + nanoseconds // 10 ** (9 - decimals), ~known),
        dates=True,
        decimals=decimals,
    )


def _of_timestamps(array: Any) -> Times:
    """Take stored moments in the coarsest unit that has all of them."""
    if pa.types.is_date(array.type):
        array = pc.cast(array, pa.timestamp("s"))
    powers = {"s": 0, "ms": 3, "us": 6, "ns": 9}
    numbers = _from_arrow(pc.cast(array, pa.int64()))
    missing = numbers.isna().to_numpy()
    whole = numbers.to_numpy(np.int64, na_value=0).astype(np.int64, copy=False)
    decimals = powers[array.type.unit]
    while decimals and not (whole % 1000).any():
        whole, decimals = whole // 1000, decimals - 3
    return Times(column(whole, missing), dates=True, decimals=decimals)


def _of_decimals(array: Any) -> Times:
    """Multiply numbers, given as text or as decimals, until they are whole."""
    try:
        exact = pc.cast(array, EXACT)
    except pa.ArrowInvalid:
        exact = _rounded(array, EXACT)
    for decimals in (0, 3, 6, 9):
        try:
            scaled = pc.cast(exact, pa.decimal128(38, decimals))
            break
        except pa.ArrowInvalid:
            continue
    else:
        scaled = _rounded(exact, pa.decimal128(38, 9))
    largest = pc.max(pc.abs(exact)).as_py()
    _refuse_overflow(float(largest or 0), decimals)
    return Times(_unscaled(scaled), dates=False, decimals=decimals)


def _rounded(array: Any, kind: Any) -> Any:
    """Round numbers to fewer decimals; refuse to make two the same."""
    try:
        wide = pc.cast(array, _WIDE)
        rounded = pc.cast(pc.round(wide, ndigits=kind.scale), kind)
    except pa.ArrowInvalid as error:
        raise DataError(too_fine()) from error
    if pc.count_distinct(rounded).as_py() < pc.count_distinct(wide).as_py():
        raise DataError(too_fine())
    return rounded


def _unscaled(decimals: Any) -> "pd.Series[int]":
    """Return the whole numbers that decimals are stored as."""
    chunks = decimals.chunks if isinstance(decimals, pa.ChunkedArray) else [decimals]
    whole = np.concatenate([np.empty(0, np.int64), *map(_low_words, chunks)])
    return column(np.where(missing := decimals.is_null().to_numpy(), 0, whole), missing)


def _low_words(decimals: Any) -> NDArray[np.int64]:
    """Return the lower 64 of the 128 bits of each number."""
    words = np.frombuffer(decimals.buffers()[1], np.int64).reshape(-1, 2)
    return words[decimals.offset : decimals.offset + len(decimals), 0]


def _from_arrow(array: Any) -> "pd.Series[int]":
    missing = array.is_null().to_numpy()
    filled = pc.fill_null(array, 0) if missing.any() else array
    return column(filled.to_numpy(), missing)


def _any(text: Any, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(text, pattern)).as_py())


def _refuse_large(array: Any, allowed: str, locate: Locate) -> None:
    numbers = pc.cast(array, pa.float64(), safe=False).to_pandas()
    sizes = np.abs(numbers.to_numpy(np.float64))
    _refuse("time", array.is_valid().to_numpy(), array.to_pandas(), sizes, allowed, locate)


def _refuse_overflow(largest: float, decimals: int) -> None:
    if largest * 10.0**decimals > LARGEST:
        raise DataError(
            f"there is a time of {largest:g} and times with decimals: both do not fit into 64 bits."
            " Correct what is wrong."
        )


def _refuse(
    name: str,
    given: NDArray[np.bool_],
    shown: "pd.Series[Any]",
    sizes: NDArray[np.float64],
    allowed: str,
    locate: Locate,
) -> None:
    """Refuse what is given and has no size that fits, NaN being that of what is no number."""
    limit = float(LARGEST) if name == "time" else _LARGEST_VALUE
    bad = given & ~(sizes <= limit)
    if not bad.any():
        return
    row = int(np.flatnonzero(bad)[0])
    large = np.isfinite(sizes[row])
    raise DataError(
        f"{locate(row)}: the {name} '{shown.iloc[row]}' is "
        + (f"too large: the limit is {limit:.2g}" if large else f"not {allowed}")
        + f" ({count(int(bad.sum()), 'such row')}). "
        + _cure(name, str(shown.iloc[row]))
    )


def _cure(name: str, given: str) -> str:
    """Say what to do about a value or time that is none."""
    if name == "time" and re.fullmatch(r"\d{1,2}[./-]\d{1,2}[./-]\d{4}.*", given.strip()):
        return "Write dates with the year first, as in 2024-05-31."
    return "Correct or remove what is wrong."
