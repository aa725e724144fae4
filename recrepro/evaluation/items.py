"""What is known of the items from training data: popularity, who had what, features."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from recrepro.interactions import Interactions

HEAD_SHARE = 0.2
"""Items are in the head if fewer than this share of all items are more popular."""


@dataclass(frozen=True, eq=False)
class CandidateItems:
    """The items as training data show them.

    Parameters
    ----------
    train : Interactions
        What the model was fitted on.
    recommendable : array of bool, shape (n_items,)
        Items that may be recommended at all.
    features : csr_array of float, shape (n_items, n_features), or None
        Features of the items, if the data have any.
    """

    train: Interactions
    recommendable: NDArray[np.bool_]
    features: csr_array | None = None

    @property
    def popularity(self) -> NDArray[np.int64]:
        """Number of train interactions of each item."""
        return self.train.item_counts

    @cached_property
    def n_train_users(self) -> int:
        """Number of users with a train interaction."""
        return int((self.train.user_counts > 0).sum())

    @cached_property
    def head(self) -> NDArray[np.bool_]:
        """Mark the popular items."""
        return head_items(self.popularity)

    @cached_property
    def users_of_items(self) -> csr_array:
        """Row i: who has item i in train, as a vector of length 1."""
        return unit_rows(csr_array(self.train.binarised().matrix.T))

    @cached_property
    def unit_features(self) -> csr_array:
        """Row i: the features of item i, as a vector of length 1."""
        assert self.features is not None
        return unit_rows(self.features)


def head_items(popularity: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the items with fewer than a fifth of all items above them; equals are treated alike."""
    ordered = np.sort(popularity)
    n_above = len(ordered) - np.searchsorted(ordered, popularity, side="right")
    popular: NDArray[np.bool_] = n_above < HEAD_SHARE * len(ordered)
    return popular


def unit_rows(matrix: csr_array) -> csr_array:
    """Scale each row to length 1; empty rows stay empty."""
    matrix = csr_array(matrix).astype(np.float64)
    lengths = np.sqrt(matrix.multiply(matrix).sum(axis=1))
    scale = np.divide(1, lengths, out=np.zeros(len(lengths)), where=lengths > 0)
    return csr_array(diags_array(scale) @ matrix)
