"""iALS with frequency-scaled regularisation."""

from collections.abc import Iterator
from itertools import count
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array

from recrepro.interactions import Interactions
from recrepro.model import EpochStats, IterativeRecommender, ModelConfig
from recrepro.space import IntRange, LogUniform

from ._als import gram, solve
from ._similarity import as_ones, refuse_negative


class IALS2022(IterativeRecommender):
    r"""Alternating least squares with a penalty that grows with the number of interactions.

    Rendle, Krichene, Zhang & Koren: Revisiting the performance of iALS on item recommendation
    benchmarks. RecSys 2022.

    .. math::

        \min_{x, y} \sum_{(u,i) \in S} (x_u^\top y_i - 1)^2
        + \alpha_0 \sum_{u,i} (x_u^\top y_i)^2
        + \sum_u \lambda_u \|x_u\|^2 + \sum_i \lambda_i \|y_i\|^2

    .. math::

        \lambda_u = \lambda (|S_u| + \alpha_0 n_\mathrm{items})^\nu, \qquad
        \lambda_i = \lambda (|S_i| + \alpha_0 n_\mathrm{users})^\nu

    with S the interactions, whatever their values. An epoch solves exactly for all users and then
    for all items. Users and items without interactions get zeros.

    Notes
    -----
    Every user is scored by the user step from the history and the final item factors, with the
    penalty as above. So does the authors' script, whose users are all new, but with the penalty
    unscaled.
    """

    class Config(ModelConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), IntRange(1, 256)] = 64
        """Number of factors."""
        unobserved_weight: Annotated[FiniteFloat, Gt(0), LogUniform(1e-3, 1.0)] = 0.1
        """Weight of every pair's pull towards 0, observed or not."""
        l2: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-1)] = 3e-3
        """Ridge penalty, before it is scaled."""
        frequency_scaling: Annotated[FiniteFloat, Ge(0)] = 1.0
        """How the penalty grows with the interactions: 0 not at all, 1 in proportion."""
        epochs: Annotated[int, Ge(1)] = 16
        """Number of epochs."""

    def fit_epochs(self, train: Interactions, rng: np.random.Generator) -> Iterator[EpochStats]:
        """Solve for the users and for the items in turn."""
        refuse_negative(train.matrix)
        n_factors = self.config.n_factors
        start = rng.normal(0, 0.1 / n_factors**0.5, (train.n_items, n_factors))
        items = start.astype(np.float32)
        by_user = _observed(train.matrix)
        by_item = by_user.T.tocsr()
        for epoch in count(1):
            users = self._step(by_user, items, gram(items))
            items = self._step(by_item, users, gram(users))
            self.item_factors, self.item_gram = items, gram(items)
            yield EpochStats(epoch)

    def score(
        self,
        users: NDArray[np.int32],  # noqa: ARG002  # the history says it all
        histories: csr_array,
    ) -> NDArray[np.float32]:
        """Solve for the users and multiply with the item factors."""
        items: NDArray[np.float32] = self.fitted("item_factors")
        factors = self._step(_observed(histories), items, self.item_gram)
        scores: NDArray[np.float32] = factors @ items.T
        return scores

    def _step(
        self, rows: csr_array, others: NDArray[np.float32], product: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Return the factors of one side, given those of the other."""
        weight = self.config.unobserved_weight
        sizes = np.diff(rows.indptr) + weight * rows.shape[1]
        l2 = self.config.l2 * sizes**self.config.frequency_scaling
        return solve(rows, others, weight * product, l2, counted=0.0)


def _observed(matrix: csr_array) -> csr_array:
    """Return the interactions, each with the value 1."""
    ones = matrix.copy()
    ones.eliminate_zeros()
    return as_ones(ones)
