"""The difference of two models, with what chance in the users and in the seeds explains of it.

A user's values differ between users, and the mean over users differs between fits with other seeds.
Both count: the variance of the mean difference is the sum of the users' part and of each model's
seeds' part, with the degrees of freedom of Satterthwaite (1946). Fits that are few make these few.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

POWER = 0.8
"""Probability with which the detectable difference would be seen."""

FEWEST_REPEATS = 3
"""Draws of the split from which on their spread is looked at."""


@dataclass(frozen=True)
class Inference:
    """A mean difference and its uncertainty.

    Parameters
    ----------
    difference : float
        Mean of first - second, over users, fits and repeats.
    se : float
        Its standard error; 0 if nothing varies.
    df : float
        Degrees of freedom of the standard error; 0 for fewer than two users.
    level : float
        Level of the test that the interval belongs to.
    """

    difference: float
    se: float
    df: float
    level: float = 0.05

    @property
    def _half(self) -> float:
        return float(stats.t.isf(self.level / 2, self.df)) * self.se if self.df > 0 else 0.0

    @property
    def low(self) -> float:
        """Lower end of the interval, of 95 % by default."""
        return self.difference - self._half

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.difference + self._half

    @property
    def p(self) -> float:
        """Two-sided p-value of no difference; 1 where nothing varies, which shows nothing."""
        if not self.se > 0 or not self.df > 0:
            return 1.0
        return float(2 * stats.t.sf(abs(self.difference) / self.se, self.df))

    def p_equivalent(self, margin: float) -> float:
        """Return the p-value of a difference of at least a margin: two one-sided tests.

        Parameters
        ----------
        margin : float
            The smallest difference of interest, in the unit of the metric.
        """
        if not self.se > 0 or not self.df > 0:
            return 1.0
        nearest = margin - abs(self.difference)
        return float(stats.t.sf(nearest / self.se, self.df))

    @property
    def detectable(self) -> float | None:
        """The true difference that such a test would show with 80 % power; None if not known."""
        if not self.se > 0 or not self.df > 0:
            return None
        quantiles = stats.t.isf(self.level / 2, self.df) + stats.t.isf(1 - POWER, self.df)
        return float(quantiles) * self.se

    def to_json(self) -> dict[str, float | None]:
        """Return fields, interval and detectable difference as plain values."""
        computed = ("low", "high", "detectable")
        return {**asdict(self), **{name: getattr(self, name) for name in computed}}


@dataclass(frozen=True)
class Part:
    """A part of a variance, estimated with some degrees of freedom."""

    variance: float
    df: float


def infer(
    users: NDArray[np.float64],
    seeds: Sequence[Part],
    repeats: NDArray[np.float64] | None = None,
) -> Inference:
    """Combine what is known of a difference.

    Parameters
    ----------
    users : array of float64, shape (n_users,)
        Difference of each user, averaged over fits and repeats.
    seeds : sequence of Part
        For each model whose fit depends on its seed, the variance of its mean between seeds.
    repeats : array of float64, shape (n_repeats,), optional
        Mean difference in each draw of the split. From three on, their variance stands for that
        of the seeds if it is larger: another draw has other seeds, and other held-out items.
    """
    n_users = len(users)
    difference = float(users.mean())
    if n_users < 2:
        return Inference(difference, 0.0, 0.0)
    parts = [Part(float(users.var(ddof=1)) / n_users, n_users - 1)]
    varying = [part for part in seeds if part.variance > 0]
    if repeats is not None and len(repeats) >= FEWEST_REPEATS:
        between = Part(float(repeats.var(ddof=1)) / len(repeats), len(repeats) - 1)
        if between.variance > sum(part.variance for part in varying):
            varying = [between]
    parts += varying
    variance = sum(part.variance for part in parts)
    if not variance > 1e-24 * difference**2:
        return Inference(difference, 0.0, n_users - 1)
    freedom = variance**2 / sum(part.variance**2 / part.df for part in parts)
    return Inference(difference, float(np.sqrt(variance)), float(freedom))


def seeds_part(means: Sequence[Sequence[float]]) -> Part:
    """Estimate the variance between seeds of a model's mean.

    Parameters
    ----------
    means : sequence of sequence of float
        For each repeat, the mean over users of each fit.

    Returns
    -------
    Part
        Of variance 0 where no repeat has two fits.
    """
    several = [fits for fits in means if len(fits) > 1]
    if not several:
        return Part(0.0, 1.0)
    variance = float(np.mean([np.var(fits, ddof=1) / len(fits) for fits in several])) / len(several)
    return Part(variance, sum(len(fits) - 1 for fits in several))
