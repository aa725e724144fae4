"""Matrix factorisation of ratings, or of interactions and sampled zeros."""

from collections.abc import Iterator
from itertools import count
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array

from recrepro.compute.sampling import draw_unseen
from recrepro.interactions import Interactions
from recrepro.model import EpochStats, IterativeRecommender, ModelConfig
from recrepro.space import Choice, IntRange, LogUniform, Uniform

from ._sgd_kernels import (
    Optimizer,
    descend_cells,
    first_factors,
    new_table,
    whole_batches,
)

Cells = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]
"""Users, items, and what to predict for them."""


class FunkSVD(IterativeRecommender):
    r"""Fit factors and biases to sampled cells of the interaction matrix.

    Funk: Netflix update: try this at home. 2006. With biases as in Koren, Bell & Volinsky: Matrix
    factorization techniques for recommender systems. Computer 2009.

    .. math::

        \hat r_{ui} = \mu + b_u + b_i + p_u^\top q_i, \qquad
        \min \sum_{(u,i)} \tfrac{1}{2} (r_{ui} - \hat r_{ui})^2
        + \tfrac{\lambda_U}{2} (b_u^2 + |p_u|^2) + \tfrac{\lambda_I}{2} (b_i^2 + |q_i|^2)

    Notes
    -----
    An epoch samples as many cells as there are interactions. A cell is an interaction, each equally
    often and with replacement; a share of them, `negative_quota`, moves to an item uniformly drawn
    from those not in the user's row, where the value to predict is 0. :math:`\mu` is the mean of
    what is predicted. With ``negative_quota = 0`` this is the model of ratings of Funk and Koren,
    which has nothing to learn from values that are all the same. Funk learned one factor after the
    other, from start values of 0.1; here all are learned at once, from N(0, 0.1^2).

    With ``as_in_study = True`` it does what the code of Ferrari Dacrema et al. (TOIS 2021) does:
    `negative_quota` is the share of the interactions, and that of the zeros is what is left (none
    at 0); cells are uniform over users and then over items; `l2_item` has no effect, and biases are
    not penalised. There the global bias is learned, from 0; here it stays :math:`\mu`. The study
    searches 0 to 0.5, which makes at least half of the cells zeros; the range here has that too.
    Batches and optimisers are those of `BPRMF`.

    Factors and biases of users and items without interactions start from 0; for a user they stay
    so, for an item they learn from sampled zeros only. Learning takes one thread and float32; the
    loss of an epoch is the mean squared error of its cells, each before its step.

    Attributes
    ----------
    mean : float
        What is predicted without biases and factors.
    user_factors, item_factors : array of float32, shape (n_users, n), (n_items, n)
        `n_factors` columns; with biases two more: the user's bias and a 1, a 1 and the item's bias.
    """

    inductive = False

    class Config(ModelConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), IntRange(1, 200)] = 50
        """Number of factors."""
        epochs: Annotated[int, Ge(1)] = 100
        """Number of epochs."""
        biases: Annotated[bool, Choice(True, False)] = True
        """Whether there are a mean and biases."""
        negative_quota: Annotated[FiniteFloat, Ge(0), Lt(1), Uniform(0.0, 0.95)] = 0.8
        """Share of the cells that are zeros; 0 is the model of ratings."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-1)] = 0.03
        """Length of a step."""
        l2_user: Annotated[FiniteFloat, Ge(0), LogUniform(1e-5, 1e-2)] = 0.01
        """Penalty of the user's factors and bias, for each cell."""
        l2_item: Annotated[FiniteFloat, Ge(0), LogUniform(1e-5, 1e-2)] = 0.01
        """Penalty of the item's factors and bias, for each cell."""
        optimizer: Annotated[Optimizer, Choice("sgd", "adagrad", "adam")] = "sgd"
        """What turns a gradient into a step."""
        batch_size: Annotated[int, Ge(1), Choice(*(2**n for n in range(11)))] = 1
        """Number of cells for one step."""
        as_in_study: bool = False
        """Whether to do as the code of the study does; see the notes."""

    mean: float
    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]

    def fit_epochs(self, train: Interactions, rng: np.random.Generator) -> Iterator[EpochStats]:
        """Learn epoch by epoch."""
        config = self.config
        zeros = config.negative_quota
        if config.as_in_study and zeros:
            zeros = 1 - zeros
        self.mean = mean_target(train, zeros) if config.biases else 0.0
        n_columns = config.n_factors + 2 * config.biases
        user_factors = first_factors(rng, train.user_counts, n_columns)
        item_factors = first_factors(rng, train.item_counts, n_columns)
        l2_item = 0.0 if config.as_in_study else config.l2_item
        p = new_table(user_factors, config.optimizer, config.learning_rate, config.l2_user)
        q = new_table(item_factors, config.optimizer, config.learning_rate, l2_item)
        if config.biases:
            user_factors[:, -2:] = 0, 1
            item_factors[:, -2:] = 1, 0
            p.rates[-1] = q.rates[-2] = 0
            if config.as_in_study:
                p.l2[-2] = q.l2[-1] = 0
        self.user_factors, self.item_factors = user_factors, item_factors
        step = 0
        for epoch in count(1):
            loss, n_cells = 0.0, 0
            for size in whole_batches(len(train), config.batch_size):
                users, items, targets = draw_cells(
                    rng, train, size, zeros, by_user=config.as_in_study
                )
                targets -= np.float32(self.mean)
                loss += descend_cells(users, items, targets, config.batch_size, step, p, q)
                step += size // config.batch_size
                n_cells += size
            yield EpochStats(epoch, {"loss": loss / max(n_cells, 1)})

    def score(
        self,
        users: NDArray[np.int32],
        histories: csr_array,  # noqa: ARG002  # a user is what was fitted
    ) -> NDArray[np.float32]:
        """Multiply factors and biases, and add the mean."""
        factors: NDArray[np.float32] = self.fitted("user_factors")
        scores: NDArray[np.float32] = factors[users] @ self.item_factors.T
        return scores + np.float32(self.mean)


def mean_target(train: Interactions, zeros: float) -> float:
    """Return the mean of the values where a share of them is replaced by zeros."""
    return (1 - zeros) * float(train.values.mean(dtype=np.float64)) if len(train) else 0.0


def draw_cells(
    rng: np.random.Generator, train: Interactions, size: int, zeros: float, *, by_user: bool = False
) -> Cells:
    """Draw cells with replacement.

    Parameters
    ----------
    rng : numpy.random.Generator
        The source of randomness.
    train : Interactions
        At least one.
    size : int
        Number of cells.
    zeros : float
        Share of cells at items that the user has not interacted with, of value 0; users with every
        item have none.
    by_user : bool
        Whether users are drawn equally often, and not interactions.
    """
    if by_user:
        chosen = rng.choice(np.flatnonzero(train.user_counts), size)
        chosen = train.matrix.indptr[chosen] + rng.integers(train.user_counts[chosen])
    else:
        chosen = rng.integers(len(train), size=size)
    users, items, targets = train.users[chosen], train.items[chosen], train.values[chosen]
    moved = rng.random(size, np.float32) < zeros
    moved &= train.user_counts[users] < train.n_items
    items[moved] = draw_unseen(rng, users[moved], train.matrix)
    targets[moved] = 0
    return users, items, targets
