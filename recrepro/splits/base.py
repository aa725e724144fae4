"""What every splitting strategy has in common: its options, its parts, and cold users and items."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.sparse import csr_array

from recrepro.data.dataset import Dataset
from recrepro.errors import DataError
from recrepro.interactions import UNKNOWN_TIME, Interactions, sorting_order
from recrepro.spec.experiment import Promise
from recrepro.text.words import count

ColdRule = Literal["drop", "keep"]

Order = Literal["none", "user", "global"]
"""What a split promises about time: nothing; that no user has a training interaction later than
one of their held-out ones; that nobody has."""


class Role(IntEnum):
    """What an interaction is for in a split."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    VALIDATION_SHOWN = 3
    """Of a user whom nobody is fitted on while tuning: what the model is shown of them."""
    TEST_SHOWN = 4
    """The same for the test part."""
    UNUSED = 5
    """In no part at all, such as what comes after the window that is tested."""


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a split, before the test part is sealed.

    Parameters
    ----------
    train, validation, test : Interactions
        They share their labels. Train does not contain validation.
    known : Interactions
        What the final model is fitted on: train and validation, what was dropped from validation
        because it is cold there, and what validation users were shown.
    hidden : Interactions
        The test part before cold users and items were dropped from it: no negatives.
    dropped : dict of str to int
        How many held-out interactions were dropped, by reason, and how many the strategy does not
        use.
    validation_shown, test_shown : Interactions or None
        Where held-out users are not fitted on: the part of their history that the model is shown.
    test_negatives : csr_array of int or None
        Published negatives, with how often each is listed.
    """

    train: Interactions
    validation: Interactions
    test: Interactions
    known: Interactions
    hidden: Interactions
    dropped: dict[str, int]
    validation_shown: Interactions | None = None
    test_shown: Interactions | None = None
    test_negatives: csr_array | None = None


class Splitter(BaseModel, ABC):
    """Base of the splitting strategies; a strategy's fields are its options.

    A strategy gives each interaction one role. Most hold out once for test and, by the same rule,
    once more for validation: they define `holdout` and nothing else.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True
    )

    version: ClassVar[int] = 1
    """Bumped whenever the strategy can draw other parts than before."""
    unseen_users: ClassVar[bool] = False
    """Whether held-out users have no interaction in train."""

    cold_users: ColdRule = "drop"
    """Held-out interactions of users of whom nothing is known: dropped (and counted), or kept, in
    which case the model has to score them from an empty history."""
    cold_items: ColdRule = "drop"
    """Held-out interactions with items that nobody has in training: dropped (and counted), or
    kept, in which case no model can find them."""

    @property
    def called(self) -> str:
        """The name of the strategy in experiment files: ``leave-one-out`` of `LeaveOneOut`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()

    @property
    def order(self) -> Order | None:
        """What the strategy promises about time; None if nobody knows."""
        return "none"

    @property
    def promise(self) -> Promise | None:
        """What the audit judges a split of this strategy by, unless the experiment says otherwise.

        None if nobody knows.
        """
        if self.order is None:
            return None
        return "random" if self.order == "none" else "temporal"

    @property
    def n_folds(self) -> int:
        """How many splits one seed gives, numbered from 0."""
        return 1

    @abstractmethod
    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Mark the interactions to hold out."""

    def check(self, dataset: Dataset) -> None:
        """Raise if a data set lacks what the strategy needs."""
        if self.order != "none":
            needed_times(dataset.interactions, self.called, dataset.name)

    def assign(
        self,
        interactions: Interactions,
        rng: np.random.Generator,
        validation_rng: np.random.Generator,
        fold: int,
    ) -> NDArray[np.int8]:
        """Give each interaction its `Role`.

        Parameters
        ----------
        interactions : Interactions
            All of them.
        rng, validation_rng : numpy.random.Generator
            For what is drawn for test, and for validation.
        fold : int
            Which of the `n_folds` splits.

        Returns
        -------
        array of int8, shape (n,)
        """
        del fold
        roles = np.full(len(interactions), Role.TRAIN, np.int8)
        roles[self.holdout(interactions, rng)] = Role.TEST
        rest = roles == Role.TRAIN
        held = self._validation_rule().holdout(interactions.select(rest), validation_rng)
        roles[np.flatnonzero(rest)[held]] = Role.VALIDATION
        return roles

    def split(
        self,
        dataset: Dataset,
        rng: np.random.Generator,
        validation_rng: np.random.Generator,
        fold: int = 0,
    ) -> Parts:
        """Draw the parts of a data set."""
        whole = dataset.interactions
        roles = self.assign(whole, rng, validation_rng, fold)

        def part(*wanted: Role) -> Interactions:
            return whole.select(np.isin(roles, wanted))

        unused = int((roles == Role.UNUSED).sum())
        return self._parts(
            dataset,
            train=part(Role.TRAIN),
            validation=part(Role.VALIDATION),
            known=part(Role.TRAIN, Role.VALIDATION, Role.VALIDATION_SHOWN),
            test=part(Role.TEST),
            validation_shown=part(Role.VALIDATION_SHOWN) if self.unseen_users else None,
            test_shown=part(Role.TEST_SHOWN) if self.unseen_users else None,
            dropped={"unused": unused} if unused else {},
        )

    def _parts(
        self,
        dataset: Dataset,
        *,
        train: Interactions,
        validation: Interactions,
        known: Interactions,
        test: Interactions,
        validation_shown: Interactions | None = None,
        test_shown: Interactions | None = None,
        test_negatives: csr_array | None = None,
        dropped: dict[str, int] | None = None,
    ) -> Parts:
        """Apply the filters that run on train only, then drop what is cold."""
        unfiltered = len(known)
        for train_filter in dataset.train_filters:
            train = train.select(train_filter.keep(train))
            known = known.select(train_filter.keep(known))
        filtered = {"train_filters": unfiltered - len(known)} if dataset.train_filters else {}
        # Cold is judged against what the model will be fitted on: train while tuning, train and
        # validation for the test.
        warm, lost_validation = self._without_cold(validation, train, validation_shown)
        tested, lost_test = self._without_cold(test, known, test_shown)
        for part, name in ((known, "train"), (tested, "test")):
            if not len(part):
                sizes = dataset.interactions
                raise DataError(
                    f"the {name} part of the split is empty: of {count(len(sizes), 'interaction')} "
                    f"({count(sizes.n_users, 'user')}, {count(sizes.n_items, 'item')}) there are "
                    f"{len(known)} to train on, {len(tested)} to test, and "
                    f"{sum(lost_test.values())} dropped as cold. Use more data, another split, or "
                    'keep cold users and items: cold_users = "keep", cold_items = "keep".'
                )
        counts = {f"validation_{k}": v for k, v in lost_validation.items()}
        counts |= {f"test_{k}": v for k, v in lost_test.items()}
        return Parts(
            train,
            warm,
            tested,
            known,
            test,
            counts | filtered | (dropped or {}),
            validation_shown,
            test_shown,
            test_negatives,
        )

    def _validation_rule(self) -> "Splitter":
        return self

    def _without_cold(
        self, held: Interactions, fitted: Interactions, shown: Interactions | None
    ) -> tuple[Interactions, dict[str, int]]:
        seen = fitted.user_counts if shown is None else fitted.user_counts + shown.user_counts
        cold_user = seen[held.users] == 0
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


def needed_times(
    interactions: Interactions, strategy: str, dataset: str | None = None
) -> NDArray[np.int64]:
    """Return the times of all interactions, or say that a strategy cannot do without them."""
    named = "the data set" if dataset is None else f"the data set {dataset!r}"
    if interactions.times is None:
        raise DataError(
            f"the split {strategy!r} needs the time of each interaction, and {named} has none. "
            "Name the column with columns = { time = '...' }, or choose a split without times: "
            'random-holdout, or leave-one-out with pick = "random".'
        )
    unknown = int((interactions.times == UNKNOWN_TIME).sum())
    if unknown:
        raise DataError(
            f"the split {strategy!r} needs the time of each interaction, but {unknown} of "
            f"{len(interactions)} have none in {named}. Choose a split that does not need it, or "
            "'temporal' with a cut 'at' a time that is known to lie after all of them."
        )
    return interactions.times


def rank_within_user(
    interactions: Interactions, keys: tuple[NDArray[np.generic], ...]
) -> NDArray[np.int64]:
    """Rank each user's interactions from 0 by `keys`, the first key being the most important."""
    order = sorting_order(interactions.users, *keys)
    starts = np.cumsum(interactions.user_counts) - interactions.user_counts
    ranks = np.empty(len(interactions), np.int64)
    ranks[order] = np.arange(len(interactions)) - np.repeat(starts, interactions.user_counts)
    return ranks


def rounded_share(counts: NDArray[np.int64], fraction: float) -> NDArray[np.int64]:
    """Return a share of counts, at least 1 and never all; 0 where a count is below 2.

    Halves are rounded up, not to even: 5 interactions at 0.1 and 15 at 0.1 are treated alike.
    """
    # Rounded first, because 50 x 0.29 is 14.499999999999998 in floating point.
    wanted = np.floor(np.round(counts * fraction, 6) + 0.5).astype(np.int64)
    return np.clip(wanted, 1, counts - 1, where=counts >= 2, out=np.zeros_like(counts))
