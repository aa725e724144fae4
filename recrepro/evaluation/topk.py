"""From scores to ranked lists: candidates, seen items, ties."""

import numpy as np
from numpy.typing import NDArray

UNLISTED = -1
"""Fills the places of a list that is shorter than the cutoff."""


def top_k(scores: NDArray[np.float32], k: int, tie_ranks: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the columns of the k best scores of each row, best first.

    Equal scores are ordered by `tie_ranks`, so that the outcome is one exact order whatever the
    partitioning algorithm does. Scores of ``-inf`` are never listed.

    Parameters
    ----------
    scores : array of float32, shape (n, m)
        No NaN and no ``+inf``.
    k : int
        Length of the lists, at most m of which can be filled.
    tie_ranks : array of int32, shape (m,) or (n, m)
        A different non-negative number for each column; the smaller comes first among equals.

    Returns
    -------
    array of int64, shape (n, k)
        Column indices, `UNLISTED` where fewer than k columns can be listed.
    """
    n_rows, n_columns = scores.shape
    # A float32 and a tie rank make one int64 that sorts like the pair: the bits of a float sort
    # like integers once the negative half is mirrored. Adding 0 turns -0.0 into 0.0.
    bits = (scores + np.float32(0)).view(np.int32).astype(np.int64)
    bits ^= (bits >> 63) & 0x7FFFFFFF
    keys = (bits << 32) - tie_ranks
    kept = min(k, n_columns)
    best = np.argpartition(keys, n_columns - kept, axis=1)[:, n_columns - kept :]
    order = np.argsort(-np.take_along_axis(keys, best, axis=1), axis=1)
    best = np.take_along_axis(best, order, axis=1)
    best[np.isneginf(np.take_along_axis(scores, best, axis=1))] = UNLISTED
    if kept == k:
        return best
    lists = np.full((n_rows, k), UNLISTED, np.int64)
    lists[:, :kept] = best
    return lists
