"""Metrics of the lists themselves: what is recommended, however good it is.

Pure functions. Some give one value a user, others one for all lists together. They do not say that
more is better: a random recommender leads in most of them.

Symbols: L_u is the list of user u, cut at k, and |L_u| its length; n_i the number of lists with
item i, p_i = n_i / sum of all n; c_i the number of train interactions of item i. "All items" are
those that may be recommended.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.evaluation.items import CandidateItems
from recrepro.evaluation.metrics import PerUser, Ranking

BLOCK_ENTRIES = 10_000_000
"""Entries of a sparse product held at once, some 16 bytes each."""


def item_coverage(ranking: Ranking, k: int) -> float:
    """Share of all items that are in at least one list (catalogue coverage)."""
    counts = _list_counts(ranking, k)
    return float((counts > 0).mean()) if len(counts) else 0.0


def gini(ranking: Ranking, k: int) -> float:
    r"""Gini index of the n_i over all n items, those in no list included.

    .. math:: \sum_j \frac{2j - n - 1}{n} p_j

    with the items in ascending order of n_i. 0 if all are recommended equally often, towards 1 if
    one item is recommended to everybody; 0 if nothing is recommended.
    """
    counts = np.sort(_list_counts(ranking, k))
    n = len(counts)
    return float(((2 * np.arange(1, n + 1) - n - 1) * _shares(counts)).sum() / max(n, 1))


def gini_diversity(ranking: Ranking, k: int) -> float:
    r"""Evenness as the study reports it: 1 if all items are recommended equally often.

    .. math:: 2 \sum_j \frac{n + 1 - j}{n + 1} p_j

    with the items in ascending order of n_i (Adomavicius & Kwon, TKDE 2012).
    """
    counts = np.sort(_list_counts(ranking, k))
    n = len(counts)
    return float((2 * (n + 1 - np.arange(1, n + 1)) / (n + 1) * _shares(counts)).sum())


def shannon_entropy(ranking: Ranking, k: int) -> float:
    """Entropy of the p_i in bits: log2(n) if all n items are recommended equally often."""
    shares = _shares(_list_counts(ranking, k))
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum() + 0.0)


def herfindahl(ranking: Ranking, k: int) -> float:
    """Herfindahl diversity, 1 - sum of p_i^2 (Adomavicius & Kwon, TKDE 2012)."""
    return float(1 - (_shares(_list_counts(ranking, k)) ** 2).sum())


def inter_list_diversity(ranking: Ranking, k: int) -> float:
    """Mean inter-list diversity (MIL): 1 - mean of |common items of L_u and L_v| / k.

    Over all pairs of different users; Zhou et al. (PNAS 2010). 0 for a single user. It follows
    from the n_i: item i is common to n_i (n_i - 1) ordered pairs.
    """
    counts = _list_counts(ranking, k).astype(np.float64)
    n_pairs = ranking.n_users * (ranking.n_users - 1)
    return float(1 - (counts * (counts - 1)).sum() / (k * n_pairs)) if n_pairs else 0.0


def intra_list_diversity(ranking: Ranking, k: int) -> PerUser:
    """Mean of 1 - cosine over the pairs in a list (ILD), items as vectors of their train users.

    Smyth & McClave (ICCBR 2001), Ziegler et al. (WWW 2005), with co-occurrence as similarity. An
    item without users is unlike any other. 0 for lists of fewer than two items.
    """
    return _pairwise_distance(ranking, k, _catalogue(ranking).users_of_items)


def intra_list_diversity_of_features(ranking: Ranking, k: int) -> PerUser:
    """Mean of 1 - cosine over the pairs in a list (ILD), items as vectors of their features.

    As `ild`; an item without features is unlike any other.
    """
    return _pairwise_distance(ranking, k, _catalogue(ranking).unit_features)


def novelty(ranking: Ranking, k: int) -> PerUser:
    """Mean self-information of the items in a list, -log2(c_i / train users), in bits.

    Zhou et al. (PNAS 2010). An item that nobody has counts as if one user had it. 0 for an empty
    list.
    """
    catalogue = _catalogue(ranking)
    share = np.maximum(catalogue.popularity, 1) / max(catalogue.n_train_users, 1)
    return _list_means(ranking, k, -np.log2(share))


def novelty_over_items(ranking: Ranking, k: int) -> PerUser:
    """Novelty as the study computes it: the sum of -log2(c_i / all interactions) over all items.

    Divided by the number of all items, not of those in the list; items that nobody has add 0.
    """
    catalogue = _catalogue(ranking)
    counts = catalogue.popularity
    share = np.maximum(counts, 1) / max(counts.sum(), 1)
    information = np.where(counts > 0, -np.log2(share), 0.0)
    return _list_sums(ranking, k, information) / max(int(catalogue.recommendable.sum()), 1)


def average_popularity(ranking: Ranking, k: int) -> PerUser:
    """Average recommendation popularity (ARP): the mean c_i of a list. Yin et al. (VLDB 2012)."""
    return _list_means(ranking, k, _catalogue(ranking).popularity.astype(np.float64))


def relative_popularity(ranking: Ranking, k: int) -> PerUser:
    """Average popularity as the study reports it: the mean of c_i / the largest c."""
    counts = _catalogue(ranking).popularity
    return _list_means(ranking, k, counts / max(int(counts.max(initial=0)), 1))


def long_tail_share(ranking: Ranking, k: int) -> PerUser:
    """Average percentage of long-tail items (APLT): the share of a list that is not in the head.

    Abdollahpouri et al. (FLAIRS 2019). An item is in the head if fewer than 20 % of the items have
    more train interactions. 0 for an empty list.
    """
    return _list_means(ranking, k, (~_catalogue(ranking).head).astype(np.float64))


def _catalogue(ranking: Ranking) -> CandidateItems:
    assert ranking.catalogue is not None
    return ranking.catalogue


def _lists(ranking: Ranking, k: int) -> NDArray[np.int32]:
    assert ranking.lists is not None
    return ranking.lists[:, :k]


def _list_counts(ranking: Ranking, k: int) -> NDArray[np.int64]:
    """Return n_i of each item that may be recommended."""
    lists = _lists(ranking, k)
    recommendable = _catalogue(ranking).recommendable
    # Behind the end stands -1: counted as number 0, and left out.
    counts = np.bincount(lists.ravel() + 1, minlength=len(recommendable) + 1)[1:]
    return counts[recommendable]


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return counts / max(int(counts.sum()), 1)


def _list_sums(ranking: Ranking, k: int, values: NDArray[np.float64]) -> PerUser:
    sums: PerUser = np.append(values, 0.0)[_lists(ranking, k)].sum(axis=1)  # -1 is the last one
    return sums


def _list_means(ranking: Ranking, k: int, values: NDArray[np.float64]) -> PerUser:
    return _list_sums(ranking, k, values) / ranking.lengths(k)


def _pairwise_distance(ranking: Ranking, k: int, vectors: csr_array) -> PerUser:
    """Return 1 - the mean cosine of the pairs in each list, for vectors of length 1 or 0."""
    # The squared length of the sum of a list's vectors is the sum of all their products.
    lists = _lists(ranking, k)
    lengths = (lists >= 0).sum(axis=1)
    starts = np.append(0, np.cumsum(lengths))
    members = csr_array(
        (np.ones(starts[-1]), lists[lists >= 0], starts), shape=(len(lists), vectors.shape[0])
    )
    own = np.append(vectors.multiply(vectors).sum(axis=1), 0.0)[lists].sum(axis=1)
    n_entries = np.append(np.diff(vectors.indptr), 0)[lists].sum(axis=1)
    blocks = np.cumsum(n_entries) // BLOCK_ENTRIES
    squared = np.empty(len(lists))
    for block in range(int(blocks.max(initial=0)) + 1):
        rows = slice(*np.searchsorted(blocks, [block, block + 1]))
        total = members[rows] @ vectors
        squared[rows] = total.multiply(total).sum(axis=1)
    n_pairs = lengths * (lengths - 1)
    mean = np.divide(squared - own, n_pairs, out=np.ones(len(lists)), where=n_pairs > 0)
    distance: PerUser = np.maximum(1 - mean, 0)  # not below 0 by rounding
    return distance
