"""Published: the parts that a paper's authors released."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recrepro.data.dataset import Dataset, PublishedSplit
from recrepro.errors import DataError, UsageError
from recrepro.interactions import UNKNOWN_TIME, Interactions
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
    validation: Literal["auto", "published", "last", "leave-one-out", "random-holdout"] = "auto"
    """The published validation part; or held out of the published train part: each user's latest
    interaction, one at random, or 10 % of each user's. "auto" is "published" if there is one, else
    "random-holdout". Where validation is held out here, a published one belongs to train."""

    @property
    def order(self) -> None:
        """Nobody says what the authors promised: the audit looks at the parts."""

    def holdout(self, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Hold out validation, the only part that may not be published."""
        if self.validation == "last":
            return LeaveOneOut(pick="last").holdout(interactions, rng)
        if self.validation == "leave-one-out":
            return LeaveOneOut(pick="random").holdout(interactions, rng)
        return RandomHoldout(fraction=0.1).holdout(interactions, rng)

    def check(self, dataset: Dataset) -> None:
        """Refuse a data set that is no published split, or lacks what validation is made of."""
        if dataset.published is None:
            raise UsageError(
                f"the data set {dataset.name!r} has no published split. Give 'train' and 'test' "
                "files, use a data set that is one (recrepro ls datasets), or choose another split."
            )
        if self.validation == "published" and dataset.published.validation is None:
            raise UsageError(
                f"the data set {dataset.name!r} has no published validation part. Use validation "
                "= 'auto', 'last', 'leave-one-out' or 'random-holdout', or give a 'validation' "
                "file."
            )
        if self.validation == "last":
            _check_times(_not_test(dataset.published), dataset.name)

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
        train, validation, known = published.train, published.validation, _not_test(published)
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


def _not_test(published: PublishedSplit) -> Interactions:
    if published.validation is None:
        return published.train
    return published.train.union(published.validation)


def _check_times(known: Interactions, dataset: str) -> None:
    n = len(known)
    unknown = n if known.times is None else int((known.times == UNKNOWN_TIME).sum())
    if unknown:
        raise DataError(
            f"the split 'published' with validation = 'last' needs the time of each interaction "
            f"that is not in the test part, but {unknown} of {n} have none in the data set "
            f"{dataset!r}. Use validation = 'leave-one-out' or 'random-holdout', or keep only "
            "interactions whose time is known."
        )
