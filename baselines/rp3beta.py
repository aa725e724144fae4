"""Three-step random walk with a penalty on popularity."""

from typing import Annotated

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import FiniteFloat

from recrepro.space import Choice, Uniform

from .p3alpha import P3alpha


class RP3beta(P3alpha):
    r"""P3alpha whose weights towards an item are divided by a power of its popularity.

    Paudel, Christoffel, Newell, Bernstein: Updatable, accurate, diverse, and scalable
    recommendations for interactive applications. ACM TiiS 7(1), 2017.

    .. math:: W^{RP3\beta}_{ij} = W^{P3\alpha}_{ij} / d_j^\beta

    with :math:`d_j` the number of users of item j. Only then are the largest weights chosen; in
    all else it is `P3alpha`, which it equals at beta = 0.
    """

    class Config(P3alpha.Config):
        """Hyperparameters: those of P3alpha, normalised by default, and beta."""

        beta: Annotated[FiniteFloat, Ge(0), Uniform(0.0, 2.0)] = 0.6
        """Exponent of the popularity that weights are divided by."""
        normalise: Annotated[bool, Choice(True, False)] = True
        """Whether the weights kept in a row are divided by their sum."""

    def popularity_factors(self, degrees: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the inverse power of each item's popularity, 0 for items never seen."""
        powers = np.maximum(degrees, 1).astype(np.float64) ** -self.config.beta
        return np.where(degrees > 0, powers, 0.0)
