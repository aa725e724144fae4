"""Intervals and tests from values of each user: whether a difference is more than chance."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from recrepro.analysis.inference import Inference, infer, seeds_part
from recrepro.analysis.per_user import UserValues, paired
from recrepro.compute.compiling import compiled
from recrepro.compute.threads import default_threads
from recrepro.randomness import generator

Values = NDArray[np.float64]

BLOCK_CELLS = 2_000_000
"""Resampled users held at once by each thread, 16 bytes each."""


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
        The outcome depends on its seed, not on the number of threads.
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


def interval(means: Values, level: float = 0.95) -> tuple[Values, Values]:
    """Return the percentile interval of resampled means, for each column."""
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return low, high


def bootstrap_intervals(
    models: Mapping[str, Values], n_resamples: int, seed: int
) -> dict[str, tuple[Values, Values]]:
    """Return the 95 % percentile interval of each model's means over users.

    Models with as many users share the samples: one matrix product serves them all.

    Parameters
    ----------
    models : mapping of str to array of float64, shape (n_users, n_columns)
        Values of users, by model.
    n_resamples : int
        How many samples.
    seed : int
        The interval of a model depends on it, not on the other models.

    Returns
    -------
    dict of str to (low, high)
        Arrays of shape (n_columns,).
    """
    found: dict[str, tuple[Values, Values]] = {}
    for n_users in {len(values) for values in models.values()}:
        alike = {name: values for name, values in models.items() if len(values) == n_users}
        rng = generator(seed, "interval")
        low, high = interval(bootstrap_means(np.hstack(list(alike.values())), n_resamples, rng))
        ends = np.cumsum([values.shape[1] for values in alike.values()])[:-1]
        found |= zip(
            alike, zip(np.split(low, ends), np.split(high, ends), strict=True), strict=True
        )
    return found


@dataclass(frozen=True)
class Comparison:
    """How two models differ on the same users.

    Parameters
    ----------
    difference : float
        Mean of first - second.
    low, high : float
        95 % bootstrap interval of it.
    effect : float
        Cohen's d for paired values: the mean difference over its standard deviation over users;
        0 if no user differs.
    better, worse : float
        Shares of users for whom the first is better, or worse.
    t, wilcoxon, randomisation : float
        Two-sided p-values.
    """

    difference: float
    low: float
    high: float
    effect: float
    better: float
    worse: float
    t: float
    wilcoxon: float
    randomisation: float


def compare(
    first: Values, second: Values, rng: np.random.Generator, *, n_resamples: int = 10_000
) -> Comparison:
    """Compare two models by the values of the same users.

    Paired t-test; Wilcoxon's signed-rank test, differences of 0 split between the signs; and the
    randomisation test, which swaps the two models for each user at random (Smucker et al., CIKM
    2007). All p-values are 1 if no user differs.

    Parameters
    ----------
    first, second : array of float64, shape (n_users,)
        Values of the two models, user by user.
    rng : numpy.random.Generator
        Of the bootstrap and the randomisation test.
    n_resamples : int
        How many samples, and how many randomisations.
    """
    differences = first - second
    mean = float(differences.mean())
    means = bootstrap_means(differences[:, None], n_resamples, rng)
    low, high = (float(bound[0]) for bound in interval(means))
    better, worse = float((differences > 0).mean()), float((differences < 0).mean())
    if not differences.any():
        return Comparison(mean, low, high, 0.0, better, worse, 1.0, 1.0, 1.0)
    deviation = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    constant = deviation <= 1e-12 * abs(mean)  # the same for everybody: no spread to test against
    return Comparison(
        mean,
        low,
        high,
        float(np.copysign(np.inf, mean)) if constant else mean / deviation,
        better,
        worse,
        0.0 if constant else float(stats.ttest_1samp(differences, 0.0).pvalue),
        float(stats.wilcoxon(differences, zero_method="zsplit", method="approx").pvalue),
        randomisation_test(differences, n_resamples, rng),
    )


def randomisation_test(differences: Values, n_draws: int, rng: np.random.Generator) -> float:
    """Return the two-sided p-value of a mean difference when the signs are drawn at random.

    The data count as one of the draws, so that no p-value is 0 (Phipson & Smyth 2010).
    """
    return float(randomisation_tests(differences[:, None], n_draws, rng)[0])


def randomisation_tests(differences: Values, n_draws: int, rng: np.random.Generator) -> Values:
    """Return what `randomisation_test` does for each column; all columns share the signs.

    Parameters
    ----------
    differences : array of float64, shape (n_users, n_columns)
        One row a user.
    n_draws : int
        How often signs are drawn.
    rng : numpy.random.Generator
        Draws them.

    Returns
    -------
    array of float64, shape (n_columns,)
    """
    # scipy.stats.permutation_test does the same and takes minutes where there are many users.
    n_users = len(differences)
    whole = differences.sum(axis=0)
    smallest = np.abs(whole) - 1e-12 * np.abs(differences).sum(axis=0)
    n_extreme = np.zeros(differences.shape[1])
    size = max(1, BLOCK_CELLS // n_users)
    for start in range(0, n_draws, size):
        n = min(size, n_draws - start)
        bits = rng.integers(256, size=(n, -(-n_users // 8)), dtype=np.uint8)
        kept = np.unpackbits(bits, axis=1, count=n_users).astype(np.float64)
        n_extreme += (np.abs(2 * (kept @ differences) - whole) >= smallest).sum(axis=0)
    p_values: Values = (n_extreme + 1) / (n_draws + 1)
    return p_values


def holm(p_values: Values) -> Values:
    """Correct p-values for their number (Holm 1979): adjusted ones, in the same order."""
    from statsmodels.stats.multitest import multipletests  # takes a second to import

    if not len(p_values):
        return p_values
    adjusted: Values = multipletests(p_values, method="holm")[1]
    return adjusted


TESTS = ("t", "wilcoxon", "randomisation")
"""Names of the p-values of a `Comparison`."""


@dataclass(frozen=True)
class PairedTest:
    """A model beside a reference, on the users that both have.

    Parameters
    ----------
    users : int
        Number of these users.
    comparison : Comparison or None
        Model less reference; None without common users, and for the reference itself.
    inference : Inference or None
        The same difference, with what chance in the seeds explains of it.
    corrected : dict of str to float
        P-values by test, corrected by Holm for the number of models that are compared.
    """

    users: int
    comparison: Comparison | None = None
    inference: Inference | None = None
    corrected: dict[str, float] = field(default_factory=dict)


class PairedTests:
    """Tests of models against each other, on the repeats and users that both have.

    A model's draws depend on the seed and on its name only: every table that compares the same two
    models shows the same p-value before correction.

    Parameters
    ----------
    values : dict of str to UserValues
        Values of users, by model.
    n_resamples : int
        Bootstrap samples, and draws of the randomisation test.
    seed : int
        Seed of the samples and the draws.
    """

    def __init__(self, values: dict[str, UserValues], n_resamples: int, seed: int) -> None:
        self._values = values
        self._n_resamples = n_resamples
        self._seed = seed
        self._pairs: dict[tuple[str, str], tuple[pd.DataFrame, pd.DataFrame]] = {}
        self._randomised: dict[tuple[str, str], dict[str, tuple[float, bool]]] = {}

    def compare(self, models: Iterable[str], against: str, metric: str) -> dict[str, PairedTest]:
        """Compare models with a reference, by all tests; the reference itself is not tested."""
        found: dict[str, PairedTest] = {}
        for model in models:
            first, second = self._pair(model, against)
            comparison = inference = None
            if model != against and len(first):
                one, other = (frame[metric].to_numpy(np.float64) for frame in (first, second))
                rng = generator(self._seed, "compare", model)
                comparison = compare(one, other, rng, n_resamples=self._n_resamples)
                inference = self._infer(model, against, metric)
            found[model] = PairedTest(len(first), comparison, inference)
        tested = {model: test.comparison for model, test in found.items() if test.comparison}
        for name in TESTS:
            adjusted = holm(np.array([getattr(c, name) for c in tested.values()]))
            for model, p in zip(tested, adjusted.tolist(), strict=True):
                found[model].corrected[name] = p
        return found

    def randomised(self, metric: str, against: str) -> dict[str, tuple[float, bool]]:
        """Return corrected p-values of the randomisation test alone, by model.

        Beside each stands whether the model is higher than the reference. Models without a common
        user are left out.
        """
        found = {
            model: tested[metric]
            for model in self._values
            if model != against and (tested := self._randomise(model, against))
        }
        adjusted = holm(np.array([p for p, _ in found.values()]))
        return {
            model: (p, higher)
            for (model, (_, higher)), p in zip(found.items(), adjusted.tolist(), strict=True)
        }

    def _infer(self, model: str, against: str, metric: str) -> Inference:
        """Return the difference over users and seeds, from the repeats that both have."""
        pair = paired(self._values[model], self._values[against])
        means = [
            [[float(frame[metric].mean()) for frame in fits] for fits in values.fits.values()]
            for values in pair
        ]
        repeats = [np.mean(one) - np.mean(other) for one, other in zip(*means, strict=True)]
        first, second = (frame[metric] for frame in self._pair(model, against))
        users = (first - second).to_numpy(np.float64)
        return infer(users, [seeds_part(fits) for fits in means], np.array(repeats))

    def _pair(self, model: str, against: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        if (model, against) not in self._pairs:
            one, other = paired(self._values[model], self._values[against])
            self._pairs[model, against] = one.means, other.means.loc[one.means.index]
        return self._pairs[model, against]

    def _randomise(self, model: str, against: str) -> dict[str, tuple[float, bool]]:
        """Test all metrics at once; they share the signs. Empty without common users."""
        if (model, against) not in self._randomised:
            first, second = self._pair(model, against)
            answer: dict[str, tuple[float, bool]] = {}
            if len(first):
                differences = (first - second).to_numpy(np.float64)
                rng = generator(self._seed, "compare", model)
                p_values = randomisation_tests(differences, self._n_resamples, rng).tolist()
                higher = (differences.mean(axis=0) > 0).tolist()
                answer = dict(zip(first.columns, zip(p_values, higher, strict=True), strict=True))
            self._randomised[model, against] = answer
        return self._randomised[model, against]


@compiled
def count_rows(drawn: NDArray[np.int64]) -> Values:
    """Count how often each user was drawn, row by row."""
    counts = np.zeros(drawn.shape)
    for row in range(drawn.shape[0]):
        for user in drawn[row]:
            counts[row, user] += 1
    return counts
