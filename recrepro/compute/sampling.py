"""Draws of items that a user has not interacted with, for models that learn from pairs."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.compute.compiling import compiled


def draw_unseen(
    rng: np.random.Generator, users: NDArray[np.int32], matrix: csr_array
) -> NDArray[np.int32]:
    """Draw for each user one of the items that are not in the user's row, each equally often.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of the draws.
    users : array of int, shape (n,)
        Row numbers; a user may occur many times, but none may have every item.
    matrix : csr_array, shape (n_users, n_items)
        Its columns in order in each row.

    Returns
    -------
    array of int32, shape (n,)
        Item indices.
    """
    n_seen = matrix.indptr[users + 1] - matrix.indptr[users]
    found = np.empty(len(users), np.int32)
    unseen_items(
        users, rng.integers(matrix.shape[1] - n_seen), matrix.indptr, matrix.indices, found
    )
    return found


@compiled
def unseen_items(
    users: NDArray[np.int32],
    ranks: NDArray[np.int64],
    starts: NDArray[np.int32],
    items: NDArray[np.int32],
    found: NDArray[np.int32],
) -> None:
    """Write for each user and rank, from 0, the item of that rank among those not in the row.

    `starts` and `items` are a CSR matrix with its columns in order.
    """
    for n in range(len(users)):
        first = low = starts[users[n]]
        high = starts[users[n] + 1]
        while low < high:
            middle = (low + high) // 2
            n_unseen_before = items[middle] - (middle - first)
            if n_unseen_before > ranks[n]:
                high = middle
            else:
                low = middle + 1
        found[n] = ranks[n] + (low - first)
