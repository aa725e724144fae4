"""Temporal: one global cut, everything after it is held out."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recrepro.data.dataset import Dataset
from recrepro.interactions import Interactions
from recrepro.splits.base import Splitter, needed_times


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

    def check(self, dataset: Dataset) -> None:
        """Refuse data without times."""
        if self.at is None or dataset.interactions.times is None:
            needed_times(dataset.interactions, "temporal")

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Mark what is later than the cut."""
        del rng
        if self.at is not None and interactions.times is not None:
            return interactions.times > self.at
        times = self._times(interactions)
        # Rounded first, because 10 x (1 - 0.7) is above 3 in floating point.
        in_train = int(np.ceil(np.round(len(times) * (1 - self.fraction), 6)))
        if in_train < 1:
            return np.ones(len(times), bool)
        cut = np.partition(times, in_train - 1)[in_train - 1]
        after: NDArray[np.bool_] = times > cut
        return after

    def _times(self, interactions: Interactions) -> NDArray[np.int64]:
        return needed_times(interactions, "temporal")

    def _validation_rule(self) -> "Temporal":
        return self if self.at is None else _BeforeStatedCut(fraction=self.fraction)


class _BeforeStatedCut(Temporal):
    """Cuts validation from what lies before a stated cut, where unknown times count as first."""

    def _times(self, interactions: Interactions) -> NDArray[np.int64]:
        assert interactions.times is not None
        return interactions.times
