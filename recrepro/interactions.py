"""Interactions: who did what, as index arrays with the data set's own labels beside them.

Longer than 350 lines: the two views of a log, by pair and in the order of time, stand together.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.errors import DataError, ModelError
from recrepro.labels import index_labels, joined, packed, unpacked

UNKNOWN_TIME = np.iinfo(np.int64).min
"""Stands for a time that the data does not give; it sorts before every known one."""

TimeUnit = Literal["s", "ms", "us", "ns"]

UNITS: tuple[TimeUnit, ...] = ("s", "ms", "us", "ns")
"""From coarse to fine; each is a thousandth of the one before."""

Duplicates = Literal["last", "first", "max", "sum", "error"]


@dataclass(frozen=True, eq=False)
class Interactions:
    """A set of (user, item) pairs with a value and, if known, a time.

    Rows are unique pairs, sorted by user and then item, and labels are sorted: two logs with the
    same content are the same object whatever the order of their rows.

    Parameters
    ----------
    users, items : array of int32, shape (n,)
        Row indices into `user_ids` and `item_ids`.
    values : array of float32, shape (n,)
        Rating, count or 1.
    times : array of int64, shape (n,), or None
        Since 1970 in `time_unit`, or any other order; `UNKNOWN_TIME` where it is not given.
    user_ids, item_ids : array
        The data set's own labels: int64, or text (`numpy.dtypes.StringDType`). A user or item may
        have no interaction here: parts of a split share the labels of the whole.
    time_unit : {"s", "ms", "us", "ns"}
        What the times count.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    values: NDArray[np.float32]
    times: NDArray[np.int64] | None
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    time_unit: TimeUnit = "s"

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        user: str = "user",
        item: str = "item",
        value: str | None = None,
        time: str | None = None,
        duplicates: Duplicates = "last",
        user_ids: NDArray[Any] | None = None,
        item_ids: NDArray[Any] | None = None,
    ) -> Self:
        """Build from a data frame with one row an interaction.

        Parameters
        ----------
        frame : pandas.DataFrame
            Labels of any kind; labels that all look like whole numbers become such.
        user, item, value, time : str
            Column names; without `value` every value is 1, without `time` there are no times.
            Times are whole numbers of any unit, or empty.
        duplicates : {"last", "first", "max", "sum", "error"}
            What becomes of a repeated pair: its last row stays (the latest in time, then in the
            file), or its first; or it gets the largest value or the sum of all, with the latest
            time.
        user_ids, item_ids : array, optional
            Labels to use, sorted; by default those that occur.

        Raises
        ------
        DataError
            On a missing column, an empty label, a NaN value, a time with a fraction, or a repeated
            pair under "error".
        """
        for column in (user, item, value, time):
            if column is not None and column not in frame.columns:
                raise DataError(
                    f"there is no column {column!r}; the columns are "
                    f"{', '.join(repr(str(c)) for c in frame.columns)}."
                )
        users, user_labels = index_labels(frame[user], user, user_ids)
        items, item_labels = index_labels(frame[item], item, item_ids)
        values = np.ones(len(frame), np.float32)
        largest = float(np.finfo(np.float32).max)
        if value is not None:
            values = _numbers(frame[value], value, largest).astype(np.float32)
        times = None if time is None else _times(frame[time], time)
        order = _order_by_counting(items, len(item_labels))
        users, items = users[order], items[order]
        by_user = _order_by_counting(users, len(user_labels))
        order = order[by_user]
        users, items = users[by_user], items[by_user]
        del by_user
        first = np.ones(len(users), bool)
        first[1:] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
        if times is not None and not first.all():
            repeated = ~first
            repeated[:-1] |= repeated[1:]
            rows = order[repeated]
            order[repeated] = rows[sorting_order(users[repeated], items[repeated], times[rows])]
        values = values[order]
        times = None if times is None else times[order]
        if not first.all():
            if duplicates == "error":
                at = int(np.argmin(first))
                raise DataError(
                    f"{int((~first).sum())} (user, item) pairs occur more than once, first "
                    f"({user_labels[users[at]]}, {item_labels[items[at]]})."
                )
            keep = first if duplicates == "first" else np.append(first[1:], True)
            if duplicates in ("max", "sum"):
                combine = np.maximum if duplicates == "max" else np.add
                with np.errstate(over="ignore"):
                    values = combine.reduceat(values, np.flatnonzero(first))
                if not np.isfinite(values).all():
                    wrong = f"the values of a repeated pair add up to more than {largest:.2g}"
                    raise DataError(f"{wrong}. Correct them, or use another rule than 'sum'.")
            else:
                values = values[keep]
            users, items = users[keep], items[keep]
            times = None if times is None else times[keep]
        return cls(users, items, values, times, user_labels, item_labels)

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        return f"Interactions({self.n_users} users, {self.n_items} items, {len(self)} pairs)"

    @property
    def day(self) -> int:
        """Length of a day in the unit of the times."""
        return int(86_400 * 1000 ** UNITS.index(self.time_unit))

    @property
    def n_users(self) -> int:
        """Number of user labels, with or without interactions here."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Number of item labels, with or without interactions here."""
        return len(self.item_ids)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the interaction matrix: users, items."""
        return self.n_users, self.n_items

    @property
    def n_bytes(self) -> int:
        """Memory that the columns occupy, without the labels."""
        times = 0 if self.times is None else self.times.nbytes
        return self.users.nbytes + self.items.nbytes + self.values.nbytes + times

    @cached_property
    def matrix(self) -> csr_array:
        """The interaction matrix, float32, rows users and columns items; not to be changed."""
        starts = row_starts(self.user_counts)
        matrix = csr_array((self.values, self.items, starts), shape=self.shape)
        matrix.has_canonical_format = True
        return matrix

    @cached_property
    def item_counts(self) -> NDArray[np.int64]:
        """Number of interactions of each item."""
        return np.bincount(self.items, minlength=self.n_items)

    @cached_property
    def user_counts(self) -> NDArray[np.int64]:
        """Number of interactions of each user."""
        return np.bincount(self.users, minlength=self.n_users)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content: labels, pairs, values and times, whatever the row order."""
        digest = hashlib.sha256()
        for name, array in self._arrays().items():
            is_text = array.dtype.kind in "TU"
            digest.update(f"{name}:{'U' if is_text else array.dtype.kind}:{len(array)};".encode())
            if is_text:
                digest.update(joined(array))
            else:
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def select(self, rows: NDArray[np.bool_]) -> Self:
        """Return the interactions where `rows` is true, with the labels of the whole."""
        times = None if self.times is None else self.times[rows]
        users, items, values = self.users[rows], self.items[rows], self.values[rows]
        return replace(self, users=users, items=items, values=values, times=times)

    def union(self, other: Self) -> Self:
        """Return all interactions of both, which share their labels; on a repeat `other` wins."""
        users = np.concatenate([self.users, other.users])
        items = np.concatenate([self.items, other.items])
        order = sorting_order(users, items)
        last = np.ones(len(order), bool)
        last[:-1] = (np.diff(users[order]) != 0) | (np.diff(items[order]) != 0)
        order = order[last]
        times = None
        if self.times is not None and other.times is not None:
            times = np.concatenate([self.times, other.times])[order]
        values = np.concatenate([self.values, other.values])[order]
        return replace(self, users=users[order], items=items[order], values=values, times=times)

    def in_common_with(self, other: Self) -> NDArray[np.bool_]:
        """Mark the pairs that `other`, which shares the labels, has too."""
        mine = self.users.astype(np.int64) * self.n_items + self.items
        theirs = other.users.astype(np.int64) * self.n_items + other.items
        if not len(theirs):
            return np.zeros(len(mine), bool)
        places = np.minimum(np.searchsorted(theirs, mine), len(theirs) - 1)
        common: NDArray[np.bool_] = theirs[places] == mine
        return common

    def binarised(self) -> Self:
        """Return the same pairs, each with the value 1."""
        return replace(self, values=np.ones(len(self), np.float32))

    def without_unused_labels(self) -> Self:
        """Return the same interactions with only those users and items that have some."""
        used_users, used_items = self.user_counts > 0, self.item_counts > 0
        if used_users.all() and used_items.all():
            return self
        return replace(
            self,
            users=(np.cumsum(used_users, dtype=np.int32) - 1)[self.users],
            items=(np.cumsum(used_items, dtype=np.int32) - 1)[self.items],
            user_ids=self.user_ids[used_users],
            item_ids=self.item_ids[used_items],
        )

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {
            "users": self.users,
            "items": self.items,
            "values": self.values,
            "user_ids": self.user_ids,
            "item_ids": self.item_ids,
        }
        if self.times is not None:
            arrays["times"] = self.times
        return arrays

    def save(self, path: Path) -> None:
        """Write to a ``.npz`` file (no pickle)."""
        arrays = self._arrays()
        for name in ("user_ids", "item_ids"):
            arrays |= packed(name, arrays.pop(name))
        arrays["time_unit"] = np.array(UNITS.index(self.time_unit))
        with path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy stubs: allow_pickle

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            arrays: Mapping[str, NDArray[Any]] = dict(stored)
        return cls(
            arrays["users"],
            arrays["items"],
            arrays["values"],
            arrays.get("times"),
            unpacked("user_ids", arrays),
            unpacked("item_ids", arrays),
            time_unit=UNITS[int(arrays.get("time_unit", 0))],
        )


class Sequences:
    """The items of each user in the order of time.

    Items of a user at the same time are in an order of the user's own, by a hash of both labels: in
    the order of their numbers they would have a pattern that says nothing of the user. Unknown
    times come before all others.

    Parameters
    ----------
    train : Interactions
        With times. Values are ignored.

    Attributes
    ----------
    items : array of int32, shape (n_interactions,)
        Items of all users, one user after the other, each in the order of time.
    times : array of int64, shape (n_interactions,)
        The times of these items.
    starts : array of int, shape (n_users + 1,)
        Where each user's items begin.
    lengths : array of int, shape (n_users,)
        Number of items of each user.
    """

    def __init__(self, train: Interactions) -> None:
        if train.times is None:
            raise ModelError("sequences need the times of the interactions, and these have none.")
        order = sorting_order(train.users, train.times, _hashes(train))
        self.items = train.items[order]
        self.times = train.times[order]
        self.starts = train.matrix.indptr
        self.lengths = train.user_counts

    def last(self, users: NDArray[np.integer], n: int, without: int = 0) -> NDArray[np.int32]:
        """Return the last items of some users, numbered from 1, at the right end, after zeros.

        Parameters
        ----------
        users : array of int, shape (n_chosen,)
            Who; each has at least `without` items.
        n : int
            How many items at most.
        without : int
            How many items are left out at the end.

        Returns
        -------
        array of int32, shape (n_chosen, longest)
            The longest of them has no zeros.
        """
        ends = self.starts[users + 1] - without
        lengths = np.minimum(self.lengths[users] - without, n)
        longest = lengths.max(initial=0)
        back = np.arange(longest, 0, -1)
        places = np.maximum(ends[:, None] - back, 0)
        return np.where(back <= lengths[:, None], self.items[places] + np.int32(1), np.int32(0))


def _hashes(train: Interactions) -> NDArray[np.int64]:
    """Return a number for each interaction that depends on the labels of its user and its item."""
    user, item = (
        pd.util.hash_array(np.asarray(ids, ids.dtype if ids.dtype.kind == "i" else object))
        for ids in (train.user_ids, train.item_ids)
    )
    mixed = user[train.users] ^ (item[train.items] * np.uint64(0x9E3779B97F4A7C15))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)  # as in SplitMix64
    return mixed.view(np.int64)


def sorting_order(*keys: NDArray[Any]) -> NDArray[np.int64]:
    """Return the order that sorts rows by keys, the first being the most important; stable."""
    # As np.lexsort, which takes five to ten times as long.
    columns = {str(at): key for at, key in enumerate(keys)}
    by = [(name, "ascending") for name in columns]
    order: NDArray[np.int64] = pc.sort_indices(pa.table(columns), by).to_numpy().view(np.int64)
    return order


def row_starts(counts: NDArray[np.int64]) -> NDArray[np.integer[Any]]:
    """Return where rows of a sparse matrix start, and the end: in 32 bits as long as they fit.

    Parameters
    ----------
    counts : array of int64, shape (n,)
        Number of entries in each row.
    """
    starts = np.append(0, np.cumsum(counts, dtype=np.int64))
    return starts if starts[-1] > np.iinfo(np.int32).max else starts.astype(np.int32)


def _order_by_counting(codes: NDArray[np.int32], n: int) -> NDArray[np.integer[Any]]:
    """Return the order that sorts whole numbers below n, in linear time; stable."""
    starts = np.arange(len(codes) + 1, dtype=np.int32 if len(codes) < 2**31 - 1 else np.int64)
    rows = csr_array((np.ones(len(codes), bool), codes, starts), shape=(len(codes), n))
    return rows.tocsc().indices


def _times(column: pd.Series, name: str) -> NDArray[np.int64]:
    """Return times as they are: floats would round large ones."""
    if column.dtype.kind == "M":
        moments: NDArray[np.int64] = pd.DatetimeIndex(column).asi8
        return np.where(column.isna(), UNKNOWN_TIME, moments)
    given = _numbers(column, name, 2.0**62, allow_missing=True)
    missing = np.isnan(given)
    if column.dtype.kind not in "iuf":
        column = pd.to_numeric(column, errors="coerce", dtype_backend="numpy_nullable")
    if pd.api.types.is_integer_dtype(column):
        whole = column.to_numpy(np.int64, na_value=0)
    else:
        given = np.where(missing, 0, given) if missing.any() else given
        whole = given.astype(np.int64)
        if (uneven := np.flatnonzero(whole != given)).size:
            raise DataError(
                f"the column {name!r} has {len(uneven)} times that are no whole numbers, first "
                f"{column.iloc[uneven[0]]} in row {uneven[0] + 1}. Multiply the times, such as by "
                "1000 to have milliseconds, so that none is cut."
            )
    return np.where(missing, UNKNOWN_TIME, whole) if missing.any() else whole


def _numbers(
    column: pd.Series, name: str, largest: float, *, allow_missing: bool = False
) -> NDArray[np.float64]:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    bad = ~(np.abs(numbers) <= largest)
    if allow_missing:
        bad &= column.notna().to_numpy()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"the column {name!r} has {int(bad.sum())} values that are not finite numbers "
            f"(below {largest:.2g}), first "
            f"'{column.iloc[row]}' in row {row + 1}. Correct or remove these rows."
        )
    return numbers
