"""Paired tests of models: whether their difference is more than chance."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from recrepro.analysis.families import AllPairs, covariance_of_means, holm
from recrepro.analysis.inference import SMALLEST_P, Estimate, Part, estimate_difference
from recrepro.analysis.per_user import UserValues, paired
from recrepro.randomness import generator

Values = NDArray[np.float64]

BLOCK_CELLS = 2_000_000
"""Signs of users held at once, 8 bytes each."""


@dataclass(frozen=True)
class Comparison:
    """How two models differ on the same users.

    Parameters
    ----------
    difference : float
        Mean of first - second.
    low, high : float
        95 % interval of it, for chance of users, seeds and repeats; infinite for one user.
    effect : float
        Cohen's d for paired values: the mean difference over its standard deviation over users;
        0 if no user differs.
    better, worse : float
        Shares of users for whom the first is better, or worse.
    t : float
        Two-sided p-value that accounts for users, seeds and repeats.
    wilcoxon, randomisation : float
        Two-sided p-values that account for users only.
    parts : tuple of Part
        Sources of chance that are in the interval and in `t`; empty in records that were archived
        before they were told apart.
    seeds_known : bool
        False if a model that is not deterministic was fitted once: interval and `t` then leave out
        the chance of its seed.
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
    parts: tuple[Part, ...] = ()
    seeds_known: bool = False

    @property
    def estimate(self) -> Estimate:
        """The difference with its chance: standard error, tests of equivalence."""
        return Estimate(self.difference, self.parts, self.seeds_known)


def compare(
    first: UserValues,
    second: UserValues,
    metric: str,
    rng: np.random.Generator,
    *,
    n_resamples: int = 10_000,
) -> Comparison:
    """Compare two models by the values of the same users.

    Paired t-test, with the chance of seeds and repeats (`recrepro.analysis.inference`); Wilcoxon's
    signed-rank test, zeros ranked (Pratt 1959); and the randomisation test, which swaps the two
    models for each user at random (Smucker et al., CIKM 2007). All p-values are 1 if no user
    differs.

    Parameters
    ----------
    first, second : UserValues
        Of the two models, as `recrepro.analysis.per_user.paired` returns them.
    metric : str
        One of their columns.
    rng : numpy.random.Generator
        Of the randomisation test.
    n_resamples : int
        How many randomisations.
    """
    differences: Values = (first.means[metric] - second.means[metric]).to_numpy(np.float64)
    estimate = estimate_difference(first, second, metric)
    low, high = estimate.interval
    effect = 0.0
    if estimate.users_vary:
        effect = estimate.value / float(differences.std(ddof=1))
    elif estimate.value:
        effect = float(np.copysign(np.inf, estimate.value))
    randomisation = randomisation_test(differences, n_resamples, rng)
    t = estimate.p
    if not estimate.users_vary:  # there is no spread over users to test against
        t = max(t, randomisation) if estimate.error else randomisation
    return Comparison(
        estimate.value,
        low,
        high,
        effect,
        float((differences > 0).mean()),
        float((differences < 0).mean()),
        t,
        wilcoxon_test(differences),
        randomisation,
        estimate.parts,
        estimate.seeds_known,
    )


def wilcoxon_test(differences: Values) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test; 1 if no user differs.

    Differences of 0 are ranked, then left out (Pratt 1959). Split between the signs, they would
    drown those of the users who differ where most users have no hit from either model.
    """
    if not differences.any():
        return 1.0
    found = stats.wilcoxon(differences, zero_method="pratt")
    return max(float(found.pvalue), SMALLEST_P)


def randomisation_test(differences: Values, n_draws: int, rng: np.random.Generator) -> float:
    """Return the two-sided p-value of a mean difference when the signs are drawn at random.

    The data count as one of the draws, so that no p-value is 0 (Phipson & Smyth 2010).

    Parameters
    ----------
    differences : array of float64, shape (n_users,)
        Of two models.
    n_draws : int
        How often signs are drawn.
    rng : numpy.random.Generator
        Draws them.
    """
    # scipy.stats.permutation_test does the same and takes minutes where there are many users.
    n_users = len(differences)
    whole = differences.sum()
    smallest = np.abs(whole) - 1e-12 * np.abs(differences).sum()
    n_extreme = 0
    size = max(1, BLOCK_CELLS // n_users)
    for start in range(0, n_draws, size):
        n = min(size, n_draws - start)
        bits = rng.integers(256, size=(n, -(-n_users // 8)), dtype=np.uint8)
        kept = np.unpackbits(bits, axis=1, count=n_users).astype(np.float64)
        n_extreme += int((np.abs(2 * (kept @ differences) - whole) >= smallest).sum())
    return (n_extreme + 1) / (n_draws + 1)


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
    corrected : dict of str to float
        P-values by test, corrected for the number of tests.
    """

    users: int
    comparison: Comparison | None = None
    corrected: dict[str, float] = field(default_factory=dict)


class PairedTests:
    """Tests of models against each other, on the repeats and users that both have.

    A model's draws depend on the seed and on its name only: every table that compares the same two
    models shows the same p-value before correction.

    Parameters
    ----------
    values : dict of str to UserValues
        Values of users, by model: all models of a table, if a reference is the best of it on test.
    n_resamples : int
        Draws of the randomisation test, and of the correction for all pairs.
    seed : int
        Seed of the draws.
    """

    def __init__(self, values: dict[str, UserValues], n_resamples: int, seed: int) -> None:
        self._values = values
        self._n_resamples = n_resamples
        self._seed = seed
        self._pairs: dict[tuple[str, str], tuple[UserValues, UserValues]] = {}

    def compare(
        self, models: Iterable[str], against: str, metric: str, *, best_on_test: bool = False
    ) -> dict[str, PairedTest]:
        """Compare models with a reference, by all tests; the reference itself is not tested.

        Parameters
        ----------
        models : iterable of str
            Models that are compared with it.
        against : str
            The reference.
        metric : str
            What is compared.
        best_on_test : bool
            Whether the reference was chosen by the values that are compared. P-values are then
            corrected for all pairs of models; else by Holm for the number of `models`.
        """
        found: dict[str, PairedTest] = {}
        for model in models:
            users = len(self._pair(model, against)[0].means)
            comparison = (
                self._compare(model, against, metric) if model != against and users else None
            )
            found[model] = PairedTest(users, comparison)
        tested = {model: test.comparison for model, test in found.items() if test.comparison}
        correct = self._correction(metric, best_on_test=best_on_test)
        for name in TESTS:
            adjusted = correct(np.array([getattr(c, name) for c in tested.values()]))
            for model, p in zip(tested, adjusted.tolist(), strict=True):
                found[model].corrected[name] = p
        return found

    def corrected_t(
        self, metric: str, against: str, *, best_on_test: bool = False
    ) -> dict[str, tuple[float, bool]]:
        """Return corrected p-values of the t-test of all models, as `compare` gives them.

        Beside each stands whether the model is higher than the reference. Models without a common
        user are left out.
        """
        p_values, higher = {}, {}
        for model in self._values:
            first, second = self._pair(model, against)
            if model == against or first.means.empty:
                continue
            estimate = estimate_difference(first, second, metric)
            varies = estimate.users_vary
            p_values[model] = estimate.p if varies else self._compare(model, against, metric).t
            higher[model] = estimate.value > 0
        correct = self._correction(metric, best_on_test=best_on_test)
        adjusted = correct(np.array(list(p_values.values())))
        return {
            model: (p, higher[model]) for model, p in zip(p_values, adjusted.tolist(), strict=True)
        }

    def _pair(self, model: str, against: str) -> tuple[UserValues, UserValues]:
        if (model, against) not in self._pairs:
            self._pairs[model, against] = paired(self._values[model], self._values[against])
        return self._pairs[model, against]

    def _compare(self, model: str, against: str, metric: str) -> Comparison:
        rng = generator(self._seed, "compare", model)
        return compare(*self._pair(model, against), metric, rng, n_resamples=self._n_resamples)

    def _correction(self, metric: str, *, best_on_test: bool) -> Callable[[Values], Values]:
        if not best_on_test:
            return holm
        covariance = covariance_of_means(self._values, metric)
        rng = generator(self._seed, "all pairs")
        return AllPairs(covariance, self._n_resamples, rng).adjust
