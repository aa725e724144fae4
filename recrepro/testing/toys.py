"""Interactions and features small enough to fit any model within a second."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from recrepro.features import Features, FeatureSet
from recrepro.interactions import Interactions
from recrepro.randomness import generator


def interactions_from(rows: ArrayLike, *, timed: bool = False) -> Interactions:
    """Make interactions from a dense matrix.

    Parameters
    ----------
    rows : array_like, shape (n_users, n_items)
        Values of the interactions; zeros are no interactions.
    timed : bool
        Whether the interactions have times: 0, 1, 2, ... by user and item.
    """
    matrix = np.asarray(rows, np.float32)
    users, items = np.nonzero(matrix)
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        matrix[users, items],
        np.arange(len(users), dtype=np.int64) if timed else None,
        np.arange(matrix.shape[0]),
        np.arange(matrix.shape[1]),
    )


def toy_interactions(n_users: int = 40, n_items: int = 25) -> Interactions:
    """Make random interactions; the last user and the last item have none."""
    rng = generator(7, "toy interactions")
    matrix = rng.random((n_users, n_items)) < rng.random(n_items) * 0.6
    matrix[-1] = False
    matrix[:, -1] = False
    return interactions_from(matrix, timed=True)


def toy_features(
    train: Interactions,
    user_kinds: NDArray[np.int64] | None = None,
    item_kinds: NDArray[np.int64] | None = None,
) -> Features:
    """Make features of users and items: an informative one and an uninformative one.

    Parameters
    ----------
    train : Interactions
        Interactions whose users and items get the features.
    user_kinds, item_kinds : array of int, shape (n_users,) and (n_items,), optional
        The informative feature, 0 or 1; by default the parity of the index.
    """
    sets = []
    for side, kinds, ids in (
        ("user", user_kinds, train.user_ids),
        ("item", item_kinds, train.item_ids),
    ):
        n = np.arange(len(ids))
        columns = np.column_stack([n % 2 if kinds is None else kinds, 2 + n % 3])
        ones, rows = np.ones(columns.size, np.float32), np.repeat(n, 2)
        matrix = csr_array((ones, (rows, columns.ravel())), shape=(len(ids), 5))
        sets.append(FeatureSet(side, "kinds", ids, matrix, np.arange(5).astype(str)))  # type: ignore[arg-type]
    return Features(tuple(sets))
