"""K-fold cross-validation."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recrepro.interactions import Interactions
from recrepro.splits.base import Role, Splitter, rank_within_user


class KFold(Splitter):
    """Divide the interactions into k folds; test on each once, with the next one for validation.

    The folds of one seed are disjoint, together all interactions, and of sizes that differ by one
    at most.
    """

    folds: Annotated[int, Field(ge=3, le=1000)] = 5
    """How many: one for test, one for validation, at least one to train on."""
    over: Literal["user", "all"] = "user"
    """Whether each user's interactions are spread evenly over the folds, or all of them at once."""

    @property
    def n_folds(self) -> int:
        """One split for each fold."""
        return self.folds

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Mark the first fold."""
        first: NDArray[np.bool_] = self._fold_of(interactions, rng) == 0
        return first

    def assign(
        self,
        interactions: Interactions,
        rng: np.random.Generator,
        validation_rng: np.random.Generator,
        fold: int,
    ) -> NDArray[np.int8]:
        """Give each interaction its role when number `fold` is tested."""
        del validation_rng
        fold_of = self._fold_of(interactions, rng)
        roles = np.full(len(interactions), Role.TRAIN, np.int8)
        roles[fold_of == fold] = Role.TEST
        roles[fold_of == (fold + 1) % self.folds] = Role.VALIDATION
        return roles

    def _fold_of(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.int64]:
        draws = rng.random(len(interactions))
        if self.over == "all":
            places = np.empty(len(draws), np.int64)
            places[np.argsort(draws, kind="stable")] = np.arange(len(draws))
            return places % self.folds
        # Users come one after the other, so that numbering goes on from user to user and the
        # folds stay of equal size even where users have few interactions.
        starts = np.cumsum(interactions.user_counts) - interactions.user_counts
        places = rank_within_user(interactions, (draws,)) + starts[interactions.users]
        return places % self.folds
