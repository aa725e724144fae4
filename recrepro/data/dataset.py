"""What a data set hands to the harness: its interactions, or the parts a paper published."""

from dataclasses import dataclass

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
    """

    name: str
    interactions: Interactions
    published: PublishedSplit | None = None
