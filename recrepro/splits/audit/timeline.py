"""The interactions of test users, in the order of their times, and where test lies among them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recrepro.interactions import UNKNOWN_TIME, Interactions, row_starts, sorting_order


@dataclass(frozen=True, eq=False)
class Timeline:
    """Interactions with a known time of users who have some in history and in test.

    Rows are sorted by user, time and item number. A **moment** is all rows of one user and time.

    Parameters
    ----------
    users, items : array of int32, shape (n,)
        Of the data set.
    times : array of int64, shape (n,)
        Never `UNKNOWN_TIME`.
    is_test : array of bool, shape (n,)
        Which rows are of the test part.
    n_users : int
        Number of labels of users.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    times: NDArray[np.int64]
    is_test: NDArray[np.bool_]
    n_users: int

    @classmethod
    def of(cls, history: Interactions, test: Interactions) -> "Timeline | None":
        """Return the timeline of two parts, or None if there is nothing to compare."""
        if history.times is None or test.times is None:
            return None
        parts = [history.select(history.times != UNKNOWN_TIME)]
        parts.append(test.select(test.times != UNKNOWN_TIME))
        both = (parts[0].user_counts > 0) & (parts[1].user_counts > 0)
        parts = [part.select(both[part.users]) for part in parts]
        if not len(parts[1]):
            return None
        users, items, times = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("users", "items", "times")
        )
        is_test = np.repeat([False, True], [len(part) for part in parts])
        order = sorting_order(users, times, items)
        return cls(users[order], items[order], times[order], is_test[order], history.n_users)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Number of rows of each user, shape (n_users,)."""
        return np.bincount(self.users, minlength=self.n_users)

    @cached_property
    def of_user(self) -> NDArray[np.bool_]:
        """Whether a row has the user of the row before, shape (n - 1,)."""
        same: NDArray[np.bool_] = self.users[1:] == self.users[:-1]
        return same

    @cached_property
    def tied(self) -> NDArray[np.bool_]:
        """Whether a row has user and time of the row before, shape (n - 1,)."""
        same: NDArray[np.bool_] = self.of_user & (self.times[1:] == self.times[:-1])
        return same

    @cached_property
    def tie_rate(self) -> NDArray[np.float64]:
        """Share of neighbouring rows of each user that are tied, shape (n_users,)."""
        n_tied = np.bincount(self.users[1:][self.tied], minlength=self.n_users)
        rate: NDArray[np.float64] = n_tied / np.maximum(self.lengths - 1, 1)
        return rate

    @cached_property
    def _history_before(self) -> NDArray[np.int64]:
        """Number of history rows before each row, and before the end, shape (n + 1,)."""
        return np.append(0, np.cumsum(~self.is_test))

    @cached_property
    def _ends(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First row, and row after the last, of each test row's moment."""
        starts = np.flatnonzero(np.append(True, ~self.tied))
        stops = np.append(starts[1:], len(self.users))
        moment = np.searchsorted(starts, np.flatnonzero(self.is_test), side="right") - 1
        return starts[moment], stops[moment]

    @cached_property
    def n_same(self) -> NDArray[np.int64]:
        """Number of history rows at the moment of each test row, shape (n_test,)."""
        first, stop = self._ends
        same: NDArray[np.int64] = self._history_before[stop] - self._history_before[first]
        return same

    @cached_property
    def test_users(self) -> NDArray[np.int32]:
        """The user of each test row, shape (n_test,)."""
        return self.users[self.is_test]

    @property
    def share_earlier(self) -> NDArray[np.float64]:
        """Share of the user's history that is earlier than each test row; equal times half."""
        starts, before = row_starts(self.lengths), self._history_before
        at_start, at_end = before[starts[self.test_users]], before[starts[self.test_users + 1]]
        earlier = before[self._ends[0]] - at_start
        share: NDArray[np.float64] = (earlier + self.n_same / 2) / (at_end - at_start)
        return share

    @property
    def places_in_ties(self) -> NDArray[np.int64]:
        """Say where test rows stand by item number among the history rows of their moment.

        Returns
        -------
        array of int64, shape (n_test,)
            1 above all of them, -1 below all of them, 0 otherwise or if there are none.
        """
        rows, (first, stop) = np.flatnonzero(self.is_test), self._ends
        before = self._history_before
        none_below = before[rows] == before[first]
        none_above = before[stop] == before[rows]
        # Rows of a moment stand in the order of their item numbers.
        places: NDArray[np.int64] = none_above.astype(np.int64) - none_below
        return places


def mean_by_user(users: NDArray[np.int32], values: NDArray[np.float64]) -> tuple[float, float, int]:
    """Return mean over users of their means, its standard error, and the number of users."""
    counts = np.bincount(users)
    means = np.bincount(users, values)[counts > 0] / counts[counts > 0]
    n = len(means)
    error = float(means.std(ddof=1) / np.sqrt(n)) if n > 1 else np.inf
    return float(means.mean()), error, n
