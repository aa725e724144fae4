"""Mean, item biases and user biases of ratings."""

from typing import Annotated, Any, Self

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array

from recrepro.interactions import Interactions
from recrepro.model import ModelConfig, Recommender
from recrepro.space import LogUniform


class GlobalEffects(Recommender):
    r"""Predict a rating from the mean, the item and the user, one effect after the other.

    Bell & Koren: Scalable collaborative filtering with jointly derived neighborhood interpolation
    weights. ICDM 2007. The first effects of that paper, without its effects of time.

    .. math::

        \hat r_{ui} = \mu + b_i + b_u, \qquad
        b_i = \frac{\sum_{u \in U_i} (r_{ui} - \mu)}{|U_i| + \lambda_I}, \qquad
        b_u = \frac{\sum_{i \in I_u} (r_{ui} - \mu - b_i)}{|I_u| + \lambda_U}

    with :math:`\mu` the mean of the ratings, :math:`U_i` the users of item i, and :math:`I_u` the
    history.

    Notes
    -----
    All users get the same ranking, that of the item biases: those loved on average first, not
    those known to many. It is meant for ratings: where every interaction has the same value, the
    mean says it all, every bias is 0, and all items are tied.

    As in the code of Ferrari Dacrema et al. (TOIS 2021), whose constants are the defaults, items
    come before users. An item never seen has bias 0, and so has a user without history. Sums are
    float64.

    Attributes
    ----------
    mean : float
        Mean of the training values.
    item_biases : array of float64, shape (n_items,)
        What an item adds to the mean.
    """

    deterministic = True

    class Config(ModelConfig):
        """Hyperparameters."""

        l2_item: Annotated[FiniteFloat, Ge(0), LogUniform(0.1, 1000.0)] = 25.0
        """Number of ratings at the mean that each item gets in addition."""
        l2_user: Annotated[FiniteFloat, Ge(0)] = 10.0
        """The same for users; not searched, because it changes no ranking."""

    mean: float
    item_biases: NDArray[np.float64]

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:  # noqa: ARG002  # closed form
        """Compute the mean and the items' biases; nothing is random."""
        values = train.values.astype(np.float64)
        self.mean = float(values.mean()) if len(values) else 0.0
        sums = np.bincount(train.items, values - self.mean, minlength=train.n_items)
        self.item_biases = _damped_mean(sums, train.item_counts, self.config.l2_item)
        return self

    def score(
        self,
        users: NDArray[np.int32],  # noqa: ARG002  # the history says it all
        histories: csr_array,
    ) -> NDArray[np.float32]:
        """Predict ratings, with the users' biases from their histories."""
        item_biases: NDArray[np.float64] = self.fitted("item_biases")
        counts = np.diff(histories.indptr)
        rows = np.repeat(np.arange(len(counts)), counts)
        residuals = histories.data - self.mean - item_biases[histories.indices]
        sums = np.bincount(rows, residuals, minlength=len(counts))
        user_biases = _damped_mean(sums, counts, self.config.l2_user)
        return np.add.outer(self.mean + user_biases, item_biases).astype(np.float32)


def _damped_mean(sums: NDArray[Any], counts: NDArray[np.int64], l2: float) -> NDArray[np.float64]:
    """Divide sums by their counts plus a constant; nothing divided by nothing is 0."""
    means: NDArray[np.float64] = sums / np.where(counts + l2 > 0, counts + l2, 1.0)
    return means
