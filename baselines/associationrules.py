"""Association rules of two items."""

import numpy as np
from numpy.typing import NDArray

from recrepro.interactions import Interactions

from ._rules import RulesModel


class AssociationRules(RulesModel):
    r"""Recommend what occurs most often in the histories that have a user's latest item.

    Agrawal, Imieliński, Swami: Mining association rules between sets of items in large databases.
    SIGMOD 1993; as in Ludewig, Jannach: Evaluation of session-based recommendation algorithms.
    UMUAI 2018, section 3.1.

    .. math::

        \hat r_{uj} = \frac{c_{ij}}{n_i}

    with i the latest item of user u, :math:`c_{ij}` the number of users who have i and j, and
    :math:`n_i` the number of users of i.

    Notes
    -----
    A whole history counts as the session of the paper. Dividing by :math:`n_i`, which gives the
    confidence of the rule, changes no ranking.
    """

    def fit(self, train: Interactions, rng: np.random.Generator) -> "AssociationRules":
        """Count pairs in whole histories; nothing is random."""
        self._longest = int(train.user_counts.max(initial=1))
        return super().fit(train, rng)

    def after(self) -> NDArray[np.float64]:
        """Count each later item once."""
        return np.ones(self._longest)

    def before(self) -> NDArray[np.float64]:
        """Count each earlier item once."""
        return np.ones(self._longest)

    def exponents(self) -> tuple[float, float]:
        """Divide by the popularity of the item that a rule starts from."""
        return 1.0, 0.0
