"""Accuracy metrics: pure functions from the ranks of held-out items to one value a user.

Symbols: R is the number of relevant (held-out) items of a user, k the cutoff, L the length of the
user's list (k, or less if fewer items could be ranked), N the number of items that were ranked.
h_i is 1 if the item at rank i is relevant (ranks from 1), and hits = h_1 + ... + h_k.

A user without a hit scores 0. All metrics lie in [0, 1] unless something else is said.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from recrepro.evaluation.items import CandidateItems

PerUser = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hits:
    """Relevant items up to a cutoff, one entry each, by user and then by rank.

    Parameters
    ----------
    users : array of int64
        Rows of the users.
    ranks : array of int64
        From 1.
    numbers : array of int64
        How many relevant items of the user come up to this rank, itself included.
    values : array of float64
        What the data say of the interaction: a rating, a count, or 1.
    """

    users: NDArray[np.int64]
    ranks: NDArray[np.int64]
    numbers: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Where the held-out items of n users came out: all that metrics need.

    Parameters
    ----------
    hits : Hits
        Held-out items with a rank; those that cannot be recommended have none.
    n_relevant : array of int64, shape (n,)
        R, at least 1.
    n_ranked : array of int64, shape (n,)
        N.
    values : array of float64
        Of all held-out items, by user and then from the largest down; ideal lists need them.
    lists : array of int32, shape (n, depth), or None
        The items, best first, -1 behind the end; where a metric asks for them.
    catalogue : CandidateItems or None
        What metrics of lists need to know of the items.
    n_unsampled : array of int64, shape (n,), or None
        In sampled ranking, how many items a full one would have had.
    """

    hits: Hits
    n_relevant: NDArray[np.int64]
    n_ranked: NDArray[np.int64]
    values: NDArray[np.float64]
    lists: NDArray[np.int32] | None = None
    catalogue: "CandidateItems | None" = None
    n_unsampled: NDArray[np.int64] | None = None
    _cuts: dict[int, Hits] = field(default_factory=dict, repr=False)

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.n_relevant)

    def top(self, k: int | None) -> Hits:
        """Return the hits up to a cutoff; all of them without one."""
        if k is None:
            return self.hits
        if k not in self._cuts:
            # From the next longer list that was asked for: cutoffs share most of the work.
            longer = min((c for c in self._cuts if c > k), default=None)
            whole = self.hits if longer is None else self._cuts[longer]
            rows = np.flatnonzero(whole.ranks <= k)
            self._cuts[k] = Hits(
                whole.users[rows], whole.ranks[rows], whole.numbers[rows], whole.values[rows]
            )
        return self._cuts[k]

    def lengths(self, k: int) -> NDArray[np.int64]:
        """Return L, 1 for an empty list so that it can be divided by."""
        return np.clip(self.n_ranked, 1, k)

    def total(self, hits: Hits, gains: NDArray[np.float64] | None = None) -> PerUser:
        """Add up what each hit brings (1 unless said otherwise), in the order of the ranks."""
        # In this order a perfect list has exactly the value of its ideal.
        totals = np.bincount(hits.users, gains, minlength=self.n_users)
        return totals.astype(np.float64, copy=False)


def ndcg(ranking: Ranking, k: int) -> PerUser:
    r"""Normalised discounted cumulative gain: the DCG over that of the best possible list.

    .. math:: \sum_{i \le k} \frac{h_i}{\log_2(i + 1)} \Big/ \sum_{i \le \min(k, R)}
        \frac{1}{\log_2(i + 1)}

    Järvelin & Kekäläinen (TOIS 2002) with binary gains. A perfect list scores 1 at every cutoff.
    """
    return _dcg(ranking, k) / _ideal_dcg(np.minimum(ranking.n_relevant, k))


def ndcg_uncut_ideal(ranking: Ranking, k: int) -> PerUser:
    """NDCG with an ideal list of all R items, not cut at k.

    With one relevant item it equals `ndcg`; with R > k even a perfect list scores below 1.
    """
    return _dcg(ranking, k) / _ideal_dcg(ranking.n_relevant)


def ndcg_full_ideal(ranking: Ranking, k: int) -> PerUser:
    """NDCG with an ideal list of k items, even if fewer are relevant: below 1 where R < k."""
    return _dcg(ranking, k) / _ideal_dcg(np.full(ranking.n_users, k))


def ndcg_of_retrieved(ranking: Ranking, k: int) -> PerUser:
    """NDCG whose ideal list holds the hits only: items that were missed cost nothing."""
    n_hits = ranking.total(ranking.top(k)).astype(np.int64)
    return _dcg(ranking, k) / _ideal_dcg(np.maximum(n_hits, 1))


def ndcg_flat_start(ranking: Ranking, k: int) -> PerUser:
    """NDCG with the discount 1 / log2(max(i, 2)): ranks 1 and 2 weigh the same."""
    hits = ranking.top(k)
    gains = 1 / np.log2(np.maximum(hits.ranks, 2))
    n_ideal = np.minimum(ranking.n_relevant, k)
    best = np.cumsum(1 / np.log2(np.maximum(np.arange(1, n_ideal.max(initial=1) + 1), 2)))
    ideal: PerUser = best[n_ideal - 1]
    return ranking.total(hits, gains) / ideal


def ndcg_linear_gain(ranking: Ranking, k: int) -> PerUser:
    """NDCG whose gain is the value (rating) of the held-out interaction.

    The ideal list holds the min(k, R) largest values. 0 for a user whose values are all 0; values
    below 0 count as 0. With binary values it equals `ndcg`.
    """
    return _graded_ndcg(ranking, k, lambda values, _: np.maximum(values, 0))


def ndcg_exponential_gain(ranking: Ranking, k: int) -> PerUser:
    """NDCG with the gain 2^value - 1 of Burges et al. (ICML 2005); otherwise as `ndcg[linear]`.

    Ferrari Dacrema et al. use it on ratings, with an ideal list that is not cut at k.
    """
    return _graded_ndcg(ranking, k, _exponential_gain)


def recall(ranking: Ranking, k: int) -> PerUser:
    """Share of the relevant items that are in the list: hits / R."""
    return ranking.total(ranking.top(k)) / ranking.n_relevant


def recall_capped(ranking: Ranking, k: int) -> PerUser:
    """Hits over the most that a list of k can have: hits / min(k, R)."""
    return ranking.total(ranking.top(k)) / np.minimum(ranking.n_relevant, k)


def precision(ranking: Ranking, k: int) -> PerUser:
    """Share of the k places that hold a relevant item: hits / k, also for shorter lists."""
    return ranking.total(ranking.top(k)) / k


def precision_of_listed(ranking: Ranking, k: int) -> PerUser:
    """Share of the places that are filled: hits / L; 0 for an empty list."""
    return ranking.total(ranking.top(k)) / ranking.lengths(k)


def f1(ranking: Ranking, k: int) -> PerUser:
    """Harmonic mean of a user's precision (hits / k) and recall: 2 hits / (k + R).

    Van Rijsbergen (1979). The mean over users is not the harmonic mean of the two means.
    """
    return 2 * ranking.total(ranking.top(k)) / (k + ranking.n_relevant)


def f1_of_means(ranking: Ranking, k: int) -> float:
    """Harmonic mean of the averages of hits / L and hits / R; 0 if both are. No value a user."""
    means = precision_of_listed(ranking, k).mean(), recall(ranking, k).mean()
    return float(2 * means[0] * means[1] / sum(means)) if sum(means) else 0.0


def hit_rate(ranking: Ranking, k: int) -> PerUser:
    """1 if at least one relevant item is in the list, else 0."""
    return np.minimum(ranking.total(ranking.top(k)), 1.0)


def hit_count(ranking: Ranking, k: int) -> PerUser:
    """Return the number of hits, which can exceed 1."""
    return ranking.total(ranking.top(k))


def average_precision(ranking: Ranking, k: int) -> PerUser:
    r"""Precision at the hits; its mean over users is MAP.

    .. math:: \frac{1}{\min(k, R)} \sum_{i \le k} h_i \cdot \frac{h_1 + \dots + h_i}{i}

    Voorhees & Harman (TREC), with the best value of a list of k as 1.
    """
    return _precision_sum(ranking, k) / np.minimum(ranking.n_relevant, k)


def average_precision_of_listed(ranking: Ranking, k: int) -> PerUser:
    """Average precision over min(R, L): a list that ends early can be perfect."""
    return _precision_sum(ranking, k) / np.minimum(ranking.n_relevant, ranking.lengths(k))


def average_precision_of_all(ranking: Ranking, k: int | None) -> PerUser:
    """Average precision over R, as in TREC: below 1 for every list where R > k."""
    return _precision_sum(ranking, k) / ranking.n_relevant


def average_precision_of_hits(ranking: Ranking, k: int) -> PerUser:
    """Average precision over the hits: items that were missed cost nothing; 0 without a hit."""
    return _precision_sum(ranking, k) / np.maximum(ranking.total(ranking.top(k)), 1)


def reciprocal_rank(ranking: Ranking, k: int) -> PerUser:
    """1 / rank of the first relevant item, 0 if it is not in the list; its mean is MRR.

    Voorhees (TREC 1999).
    """
    hits = ranking.top(k)
    return ranking.total(hits, np.where(hits.numbers == 1, 1 / hits.ranks, 0.0))


def reciprocal_ranks(ranking: Ranking, k: int) -> PerUser:
    """Average reciprocal hit rank (ARHR): the sum of 1 / rank over all hits. It can exceed 1.

    Deshpande & Karypis (TOIS 2004), who have one relevant item a user, where it equals
    `mrr`.
    """
    hits = ranking.top(k)
    return ranking.total(hits, 1 / hits.ranks)


def r_precision(ranking: Ranking, k: None = None) -> PerUser:
    """Precision at rank R: the share of relevant items among the first R; no cutoff. TREC."""
    hits = ranking.top(k)
    within = hits.ranks <= ranking.n_relevant[hits.users]
    return ranking.total(hits, within.astype(np.float64)) / ranking.n_relevant


def auc(ranking: Ranking, k: None = None) -> PerUser:
    """Chance that a random relevant item is in front of a random other item; no cutoff.

    The Mann-Whitney statistic over all N ranked items. A relevant item that cannot be recommended
    lies behind all others. 1/2 if there is no other item. Equal scores are ordered at random like
    everywhere, which is 1/2 on average.
    """
    hits = ranking.top(k)
    n_others = ranking.n_ranked - ranking.total(hits)
    behind = n_others[hits.users] - (hits.ranks - hits.numbers)
    pairs = ranking.n_relevant * n_others
    won = ranking.total(hits, behind)
    chance: PerUser = np.divide(won, pairs, out=np.full(len(pairs), 0.5), where=pairs > 0)
    return chance


def rank_biased_precision(patience: float, ranking: Ranking, k: int) -> PerUser:
    r"""Rank-biased precision (RBP) for a reader who goes on to the next item with probability p.

    .. math:: (1 - p) \sum_{i \le k} h_i \, p^{i - 1}

    Moffat & Zobel (TOIS 2008). A list of k hits scores 1 - p^k.
    """
    hits = ranking.top(k)
    gains: PerUser = np.power(patience, hits.ranks - 1.0)
    return (1 - patience) * ranking.total(hits, gains)


def _dcg(ranking: Ranking, k: int) -> PerUser:
    hits = ranking.top(k)
    return ranking.total(hits, _discounts(k)[hits.ranks - 1])


def _discounts(k: int) -> PerUser:
    discounts: PerUser = 1 / np.log2(np.arange(2, k + 2, dtype=np.float64))
    return discounts


def _ideal_dcg(n_hits: NDArray[np.int64]) -> PerUser:
    """Return the gain of a list with so many hits, all in front."""
    ideal: PerUser = np.cumsum(_discounts(int(n_hits.max(initial=1))))[n_hits - 1]
    return ideal


def _exponential_gain(values: PerUser, largest: PerUser) -> PerUser:
    """Return 2^value - 1, divided by a power of two where the user's largest value is very large.

    The power is the same for all items of a user and cancels out. Without it, 2^1024 is infinite.
    """
    shift = np.maximum(largest - _LARGEST_EXPONENT, 0)
    gains: PerUser = np.exp2(np.maximum(values, 0) - shift) - np.exp2(-shift)
    return gains


_LARGEST_EXPONENT = 960
"""The sum of many gains of 2^960 is finite."""


def _graded_ndcg(ranking: Ranking, k: int, gain: Callable[[PerUser, PerUser], PerUser]) -> PerUser:
    """Compute NDCG with gains that a function returns for values and each user's largest value."""
    hits = ranking.top(k)
    users = np.repeat(np.arange(ranking.n_users), ranking.n_relevant)
    starts = np.cumsum(ranking.n_relevant) - ranking.n_relevant
    places = np.arange(len(users)) - np.repeat(starts, ranking.n_relevant)
    in_ideal = places < k
    discounts = _discounts(k)
    largest = ranking.values[starts]
    best = gain(ranking.values[in_ideal], largest[users[in_ideal]]) * discounts[places[in_ideal]]
    ideal = np.bincount(users[in_ideal], best, minlength=ranking.n_users)
    dcg = ranking.total(hits, gain(hits.values, largest[hits.users]) * discounts[hits.ranks - 1])
    return np.divide(dcg, ideal, out=np.zeros(ranking.n_users), where=ideal > 0)


def _precision_sum(ranking: Ranking, k: int | None) -> PerUser:
    hits = ranking.top(k)
    return ranking.total(hits, hits.numbers / hits.ranks)
