"""Association rules of two items."""

import numpy as np
from scipy.sparse import csr_array

from recrepro.interactions import Interactions, Sequences

from ._rules import RulesModel
from ._similarity import Divisor, as_ones, largest_products


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

    def learn_rules(self, sequences: Sequences, train: Interactions) -> csr_array:  # noqa: ARG002
        """Count pairs in whole histories, whatever their order."""
        ones = as_ones(train.matrix)
        confidence = Divisor(
            0.0, train.item_counts.clip(1).astype(np.float64), np.ones(train.n_items)
        )
        return largest_products(ones.T.tocsr(), ones, self.config.n_neighbors, confidence)
