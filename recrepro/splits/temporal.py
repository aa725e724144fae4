"""Temporal splits: one global cut, a cut for each user, windows that slide over the time."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from recrepro.data.dataset import Dataset
from recrepro.errors import DataError
from recrepro.interactions import UNKNOWN_TIME, Interactions
from recrepro.splits.base import (
    Order,
    Role,
    Splitter,
    needed_times,
    rank_within_user,
    rounded_share,
)


class Temporal(Splitter):
    """Hold out all interactions after one moment, the same for everybody.

    Interactions at the very moment of the cut stay in train, so that nothing in train is later
    than anything held out. Nothing is drawn at random: every seed gives the same parts.
    """

    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the interactions that is held out; less where many fall on the cut."""
    at: int | None = None
    """The cut itself, in the unit of the data (MovieLens: seconds since 1970), for the test part.
    Interactions without a time count as before it. Validation is cut by `fraction`."""

    @property
    def order(self) -> Order:
        """Nothing in train is later than anything held out."""
        return "global"

    def check(self, dataset: Dataset) -> None:
        """Refuse data without times."""
        if self.at is None or dataset.interactions.times is None:
            needed_times(dataset.interactions, self.called, dataset.name)

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Mark what is later than the cut."""
        del rng
        if self.at is not None and interactions.times is not None:
            return interactions.times > self.at
        times = self._times(interactions)
        if not len(times):
            return np.zeros(0, bool)
        after: NDArray[np.bool_] = times > time_of_share(times, 1 - self.fraction)
        return after

    def _times(self, interactions: Interactions) -> NDArray[np.int64]:
        return needed_times(interactions, self.called)

    def _validation_rule(self) -> "Temporal":
        return self if self.at is None else _BeforeStatedCut(fraction=self.fraction)


class _BeforeStatedCut(Temporal):
    """Cuts validation from what lies before a stated cut, where unknown times count as first."""

    def _times(self, interactions: Interactions) -> NDArray[np.int64]:
        assert interactions.times is not None
        return interactions.times


class TemporalUser(Splitter):
    """Hold out the latest share of each user's interactions.

    Of n interactions round(n x fraction) are held out, but at least one where n >= 2, and never
    all. Interactions of a user at the same time are ordered at random, by the split's seed.
    """

    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of each user's interactions that is held out."""

    @property
    def order(self) -> Order:
        """Each user's latest interactions are held out."""
        return "user"

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Mark the latest share of each user's interactions."""
        ties = rng.random(len(interactions))
        ranks = rank_within_user(interactions, (needed_times(interactions, self.called), ties))
        counts = interactions.user_counts
        chosen: NDArray[np.bool_] = (
            ranks >= (counts - rounded_share(counts, self.fraction))[interactions.users]
        )
        return chosen


class SlidingWindows(Splitter):
    """Test on several windows of time, one after the other, each trained on what came before.

    The windows end with the data. Window by window, the model is tuned on the window before the
    tested one, fitted on all up to the tested one, and tested; later interactions are not used.
    Interactions at the very moment of a cut belong to what lies before it. Nothing is drawn at
    random.
    """

    windows: Annotated[int, Field(ge=1, le=1000)] = 3
    """How many windows are tested; each is a fold with a result of its own."""
    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of all interactions in each window; together with validation less than all."""
    length: Annotated[int, Field(ge=1)] | None = None
    """The width of a window in the unit of the data instead (MovieLens: seconds)."""
    train_windows: Annotated[int, Field(ge=2)] | None = None
    """Fit on so many windows before the tested one, validation among them; all by default."""

    @model_validator(mode="after")
    def _room_for_train(self) -> "SlidingWindows":
        if self.length is None and (self.windows + 1) * self.fraction >= 1:
            raise ValueError(
                f"{self.windows} windows and one for validation of {self.fraction:g} each leave "
                "nothing to train on: lower 'windows' or 'fraction'"
            )
        return self

    @property
    def order(self) -> Order:
        """Nothing in train is later than anything held out."""
        return "global"

    @property
    def n_folds(self) -> int:
        """One for each window."""
        return self.windows

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Mark the last window."""
        del rng
        times = needed_times(interactions, self.called)
        after: NDArray[np.bool_] = times > self._cut(times, 1)
        return after

    def assign(
        self,
        interactions: Interactions,
        rng: np.random.Generator,
        validation_rng: np.random.Generator,
        fold: int,
    ) -> NDArray[np.int8]:
        """Give each interaction its role when window number `fold` is tested."""
        del rng, validation_rng
        times = needed_times(interactions, self.called)
        from_end = self.windows - fold
        if self.length is not None and self._cut(times, from_end + 1) < times.min():
            raise DataError(
                f"the split 'sliding-windows' has no time left to train on before window "
                f"{fold + 1} of {self.windows}: the data reach over "
                f"{int(times.max() - times.min())}, and {self.windows} windows and one for "
                f"validation of {self.length} each over more. Lower 'windows' or 'length'."
            )
        roles = np.full(len(times), Role.TRAIN, np.int8)
        roles[times > self._cut(times, from_end + 1)] = Role.VALIDATION
        roles[times > self._cut(times, from_end)] = Role.TEST
        roles[times > self._cut(times, from_end - 1)] = Role.UNUSED
        if self.train_windows is not None:
            roles[times <= self._cut(times, from_end + self.train_windows)] = Role.UNUSED
        return roles

    def _cut(self, times: NDArray[np.int64], from_end: int) -> int:
        """Return the last moment before the last `from_end` windows."""
        if self.length is not None:
            return int(times.max()) - from_end * self.length
        share = 1 - from_end * self.fraction
        return time_of_share(times, share) if share > 0 else UNKNOWN_TIME


def time_of_share(times: NDArray[np.int64], share: float) -> int:
    """Return the time up to which at least a share of the interactions has happened."""
    # Rounded first, because 10 x (1 - 0.7) is above 3 in floating point.
    n_before = int(np.ceil(np.round(len(times) * share, 6)))
    if n_before < 1:
        return UNKNOWN_TIME
    return int(np.partition(times, n_before - 1)[n_before - 1])
