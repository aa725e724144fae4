"""Random holdout: a random share of each user's interactions, or of all of them."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recrepro.interactions import Interactions
from recrepro.splits.base import Splitter, rank_within_user, rounded_share


class RandomHoldout(Splitter):
    """Hold out a random share of each user's interactions, or of all interactions.

    Of a user's n interactions round(n x fraction) are held out, but at least one where n >= 2, and
    never all: a user with one interaction keeps it in train. Over all interactions, floor(n x
    fraction) are held out whosever they are.
    """

    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share that is held out."""
    over: Literal["user", "all"] = "user"
    """Whether it is a share of each user's interactions, or of all of them."""

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Mark a random share."""
        draws = rng.random(len(interactions))
        if self.over == "all":
            n_held = int(np.round(len(draws) * self.fraction, 6))
            held = np.zeros(len(draws), bool)
            held[np.argsort(draws, kind="stable")[:n_held]] = True
            return held
        ranks = rank_within_user(interactions, (draws,))
        return ranks < rounded_share(interactions.user_counts, self.fraction)[interactions.users]
