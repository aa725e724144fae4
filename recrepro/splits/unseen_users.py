"""Unseen users: the model is tested on users it was not fitted on."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from recrepro.errors import DataError
from recrepro.interactions import Interactions
from recrepro.splits.base import Order, Role, Splitter, needed_times, rank_within_user

Users = Annotated[float, Field(gt=0, lt=1)] | Annotated[int, Field(ge=1)]


class UnseenUsers(Splitter):
    """Hold out users (strong generalisation): show a part of their history, hide the rest.

    As Liang et al. (WWW 2018, Mult-VAE) do: random users for test, others for validation. Of n
    interactions of such a user floor(n x fraction) are hidden, but at least one where n >= 2; the
    model is shown the others and is never fitted on them. The final fit has train and validation
    users. Only models that score from the history alone can take part.
    """

    unseen_users = True

    test_users: Users = 0.1
    """How many users are held out for test: a share, or a number."""
    validation_users: Users = 0.1
    """How many others for validation; a share is one of all users."""
    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of each held-out user's interactions that is hidden."""
    pick: Literal["random", "last"] = "random"
    """Whether random interactions are hidden, or the latest."""

    @model_validator(mode="after")
    def _room_for_train(self) -> "UnseenUsers":
        shares = [n for n in (self.test_users, self.validation_users) if isinstance(n, float)]
        if sum(shares) >= 1:
            raise ValueError(
                f"'test_users' = {self.test_users:g} and 'validation_users' = "
                f"{self.validation_users:g} leave nobody to train on"
            )
        return self

    @property
    def order(self) -> Order:
        """Each held-out user's latest interactions are hidden, if `pick` says so."""
        return "user" if self.pick == "last" else "none"

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Mark what is hidden of the test users."""
        hidden: NDArray[np.bool_] = self.assign(interactions, rng, rng, 0) == Role.TEST
        return hidden

    def assign(
        self,
        interactions: Interactions,
        rng: np.random.Generator,
        validation_rng: np.random.Generator,
        fold: int,
    ) -> NDArray[np.int8]:
        """Give each interaction its role, by its user and, for held-out users, by its rank."""
        del fold
        active = np.flatnonzero(interactions.user_counts)
        order = rng.permutation(active)
        n_test, n_validation = (
            n if isinstance(n, int) else max(1, round(n * len(active)))
            for n in (self.test_users, self.validation_users)
        )
        if n_test + n_validation >= len(active):
            raise DataError(
                f"the split 'unseen-users' holds out {n_test} + {n_validation} users, and there "
                f"are {len(active)}. Lower 'test_users' or 'validation_users'."
            )
        hidden = self._hidden(interactions, rng)
        roles = np.full(len(interactions), Role.TRAIN, np.int8)
        is_test = np.isin(interactions.users, order[:n_test])
        roles[is_test] = np.where(hidden[is_test], Role.TEST, Role.TEST_SHOWN)
        # Drawn from their own generator: other validation users do not move the test part.
        others = validation_rng.permutation(order[n_test:])
        is_validation = np.isin(interactions.users, others[:n_validation])
        hidden = self._hidden(interactions, validation_rng)
        roles[is_validation] = np.where(
            hidden[is_validation], Role.VALIDATION, Role.VALIDATION_SHOWN
        )
        return roles

    def _hidden(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        ties = rng.random(len(interactions))
        times = (needed_times(interactions, self.called),) if self.pick == "last" else ()
        ranks = rank_within_user(interactions, (*times, ties))
        counts = interactions.user_counts
        n_hidden = np.floor(np.round(counts * self.fraction, 6)).astype(np.int64)
        n_hidden = np.where(counts >= 2, np.maximum(n_hidden, 1), 0)
        chosen: NDArray[np.bool_] = ranks >= (counts - n_hidden)[interactions.users]
        return chosen
