"""Leave-one-out and leave-k-out: a fixed number of each user's interactions."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recrepro.interactions import Interactions
from recrepro.splits.base import Order, Splitter, needed_times, rank_within_user


class LeaveOneOut(Splitter):
    """Hold out one interaction of each user who has at least two.

    Interactions of a user at the same time are ordered at random, by the split's seed.
    """

    pick: Literal["last", "random"] = "last"
    """The latest interaction of the user, or a random one."""

    @property
    def order(self) -> Order:
        """Each user's latest interaction is held out, if `pick` says so."""
        return "user" if self.pick == "last" else "none"

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Mark one interaction a user."""
        return self._leave(interactions, rng, 1)

    def _leave(
        self, interactions: Interactions, rng: np.random.Generator, k: int
    ) -> NDArray[np.bool_]:
        ties = rng.random(len(interactions))
        times = (needed_times(interactions, self.called),) if self.pick == "last" else ()
        ranks = rank_within_user(interactions, (*times, ties))
        counts = interactions.user_counts[interactions.users]
        chosen: NDArray[np.bool_] = (ranks >= counts - k) & (counts > k)
        return chosen


class LeaveKOut(LeaveOneOut):
    """Hold out k interactions of each user who has more than k.

    Interactions of a user at the same time are ordered at random, by the split's seed.
    """

    k: Annotated[int, Field(ge=1)] = 5
    """How many interactions of each user are held out. Who has no more keeps all of them."""

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Mark k interactions a user."""
        return self._leave(interactions, rng, self.k)
