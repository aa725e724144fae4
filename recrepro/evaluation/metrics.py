"""Accuracy metrics: pure functions from ranked lists to one value a user.

Symbols: h_i is 1 if the item at rank i is relevant (ranks from 1), R the number of relevant
items of the user, k the cutoff, L the length of the user's list (shorter than k if fewer items
could be ranked). All metrics lie in [0, 1] unless a variant says otherwise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PerUser = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Ranked lists of some users, reduced to what metrics need.

    Parameters
    ----------
    hits : array of bool, shape (n_users, K)
        Whether the item at each rank is relevant; false beyond the end of a list.
    n_relevant : array of int, shape (n_users,)
        Number of held-out items of each user, at least 1.
    lengths : array of int, shape (n_users,)
        Length of each list, at most K.
    """

    hits: NDArray[np.bool_]
    n_relevant: NDArray[np.int64]
    lengths: NDArray[np.int64]


def ndcg(ranking: Ranking, k: int) -> PerUser:
    """Normalised discounted cumulative gain, sum h_i / log2(i + 1) over its best possible value.

    Järvelin & Kekäläinen (TOIS 2002) with binary gains. The ideal list holds min(k, R) relevant
    items, so a perfect list scores 1 at every cutoff.
    """
    return _dcg(ranking, k) / _ideal_dcg(np.minimum(ranking.n_relevant, k))


def ndcg_uncut_ideal(ranking: Ranking, k: int) -> PerUser:
    """NDCG as the RecSys 2019 study computes it: the ideal list holds all R items, uncut at k.

    With one relevant item it equals `ndcg`; with R > k even a perfect list scores below 1.
    """
    return _dcg(ranking, k) / _ideal_dcg(ranking.n_relevant)


def recall(ranking: Ranking, k: int) -> PerUser:
    """Share of the relevant items that are in the list: hits / R."""
    return _n_hits(ranking, k) / ranking.n_relevant


def precision(ranking: Ranking, k: int) -> PerUser:
    """Share of the k places that hold a relevant item: hits / k, also for shorter lists."""
    return _n_hits(ranking, k) / k


def precision_of_listed(ranking: Ranking, k: int) -> PerUser:
    """Precision as the RecSys 2019 study computes it: hits / min(k, L); 0 for an empty list."""
    return _n_hits(ranking, k) / _n_listed(ranking, k)


def hit_rate(ranking: Ranking, k: int) -> PerUser:
    """1 if at least one relevant item is in the list, else 0."""
    return np.minimum(_n_hits(ranking, k), 1.0)


def hit_count(ranking: Ranking, k: int) -> PerUser:
    """Hit rate as the RecSys 2019 study computes it: the number of hits, so it can exceed 1."""
    return _n_hits(ranking, k)


def average_precision(ranking: Ranking, k: int) -> PerUser:
    """Mean over users is MAP: sum of precision at each hit over min(k, R)."""
    return _precision_sum(ranking, k) / np.minimum(ranking.n_relevant, k)


def average_precision_of_listed(ranking: Ranking, k: int) -> PerUser:
    """Average precision as the RecSys 2019 study computes it: divided by min(R, k, L)."""
    return _precision_sum(ranking, k) / np.minimum(ranking.n_relevant, _n_listed(ranking, k))


def reciprocal_rank(ranking: Ranking, k: int) -> PerUser:
    """Mean over users is MRR: 1 / rank of the first relevant item, 0 if it is not in the list."""
    hits = ranking.hits[:, :k]
    ranks: PerUser = hits.argmax(axis=1) + 1.0
    return np.where(hits.any(axis=1), 1.0 / ranks, 0.0)


def _discounts(k: int) -> NDArray[np.float64]:
    ranks = np.arange(1, k + 1, dtype=np.float64)
    discounts: PerUser = 1.0 / np.log2(ranks + 1)
    return discounts


def _ideal_dcg(n_hits: NDArray[np.int64]) -> PerUser:
    """Return the gain of a list with all its hits in front."""
    gains = np.cumsum(_discounts(int(n_hits.max(initial=1))))
    ideal: PerUser = gains[n_hits - 1]
    return ideal


def _n_listed(ranking: Ranking, k: int) -> NDArray[np.int64]:
    """Return the number of filled places, 1 for an empty list so that it can be divided by."""
    return np.clip(ranking.lengths, 1, k)


def _n_hits(ranking: Ranking, k: int) -> PerUser:
    count: PerUser = ranking.hits[:, :k].sum(axis=1, dtype=np.float64)
    return count


def _dcg(ranking: Ranking, k: int) -> PerUser:
    # Neither `@` nor `sum`: added up in the order of the ideal list, whatever the number of rows,
    # a perfect list has exactly the ideal value.
    hits = ranking.hits[:, :k]
    gains: PerUser = np.cumsum(np.where(hits, _discounts(hits.shape[1]), 0.0), axis=1)
    return gains[:, -1]


def _precision_sum(ranking: Ranking, k: int) -> PerUser:
    hits = ranking.hits[:, :k]
    precisions = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    total: PerUser = np.where(hits, precisions, 0.0).sum(axis=1)
    return total
