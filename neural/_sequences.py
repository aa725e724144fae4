"""Sequences that are computed together."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


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
