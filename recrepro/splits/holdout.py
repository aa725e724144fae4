"""Random holdout: a share of each user's interactions."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recrepro.interactions import Interactions
from recrepro.splits.base import Splitter, rank_within_user


class RandomHoldout(Splitter):
    """Hold out a random share of each user's interactions.

    Of n interactions round(n x fraction) are held out, but at least one where n >= 2, and never
    all. A user with one interaction keeps it in train.
    """

    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of each user's interactions that is held out."""

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Mark a random share of each user's interactions."""
        ranks = rank_within_user(interactions, (rng.random(len(interactions)),))
        counts = interactions.user_counts
        # Half up, not numpy's half to even: 5 interactions at 0.1 and 15 at 0.1 are treated alike.
        # Rounded first, because 50 x 0.29 is 14.499999999999998 in floating point.
        wanted = np.floor(np.round(counts * self.fraction, 6) + 0.5).astype(np.int64)
        wanted = np.clip(wanted, 1, counts - 1, where=counts >= 2, out=np.zeros_like(counts))
        return ranks < wanted[interactions.users]
