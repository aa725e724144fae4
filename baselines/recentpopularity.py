"""The most popular items of the last days, the same for everyone."""

from typing import Annotated, Self

import numpy as np
from annotated_types import Gt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array

from recrepro.errors import ModelError
from recrepro.interactions import UNKNOWN_TIME, Interactions
from recrepro.model import ModelConfig, Recommender
from recrepro.space import LogUniform


class RecentPopularity(Recommender):
    """Score an item by its number of interactions in the last days before the end of training.

    Ji, Sun, Zhang, Li: A re-visit of the popularity baseline in recommender systems. SIGIR 2020.

    Attributes
    ----------
    popularity : array of float32, shape (n_items,)
        Number of interactions of each item in the window; those outside of it count so little that
        they only order items that are equal in it.

    Notes
    -----
    The paper counts back from the moment of each test interaction. Here the window ends with the
    latest training interaction, because a model does not know when it will be tested: with a cut at
    one moment for all users this is the same up to the length of the test part. Interactions
    without a time lie outside of the window.
    """

    deterministic = True
    needs_times = True
    uses = ("times",)

    class Config(ModelConfig):
        """Hyperparameters."""

        window: Annotated[FiniteFloat, Gt(0), LogUniform(1.0, 1000.0)] = 30.0
        """Days that count."""

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Count the interactions of each item."""
        if train.times is None:
            raise ModelError("RecentPopularity needs the times of the interactions.")
        known = train.times != UNKNOWN_TIME
        latest = train.times[known].max() if known.any() else 0
        recent = train.items[known & (train.times >= latest - self.config.window * train.day)]
        counts = np.bincount(recent, minlength=train.n_items)
        # In float32, which tells counts up to 16 million apart, a rank is the sum of both orders.
        order = np.lexsort((train.item_counts, counts))
        keys = np.stack([counts, train.item_counts])[:, order]
        steps = np.append(False, (np.diff(keys, axis=1) != 0).any(axis=0))
        self.popularity = np.empty(train.n_items, np.float32)
        self.popularity[order] = np.cumsum(steps)
        return self

    def score(
        self,
        users: NDArray[np.int32],
        histories: csr_array,  # noqa: ARG002  # the same for everyone
    ) -> NDArray[np.float32]:
        """Give every user the items' popularity."""
        return np.tile(self.fitted("popularity"), (len(users), 1))
