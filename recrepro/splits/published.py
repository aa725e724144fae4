"""Published: the train and test parts that a paper's authors released."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recrepro.data.dataset import Dataset
from recrepro.errors import UsageError
from recrepro.interactions import Interactions
from recrepro.splits.base import ColdRule, Parts, Splitter
from recrepro.splits.holdout import RandomHoldout
from recrepro.splits.leave_one_out import LeaveOneOut


class Published(Splitter):
    """Use the parts that come with the data set; only validation is drawn, from their train part.

    Cold users and items are kept unless said otherwise, because the published numbers count them.
    """

    cold_users: ColdRule = "keep"
    """As in other splits, but kept by default."""
    cold_items: ColdRule = "keep"
    """As in other splits, but kept by default."""
    validation: Literal["leave-one-out", "random-holdout"] = "random-holdout"
    """How validation is drawn from the published train part: one random interaction a user, or
    10 % of each user's."""

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Draw validation, the only part that is not published."""
        if self.validation == "leave-one-out":
            return LeaveOneOut(pick="random").holdout(interactions, rng)
        return RandomHoldout(fraction=0.1).holdout(interactions, rng)

    def check(self, dataset: Dataset) -> None:
        """Refuse a data set that is not a published split."""
        if dataset.published is None:
            raise UsageError(
                f"the data set {dataset.name!r} has no published split. Give 'train' and 'test' "
                "files, use a data set that is one (recrepro ls datasets), or choose another split."
            )

    def split(
        self, dataset: Dataset, rng: np.random.Generator, validation_rng: np.random.Generator
    ) -> Parts:
        """Return the published parts with a validation part."""
        del rng
        self.check(dataset)
        published = dataset.published
        assert published is not None
        return self._carve(published.train, published.test, validation_rng, published.negatives)
