"""Intervals of the means of models: samples of users, drawn with return, and seeds of fits."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtr, ndtri

from recrepro.analysis.inference import LEVEL, Estimate, estimate_mean
from recrepro.analysis.per_user import UserValues
from recrepro.compute.compiling import compiled
from recrepro.compute.threads import default_threads
from recrepro.randomness import generator

Values = NDArray[np.float64]

BLOCK_CELLS = 2_000_000
"""Resampled users held at once by each thread, 16 bytes each."""

FEW_USERS = 300
"""With fewer, percentile intervals of sparse values miss the truth too often."""


def bootstrap_means(
    values: Values, n_resamples: int, rng: np.random.Generator, *, threads: int | None = None
) -> Values:
    """Return the means of samples of users, drawn with return (Efron 1979).

    All columns share each sample, so that differences between them can be taken.

    Parameters
    ----------
    values : array of float64, shape (n_users, n_columns)
        One row a user.
    n_resamples : int
        How many samples, each of n_users users.
    rng : numpy.random.Generator
        Draws the users. The outcome depends on its seed, not on the number of threads.
    threads : int, optional
        By default as in the evaluator.

    Returns
    -------
    array of float64, shape (n_resamples, n_columns)
    """
    n_users = len(values)
    size = max(1, min(n_resamples, BLOCK_CELLS // n_users))
    sizes = [min(size, n_resamples - start) for start in range(0, n_resamples, size)]

    def block(n: int, child: np.random.Generator) -> Values:
        drawn = child.integers(n_users, size=(n, n_users), dtype=np.int32)
        means: Values = count_rows(drawn) @ values / n_users
        return means

    with ThreadPoolExecutor(threads or default_threads()) as pool:
        return np.concatenate(list(pool.map(block, sizes, rng.spawn(len(sizes)))))


def percentile_interval(means: Values) -> tuple[Values, Values]:
    """Return the 95 % percentile interval of resampled means, for each column."""
    low, high = np.quantile(means, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    return low, high


def bca_interval(values: Values, means: Values) -> tuple[float, float]:
    """Return the 95 % interval of a mean, corrected for bias and skew (BCa, Efron 1987).

    As that of `scipy.stats.bootstrap`, which would draw samples for each model and metric again.

    Parameters
    ----------
    values : array of float64, shape (n_users,)
        Not all the same.
    means : array of float64, shape (n_resamples,)
        Of samples of them.
    """
    mean = float(values.mean())
    rounding = 1e-12 * abs(mean)
    below, above = float((means < mean - rounding).mean()), float((means > mean + rounding).mean())
    bias = ndtri((below + 1 - above) / 2)
    skew = float(((values - mean) ** 3).sum() / (6 * ((values - mean) ** 2).sum() ** 1.5))
    normal = bias + ndtri([LEVEL / 2, 1 - LEVEL / 2])
    low, high = np.quantile(means, ndtr(bias + normal / (1 - skew * normal)))
    return float(low), float(high)


def wilson_interval(values: Values) -> tuple[float, float]:
    """Return the 95 % interval of a share, from values that are all 0 or 1 (Wilson 1927)."""
    test = stats.binomtest(int(values.sum()), len(values))
    found = test.proportion_ci(1 - LEVEL, method="wilson")
    return float(found.low), float(found.high)


def mean_intervals(
    models: Mapping[str, UserValues], metrics: Sequence[str], n_resamples: int, seed: int
) -> dict[str, dict[str, tuple[float, float]]]:
    """Return the 95 % interval of each model's mean over users.

    Chance of users: percentile bootstrap; for fewer than 300 users BCa, or Wilson's interval where
    all values are 0 or 1. It is widened by what `recrepro.analysis.inference` knows of the chance
    of seeds and repeats.

    Parameters
    ----------
    models : mapping of str to UserValues
        Values of users, by model. Models with as many users share the samples.
    metrics : sequence of str
        Columns of the values.
    n_resamples : int
        How many samples.
    seed : int
        The interval of a model depends on it, not on the other models.

    Returns
    -------
    dict of str to dict of str to (low, high)
        By model and metric.
    """
    found: dict[str, dict[str, tuple[float, float]]] = {}
    columns = {
        name: values.means[list(metrics)].to_numpy(np.float64) for name, values in models.items()
    }
    for n_users in {len(values) for values in columns.values()}:
        alike = {name: values for name, values in columns.items() if len(values) == n_users}
        rng = generator(seed, "interval")
        whole = bootstrap_means(np.hstack(list(alike.values())), n_resamples, rng)
        for place, (name, values) in enumerate(alike.items()):
            means = whole[:, place * len(metrics) : (place + 1) * len(metrics)]
            ends = _of_users(values, means)
            found[name] = {
                metric: _widened(
                    estimate_mean(models[name], metric), *pair, values[:, column].min()
                )
                for column, (metric, pair) in enumerate(zip(metrics, ends, strict=True))
            }
    return found


def _of_users(values: Values, means: Values) -> list[tuple[float, float]]:
    if len(values) >= FEW_USERS:
        low, high = percentile_interval(means)
        return list(zip(low.tolist(), high.tolist(), strict=True))
    ends = []
    for column, resampled in zip(values.T, means.T, strict=True):
        if np.isin(column, (0, 1)).all():
            ends.append(wilson_interval(column))
        elif np.ptp(column) == 0:
            ends.append((float(column[0]), float(column[0])))
        else:
            ends.append(bca_interval(column, resampled))
    return ends


def _widened(estimate: Estimate, low: float, high: float, least: float) -> tuple[float, float]:
    """Add the chance of seeds and repeats to an interval of users, not below the least value."""
    others = Estimate(0.0, estimate.parts[1:], seeds_known=True).half_width(LEVEL)
    if not others:
        return low, high
    mean = estimate.value
    return (
        max(least, mean - float(np.hypot(mean - low, others))),
        mean + float(np.hypot(high - mean, others)),
    )


@compiled
def count_rows(drawn: NDArray[np.int64]) -> Values:
    """Count how often each user was drawn, row by row."""
    counts = np.zeros(drawn.shape)
    for row in range(drawn.shape[0]):
        for user in drawn[row]:
            counts[row, user] += 1
    return counts
