"""What each user has interacted with, in the order of time."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recrepro.errors import ModelError
from recrepro.interactions import Interactions, sorting_order
from recrepro.randomness import generator


class Sequences:
    """The items of each user in the order of time, numbered from 1.

    Items of a user at the same time are in random order, always the same for the same data: in the
    order of their numbers they would have a pattern that says nothing of the user. Unknown times
    come before all others.

    Parameters
    ----------
    train : Interactions
        With times. Values are ignored.

    Attributes
    ----------
    lengths : array of int, shape (n_users,)
        Number of items of each user.
    """

    def __init__(self, train: Interactions) -> None:
        if train.times is None:
            raise ModelError("sequences need the times of the interactions, and these have none.")
        ties = generator(0, "ties").permutation(len(train))
        order = sorting_order(train.users, train.times, ties)
        self._items = train.items[order] + np.int32(1)
        self._starts = train.matrix.indptr
        self.lengths = train.user_counts

    def last(self, users: NDArray[np.integer], n: int, without: int = 0) -> NDArray[np.int32]:
        """Return the last items of some users, aligned at the right, after zeros.

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
        ends = self._starts[users + 1] - without
        lengths = np.minimum(self.lengths[users] - without, n)
        longest = lengths.max(initial=0)
        back = np.arange(longest, 0, -1)
        places = np.maximum(ends[:, None] - back, 0)
        return np.where(back <= lengths[:, None], self._items[places], np.int32(0))


def of_similar_length(
    lengths: NDArray[np.integer], places: int, padding: int
) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of sequences in blocks, the longest first, with little padding.

    Parameters
    ----------
    lengths : array of int, shape (n,)
        All above 0.
    places : int
        Padded places that a block has at most, unless it is one sequence.
    padding : int
        How many of them may be padding.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        block = order[start : start + max(1, places // longest)]
        n_padded = np.cumsum(longest - lengths[block])
        yield block[n_padded <= padding]
        start += int(np.count_nonzero(n_padded <= padding))
