"""What every splitting strategy has in common: its options, its parts, and cold users and items."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.sparse import csr_array

from recrepro.data.dataset import Dataset
from recrepro.errors import DataError
from recrepro.interactions import UNKNOWN_TIME, Interactions

ColdRule = Literal["drop", "keep"]


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a split, before the test part is sealed.

    Parameters
    ----------
    train, validation, test : Interactions
        They share their labels. Train does not contain validation.
    known : Interactions
        All that is not test: what the final model is fitted on. Train and validation, and the
        interactions that were dropped from validation because they are cold there.
    hidden : Interactions
        The test part before cold users and items were dropped from it: no negatives.
    test_negatives : csr_array of bool or None
        Published negatives of the test part.
    dropped : dict of str to int
        How many held-out interactions were dropped, by reason.
    """

    train: Interactions
    validation: Interactions
    test: Interactions
    known: Interactions
    hidden: Interactions
    test_negatives: csr_array | None
    dropped: dict[str, int]


class Splitter(BaseModel, ABC):
    """Base of the splitting strategies; a strategy's fields are its options.

    A strategy says which interactions it holds out. Validation is carved from train by the same
    rule. Interactions are held out of, never added to, what the data set contains.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True
    )

    version: ClassVar[int] = 1
    """Bumped whenever the strategy can draw other parts than before."""

    cold_users: ColdRule = "drop"
    """Held-out interactions of users without a training interaction: dropped (and counted), or
    kept, in which case the model has to score them from an empty history."""
    cold_items: ColdRule = "drop"
    """Held-out interactions with items that nobody has in training: dropped (and counted), or
    kept, in which case no model can find them."""

    @abstractmethod
    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Mark the interactions to hold out."""

    def check(self, dataset: Dataset) -> None:
        """Raise if a data set lacks what the strategy needs."""

    def split(
        self, dataset: Dataset, rng: np.random.Generator, validation_rng: np.random.Generator
    ) -> Parts:
        """Draw the parts of a data set."""
        whole = dataset.interactions
        rows = self.holdout(whole, rng)
        return self._carve(whole.select(~rows), whole.select(rows), validation_rng, None)

    def _carve(
        self,
        known: Interactions,
        test: Interactions,
        validation_rng: np.random.Generator,
        test_negatives: csr_array | None,
    ) -> Parts:
        rows = self._validation_rule().holdout(known, validation_rng)
        train, validation = known.select(~rows), known.select(rows)
        # Cold is judged against what the model will be fitted on: train while tuning, train and
        # validation for the test.
        validation, lost_validation = self._without_cold(validation, train)
        hidden = test
        test, lost_test = self._without_cold(hidden, known)
        for part, name in ((known, "train"), (test, "test")):
            if not len(part):
                raise DataError(
                    f"the {name} part of the split is empty: {len(known)} interactions to train "
                    f"on, {len(test)} to test, {sum(lost_test.values())} dropped as cold. Use "
                    "more data, another split, or keep cold users and items."
                )
        dropped = {f"validation_{k}": v for k, v in lost_validation.items()}
        dropped |= {f"test_{k}": v for k, v in lost_test.items()}
        return Parts(train, validation, test, known, hidden, test_negatives, dropped)

    def _validation_rule(self) -> "Splitter":
        return self

    def _without_cold(
        self, held: Interactions, fitted: Interactions
    ) -> tuple[Interactions, dict[str, int]]:
        cold_user = fitted.user_counts[held.users] == 0
        cold_item = fitted.item_counts[held.items] == 0
        lost = {"cold_users": 0, "cold_items": 0}
        keep = np.ones(len(held), bool)
        if self.cold_users == "drop":
            keep &= ~cold_user
            lost["cold_users"] = int(cold_user.sum())
        if self.cold_items == "drop":
            lost["cold_items"] = int((cold_item & keep).sum())
            keep &= ~cold_item
        return held.select(keep), lost


def needed_times(interactions: Interactions, strategy: str) -> NDArray[np.int64]:
    """Return the times of all interactions, or say that a strategy cannot do without them."""
    if interactions.times is None:
        raise DataError(
            f"the split {strategy!r} needs the time of each interaction, and the data set has "
            "none. Name its column under 'columns.time', or choose a split without time."
        )
    unknown = int((interactions.times == UNKNOWN_TIME).sum())
    if unknown:
        raise DataError(
            f"the split {strategy!r} needs the time of each interaction, but {unknown} of "
            f"{len(interactions)} have none. Choose a split that does not need it, or "
            "'temporal' with a cut 'at' a time that is known to lie after all of them."
        )
    return interactions.times


def rank_within_user(
    interactions: Interactions, keys: tuple[NDArray[np.generic], ...]
) -> NDArray[np.int64]:
    """Rank each user's interactions from 0 by `keys`, the first key being the most important."""
    order = np.lexsort((*reversed(keys), interactions.users))
    starts = np.cumsum(interactions.user_counts) - interactions.user_counts
    ranks = np.empty(len(interactions), np.int64)
    ranks[order] = np.arange(len(interactions)) - np.repeat(starts, interactions.user_counts)
    return ranks
