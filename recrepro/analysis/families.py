"""Corrections of p-values for the number of tests in a family.

Holm's, where a reference was chosen without looking at the values that are tested; the correction
for all pairs of models, where it was chosen as the best of these values: the best of equal models
is better than the others by choice, which Holm's correction for the comparisons with it ignores.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from recrepro.analysis.inference import estimate_mean
from recrepro.analysis.per_user import UserValues

Values = NDArray[np.float64]


def holm(p_values: Values) -> Values:
    """Correct p-values for their number (Holm 1979): adjusted ones, in the same order."""
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted


def covariance_of_means(models: Mapping[str, UserValues], metric: str) -> Values:
    """Return the covariance matrix of the means of models, shape (n_models, n_models).

    Users that two models share make their means move together; seeds and repeats are added to the
    variances.
    """
    users = pd.concat({m: values.means[metric] for m, values in models.items()}, axis=1)
    present = users.notna().to_numpy(np.float64)
    numbers = present.sum(axis=0)
    shared = present.T @ present / np.outer(numbers, numbers)
    covariance: Values = users.cov().fillna(0.0).to_numpy() * shared
    for place, values in enumerate(models.values()):
        others = estimate_mean(values, metric).parts[1:]
        covariance[place, place] += sum(part.variance for part in others)
    return covariance


class AllPairs:
    """Correction of p-values for all pairs of the models in a table (single-step max-T).

    Means of models that do not differ are drawn from a normal distribution with the covariance of
    the measured means; the largest standardised difference of any pair is what the difference of
    a pair has to exceed (Hothorn, Bretz & Westfall 2008). A p-value stands for the normal deviate
    that has it, so that tests with few degrees of freedom fit in.

    Parameters
    ----------
    covariance : array of float64, shape (n_models, n_models)
        Of the means of all models of the table.
    n_draws : int
        How many sets of means are drawn.
    rng : numpy.random.Generator
        Draws them.
    """

    def __init__(self, covariance: Values, n_draws: int, rng: np.random.Generator) -> None:
        variances, axes = np.linalg.eigh(covariance)
        scale = axes * np.sqrt(np.maximum(variances, 0.0))
        means = rng.standard_normal((n_draws, len(covariance))) @ scale.T
        diagonal = np.diag(covariance)
        self._largest = np.zeros(n_draws)
        for place in range(len(covariance) - 1):
            others = slice(place + 1, None)
            variance = diagonal[place] + diagonal[others] - 2 * covariance[place, others]
            differ = variance > 1e-12 * (diagonal[place] + diagonal[others])
            errors = np.sqrt(variance[differ])
            deviates = np.abs(means[:, [place]] - means[:, others][:, differ]) / errors
            np.maximum(self._largest, deviates.max(axis=1, initial=0.0), out=self._largest)

    def adjust(self, p_values: Values) -> Values:
        """Return the adjusted p-values, in the same order."""
        deviates = -ndtri(p_values / 2)
        exceeding = (self._largest >= deviates[:, None]).sum(axis=1)
        adjusted: Values = (exceeding + 1) / (len(self._largest) + 1)
        return np.maximum(adjusted, p_values)
