"""What the checks of the audit look at: the parts of a split, what it promises, and its times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.features import Features
from recrepro.interactions import UNKNOWN_TIME, Interactions
from recrepro.randomness import generator
from recrepro.spec.experiment import Promise
from recrepro.splits.audit.findings import Finding
from recrepro.splits.audit.timeline import Timeline
from recrepro.splits.base import Order
from recrepro.splits.popularity import Popularity, compare_popularity


@dataclass(frozen=True, eq=False)
class Material:
    """A split, and all that the audit is told of it.

    The fields are the parameters of `recrepro.splits.audit.audit_split`.
    """

    train: Interactions
    test: Interactions
    validation: Interactions | None = None
    known: Interactions = field(kw_only=True)
    shown: Interactions | None = None
    negatives: csr_array | None = None
    features: Features = field(default_factory=Features)
    order: Order | None = None
    promise: Promise | None = None
    unseen_users: bool = False
    preprocessing: Sequence[Mapping[str, Any]] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    validation_shown: Interactions | None = None
    validation_negatives: csr_array | None = None
    seed: int = 0

    @cached_property
    def history(self) -> Interactions:
        """What the final model is fitted on, and what it is shown."""
        return self.known if self.shown is None else self.known.union(self.shown)

    @cached_property
    def whole(self) -> Interactions:
        """History and test together."""
        return self.history.union(self.test)

    @cached_property
    def popularity(self) -> Popularity:
        """Item counts of history and test, beside those of random splits."""
        rng = generator(self.seed, "audit", "popularity")
        return compare_popularity(self.history, self.test, rng)

    @property
    def promised_order(self) -> Order | None:
        """What is promised about time; None if nobody says."""
        if self.order in ("user", "global"):
            return self.order
        if self.promise == "temporal":
            return "user"
        if self.promise in ("random", "random-exposure", "long-tail"):
            return "none"
        return self.order

    @cached_property
    def dated(self) -> Interactions | None:
        """The test interactions with a known time; None if there is nothing to compare."""
        times = self.history.times
        if times is None or self.test.times is None or (times == UNKNOWN_TIME).all():
            return None
        dated = self.test.select(self.test.times != UNKNOWN_TIME)
        return dated if len(dated) else None

    @cached_property
    def own_later(self) -> Interactions:
        """History that is later than the user's earliest test interaction."""
        history, dated = self.history, self.dated
        if dated is None:
            return history.select(np.zeros(len(history), bool))
        assert history.times is not None
        assert dated.times is not None
        earliest = np.full(history.n_users, np.iinfo(np.int64).max)
        np.minimum.at(earliest, dated.users, dated.times)
        return history.select(history.times > earliest[history.users])

    @cached_property
    def n_later(self) -> NDArray[np.int64]:
        """Number of interactions of anybody that are fitted on and later than each of `dated`.

        What is shown of one unseen user is not known of another.
        """
        if self.dated is None:
            return np.zeros(0, np.int64)
        assert self.known.times is not None
        assert self.dated.times is not None
        in_order = np.sort(self.known.times)
        later: NDArray[np.int64] = len(in_order) - np.searchsorted(
            in_order, self.dated.times, side="right"
        )
        return later

    @cached_property
    def kept_order(self) -> Order:
        """The order that is promised, or else the one that the parts have."""
        if self.promised_order is not None:
            return self.promised_order
        if self.dated is None or len(self.own_later):
            return "none"
        return "user" if self.n_later.any() else "global"

    @cached_property
    def timeline(self) -> Timeline | None:
        """History and test of each user in the order of their times, if there are any."""
        history = self.history
        if self.promise != "repeat":  # What is in both parts is another finding.
            history = history.select(~history.in_common_with(self.test))
        return Timeline.of(history, self.test)


Check = Callable[[Material], list[Finding] | None]
"""Looks at one trait of a split; returns None if the split has nothing that it could look at."""
