"""Leave-one-out: one interaction of each user."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recrepro.data.dataset import Dataset
from recrepro.interactions import Interactions
from recrepro.splits.base import Splitter, needed_times, rank_within_user


class LeaveOneOut(Splitter):
    """Hold out one interaction of each user who has at least two.

    Interactions of a user at the same time are ordered at random, by the split's seed.
    """

    pick: Literal["last", "random"] = "last"
    """The latest interaction of the user, or a random one."""

    def check(self, dataset: Dataset) -> None:
        """Refuse data without times if the latest interaction is wanted."""
        if self.pick == "last":
            needed_times(dataset.interactions, "leave-one-out")

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Mark one interaction a user."""
        ties = rng.random(len(interactions))
        if self.pick == "last":
            keys = (needed_times(interactions, "leave-one-out"), ties)
            ranks = rank_within_user(interactions, keys)
        else:
            ranks = rank_within_user(interactions, (ties,))
        counts = interactions.user_counts[interactions.users]
        chosen: NDArray[np.bool_] = (ranks == counts - 1) & (counts >= 2)
        return chosen
