"""What a data set hands to the harness: its interactions, or the parts a paper published."""

import hashlib
from dataclasses import dataclass, replace

from scipy.sparse import csr_array

from recrepro.interactions import Interactions


@dataclass(frozen=True, eq=False)
class PublishedSplit:
    """Train and test parts as someone published them; all share one set of labels.

    Parameters
    ----------
    train, test : Interactions
        The two parts, with the labels of both.
    negatives : csr_array of bool, shape (n_users, n_items), or None
        For each user the sampled items that the test items are ranked against.
    """

    train: Interactions
    test: Interactions
    negatives: csr_array | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """A named data set.

    Parameters
    ----------
    name : str
        What tables and runs call it.
    interactions : Interactions
        All of them; train and test together where the split is published.
    published : PublishedSplit or None
        The published parts, if the data set is a published split.
    has_values : bool
        Whether the data come with values; if not, each of them is 1.
    """

    name: str
    interactions: Interactions
    published: PublishedSplit | None = None
    has_values: bool = True


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
    if split.negatives is not None:
        negatives = split.negatives.sorted_indices()
        digest.update(negatives.indptr.astype("int64").tobytes())
        digest.update(negatives.indices.astype("int64").tobytes())
    return digest.hexdigest()
