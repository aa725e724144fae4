"""Three-step random walk."""

from typing import Annotated

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array

from recrepro.interactions import Interactions
from recrepro.space import Choice, IntRange, Uniform

from ._fading import FadingConfig, FadingModel
from ._similarity import (
    as_ones,
    largest_products,
    largest_values,
    refuse_negative,
)


class P3alpha(FadingModel):
    r"""Walk from the history's items to their users and on to these users' items.

    Cooper, Lee, Radzik, Siantos: Random walks in recommender systems. WWW 2014 Companion.

    .. math::

        W_{ij} = \sum_u \Bigl(\frac{b_{ui}}{\sum_v b_{vi}}\Bigr)^\alpha
                 \Bigl(\frac{x_{uj}}{\sum_l x_{ul}}\Bigr)^\alpha, \qquad W_{ii} = 0

    with x the interaction values and b the same as 0 or 1.

    Notes
    -----
    As in Ferrari Dacrema et al. (TOIS 2021): the step from an item to its users ignores values,
    the walk starts from the history as it is (not divided by its sum), the `n_neighbors` largest
    weights stay in each row, and then, after any normalising, in each column. The paper keeps
    them all. Of equal weights the lower item index stays.
    """

    version = 2

    class Config(FadingConfig):
        """Hyperparameters."""

        n_neighbors: Annotated[int, Ge(1), IntRange(5, 1000)] = 100
        """Number of items kept in each row and then in each column of the weights."""
        alpha: Annotated[FiniteFloat, Ge(0), Uniform(0.0, 2.0)] = 1.0
        """Exponent of the transition probabilities; 0 counts co-occurrences."""
        normalise: Annotated[bool, Choice(True, False)] = False
        """Whether the weights kept in a row are divided by their sum."""

    def popularity_factors(self, degrees: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what the weights towards each item are multiplied with: 1."""
        return np.ones(len(degrees))

    def learn_weights(self, train: Interactions) -> csr_array:
        """Multiply the transition matrices and keep the largest weights."""
        refuse_negative(train.matrix)
        matrix = train.matrix.astype(np.float64)
        matrix.eliminate_zeros()
        degrees = np.bincount(matrix.indices, minlength=train.n_items)
        to_item = _transitions(matrix, self.config.alpha)
        to_item.data *= self.popularity_factors(degrees)[to_item.indices]
        to_user = _transitions(as_ones(matrix).T.tocsr(), self.config.alpha)
        weights = largest_products(to_user, to_item, self.config.n_neighbors)
        if self.config.normalise:
            weights = _transitions(weights)
        return largest_values(weights.T.tocsr(), self.config.n_neighbors).T.tocsr()


def _transitions(matrix: csr_array, exponent: float = 1.0) -> csr_array:
    """Divide the values of each row by their sum, then raise them to a power."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    sums = np.bincount(rows, matrix.data, minlength=matrix.shape[0])
    values = ((matrix.data / sums[rows]) ** exponent).astype(matrix.dtype)
    return csr_array((values, matrix.indices, matrix.indptr), matrix.shape)
