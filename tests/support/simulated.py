"""Comparisons of two models of which the truth is known, as counts of users.

A baseline, deterministic or with seeds, and a model with seeds: each user has a chance of a hit of
their own, and a hit has one of a few values, as NDCG has. Users with the same values are alike to a
test, so that the counts of each pattern of values are all there is to know: 100,000 users cost as
much as 500.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from recrepro.analysis.inference import Estimate, Part

GROUPS = ((0.55, 0.3), (0.3, 1.0), (0.15, 3.0))
"""Shares of users, and how many times `rate` the chance of a hit is for them."""

MEAN_FACTOR = sum(share * likely for share, likely in GROUPS)
"""Of all users: the mean chance of a hit is 0.915 times `rate`."""


@dataclass(frozen=True)
class Simulation:
    """What is drawn.

    `gains` are the values of a hit; `rate` times `MEAN_FACTOR` is its mean chance; `spread` is the
    standard deviation between seeds as a share of the value, `lead` that of the model over the
    baseline. The baseline has `seeds` fits; with one, it is deterministic.
    """

    users: int
    fits: int
    spread: float
    gains: tuple[float, ...] = (1.0,)
    rate: float = 0.1
    lead: float = 0.0
    seeds: int = 1

    @property
    def patterns(self):
        """All values that the fits of the baseline (first) and of the model can have, as rows."""
        return np.array(list(product((0.0, *self.gains), repeat=self.seeds + self.fits)))

    def draw(self, rng):
        """Return how many users have each pattern."""
        factors = 1 + self.spread * rng.standard_normal(self.seeds + self.fits)
        factors[self.seeds :] += self.lead
        if self.seeds == 1:
            factors[0] = 1.0
        chances = 0.0
        for share, likely in GROUPS:
            whole = np.ones(1)
            for factor in factors:
                hit = np.clip(self.rate * likely * factor, 0.0, 1.0)
                each = [1 - hit, *[hit / len(self.gains)] * len(self.gains)]
                whole = np.outer(whole, each).ravel()
            chances = chances + share * whole
        return rng.multinomial(self.users, chances)

    def estimate(self, counts):
        """Return the difference with its chance, as `estimate_difference` finds it in the users."""
        models = np.split(self.patterns, [self.seeds], axis=1)
        difference = models[1].mean(axis=1) - models[0].mean(axis=1)
        mean = counts @ difference / self.users
        variance = counts @ (difference - mean) ** 2 / (self.users - 1)
        parts = [Part("users", float(variance / self.users), self.users - 1)]
        for values in reversed(models):
            n_fits = values.shape[1]
            if n_fits > 1:
                means = counts @ values / self.users
                parts.append(Part("seeds", float(means.var(ddof=1) / n_fits), n_fits - 1))
        return Estimate(float(mean), tuple(parts), seeds_known=True)

    def found(self, runs, seed, detects):
        """Return the share of runs in which a test finds a difference."""
        rng = np.random.default_rng(seed)
        return np.mean([detects(self.estimate(self.draw(rng))) for _ in range(runs)])


def by_all(estimate):
    """Whether the interval of users and seeds leaves out 0: the same as p < 0.05, and faster."""
    return abs(estimate.value) > estimate.half_width(0.05)


def by_users(estimate):
    """The same of the users alone, as a paired t-test of each user's mean."""
    return by_all(Estimate(estimate.value, estimate.parts[:1], seeds_known=False))


def by_satterthwaite(estimate):
    """The same with one t quantile, of Satterthwaite's degrees of freedom."""
    from scipy.special import stdtrit

    variances = np.array([part.variance for part in estimate.parts])
    degrees = np.array([part.degrees for part in estimate.parts])
    pooled = variances.sum() ** 2 / (variances**2 / degrees).sum()
    return abs(estimate.value) > -stdtrit(pooled, 0.025) * estimate.error
