"""From a data set and a strategy to a split."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from recrepro.data.dataset import Dataset
from recrepro.errors import UsageError
from recrepro.features import Features
from recrepro.randomness import generator
from recrepro.spec.experiment import Promise
from recrepro.spec.identity import SplitIdentity
from recrepro.splits.audit import Audit, audit_split
from recrepro.splits.base import Parts, Splitter
from recrepro.splits.keys import SplitKeys
from recrepro.splits.negatives import VERSIONS, Sampling, draw_negatives
from recrepro.splits.published import Published
from recrepro.splits.sealed import StoredSplit, TuningView, describe, stored_bytes

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Candidates = Literal["auto", "full", "published"] | int
ResolvedCandidates = Literal["full", "published"] | int


def resolve_candidates(
    candidates: Candidates, dataset: Dataset, splitter: Splitter
) -> ResolvedCandidates:
    """Say what held-out items are ranked against, given what the data set brings.

    Raises
    ------
    UsageError
        If published negatives are asked for where there are none.
    """
    published = dataset.published if isinstance(splitter, Published) else None
    has_negatives = published is not None and published.negatives is not None
    if candidates == "auto":
        return "published" if has_negatives else "full"
    if candidates == "published" and not has_negatives:
        raise UsageError(
            f"evaluate.candidates is 'published', but {dataset.name!r} with this split brings no "
            "negatives. Use 'full', or a number of negatives to draw."
        )
    return candidates


@dataclass(frozen=True, eq=False)
class Drawn:
    """A split in memory, before its test part is sealed.

    Parameters
    ----------
    parts : Parts
        As drawn.
    validation_negatives, test_negatives : csr_array or None
        What held-out items are ranked against, if not all.
    splitter : Splitter
        What drew it.
    preprocessing : tuple of dict
        What was done before it was drawn.
    promise : str, optional
        What the audit judges it by, if not by what its strategy promises.
    features : Features
        Side information that the audit looks at, aligned to the labels of the parts.
    """

    parts: Parts
    validation_negatives: "csr_array | None"
    test_negatives: "csr_array | None"
    splitter: Splitter
    preprocessing: tuple[dict[str, Any], ...]
    promise: Promise | None = None
    features: Features = field(default_factory=Features)

    @cached_property
    def audit(self) -> Audit:
        """What the leakage audit says of it."""
        parts = self.parts
        return audit_split(
            parts.train,
            parts.test,
            validation=parts.validation,
            known=parts.known,
            shown=parts.test_shown,
            negatives=self.test_negatives,
            features=self.features,
            promise=self.promise or self.splitter.promise,
            order=self.splitter.order,
            unseen_users=self.splitter.unseen_users,
            preprocessing=self.preprocessing,
            dropped=parts.dropped,
            validation_shown=parts.validation_shown,
            validation_negatives=self.validation_negatives,
        )

    @property
    def facts(self) -> dict[str, Any]:
        """Counts, dropped interactions, fingerprint, and the audit."""
        facts = describe(self.parts, self.validation_negatives, self.test_negatives)
        return {**facts, "audit": self.audit.as_dict()}

    @property
    def stored_bytes(self) -> int:
        """What it will take on disk, but for some headers."""
        return stored_bytes(self.parts, self.validation_negatives, self.test_negatives)

    @property
    def tuning_view(self) -> TuningView:
        """What tuning may see of it."""
        parts = self.parts
        return TuningView(
            parts.train, parts.validation, self.validation_negatives, parts.validation_shown
        )

    def store(self, folder: Path, keys: SplitKeys) -> StoredSplit:
        """Write to the workspace's cache, the test part under its seal."""
        return StoredSplit.write(
            folder,
            self.parts,
            keys,
            validation_negatives=self.validation_negatives,
            test_negatives=self.test_negatives,
            facts=self.facts,
        )


def draw_split(
    dataset: Dataset,
    splitter: Splitter,
    seed: int,
    candidates: ResolvedCandidates,
    fold: int = 0,
    sampling: Sampling = "uniform",
) -> Drawn:
    """Draw a split and its negatives.

    Validation negatives are always drawn anew: the published ones were drawn by someone who knew
    the test part.
    """
    parts = splitter.split(
        dataset, generator(seed, "split"), generator(seed, "split", "validation"), fold
    )
    test_negatives: csr_array | None = None
    n_negatives = 0
    if candidates == "published":
        test_negatives = parts.test_negatives
        assert test_negatives is not None
        counts = np.diff(test_negatives.indptr)
        n_negatives = int(np.median(counts[counts > 0]))
    elif candidates != "full":
        n_negatives = candidates
        rng = generator(seed, "negatives", "test")
        positive = parts.known.union(parts.hidden)
        if parts.test_shown is not None:
            positive = positive.union(parts.test_shown)
        popularity = parts.known.item_counts if sampling == "popularity" else None
        test_negatives = draw_negatives(positive, parts.test, n_negatives, rng, popularity)
    validation_negatives: csr_array | None = None
    if n_negatives and len(parts.validation):
        rng = generator(seed, "negatives", "validation")
        popularity = parts.train.item_counts if sampling == "popularity" else None
        validation_negatives = draw_negatives(
            parts.known, parts.validation, n_negatives, rng, popularity
        )
    return Drawn(parts, validation_negatives, test_negatives, splitter, dataset.preprocessing)


def split_identity(
    data: str,
    dataset: Dataset,
    name: str,
    splitter: Splitter,
    seed: int,
    fold: int,
    candidates: ResolvedCandidates,
    sampling: Sampling,
) -> SplitIdentity:
    """Return what decides the content of a split."""
    return SplitIdentity(
        data=data,
        train_filters=[s for s in dataset.preprocessing if s["on"] == "train"],
        strategy=name,
        version=splitter.version + VERSIONS[sampling],
        options=splitter.model_dump(mode="json"),
        seed=seed,
        fold=fold,
        candidates=candidates,
        sampling=sampling,
    )
