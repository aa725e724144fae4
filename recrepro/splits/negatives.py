"""Sampled negatives: items drawn from those that a user has nothing to do with."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.errors import DataError
from recrepro.interactions import Interactions
from recrepro.spec.identity import SplitIdentity

Sampling = Literal["uniform", "popularity"]
"""How negatives are drawn: each free item with the same chance, or with a chance in proportion to
its interactions in train, one after the other and without return."""

VERSIONS: dict[Sampling, int] = {"uniform": 0, "popularity": 1}
"""Added to the version of a split; bumped whenever a sampling can draw other negatives."""

_COUNTED_TEST = {"published": 2}
"""The last version of each strategy whose draws by popularity counted held-out interactions, too;
1 of all others."""


def counted_held_out(split: SplitIdentity) -> bool:
    """Say whether negatives were drawn by popularity in train and test, as they once were."""
    last = _COUNTED_TEST.get(split.strategy, 1)
    return split.sampling == "popularity" and split.version <= last


def draw_negatives(
    positive: Interactions,
    holdout: Interactions,
    n_negatives: int,
    rng: np.random.Generator,
    popularity: NDArray[np.int64] | None = None,
) -> csr_array:
    """Draw distinct negatives for every user with held-out items.

    Parameters
    ----------
    positive, holdout : Interactions
        Items in either are never drawn for that user.
    n_negatives : int
        How many for each user.
    rng : numpy.random.Generator
        The only source of randomness.
    popularity : array of int, shape (n_items,), optional
        Chances in proportion: interactions of each item in train, and in nothing that is held out.
        Items with 0 are not drawn. By default each item has the same chance.

    Returns
    -------
    csr_array of bool, shape (n_users, n_items)

    Raises
    ------
    DataError
        If some user has fewer than `n_negatives` items left.
    """
    users = np.flatnonzero(holdout.user_counts)
    # Binarised, because a stored value of 0 would vanish from the sum.
    taken = positive.binarised().matrix.astype(bool) + holdout.binarised().matrix.astype(bool)
    drawable = np.ones(positive.n_items, bool) if popularity is None else popularity > 0
    left = drawable.sum() - (taken[users] @ drawable.astype(np.int64))
    if len(left) and left.min() < n_negatives:
        raise DataError(
            f"evaluate.candidates: {n_negatives} negatives were asked for, but a user has only "
            f"{int(left.min())} items left to draw from. Ask for so many or fewer, or rank all "
            'items: candidates = "full".'
        )
    if popularity is not None:
        return _draw_by_weight(taken, users, n_negatives, popularity, rng)
    # Drawing among the free items by their rank, then shifting past the taken ones, needs no
    # rejection: the i-th free item is i plus the number of taken items before it. A user's taken
    # item number j has taken[j] - j free items before it.
    taken.sort_indices()
    owners = np.repeat(np.arange(positive.n_users), np.diff(taken.indptr))
    free_before = taken.indices - (np.arange(taken.nnz) - taken.indptr[owners])
    picks = _distinct(left, n_negatives, positive.n_items, rng)
    rows, ranks = users[picks // positive.n_items], picks % positive.n_items
    width = positive.n_items + 1
    passed = np.searchsorted(owners * width + free_before, rows * width + ranks, side="right")
    items = ranks + passed - taken.indptr[rows]
    return csr_array((np.ones(len(items), bool), (rows, items)), shape=positive.shape)


ROUNDS = 20
"""After so many rounds of drawing and leaving out repeats, who still lacks negatives gets theirs
from one random number for each item."""


def _draw_by_weight(
    taken: csr_array,
    users: NDArray[np.int64],
    n: int,
    weights: NDArray[np.int64],
    rng: np.random.Generator,
) -> csr_array:
    """Draw n free items for each user in proportion to their weights, without return."""
    n_items = len(weights)
    ends = np.cumsum(weights)
    owners = np.repeat(np.arange(taken.shape[0]), np.diff(taken.indptr))
    unfit = np.sort(owners * n_items + taken.indices)
    drawn = np.empty(0, np.int64)  # in the order of drawing: later ones that repeat are left out
    missing = np.full(len(users), n)
    for _ in range(ROUNDS):
        rows = np.repeat(users, np.where(missing > 0, missing + 2, 0))
        items = np.searchsorted(ends, rng.integers(ends[-1], size=len(rows)), side="right")
        codes = rows * n_items + items
        free = unfit[np.minimum(np.searchsorted(unfit, codes), len(unfit) - 1)] != codes
        drawn = _first_of_each_user(np.concatenate([drawn, codes[free]]), n, n_items)
        missing = n - np.bincount(drawn // n_items, minlength=taken.shape[0])[users]
        if not missing.any():
            break
    short = users[missing > 0]
    size = max(1, 8_000_000 // n_items)
    for block in (short[i : i + size] for i in range(0, len(short), size)):
        # The smallest of exponential times are a draw in proportion to the rates.
        times = rng.exponential(size=(len(block), n_items))
        times = np.divide(times, weights, out=np.full_like(times, np.inf), where=weights > 0)
        times[taken[block].toarray()] = np.inf
        place = np.full(taken.shape[0], -1)
        place[block] = np.arange(len(block))
        mine = drawn[place[drawn // n_items] >= 0]
        times[place[mine // n_items], mine % n_items] = -1  # what is drawn stays
        rest = np.argpartition(times, n - 1, axis=1)[:, :n]
        codes = (block[:, None] * n_items + rest).ravel()
        drawn = _first_of_each_user(np.concatenate([drawn, codes]), n, n_items)
    rows, items = drawn // n_items, drawn % n_items
    return csr_array((np.ones(len(items), bool), (rows, items)), shape=taken.shape)


def _first_of_each_user(codes: NDArray[np.int64], n: int, n_items: int) -> NDArray[np.int64]:
    """Keep the first n distinct items of each user, in their order."""
    _, first = np.unique(codes, return_index=True)
    codes = codes[np.sort(first)]
    by_user = np.argsort(codes // n_items, kind="stable")
    counts = np.bincount(codes // n_items)
    counts = counts[counts > 0]
    numbers = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return codes[np.sort(by_user[numbers < n])]


def _distinct(
    sizes: NDArray[np.int64], n: int, width: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """For each place, draw n distinct numbers below its size; return place x width + number."""
    # Repeats are drawn again, and where most are wanted, those to leave out are drawn.
    dense = 2 * n > sizes
    wanted = np.where(dense, sizes - n, n)
    drawn = np.empty(0, np.int64)
    missing = wanted
    while missing.any():
        places = np.repeat(np.arange(len(sizes)), missing)
        # Not np.union1d: from numpy 2.3 on it hashes, which takes minutes here.
        more = np.sort(places * width + rng.integers(sizes[places]))
        drawn = np.sort(np.concatenate([drawn, more]), kind="stable")
        drawn = drawn[np.diff(drawn, prepend=-1) > 0]
        missing = wanted - np.bincount(drawn // width, minlength=len(sizes))
    places = np.flatnonzero(dense)
    starts = np.cumsum(sizes[places]) - sizes[places]
    numbers = np.arange(sizes[places].sum()) - np.repeat(starts, sizes[places])
    every = np.repeat(places, sizes[places]) * width + numbers
    rest = np.setdiff1d(every, drawn, assume_unique=True)
    return np.sort(np.concatenate([drawn[~dense[drawn // width]], rest]), kind="stable")
