"""Matrix factorisation for Bayesian personalised ranking."""

from collections.abc import Iterator
from itertools import count
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array

from recrepro.compute.sampling import draw_unseen
from recrepro.interactions import Interactions
from recrepro.model import EpochStats, IterativeRecommender, ModelConfig
from recrepro.space import Choice, IntRange, LogUniform

from ._sgd_kernels import (
    Optimizer,
    descend_pairs,
    first_factors,
    new_table,
    whole_batches,
)


class BPRMF(IterativeRecommender):
    r"""Learn factors that rank what a user has interacted with above what not.

    Rendle, Freudenthaler, Gantner, Schmidt-Thieme: BPR: Bayesian personalized ranking from
    implicit feedback. UAI 2009.

    .. math::

        \hat r_{ui} = p_u^\top q_i, \qquad
        \min \sum_{(u,i,j)} -\ln \sigma(\hat r_{ui} - \hat r_{uj})
        + \tfrac{1}{2} \left( \lambda_U |p_u|^2 + \lambda_+ |q_i|^2 + \lambda_- |q_j|^2 \right)

    over samples (u, i, j): user u has interacted with item i, and not with item j.

    Notes
    -----
    As in the paper, an epoch draws as many samples as there are interactions: an interaction, each
    equally often and with replacement, and an item uniformly from those that are not in the user's
    training row. Values are ignored. Every sample makes a step of its own.

    Ferrari Dacrema et al. (TOIS 2021) have ``sampling = "users"``, ``l2_user = 0``, batches, and as
    optimiser also AdaGrad or Adam. A batch sums the gradients, penalties included, of its samples,
    divides them by the batch size and changes each row once. The optimisers are per coordinate,
    with 1e-8 added to the root; Adam's moments move only with their row, its number of steps is
    that of all batches. Their epoch has one sample a user, so it takes many more epochs.

    Factors start from N(0, 0.1^2). Those of users and items without interactions are 0, and so are
    those of users with every item, from whom nothing can be learned. The loss of an epoch is the
    mean of the logarithms, each before its step. Learning takes one thread and float32.

    Attributes
    ----------
    user_factors, item_factors : array of float32, shape (n_users, n_factors), (n_items, n_factors)
        Their products are the scores.
    """

    inductive = False

    class Config(ModelConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), IntRange(1, 200)] = 64
        """Number of factors."""
        epochs: Annotated[int, Ge(1)] = 100
        """Number of epochs."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-1)] = 0.02
        """Length of a step."""
        l2_user: Annotated[FiniteFloat, Ge(0), LogUniform(1e-5, 1e-2)] = 0.01
        """Penalty of the user's factors, for each sample."""
        l2_positive: Annotated[FiniteFloat, Ge(0), LogUniform(1e-5, 1e-2)] = 0.01
        """Penalty of the factors of the item interacted with."""
        l2_negative: Annotated[FiniteFloat, Ge(0), LogUniform(1e-5, 1e-2)] = 0.01
        """Penalty of the factors of the other item."""
        optimizer: Annotated[Optimizer, Choice("sgd", "adagrad", "adam")] = "sgd"
        """What turns a gradient into a step."""
        batch_size: Annotated[int, Ge(1), Choice(*(2**n for n in range(11)))] = 1
        """Number of samples for one step."""
        sampling: Literal["interactions", "users"] = "interactions"
        """Whether samples are uniform over interactions, or over users and then their items."""

    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]

    def fit_epochs(self, train: Interactions, rng: np.random.Generator) -> Iterator[EpochStats]:
        """Learn epoch by epoch."""
        config = self.config
        counts = np.where(train.user_counts < train.n_items, train.user_counts, 0)
        user_factors = first_factors(rng, counts, config.n_factors)
        item_factors = first_factors(rng, train.item_counts, config.n_factors)
        p = new_table(user_factors, config.optimizer, config.learning_rate, config.l2_user)
        q = new_table(item_factors, config.optimizer, config.learning_rate, config.l2_positive)
        l2_negative = np.full_like(q.l2, config.l2_negative)
        self.user_factors, self.item_factors = user_factors, item_factors
        by_user = config.sampling == "users"
        pool = np.flatnonzero(counts if by_user else counts[train.users])
        step = 0
        for epoch in count(1):
            loss, n_samples = 0.0, 0
            for size in whole_batches(len(pool), config.batch_size):
                pairs = _draw_pairs(rng, train, pool, size, by_user=by_user)
                loss += descend_pairs(*pairs, config.batch_size, step, p, q, l2_negative)
                step += size // config.batch_size
                n_samples += size
            item_factors[train.item_counts == 0] = 0  # they have been drawn as others
            yield EpochStats(epoch, {"loss": loss / max(n_samples, 1)})

    def score(
        self,
        users: NDArray[np.int32],
        histories: csr_array,  # noqa: ARG002  # a user is what was fitted
    ) -> NDArray[np.float32]:
        """Multiply the factors."""
        factors: NDArray[np.float32] = self.fitted("user_factors")
        scores: NDArray[np.float32] = factors[users] @ self.item_factors.T
        return scores


def _draw_pairs(
    rng: np.random.Generator,
    train: Interactions,
    pool: NDArray[np.int64],
    size: int,
    *,
    by_user: bool,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Draw users, items of theirs and others: from a pool of users, or else of interactions."""
    chosen = pool[rng.integers(len(pool), size=size)]
    if by_user:
        chosen = train.matrix.indptr[chosen] + rng.integers(train.user_counts[chosen])
    users = train.users[chosen]
    return users, train.items[chosen], draw_unseen(rng, users, train.matrix)
