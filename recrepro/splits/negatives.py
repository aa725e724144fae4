"""Sampled negatives: items drawn uniformly from those a user has nothing to do with."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.errors import DataError
from recrepro.interactions import Interactions


def draw_negatives(
    known: Interactions, holdout: Interactions, n_negatives: int, rng: np.random.Generator
) -> csr_array:
    """Draw distinct negatives for every user with held-out items.

    Parameters
    ----------
    known, holdout : Interactions
        Items in either are never drawn for that user.
    n_negatives : int
        How many for each user.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    csr_array of bool, shape (n_users, n_items)

    Raises
    ------
    DataError
        If some user has fewer than `n_negatives` items left.
    """
    users = np.flatnonzero(holdout.user_counts)
    # Binarised, because a stored value of 0 would vanish from the sum.
    taken = known.binarised().matrix.astype(bool) + holdout.binarised().matrix.astype(bool)
    left = known.n_items - np.diff(taken.indptr)[users]
    if len(left) and left.min() < n_negatives:
        raise DataError(
            f"{n_negatives} negatives were asked for, but a user has only {int(left.min())} items "
            "left to draw from. Ask for fewer, or rank all items (candidates = 'full')."
        )
    # Drawing among the free items by their rank, then shifting past the taken ones, needs no
    # rejection: the i-th free item is i plus the number of taken items before it. A user's taken
    # item number j has taken[j] - j free items before it.
    taken.sort_indices()
    owners = np.repeat(np.arange(known.n_users), np.diff(taken.indptr))
    free_before = taken.indices - (np.arange(taken.nnz) - taken.indptr[owners])
    picks = _distinct(left, n_negatives, known.n_items, rng)
    rows, ranks = users[picks // known.n_items], picks % known.n_items
    width = known.n_items + 1
    passed = np.searchsorted(owners * width + free_before, rows * width + ranks, side="right")
    items = ranks + passed - taken.indptr[rows]
    return csr_array((np.ones(len(items), bool), (rows, items)), shape=known.shape)


def _distinct(
    sizes: NDArray[np.int64], n: int, width: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """For each place, draw n distinct numbers below its size; return place x width + number."""
    # Repeats are drawn again, and where most are wanted, those to leave out are drawn.
    dense = 2 * n > sizes
    wanted = np.where(dense, sizes - n, n)
    drawn = np.empty(0, np.int64)
    missing = wanted
    while missing.any():
        places = np.repeat(np.arange(len(sizes)), missing)
        # Not np.union1d: from numpy 2.3 on it hashes, which takes minutes here.
        more = np.sort(places * width + rng.integers(sizes[places]))
        drawn = np.sort(np.concatenate([drawn, more]), kind="stable")
        drawn = drawn[np.diff(drawn, prepend=-1) > 0]
        missing = wanted - np.bincount(drawn // width, minlength=len(sizes))
    places = np.flatnonzero(dense)
    starts = np.cumsum(sizes[places]) - sizes[places]
    numbers = np.arange(sizes[places].sum()) - np.repeat(starts, sizes[places])
    every = np.repeat(places, sizes[places]) * width + numbers
    rest = np.setdiff1d(every, drawn, assume_unique=True)
    return np.sort(np.concatenate([drawn[~dense[drawn // width]], rest]), kind="stable")
