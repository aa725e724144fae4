"""Checks of values and features: whether they know more of test popularity than train does."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recrepro.features import FeatureSet
from recrepro.splits.audit.findings import SIGMAS, Finding, finding
from recrepro.splits.audit.material import Material

Columns = NDArray[np.float64]

RANDOM_LIMIT = 0.5
"""Correlation with test popularity, beyond train popularity, from which values or features are
suspicious. Perfect knowledge of how popular an item really is, which train counts only estimate,
reaches the root of the share of test: 0.45 with a fifth, and the limit is never lower than that."""

TEMPORAL_LIMIT = 0.75
"""The same where test is later than train: the age of an item knows what train does not, up to 0.52
on real data."""

LIKE_WHOLE = 0.95
"""Rank correlation with popularity in train and test together from which a column can be a copy of
it."""

NEARER = 0.25
"""It is a copy if the rest to 1 is at most so many times that of the correlation with train."""

_STRATUM = 25
"""About so many items of like popularity in train are compared with each other."""

_MOST_COLUMNS = 100
"""So many features of a set are looked at: those that most items have."""

_MIN_ITEMS = 50


def values(split: Material) -> list[Finding] | None:
    """Correlate mean values of items in train with their popularity in test."""
    known = split.known
    if not len(known) or (known.values == known.values[0]).all():
        return None
    in_train = known.item_counts
    means = np.bincount(known.items, known.values, known.n_items) / np.maximum(in_train, 1)
    strength = _beyond_train(split, means[:, None], in_train > 0)
    if strength is None:
        return None
    if strength < _limit(split):
        return []
    message = (
        "values of items in train tell their popularity in test beyond that in train: the "
        f"correlation that remains is {strength:.2f}"
    )
    details = {"correlation": strength}
    return [finding("values-know-test", "suspicious", split.test, message, details)]


def features(split: Material) -> list[Finding] | None:
    """Correlate features of items with their popularity in test."""
    sets = split.features.of("item")
    strengths = {name: _strength(split, one) for name, one in sets.items()}
    if not any(strength is not None for strength in strengths.values()):
        return None
    found = []
    for name, strength in strengths.items():
        if strength is None or strength < _limit(split):
            continue
        message = (
            f"the features {name!r} of items tell their popularity in test beyond that in train: "
            f"the correlation that remains is {strength:.2f}"
        )
        details = {"correlation": strength}
        found.append(finding("features-know-test", "suspicious", split.test, message, details))
    return found


def _limit(split: Material) -> float:
    later = split.kept_order != "none" or split.promise == "temporal"
    n_train, n_test = len(split.history), len(split.test)
    honest = float(np.sqrt(n_test / (n_train + n_test)))
    return max(honest, TEMPORAL_LIMIT if later else RANDOM_LIMIT)


def _strength(split: Material, one: FeatureSet) -> float | None:
    """Return how strongly a feature set knows test popularity; None if it can't be told."""
    known = one.matrix.tocsc()
    n_known = np.diff(known.indptr)
    most = np.argsort(-n_known, kind="stable")[:_MOST_COLUMNS]
    most = most[n_known[most] > 0]
    if not len(most):
        return None
    columns = np.asarray(known[:, np.sort(most)].todense(), np.float64)
    there = split.history.item_counts + split.test.item_counts > 0
    return _beyond_train(split, columns, there)


def _beyond_train(split: Material, columns: Columns, there: NDArray[np.bool_]) -> float | None:
    """Return the multiple correlation of columns with test counts, given train counts.

    Both are compared within strata of items of like train counts, as ranks, and without what is
    linear in the rank of the train count. The correlation is adjusted for the number of columns,
    0 if it may be chance, and 1 if a column is popularity in train and test together.

    Parameters
    ----------
    split : Material
        The split.
    columns : array, shape (n_items, n_columns)
        What may know the test counts.
    there : array of bool, shape (n_items,)
        Items to compare.
    """
    n = int(there.sum())
    if n < _MIN_ITEMS:
        return None
    columns = columns[there][:, : max(1, n // 20)]
    train, test = split.history.item_counts[there], split.test.item_counts[there]
    order = np.lexsort((np.arange(n) * 2654435761 % 2**32, train))
    n_strata = max(1, n // _STRATUM)
    stratum = np.arange(n) * n_strata // n
    starts = np.flatnonzero(np.diff(stratum, prepend=-1))
    of_columns = np.column_stack([_ranks(column) for column in columns.T])
    if _copies(of_columns, _ranks(train + test), _ranks(train)):
        return 1.0
    by_train = _ranks(train)[order]
    got = _residuals(_ranks(test)[order, None], by_train, stratum, starts)[:, 0]
    known = _residuals(of_columns[order], by_train, stratum, starts)
    spread = np.sqrt((known**2).sum(0))
    known = known[:, spread > 1e-9 * n]
    total = float(got @ got)
    free = n - 2 * n_strata - known.shape[1]
    if not known.shape[1] or not total or free < _STRATUM:
        return None
    fitted = known @ np.linalg.lstsq(known, got, rcond=1e-9)[0]
    explained = float(fitted @ fitted) / total
    adjusted = 1 - (1 - explained) * (free + known.shape[1]) / free
    strength = float(np.sqrt(max(adjusted, 0.0)))
    chance = SIGMAS / np.sqrt(free)
    return strength if strength > chance else 0.0


def _copies(ranks: Columns, whole: NDArray[np.float64], train: NDArray[np.float64]) -> bool:
    """Say whether a column is popularity in train and test together, and not that in train."""
    ranks = ranks - ranks.mean(0)
    lengths = np.sqrt((ranks**2).sum(0))
    rests = []
    for popularity in (whole, train):
        counts = popularity - popularity.mean()
        length = np.sqrt(counts @ counts)
        if not length:
            return False
        rests.append(1 - np.abs(counts @ ranks) / np.where(lengths > 0, lengths * length, np.inf))
    of_whole, of_train = rests
    return bool(((of_whole <= 1 - LIKE_WHOLE) & (of_whole < NEARER * of_train)).any())


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return ranks; equal values share the mean of theirs."""
    # As scipy.stats.rankdata, but that takes a second to import.
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def _residuals(
    columns: Columns,
    by: NDArray[np.float64],
    stratum: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> Columns:
    """Take from each column, within each stratum, its mean and what is linear in `by`."""
    sizes = np.diff(starts, append=len(by))
    columns = columns - (np.add.reduceat(columns, starts) / sizes[:, None])[stratum]
    by = by - (np.add.reduceat(by, starts) / sizes)[stratum]
    square = np.add.reduceat(by**2, starts)
    square[square == 0] = 1  # all alike: nothing to take away
    slopes = np.add.reduceat(columns * by[:, None], starts) / square[:, None]
    left: Columns = columns - slopes[stratum] * by[:, None]
    return left
