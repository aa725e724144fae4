"""Unseen sessions: the model is tested on the latest sessions, of which it sees the beginning."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from recrepro.data.dataset import Dataset
from recrepro.errors import DataError
from recrepro.interactions import UNKNOWN_TIME, Interactions
from recrepro.splits.base import Order, Role, Splitter, needed_times, rank_within_user


class UnseenSessions(Splitter):
    """Hold out the latest sessions: show the model all but the last items of each, hide the last.

    Each user of the data is taken for a session: name the column of session numbers as `user`, or
    have the interactions of users cut into sessions (`session_gap` of the data set). Sessions are
    put in the order of their last interaction. The latest ones are for test, those before them for
    validation, and models are fitted on the others, which had all ended before anything that is
    hidden. The final fit has the validation sessions too. Sessions that end at the very moment of a
    cut belong to what lies before it. Only models that can score users whom they were not fitted
    on can take part. Interactions of a session at the same time are ordered at random, by the
    split's seed.
    """

    unseen_users = True

    fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of all sessions that are for test, and as many for validation; less where many end at
    the same time."""
    length: Annotated[int, Field(ge=1)] | None = None
    """Instead: sessions that end in so much time before the end of the data are for test, and those
    that end in as much time before are for validation, in the unit of the data (86400 seconds are
    a day)."""
    hidden: Annotated[int, Field(ge=1)] = 1
    """How many of the last items of a held-out session are hidden, as far as they lie after the
    cut. A session that is no longer than that is shown as a whole, and not tested."""

    @model_validator(mode="after")
    def _one_size(self) -> "UnseenSessions":
        if self.length is not None and "fraction" in self.model_fields_set:
            raise ValueError("give 'fraction' or 'length', not both")
        return self

    @property
    def order(self) -> Order:
        """Nothing in train is later than anything held out."""
        return "global"

    def check(self, dataset: Dataset) -> None:
        """Refuse data without times."""
        needed_times(dataset.interactions, self.called, dataset.name)

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Mark what is hidden of the test sessions."""
        hidden: NDArray[np.bool_] = self.assign(interactions, rng, rng, 0) == Role.TEST
        return hidden

    def assign(
        self,
        interactions: Interactions,
        rng: np.random.Generator,
        validation_rng: np.random.Generator,
        fold: int,
    ) -> NDArray[np.int8]:
        """Give each interaction its role, by the end of its session and by its place there."""
        del validation_rng, fold
        times = needed_times(interactions, self.called)
        ends = np.full(interactions.n_users, UNKNOWN_TIME)
        np.maximum.at(ends, interactions.users, times)
        cuts = self._cuts(ends[interactions.user_counts > 0])
        roles = np.full(len(interactions), Role.TRAIN, np.int8)
        ranks = rank_within_user(interactions, (times, rng.random(len(interactions))))
        counts = interactions.user_counts[interactions.users]
        is_last = (ranks >= counts - self.hidden) & (counts > self.hidden)
        for cut, held, shown in (
            (cuts[0], Role.VALIDATION, Role.VALIDATION_SHOWN),
            (cuts[1], Role.TEST, Role.TEST_SHOWN),
        ):
            late = ends[interactions.users] > cut
            roles[late] = np.where((is_last & (times > cut))[late], held, shown)
        if not (roles == Role.TRAIN).any():
            raise DataError(
                f"the split 'unseen-sessions' holds out all of the "
                f"{np.count_nonzero(interactions.user_counts)} sessions. Lower "
                f"{'fraction' if self.length is None else 'length'!r}."
            )
        return roles

    def _cuts(self, ends: NDArray[np.int64]) -> tuple[int, int]:
        """Return the moments after which the sessions for validation, and for test, have ended."""
        if self.length is not None:
            last = int(ends.max(initial=UNKNOWN_TIME + 2 * self.length))
            return last - 2 * self.length, last - self.length
        n = max(1, round(self.fraction * len(ends)))
        before = np.sort(ends)[::-1]
        first, second = (int(before[k]) if k < len(before) else UNKNOWN_TIME for k in (2 * n, n))
        return first, second
