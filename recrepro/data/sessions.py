"""Users cut into sessions, where nothing happens for a while."""

import numpy as np
import pandas as pd

from recrepro.data.formats.times import time_unit_of
from recrepro.errors import UsageError
from recrepro.interactions import UNITS


def cut_sessions(frame: pd.DataFrame, gap: float) -> pd.DataFrame:
    """Give each session of a user a label of its own, which takes the place of the user's.

    A session ends where the user does nothing for longer than the gap.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns user, item and time, as `recrepro.data.formats.read.read_frame` returns them, with
        one unit for the times (`settle_times`). Not changed.
    gap : float
        Seconds.

    Returns
    -------
    pandas.DataFrame
        The same rows in the same order. User u's sessions are ``u/1``, ``u/2``, ... by time.

    Raises
    ------
    UsageError
        If there are no times, or some are empty.
    """
    if "time" not in frame:
        raise UsageError(
            "'session_gap' needs the time of each interaction, and the data have none. Name the "
            "column with columns = { time = '...' }, or take 'session_gap' away."
        )
    if n := int(frame["time"].isna().sum()):
        raise UsageError(
            f"'session_gap' needs the time of each interaction, and {n:,} of {len(frame):,} have "
            "none. Take these rows, or 'session_gap', away."
        )
    units = gap * 1000 ** UNITS.index(time_unit_of(frame))
    users, labels = pd.factorize(frame["user"])
    times = frame["time"].to_numpy(np.int64)
    order = np.lexsort((times, users))
    users, times = users[order], times[order]
    another = np.ones(len(order), bool)
    another[1:] = users[1:] != users[:-1]
    starts = another.copy()
    starts[1:] |= np.diff(times) > units
    numbers = np.cumsum(starts)
    first = numbers[another]
    numbers = numbers - np.repeat(first, np.diff([*np.flatnonzero(another), len(order)])) + 1
    names = np.asarray(labels).astype(str).astype(object)[users] + "/" + numbers.astype(str)
    sessions = np.empty(len(order), object)
    sessions[order] = names
    return frame.assign(user=sessions)
