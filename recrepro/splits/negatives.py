"""Sampled negatives: items drawn uniformly from those a user has nothing to do with."""

import numpy as np
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
    rows = np.repeat(users, n_negatives)
    drawn = np.empty((len(users), n_negatives), np.int32)
    for place, user in enumerate(users):
        # Drawing among the free items by their rank, then shifting past the taken ones, needs no
        # rejection: the i-th free item is i plus the number of taken items before it.
        blocked = taken.indices[taken.indptr[user] : taken.indptr[user + 1]]
        picks = rng.choice(left[place], n_negatives, replace=False, shuffle=False)
        drawn[place] = picks + np.searchsorted(
            np.sort(blocked) - np.arange(len(blocked)), picks, side="right"
        )
    marks = np.ones(drawn.size, bool)
    return csr_array((marks, (rows, drawn.ravel())), shape=known.shape)
