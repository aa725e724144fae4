"""Embarrassingly shallow autoencoder."""

from typing import Annotated

import numpy as np
from annotated_types import Gt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.linalg import lapack

from recrepro.errors import ModelError
from recrepro.interactions import Interactions
from recrepro.model import ModelConfig
from recrepro.space import LogUniform

from ._similarity import ItemSimilarityModel, gram, row_blocks


class EASE(ItemSimilarityModel):
    r"""Linear regression of every item on all the others, in closed form.

    Steck: Embarrassingly shallow autoencoders for sparse data. WWW 2019.

    .. math::

        P = (X^\top X + \lambda I)^{-1}, \qquad B_{ij} = -P_{ij} / P_{jj}, \quad B_{ii} = 0

    Notes
    -----
    The matrix is inverted in float64 by its Cholesky factor; the weights are float32. The
    diagonal is that of the Gram matrix: the code of Ferrari Dacrema et al. (TOIS 2021) puts the
    number of interactions there, which is the same for values of 1 only. Memory is about
    12 bytes times the number of items squared.
    """

    class Config(ModelConfig):
        """Hyperparameters."""

        l2: Annotated[FiniteFloat, Gt(0), LogUniform(1.0, 1e7)] = 500.0
        """Ridge penalty added to the diagonal of the Gram matrix."""

    def penalty(self, diagonal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what is added to the diagonal of the Gram matrix."""
        return np.full_like(diagonal, self.config.l2)

    def learn_weights(self, train: Interactions) -> NDArray[np.float32]:
        """Invert the regularised Gram matrix."""
        precision = gram(train.matrix, np.float64)
        diagonal = precision.diagonal()
        np.fill_diagonal(precision, diagonal + self.penalty(diagonal))
        # The transposed view has LAPACK's memory order, and the matrix is symmetric.
        factor, failed = lapack.dpotrf(precision.T, lower=True, overwrite_a=True, clean=False)
        if failed:
            raise ModelError(
                f"{type(self).__name__}: the Gram matrix with l2={self.config.l2:g} on its "
                "diagonal is numerically not positive definite. Raise l2."
            )
        inverse, _ = lapack.dpotri(factor, lower=True, overwrite_c=True)
        upper = inverse.T
        scale = -1.0 / upper.diagonal()
        weights = np.empty(upper.shape, np.float32)
        for part in row_blocks(*upper.shape):
            corner = upper[part, part]
            upper[part, part] = np.triu(corner) + np.triu(corner, 1).T
            rows = upper[part, part.start :]
            weights[part, part.start :] = rows * scale[part.start :]
            weights[part.start :, part] = rows.T * scale[part]
        np.fill_diagonal(weights, 0)
        return weights
