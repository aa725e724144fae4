"""How popular the test items are, beside what random splits of the same data would give."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recrepro.interactions import Interactions

N_DRAWS = 10
"""Random splits that the test part is compared with."""


@dataclass(frozen=True)
class PartPopularity:
    """Item counts of one part in a few numbers.

    Parameters
    ----------
    interactions : int
        In the part.
    largest : int
        Interactions of its most frequent item.
    mean : float
        Interactions an item; items without any count.
    gini : float
        0 if all items are alike, towards 1 if one has everything.
    entropy : float
        Shannon entropy of the shares, in bits.
    kendall : float
        Rank correlation (tau-b) with the item counts of all parts together.
    """

    interactions: int
    largest: int
    mean: float
    gini: float
    entropy: float
    kendall: float


@dataclass(frozen=True)
class RandomPopularity:
    """What random splits of the same data give for the test part: means over the draws.

    Parameters
    ----------
    largest, gini, entropy, kendall
        As in `PartPopularity`.
    distance : float
        As in `Popularity`.
    largest_distance : float
        The largest one among the draws.
    """

    largest: float
    gini: float
    entropy: float
    kendall: float
    distance: float
    largest_distance: float


@dataclass(frozen=True, eq=False)
class ItemCounts:
    """Interactions of each item.

    Parameters
    ----------
    train, test : array of int64, shape (n_items,)
        In the parts.
    random : array of int64, shape (n_items,)
        In the last of the random test parts.
    expected : array of float, shape (n_items,)
        In random test parts on average.
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    random: NDArray[np.int64]
    expected: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Popularity:
    """Popularity in train and test, and at random.

    Parameters
    ----------
    train, test : PartPopularity
        As they are.
    random : RandomPopularity
        If as many test interactions had been drawn from each user at random.
    distance : float
        Total variation between the test counts and those that are expected of a random draw:
        the share of test interactions that lie on other items.
    kolmogorov_smirnov : float
        Largest distance between train and test in the share of interactions that fall on the most
        popular items, by popularity in both together.
    counts : ItemCounts
        What all this was computed from.
    """

    train: PartPopularity
    test: PartPopularity
    random: RandomPopularity
    distance: float
    kolmogorov_smirnov: float
    counts: ItemCounts

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values; the counts of the items are not among them."""
        parts = {name: asdict(getattr(self, name)) for name in ("train", "test", "random")}
        return parts | {
            "distance": self.distance,
            "kolmogorov_smirnov": self.kolmogorov_smirnov,
        }


def compare_popularity(
    train: Interactions, test: Interactions, rng: np.random.Generator
) -> Popularity:
    """Compare the popularity of test items with train, and with random splits.

    A random split takes as many interactions from each user as the test part has, on average:
    each interaction of a user is drawn with the same chance.

    Parameters
    ----------
    train, test : Interactions
        The parts, sharing their labels. Train has all that is not test.
    rng : numpy.random.Generator
        For the random splits.
    """
    whole = train.item_counts + test.item_counts
    of_user = train.user_counts + test.user_counts
    chance = np.divide(test.user_counts, of_user, out=np.zeros(len(of_user)), where=of_user > 0)
    users = np.concatenate([train.users, test.users])
    items = np.concatenate([train.items, test.items])
    rows = np.flatnonzero(chance[users] > 0)  # of users without test interactions none is drawn
    row_chance, items = chance[users[rows]], items[rows]
    del users
    expected: NDArray[np.float64] = np.bincount(items, row_chance, train.n_items).astype(float)
    draws = []
    for _ in range(N_DRAWS):
        drawn = items[rng.random(len(items), np.float32) < row_chance]
        counts = np.bincount(drawn, minlength=train.n_items)
        draws.append((_part(counts, whole), _distance(counts, expected)))
    parts, distances = [part for part, _ in draws], [distance for _, distance in draws]
    random = RandomPopularity(
        largest=float(np.mean([p.largest for p in parts])),
        gini=float(np.mean([p.gini for p in parts])),
        entropy=float(np.mean([p.entropy for p in parts])),
        kendall=float(np.mean([p.kendall for p in parts])),
        distance=float(np.mean(distances)),
        largest_distance=float(np.max(distances)),
    )
    return Popularity(
        _part(train.item_counts, whole),
        _part(test.item_counts, whole),
        random,
        _distance(test.item_counts, expected),
        _kolmogorov_smirnov(train.item_counts, test.item_counts),
        ItemCounts(train.item_counts, test.item_counts, counts, expected),
    )


def _distance(counts: NDArray[np.int64], expected: NDArray[np.float64]) -> float:
    return float(np.abs(counts - expected).sum() / 2 / max(expected.sum(), 1))


def _kolmogorov_smirnov(train: NDArray[np.int64], test: NDArray[np.int64]) -> float:
    """Compare distributions over popularity; items of equal popularity are one step."""
    whole = train + test
    order = np.argsort(-whole, kind="stable")
    ends = np.diff(whole[order], append=-1) != 0
    first, second = (np.cumsum(part[order]) / max(part.sum(), 1) for part in (train, test))
    return float(np.abs(first - second)[ends].max(initial=0.0))


def _part(counts: NDArray[np.int64], whole: NDArray[np.int64]) -> PartPopularity:
    from scipy.stats import kendalltau  # takes a second to import

    total = max(int(counts.sum()), 1)
    shares = counts[counts > 0] / total
    tau = kendalltau(whole, counts).statistic if len(np.unique(counts)) > 1 else 0.0
    return PartPopularity(
        interactions=int(counts.sum()),
        largest=int(counts.max(initial=0)),
        mean=float(counts.mean()),
        gini=_gini(counts),
        entropy=float(-(shares * np.log2(shares)).sum()),
        kendall=float(np.nan_to_num(tau)),
    )


def _gini(counts: NDArray[np.int64]) -> float:
    ordered = np.sort(counts)
    n, total = len(ordered), max(int(ordered.sum()), 1)
    return float(((2 * np.arange(1, n + 1) - n - 1) * ordered).sum() / (n * total))
