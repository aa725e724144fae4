"""Times in whole numbers of a unit: which one it is, and one for files that belong together.

A frame that was read has its times as 64-bit integers. Its `attrs` say what they count, until
`settle_times` makes it one unit.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from recrepro.errors import DataError, UsageError
from recrepro.interactions import UNITS, TimeUnit

NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

LARGEST = 2**62
"""No time is further from 0."""

EXACT = pa.decimal128(38, 18)
"""How numbers are read that may have decimals."""

_LEAST = (("ns", 1e17), ("us", 1e14), ("ms", 1e11))
"""What times above a number count: as seconds since 1970, 1e11 is the year 5138."""

_BASE, _DECIMALS, _DATE = "time_base", "time_decimals", "date"


def note_times(frame: pd.DataFrame, *, dates: bool, decimals: int) -> None:
    """Note what the whole numbers of a time column are.

    Parameters
    ----------
    frame : pandas.DataFrame
        With the column.
    dates : bool
        Whether they are seconds since 1970, and not numbers of a unit that nobody has said.
    decimals : int
        0, 3, 6 or 9: by how many powers of ten they were multiplied to be whole.
    """
    frame.attrs |= {_BASE: _DATE if dates else None, _DECIMALS: decimals}


def settle_times(frames: Sequence[pd.DataFrame], stated: TimeUnit | None = None) -> TimeUnit:
    """Give the times of files that belong together one unit, in place, and return it.

    The unit of numbers is as stated, or else what the largest of all looks like; decimals make it
    finer, down to nanoseconds.

    Parameters
    ----------
    frames : sequence of pandas.DataFrame
        As read; those without times stay as they are.
    stated : {"s", "ms", "us", "ns"}, optional
        The unit of numbers.

    Raises
    ------
    UsageError
        If a unit is stated, and there are no times, or dates.
    DataError
        If times are too large for the unit, or differ by less than a nanosecond.
    """
    timed = [frame for frame in frames if "time" in frame]
    if stated is not None and not timed:
        raise UsageError(
            f"time_unit = {stated!r} goes with a column of times, and there is none. Name it with "
            "columns = { time = '...' }, or take time_unit away."
        )
    if stated is not None and any(frame.attrs.get(_BASE) == _DATE for frame in timed):
        raise UsageError(
            f"time_unit = {stated!r} is for times that are numbers, and these are dates, which "
            "have a unit of their own. Take time_unit away."
        )
    numbers = [frame for frame in timed if frame.attrs.get(_BASE) is None]
    likely = max(map(_likely_unit, numbers), key=UNITS.index, default=UNITS[0])
    base: TimeUnit = likely if stated is None else stated
    powers = [_power(frame, base) for frame in timed]
    power = min(9, max(powers, default=0))
    for frame, own in zip(timed, powers, strict=True):
        _shift(frame, power - own)
        frame.attrs |= {_BASE: UNITS[power // 3], _DECIMALS: 0}
    return UNITS[power // 3]


def time_unit_of(frame: pd.DataFrame) -> TimeUnit:
    """Return the unit of times that were settled; seconds if there are none."""
    return cast("TimeUnit", frame.attrs.get(_BASE) or UNITS[0])


def _likely_unit(frame: pd.DataFrame) -> TimeUnit:
    given = _known(frame)[0].astype(np.float64) / 10.0 ** frame.attrs.get(_DECIMALS, 0)
    largest = np.abs(given).max(initial=0)
    return next((cast("TimeUnit", unit) for unit, least in _LEAST if largest > least), UNITS[0])


def _power(frame: pd.DataFrame, base: TimeUnit) -> int:
    """Return how many powers of ten times are finer than seconds."""
    own = frame.attrs.get(_BASE) or base
    whole = 0 if own == _DATE else 3 * UNITS.index(own)
    return whole + int(frame.attrs.get(_DECIMALS, 0))


def _shift(frame: pd.DataFrame, powers: int) -> None:
    """Multiply times by a power of ten, which may be negative."""
    if not powers:
        return
    known, missing = _known(frame)
    if powers > 0:
        if np.abs(known).max(initial=0) > LARGEST // 10**powers:
            raise DataError(
                f"the time {known[np.abs(known).argmax()]} is too large to be counted as finely as "
                f"other times are: in units {10**powers:,} times smaller. Correct what is wrong."
            )
        shifted = known * 10**powers
    else:
        shifted = np.floor_divide(known + 10**-powers // 2, 10**-powers)
        if len(np.unique(shifted)) < len(np.unique(known)):
            raise DataError(too_fine())
    whole = np.zeros(len(missing), np.int64)
    whole[~missing] = shifted
    frame["time"] = column(whole, missing)


def too_fine() -> str:
    """Return the message for times that no unit can tell apart."""
    return (
        "some times differ by less than a nanosecond, and nothing finer is kept. Multiply them, or "
        "say what larger unit they have."
    )


def column(whole: NDArray[np.int64], missing: NDArray[np.bool_]) -> "pd.Series[int]":
    """Return times as a column: of plain integers if none is missing."""
    if not missing.any():
        return pd.Series(whole)
    return pd.Series(pd.arrays.IntegerArray(whole, missing))


def _known(frame: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the times that are known, and which rows have none."""
    missing = frame["time"].isna().to_numpy()
    return frame["time"].to_numpy(np.int64, na_value=0)[~missing], missing
