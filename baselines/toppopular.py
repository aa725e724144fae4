"""The most popular items, the same for everyone."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.interactions import Interactions
from recrepro.model import ModelConfig, Recommender


class TopPopular(Recommender):
    """Score an item by its number of interactions, whatever their values.

    Attributes
    ----------
    popularity : array of float32, shape (n_items,)
        Number of training interactions of each item.
    """

    deterministic = True

    class Config(ModelConfig):
        """There is nothing to set."""

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Count the interactions of each item."""
        self.popularity = train.item_counts.astype(np.float32)
        return self

    def score(
        self,
        users: NDArray[np.int32],
        histories: csr_array,  # noqa: ARG002  # the same for everyone
    ) -> NDArray[np.float32]:
        """Give every user the items' popularity."""
        return np.tile(self.fitted("popularity"), (len(users), 1))
