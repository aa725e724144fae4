"""Sequential rules."""

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray
from pydantic import FiniteFloat

from recrepro.space import Choice, IntRange, Uniform

from ._order import Falling, falling_weights
from ._rules import RulesConfig, RulesModel


class SequentialRules(RulesModel):
    r"""Recommend what came soon after a user's latest items in other histories.

    Kamehkhosh, Jannach, Ludewig: A comparison of frequent pattern techniques and a deep learning
    method for session-based recommendation. RecTemp 2017; Ludewig, Jannach: Evaluation of
    session-based recommendation algorithms. UMUAI 2018, section 3.1.

    .. math::

        W_{ij} = \frac{1}{n_i^\alpha n_j^\beta} \sum_{v:\, 1 \le d_v(i, j) \le D} w(d_v(i, j)),
        \qquad \hat r_{uj} = \sum_{k=0}^{K-1} \phi^k\, W_{i_k j}

    with :math:`d_v(i, j)` how many places after i user v has j, D the `window`, w the `weighting`,
    :math:`n_i` the number of users of i, :math:`i_k` the item of user u with k later ones, K the
    `n_latest`, and :math:`\phi` the `fading`.

    Notes
    -----
    The papers' method is the default: the latest item only, no division by popularity (dividing by
    that of the latest item would change no ranking). The sum over more items and the exponents are
    ours, for histories that are longer than a session. Their weights of a distance d are 1,
    1 - 0.1 d, 1/d, 1/log10(d + 1.7) and 1/d^2; ours are the same, but "linear" falls from 1 at
    d = 1 to 1/D at d = D. Items of a user at the same time are in random order, always the same for
    the same data.
    """

    class Config(RulesConfig):
        """Hyperparameters."""

        window: Annotated[int, Ge(1), IntRange(1, 30)] = 10
        """How many places later an item may follow."""
        weighting: Annotated[
            Falling, Choice("same", "linear", "reciprocal", "logarithmic", "quadratic")
        ] = "reciprocal"
        """How the weight of a rule falls with the distance."""
        source_exponent: Annotated[FiniteFloat, Ge(0), Uniform(0.0, 1.0)] = 0.0
        """Exponent of the popularity of the item that a rule starts from."""
        target_exponent: Annotated[FiniteFloat, Ge(0), Uniform(0.0, 1.0)] = 0.0
        """Exponent of the popularity of the item that a rule leads to."""
        n_latest: Annotated[int, Ge(1), IntRange(1, 50)] = 1
        """How many of the user's latest items count."""
        fading: Annotated[FiniteFloat, Ge(0), Le(1), Uniform(0.3, 1.0)] = 0.8
        """Weight of an item as a share of that of the next later one."""

    def after(self) -> NDArray[np.float64]:
        """Weigh items by their distance."""
        return falling_weights(self.config.weighting, self.config.window)

    def exponents(self) -> tuple[float, float]:
        """Divide by powers of popularity."""
        return self.config.source_exponent, self.config.target_exponent

    def fading(self) -> NDArray[np.float64]:
        """Let the latest items fade."""
        fading: NDArray[np.float64] = self.config.fading ** np.arange(self.config.n_latest)
        return fading
