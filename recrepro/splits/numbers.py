"""Secret numbers of users and items, so that a model cannot tell whom its rows and columns mean.

A model that is given the labels of a data set, or its order, finds the test part in any copy of
the raw file: what the file has and the model was not given. A stored split therefore has numbers
of its own and no labels. They are a function of the key of the test part: whoever holds that can
compute them again, and the process that tunes and fits cannot.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.features import Features, FeatureSet
from recrepro.interactions import Interactions, sorting_order
from recrepro.labels import TEXT, Labels
from recrepro.splits.keys import derived


@dataclass(frozen=True, eq=False)
class SecretNumbers:
    """A permutation of the users of a split, and one of its items.

    Parameters
    ----------
    users, items : array of int32, shape (n_users,) and (n_items,)
        The secret number of each index.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]

    @classmethod
    def derive(cls, key: bytes, n_users: int, n_items: int) -> "SecretNumbers":
        """Derive the numbers of a split from the key of its test part."""
        seed = derived(key, b"recrepro: numbers of users and items")
        rng = np.random.Generator(np.random.PCG64(int.from_bytes(seed)))
        users, items = (rng.permutation(n).astype(np.int32) for n in (n_users, n_items))
        return cls(users, items)

    def hide(self, part: Interactions) -> Interactions:
        """Return the same interactions under the secret numbers, with `hidden_labels`."""
        users, items = self.users[part.users], self.items[part.items]
        order = sorting_order(users, items)
        return Interactions(
            users[order],
            items[order],
            part.values[order],
            None if part.times is None else part.times[order],
            hidden_labels(len(self.users)),
            hidden_labels(len(self.items)),
            time_unit=part.time_unit,
        )

    def hide_matrix(self, matrix: csr_array) -> csr_array:
        """Return a matrix of users and items with its rows and columns in the secret order."""
        return _permuted(matrix, self.users, self.items)

    def hide_features(self, features: Features) -> Features:
        """Return features that have a row for each user or item, in the secret order."""
        return replace(features, sets=tuple(map(self._hide_set, features.sets)))

    def _hide_set(self, one: FeatureSet) -> FeatureSet:
        numbers = self.users if one.side == "user" else self.items
        matrix = _permuted(one.matrix, numbers, numbers if one.links else None)
        ids = hidden_labels(len(numbers))
        return replace(one, ids=ids, matrix=matrix, columns=ids if one.links else one.columns)


@lru_cache(maxsize=8)
def hidden_labels(n: int) -> Labels:
    """Return labels for secret numbers, which are in no table that a model may have: ``hidden-0``.

    Numbers would be: a model that looks up what it knows of item 17 has to fail, and not to find
    what belongs to another item. All callers share the array, which cannot be changed.
    """
    labels: Labels = np.strings.add("hidden-", np.arange(n).astype(TEXT)).astype(TEXT)
    labels.setflags(write=False)
    return labels


def in_secret_order(labels: Labels, numbers: NDArray[np.int32]) -> Labels:
    """Return the labels by secret number, given those by index."""
    ordered = labels.copy()
    ordered[numbers] = labels
    return ordered


def _permuted(
    matrix: csr_array, rows: NDArray[np.int32], columns: NDArray[np.int32] | None
) -> csr_array:
    """Move row i to rows[i], and column j to columns[j]."""
    found = csr_array(matrix[np.argsort(rows)])
    if columns is not None:
        indices = columns[found.indices].astype(found.indices.dtype)
        found = csr_array((found.data, indices, found.indptr), shape=found.shape)
    found.sort_indices()
    return found
