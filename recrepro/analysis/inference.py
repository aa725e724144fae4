"""How far chance moves a mean or a difference: chance of users, of seeds and of splits.

Each source of chance is a part of the variance, estimated with its own degrees of freedom: many for
users, two for three seeds. An interval adds them up so that it holds the truth at least as often
as it says, whatever their sizes: the square of its half-width is the sum of the squares of the
parts' half-widths (Banerjee 1960). Satterthwaite's approximation is narrower: with three
seeds, up to 7.5 % of tests at the 5 % level find a difference that is not there.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from recrepro.analysis.per_user import UserValues

LEVEL = 0.05
"""P-values below this count as shown."""

POWER = 0.8
"""Chance to find a difference that is called detectable."""

MIN_REPEATS = 3
"""Repeats (seeds and folds of the split) from which their variance is estimated."""

SMALLEST_P = 1e-300
"""Smaller p-values are reported as this one: none is 0."""

CONSTANT = 1e-12
"""Standard deviation over users, as a share of the mean, up to which it is an error of rounding."""


@dataclass(frozen=True)
class Part:
    """A source of chance.

    Parameters
    ----------
    source : {"users", "seeds", "repeats"}
        Choice of the users, seeds of the final fits, or seeds and folds of the split.
    variance : float
        Its part of the variance of the estimate; infinite for one user, of whom nothing is known.
    degrees : int
        Degrees of freedom of this variance.
    """

    source: Literal["users", "seeds", "repeats"]
    variance: float
    degrees: int


@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference of means, with all chance that is known of it.

    Parameters
    ----------
    value : float
        The mean or difference.
    parts : tuple of Part
        Sources of chance, independent of each other; users come first.
    seeds_known : bool
        False if a model is not deterministic and was fitted once: with another seed, it might
        have had another value, and nobody knows by how much.
    """

    value: float
    parts: tuple[Part, ...]
    seeds_known: bool

    @property
    def error(self) -> float:
        """Standard error."""
        return float(np.sqrt(sum(part.variance for part in self.parts)))

    @property
    def users_vary(self) -> bool:
        """Whether the value is not the same for all users, and not of one user only."""
        return 0 < self.parts[0].variance < np.inf

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the t distribution that gives the same 95 % interval.

        Not a number where no chance was seen, or nothing is known of it.
        """
        if not 0 < self.error < np.inf:
            return np.nan
        known = {part.degrees for part in self.parts if part.variance}
        if len(known) == 1:
            return float(known.pop())
        quantile = self.half_width(LEVEL) / self.error

        def excess(logarithm: float) -> float:
            return float(-stdtrit(np.exp(logarithm), LEVEL / 2)) - quantile

        return float(np.exp(brentq(excess, np.log(min(known)) - 1, np.log(max(known)) + 1)))

    def half_width(self, level: float) -> float:
        """Return how far a two-sided interval reaches that misses at most `level` of truths."""
        return math.hypot(
            *(np.sqrt(p.variance) * stdtrit(p.degrees, level / 2) for p in self.parts)
        )

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        half = self.half_width(LEVEL)
        return self.value - half, self.value + half

    @property
    def p(self) -> float:
        """Two-sided p-value that the value is 0; 1 if no chance was seen to test against."""
        return self._p(abs(self.value))

    def equivalence(self, margin: float) -> float:
        """Return the p-value that the value is at least `margin` away from 0.

        Below the level, it is shown to be closer: two one-sided tests (Schuirmann 1987).
        """
        inside = margin - abs(self.value)
        half = self._p(abs(inside)) / 2
        return half if inside > 0 else 1 - half

    @property
    def detectable(self) -> float:
        """Size of the difference that a test at the 5 % level finds with a power of 80 %, roughly.

        As many standard errors as the t distribution's quantiles of 97.5 % and 80 % together. Not
        a number where no chance was seen, or nothing is known of it.
        """
        if not 0 < self.error < np.inf:
            return np.nan
        beyond = float(stdtrit(self.degrees, POWER))
        return self.half_width(LEVEL) + beyond * self.error

    def _p(self, size: float) -> float:
        """Return the level at which an interval around 0 just reaches as far as `size`."""
        if not self.error or self.half_width(1 - 1e-12) >= size:
            return 1.0
        if len(self.parts) == 1:
            (part,) = self.parts
            tail = 2 * float(stdtr(part.degrees, -size / self.error))
            return max(tail, SMALLEST_P)
        if self.half_width(SMALLEST_P) <= size:
            return SMALLEST_P

        def excess(logarithm: float) -> float:
            return self.half_width(float(np.exp(logarithm))) - size

        return float(np.exp(brentq(excess, np.log(SMALLEST_P), 0.0, xtol=1e-10)))


def estimate_mean(values: UserValues, metric: str) -> Estimate:
    """Estimate a model's mean over users, of each user's mean over fits and repeats.

    Parameters
    ----------
    values : UserValues
        Of the model.
    metric : str
        One of their columns.
    """
    repeats = [float(frame[metric].mean()) for frame in values.repeats.values()]
    return _estimate(values.means[metric], repeats, [values], metric)


def estimate_difference(first: UserValues, second: UserValues, metric: str) -> Estimate:
    """Estimate the mean difference of two models over users.

    Parameters
    ----------
    first, second : UserValues
        Of the two models, as `recrepro.analysis.per_user.paired` returns them.
    metric : str
        One of their columns.
    """
    repeats = [
        float((frame[metric] - second.repeats[repeat][metric]).mean())
        for repeat, frame in first.repeats.items()
    ]
    users = first.means[metric] - second.means[metric]
    return _estimate(users, repeats, [first, second], metric)


def _estimate(
    users: pd.Series, repeats: list[float], models: list[UserValues], metric: str
) -> Estimate:
    value = float(users.mean())
    deviation = float(users.std()) if len(users) > 1 else np.inf
    variance = 0.0 if deviation <= CONSTANT * abs(value) else deviation**2 / len(users)
    seeds = [part for model in models if (part := _seeds(model, metric)) is not None]
    known = all(
        model.deterministic
        or len(repeats) >= MIN_REPEATS
        or any(len(fits) > 1 for fits in model.fits.values())
        for model in models
    )
    if len(repeats) >= MIN_REPEATS:
        between = Part("repeats", float(np.var(repeats, ddof=1)) / len(repeats), len(repeats) - 1)
        # The seed of the fit changes with the repeat, so that its chance is in here, too.
        if between.variance > sum(part.variance for part in seeds):
            seeds = [between]
    return Estimate(value, (Part("users", variance, max(1, len(users) - 1)), *seeds), known)


def _seeds(model: UserValues, metric: str) -> Part | None:
    """Return the part of the seeds, from the means of the fits within each repeat."""
    means = [np.array([frame[metric].mean() for frame in fits]) for fits in model.fits.values()]
    degrees = sum(len(fits) - 1 for fits in means)
    if model.deterministic or not degrees:
        return None
    pooled = sum(float(((fits - fits.mean()) ** 2).sum()) for fits in means) / degrees
    of_mean = sum(1 / len(fits) for fits in means) / len(means) ** 2
    return Part("seeds", pooled * of_mean, degrees)
