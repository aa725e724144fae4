"""Emphasised denoising linear autoencoder."""

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray
from pydantic import FiniteFloat

from recrepro.space import LogUniform, Uniform

from .ease import EASE


class EDLAE(EASE):
    r"""EASE with a penalty that grows with the popularity of an item.

    Steck: Autoencoders that don't overfit towards the identity. NeurIPS 2020.

    .. math::

        G = X^\top X, \quad P = \Big(G + \lambda I + \frac{p}{1 - p} \mathrm{diag}(G)\Big)^{-1},
        \qquad B_{ij} = -P_{ij} / P_{jj}, \quad B_{ii} = 0

    which is the closed form of an autoencoder whose inputs are dropped with probability p and that
    is judged by the dropped ones only. With p = 0 it is EASE. The paper's low-rank version is not
    here.
    """

    class Config(EASE.Config):
        """Hyperparameters."""

        l2: Annotated[FiniteFloat, Gt(0), LogUniform(1.0, 1e4)] = 100.0
        """Ridge penalty, the same for all items."""
        dropout: Annotated[FiniteFloat, Ge(0), Lt(1), Uniform(0.0, 0.9)] = 0.3
        """Probability p that an input is dropped."""

    def penalty(self, diagonal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what is added to the diagonal of the Gram matrix."""
        share = self.config.dropout / (1 - self.config.dropout)
        penalty: NDArray[np.float64] = self.config.l2 + share * diagonal
        return penalty
