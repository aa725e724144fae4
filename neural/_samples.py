"""What the epochs of neural recommenders consist of: drawn pairs, in batches."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recrepro.compute.sampling import draw_unseen
from recrepro.interactions import Interactions

from ._kernels import find_seen
from ._training import Batch


def learnable(train: Interactions) -> NDArray[np.int64]:
    """Return the numbers of the interactions of users for whom there is an item to draw."""
    return np.flatnonzero(train.user_counts[train.users] < train.n_items)


def in_batches(
    arrays: Batch, batch_size: int, rng: np.random.Generator | None = None
) -> Iterator[Batch]:
    """Cut arrays of equal length into batches, the last of what is left.

    Parameters
    ----------
    arrays : tuple of arrays
        First axis: samples.
    batch_size : int
        Samples in a batch.
    rng : numpy.random.Generator, optional
        Shuffles the samples; without it they stay in order.
    """
    n = len(arrays[0])
    order = None if rng is None else rng.permutation(n)
    for start in range(0, n, batch_size):
        at = slice(start, start + batch_size)
        yield tuple(array[at if order is None else order[at]] for array in arrays)


def labelled_pairs(
    train: Interactions, n_negatives: int, batch_size: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Yield users, items and labels: every interaction with 1, and unseen items with 0, shuffled.

    Parameters
    ----------
    train : Interactions
        Values are ignored. Users with every item are left out.
    n_negatives : int
        Unseen items drawn for each interaction, uniformly, with replacement.
    batch_size : int
        Samples in a batch.
    rng : numpy.random.Generator
        Draws and shuffles.
    """
    chosen = learnable(train)
    users = np.repeat(train.users[chosen], n_negatives)
    negatives = draw_unseen(rng, users, train.matrix)
    labels = np.zeros(len(chosen) * (1 + n_negatives), np.float32)
    labels[: len(chosen)] = 1
    samples = (
        np.concatenate([train.users[chosen], users]),
        np.concatenate([train.items[chosen], negatives]),
        labels,
    )
    return in_batches(samples, batch_size, rng)


def ranked_pairs(
    train: Interactions, n_negatives: int, batch_size: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Yield users, items of theirs and unseen items, `n_negatives` for each interaction, shuffled.

    Parameters
    ----------
    train : Interactions
        Values are ignored. Users with every item are left out.
    n_negatives : int
        Unseen items drawn for each interaction, uniformly, with replacement.
    batch_size : int
        Samples in a batch.
    rng : numpy.random.Generator
        Draws and shuffles.
    """
    chosen = np.repeat(learnable(train), n_negatives)
    users = train.users[chosen]
    samples = users, train.items[chosen], draw_unseen(rng, users, train.matrix)
    return in_batches(samples, batch_size, rng)


def pairs_with_drawn_items(
    train: Interactions,
    n_negatives: int,
    batch_size: int,
    rng: np.random.Generator,
    *,
    unseen_only: bool,
) -> Iterator[Batch]:
    """Yield users, items of theirs and drawn items, a row for each interaction, shuffled.

    They are drawn batch by batch: there may be thousands for an interaction.

    Parameters
    ----------
    train : Interactions
        Values are ignored.
    n_negatives : int
        Items drawn for each interaction, uniformly, with replacement.
    batch_size : int
        Interactions in a batch.
    rng : numpy.random.Generator
        Draws and shuffles.
    unseen_only : bool
        Whether they are drawn from the items that the user has not seen, or from all. Users with
        every item are left out then.
    """
    pairs: Batch = (train.users, train.items)
    if unseen_only:
        chosen = learnable(train)
        pairs = train.users[chosen], train.items[chosen]
    for users, items in in_batches(pairs, batch_size, rng):
        size = len(users), n_negatives
        drawn = rng.integers(train.n_items, size=size, dtype=np.int32)
        if unseen_only:
            _draw_seen_again(rng, users, drawn, train)
        yield users, items, drawn


def _draw_seen_again(
    rng: np.random.Generator,
    users: NDArray[np.int32],
    drawn: NDArray[np.int32],
    train: Interactions,
) -> None:
    """Replace those drawn items that their user has seen, a row for each user.

    Most are not seen, so that this takes less time than to draw all of them from the unseen.
    """
    matrix, places = train.matrix, np.empty(drawn.size + 1, np.int64)
    n = find_seen(users, drawn, matrix.indptr, matrix.indices, train.n_items, places)
    again = places[:n]
    drawn.flat[again] = draw_unseen(rng, users[again // drawn.shape[1]], matrix)
