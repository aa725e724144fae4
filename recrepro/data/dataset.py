"""What a data set hands to the harness: its interactions, or the parts a paper published."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from scipy.sparse import csr_array

from recrepro.interactions import Interactions, TimeUnit

if TYPE_CHECKING:
    from recrepro.data.filters import Filter


@dataclass(frozen=True, eq=False)
class PublishedSplit:
    """Parts as someone published them; all share one set of labels.

    Parameters
    ----------
    train, test : Interactions
        The two parts, with the labels of all.
    negatives : csr_array of int, shape (n_users, n_items), or None
        For each user the sampled items that the test items are ranked against, and how often
        each is listed.
    validation : Interactions or None
        The validation part, where one was published.
    """

    train: Interactions
    test: Interactions
    negatives: csr_array | None = None
    validation: Interactions | None = None

    @property
    def parts(self) -> "dict[str, Interactions]":
        """Train, validation if there is one, and test, by name."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def union(self) -> Interactions:
        """All interactions; of a pair that is in several parts, the last part's."""
        train, *others = self.parts.values()
        for part in others:
            train = train.union(part)
        return train


@dataclass(frozen=True, eq=False)
class Dataset:
    """A named data set.

    Parameters
    ----------
    name : str
        What tables and runs call it.
    interactions : Interactions
        All of them; all parts together where the split is published.
    published : PublishedSplit or None
        The published parts, if the data set is a published split.
    has_values : bool
        Whether the data come with values; if not, each of them is 1.
    train_filters : tuple of Filter
        Filters that a split applies to what models are fitted on, and to nothing else.
    preprocessing : tuple of dict
        What was done before the split and what will be done to train, in order, for the record.
    time_unit : {"s", "ms", "us", "ns"}
        Unit of the times.
    """

    name: str
    interactions: Interactions
    published: PublishedSplit | None = None
    has_values: bool = True
    train_filters: "tuple[Filter, ...]" = ()
    preprocessing: tuple[dict[str, Any], ...] = ()
    time_unit: TimeUnit = "s"

    def with_each_part(self, change: Callable[[Interactions], Interactions]) -> Self:
        """Return the same with each part changed; negatives stay as they are."""
        split = self.published
        if split is None:
            return replace(self, interactions=change(self.interactions))
        changed = PublishedSplit(
            change(split.train),
            change(split.test),
            split.negatives,
            None if split.validation is None else change(split.validation),
        )
        return replace(self, interactions=changed.union, published=changed)


def content_checksum(dataset: Dataset, *, times: bool) -> str:
    """Return the SHA-256 of labels, pairs and values, and of which part they are in.

    Row order and packing do not count.

    Parameters
    ----------
    dataset : Dataset
        Any.
    times : bool
        Whether times count. They do for the identity of a result; they do not when a copy is
        compared with the published data, because some copies lack them.
    """

    def fingerprint(part: Interactions) -> str:
        return (part if times else replace(part, times=None)).fingerprint

    split = dataset.published
    if split is None:
        return fingerprint(dataset.interactions)
    digest = hashlib.sha256()
    digest.update((fingerprint(split.train) + fingerprint(split.test)).encode())
    if split.validation is not None:
        digest.update(b"validation" + fingerprint(split.validation).encode())
    if split.negatives is not None:
        negatives = split.negatives.sorted_indices()
        digest.update(negatives.indptr.astype("int64").tobytes())
        digest.update(negatives.indices.astype("int64").tobytes())
        if (negatives.data != 1).any():
            digest.update(negatives.data.astype("int64").tobytes())
    return digest.hexdigest()
