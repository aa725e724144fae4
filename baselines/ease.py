"""Embarrassingly shallow autoencoder."""

from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt
from numpy.typing import NDArray
from pydantic import FiniteFloat

from recrepro.compute.memory import require_memory
from recrepro.errors import ModelError
from recrepro.interactions import Interactions
from recrepro.space import LogUniform

from ._fading import FadingConfig, FadingModel
from ._inverse import BLOCK, invert
from ._similarity import gram

WELL_CONDITIONED = 1e4
"""Condition number up to which single precision is enough: it costs four of seven digits."""


class EASE(FadingModel):
    r"""Linear regression of every item on all the others, in closed form.

    Steck: Embarrassingly shallow autoencoders for sparse data. WWW 2019.

    .. math::

        P = (X^\top X + \lambda I)^{-1}, \qquad B_{ij} = -P_{ij} / P_{jj}, \quad B_{ii} = 0

    Notes
    -----
    The Gram matrix is summed in float64; the weights are float32. The diagonal is that of the Gram
    matrix: the code of Ferrari Dacrema et al. (TOIS 2021) puts the number of interactions there,
    which is the same for values of 1 only. Memory is 4 bytes times the number of items squared in
    single precision and 12 in double; `fit` refuses what does not fit.
    """

    version = 2

    class Config(FadingConfig):
        """Hyperparameters."""

        l2: Annotated[FiniteFloat, Gt(0), LogUniform(1.0, 1e7)] = 500.0
        """Ridge penalty added to the diagonal of the Gram matrix."""
        precision: Literal["auto", "single", "double"] = "auto"
        """Of the inversion; auto is single unless the matrix may be too ill-conditioned for it."""

    def penalty(self, diagonal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what is added to the diagonal of the Gram matrix."""
        return np.full_like(diagonal, self.config.l2)

    def memory_needed(self, train: Interactions) -> int:
        """Estimate the bytes of the matrices that `fit` holds at once."""
        n = train.n_items
        size = self._dtype(train)().itemsize
        return size * n**2 + max(4 * n**2 if size == 8 else 0, 2 * n * BLOCK * size)

    def learn_weights(self, train: Interactions) -> NDArray[np.float32]:
        """Invert the regularised Gram matrix."""
        require_memory(
            f"{type(self).__name__} for {train.n_items:,} items",
            self.memory_needed(train),
            "Keep fewer items (filters), set precision to 'single' if it is not, or leave it out.",
        )
        matrix = gram(train.matrix, self._dtype(train))
        diagonal = matrix.diagonal().astype(np.float64)
        np.fill_diagonal(matrix, diagonal + self.penalty(diagonal))
        try:
            invert(matrix)
        except np.linalg.LinAlgError:
            raise ModelError(
                f"{type(self).__name__}: the Gram matrix with l2={self.config.l2:g} on its "
                "diagonal is numerically not positive definite. Raise l2."
            ) from None
        scale = -1.0 / matrix.diagonal()
        weights = matrix if matrix.dtype == np.float32 else np.empty(matrix.shape, np.float32)
        np.multiply(matrix, scale, out=weights, casting="same_kind")
        np.fill_diagonal(weights, 0)
        return weights

    def _dtype(self, train: Interactions) -> type[np.float32] | type[np.float64]:
        """Choose the precision: no eigenvalue is larger than the largest sum of a row's sizes."""
        if self.config.precision != "auto":
            return np.float32 if self.config.precision == "single" else np.float64
        sizes = abs(train.matrix.astype(np.float64))
        largest = (sizes.T @ sizes.sum(axis=1)).max(initial=0)
        penalties = self.penalty(np.asarray((sizes**2).sum(axis=0), np.float64))
        condition = (largest + penalties.max(initial=0)) / penalties.min(initial=np.inf)
        return np.float32 if condition <= WELL_CONDITIONED else np.float64
