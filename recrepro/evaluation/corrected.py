"""Estimates of full ranking from sampled ranking (Krichene & Rendle, KDD 2020).

A held-out item is ranked among m sampled negatives instead of all n - 1 other items. From its
sampled rank s each estimator guesses what the metric would be at its full rank r. All are linear:
a table has one value for each sampled rank, and the mean over users of the values looked up is the
estimate. They hold for users with one held-out item and negatives that are drawn uniformly.

The probability of s given r is hypergeometric, because negatives are distinct here; the paper
draws with return, which gives a binomial one.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from recrepro.errors import DataError
from recrepro.evaluation.metrics import PerUser, Ranking

AtRank = Callable[[NDArray[np.float64], int], NDArray[np.float64]]
"""A metric of a user with one held-out item: from its rank and the cutoff to the value."""

BIAS_VARIANCE_WEIGHT = 0.1
"""How much the variance counts beside the squared bias."""


def hit_at(ranks: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Hit rate, and recall: 1 up to the cutoff."""
    return (ranks <= k).astype(np.float64)


def ndcg_at(ranks: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """NDCG: 1 / log2(r + 1) up to the cutoff."""
    return hit_at(ranks, k) / np.log2(ranks + 1)


def reciprocal_rank_at(ranks: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """MRR, and MAP: 1 / r up to the cutoff."""
    return hit_at(ranks, k) / ranks


def by_rank(metric: AtRank, ranking: Ranking, k: int) -> PerUser:
    """Take the metric at the corrected rank, 1 + (s - 1)(n - 1) / m.

    Krichene & Rendle, Section 5.1. The corrected rank has the right mean, the metric at it has not.
    The n of each user is their own.
    """
    sampled, n_sampled, n_full = _ranks(ranking)
    others = np.maximum(n_full - 1, 0)
    full = 1 + (sampled - 1) * others / np.maximum(n_sampled, 1)
    return np.where(sampled > 0, metric(np.maximum(full, 1), k), 0.0)


def by_least_squares(metric: AtRank, ranking: Ranking, k: int) -> PerUser:
    r"""Estimate with the least bias of all tables that do not rise with the rank (CLS).

    With A the matrix of P(s | r), b the metric at each full rank, and all full ranks equally
    likely beforehand, the table x minimises

    .. math:: \lVert A x - b \rVert^2, \quad x_1 \ge x_2 \ge \dots \ge 0

    Without the constraint its values are huge, with changing signs. One n serves all users: their
    median.
    """
    return _by_table(metric, 0.0, ranking, k)


def by_bias_and_variance(metric: AtRank, ranking: Ranking, k: int) -> PerUser:
    r"""Estimate by the table that trades bias for variance (BV).

    As CLS, but without the constraint, and with the variance of the estimate as a second term:

    .. math:: \lVert A x - b \rVert^2 + \gamma \sum_r \mathrm{Var}[x_S \mid r], \quad
        \gamma = 0.1
    """
    return _by_table(metric, BIAS_VARIANCE_WEIGHT, ranking, k)


def _by_table(metric: AtRank, weight: float, ranking: Ranking, k: int) -> PerUser:
    sampled, n_sampled, n_full = _ranks(ranking)
    table = _table(metric, weight, k, int(n_sampled.max()), int(np.median(n_full)))
    return np.where(sampled > 0, table[np.maximum(sampled, 1) - 1], 0.0)


def _ranks(ranking: Ranking) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return each user's sampled rank (0 without one), number of negatives, and n."""
    if ranking.n_unsampled is None:
        raise DataError(
            "this ranking is not sampled, so there is nothing to correct: take the metric without "
            "brackets."
        )
    if (ranking.n_relevant != 1).any():
        n_more = int((ranking.n_relevant != 1).sum())
        raise DataError(
            f"corrected metrics are for users with one held-out item, and {n_more} of "
            f"{ranking.n_users} have more. Use leave-one-out, or rank all items (candidates = "
            "'full')."
        )
    sampled = np.zeros(ranking.n_users, np.int64)
    sampled[ranking.hits.users] = ranking.hits.ranks
    return sampled, ranking.n_ranked - (sampled > 0), ranking.n_unsampled


@lru_cache(maxsize=64)
def _table(metric: AtRank, weight: float, k: int, n_sampled: int, n_full: int) -> PerUser:
    """Return the estimate for each sampled rank from 1 to n_sampled + 1."""
    from scipy.linalg import lstsq, qr  # half a second to import, for what few experiments use
    from scipy.optimize import nnls
    from scipy.stats import hypergeom

    in_front = np.arange(n_full)[:, None]
    chance = hypergeom(n_full - 1, in_front, n_sampled).pmf(np.arange(n_sampled + 1))
    target = metric(np.arange(1, n_full + 1, dtype=np.float64), k)
    if weight == 0:
        falling = np.triu(np.ones((n_sampled + 1, n_sampled + 1)))  # steps of at least 0
        factor, triangle = qr(chance @ falling, mode="economic")
        table: PerUser = falling @ nnls(triangle, factor.T @ target)[0]
        return table
    # The variance is E[x^2] - (A x)^2, so that a part of it takes away from the squared bias.
    # Written as one least-squares problem: its normal equations are too ill-conditioned.
    rows = [np.sqrt(1 - weight) * chance, np.diag(np.sqrt(weight * chance.sum(axis=0)))]
    targets = [target / np.sqrt(1 - weight), np.zeros(n_sampled + 1)]
    trade_off: PerUser = lstsq(np.vstack(rows), np.concatenate(targets))[0]
    return trade_off
