"""Mean ranks over blocks, and which models they do not tell apart: critical differences.

Friedman's test says whether any of them differ. Over users, pairs are tested by Wilcoxon's
signed-rank test with Holm's correction, because Nemenyi's verdict on a pair depends on the other
models (Benavoli et al., JMLR 2016). Over a handful of data sets, Wilcoxon's test cannot reach a
small p-value: there, mean ranks are compared by Nemenyi's critical difference (Demsar, JMLR 2006).
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from recrepro.analysis.families import holm
from recrepro.analysis.inference import LEVEL
from recrepro.analysis.significance import wilcoxon_test

MIN_DATASETS = 5
"""With fewer, the distributions of Friedman's and Nemenyi's tests are too rough approximations."""


@dataclass(frozen=True, eq=False)
class RankTest:
    """The outcome for some models on the same blocks.

    Parameters
    ----------
    models : tuple of str
        Best mean rank first.
    mean_ranks : tuple of float
        Of each; rank 1 is the best of a block, equal values share the mean of their ranks.
    blocks : int
        How many users, or data sets.
    friedman : float or None
        P-value of Friedman's test; None for fewer than three models.
    p : array of float64, shape (n_models, n_models)
        Pairwise p-values after correction; 1 on the diagonal.
    critical_difference : float or None
        Difference of mean ranks that tells two models apart; None where pairs were tested by
        Wilcoxon's test.
    groups : tuple of (int, int)
        First and last of models in a row of which no two are told apart.
    """

    models: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    blocks: int
    friedman: float | None
    p: NDArray[np.float64]
    critical_difference: float | None
    groups: tuple[tuple[int, int], ...]


def rank_test(values: pd.DataFrame, pairs: Literal["wilcoxon", "nemenyi"]) -> RankTest | None:
    """Rank models on each block and test which of them differ.

    Parameters
    ----------
    values : data frame
        A row for each block, a column for each model; more is better.
    pairs : {"wilcoxon", "nemenyi"}
        How pairs of models are tested: by Wilcoxon's test with Holm's correction, for users; by
        Nemenyi's critical difference of mean ranks, for data sets.

    Returns
    -------
    RankTest or None
        None for fewer than two models or blocks.
    """
    n_blocks, n_models = values.shape
    if n_models < 2 or n_blocks < 2:
        return None
    ranks = pd.DataFrame(stats.rankdata(-values.to_numpy(), axis=1), columns=values.columns)
    means = ranks.mean().sort_values(kind="stable")
    order = [str(model) for model in means.index]
    sorted_values = values[order].to_numpy(np.float64)
    friedman = None
    if n_models > 2:
        differ = bool((ranks.to_numpy() != ranks.to_numpy()[:, :1]).any())
        friedman = float(stats.friedmanchisquare(*sorted_values.T).pvalue) if differ else 1.0
    critical = None
    if pairs == "wilcoxon":
        p = _wilcoxon_pairs(sorted_values)
    else:
        error = np.sqrt(n_models * (n_models + 1) / (12 * n_blocks))
        distances = np.abs(np.subtract.outer(means.to_numpy(), means.to_numpy()))
        p = stats.studentized_range.sf(distances / error, n_models, np.inf)
        critical = float(stats.studentized_range.isf(LEVEL, n_models, np.inf) * error)
    return RankTest(
        tuple(order), tuple(means.tolist()), n_blocks, friedman, p, critical, not_told_apart(p)
    )


def _wilcoxon_pairs(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Holm's p-values of all pairs of columns."""
    n_models = values.shape[1]
    pairs = list(combinations(range(n_models), 2))
    raw = [wilcoxon_test(values[:, i] - values[:, j]) for i, j in pairs]
    p = np.ones((n_models, n_models))
    for (i, j), corrected in zip(pairs, holm(np.array(raw)), strict=True):
        p[i, j] = p[j, i] = corrected
    return p


def not_told_apart(p: NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
    """Return the longest runs of models, in the order of `p`, of which no two differ."""
    found: list[tuple[int, int]] = []
    for first in range(len(p)):
        last = first
        while last + 1 < len(p) and (p[first : last + 1, last + 1] >= LEVEL).all():
            last += 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return tuple(found)
