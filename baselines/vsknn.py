"""Vector multiplication session-based nearest neighbours."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from recrepro.space import Choice

from ._order import Falling, falling_weights
from ._sessions import SessionConfig, SessionModel


class VSKNN(SessionModel):
    r"""As `SKNN`, with weights that fall from the latest item to the older ones.

    Ludewig, Jannach: Evaluation of session-based recommendation algorithms. UMUAI 2018.

    .. math::

        s(u, v) = \sum_{i \in L_u \cap H_v} w(k_i), \qquad
        \hat r_{uj} = \sum_{v \in N(u)} m(k_{uv})\, s(u, v)\, [j \in H_v]

    with :math:`k_i` how many later items user u has than i, :math:`k_{uv}` the smallest of them
    among the items in common, w the `weighting` and m the `match_weighting`; the rest as in `SKNN`.

    Notes
    -----
    The defaults are those of the code that the authors released (session-rec), which calls the
    first weighting "div" and does not divide by the number of items of a history.
    """

    class Config(SessionConfig):
        """Hyperparameters."""

        weighting: Annotated[
            Falling, Choice("same", "linear", "reciprocal", "logarithmic", "quadratic")
        ] = "linear"
        """How the weight of an item in common falls with the number of later ones."""
        match_weighting: Annotated[
            Falling, Choice("same", "linear", "reciprocal", "logarithmic", "quadratic")
        ] = "reciprocal"
        """The same of a neighbour, by its latest item in common."""

    def session_weights(self, n: int) -> NDArray[np.float64]:
        """Weigh items by their place."""
        return falling_weights(self.config.weighting, n)

    def match_weights(self) -> NDArray[np.float64]:
        """Weigh neighbours by the latest item in common."""
        return falling_weights(self.config.match_weighting, self.config.n_latest)

    def factors(self, lengths: NDArray[np.int64]) -> NDArray[np.float64]:
        """Leave similarities as they are."""
        return np.ones(len(lengths))
