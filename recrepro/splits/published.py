"""Published: the parts that a paper's authors released."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recrepro.data.dataset import Dataset
from recrepro.errors import UsageError
from recrepro.interactions import Interactions
from recrepro.splits.base import ColdRule, Parts, Splitter
from recrepro.splits.holdout import RandomHoldout
from recrepro.splits.leave_out import LeaveOneOut


class Published(Splitter):
    """Use the parts that come with the data set; validation is drawn from train if it has none.

    Cold users and items are kept unless said otherwise, because the published numbers count them.
    """

    version = 2

    cold_users: ColdRule = "keep"
    """As in other splits, but kept by default."""
    cold_items: ColdRule = "keep"
    """As in other splits, but kept by default."""
    validation: Literal["auto", "published", "leave-one-out", "random-holdout"] = "auto"
    """The published validation part; or drawn from the published train part: one random
    interaction a user, or 10 % of each user's. "auto" is "published" if there is one, else
    "random-holdout". Where validation is drawn, a published one belongs to train."""

    @property
    def order(self) -> None:
        """Nobody says what the authors promised: the audit looks at the parts."""

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Draw validation, the only part that may not be published."""
        if self.validation == "leave-one-out":
            return LeaveOneOut(pick="random").holdout(interactions, rng)
        return RandomHoldout(fraction=0.1).holdout(interactions, rng)

    def check(self, dataset: Dataset) -> None:
        """Refuse a data set that is not a published split, or lacks the validation part."""
        if dataset.published is None:
            raise UsageError(
                f"the data set {dataset.name!r} has no published split. Give 'train' and 'test' "
                "files, use a data set that is one (recrepro ls datasets), or choose another split."
            )
        if self.validation == "published" and dataset.published.validation is None:
            raise UsageError(
                f"the data set {dataset.name!r} has no published validation part. Use validation "
                "= 'auto', 'leave-one-out' or 'random-holdout', or give a 'validation' file."
            )

    def split(
        self,
        dataset: Dataset,
        rng: np.random.Generator,
        validation_rng: np.random.Generator,
        fold: int = 0,
    ) -> Parts:
        """Return the published parts with a validation part."""
        del rng, fold
        self.check(dataset)
        published = dataset.published
        assert published is not None
        train, validation = published.train, published.validation
        known = train if validation is None else train.union(validation)
        if validation is None or self.validation not in {"auto", "published"}:
            rows = self.holdout(known, validation_rng)
            train, validation = known.select(~rows), known.select(rows)
        return self._parts(
            dataset,
            train=train,
            validation=validation,
            known=known,
            test=published.test,
            test_negatives=published.negatives,
        )
