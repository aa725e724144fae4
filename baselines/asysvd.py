"""Asymmetric matrix factorisation: a user is the sum of the items in the history."""

from collections.abc import Iterator
from itertools import count
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array

from recrepro.interactions import Interactions
from recrepro.model import EpochStats, IterativeRecommender, ModelConfig
from recrepro.space import Choice, IntRange, LogUniform, Uniform

from ._sgd_kernels import Optimizer, descend_histories, first_factors, new_table
from ._similarity import as_ones
from .funksvd import draw_cells, mean_target


class AsymmetricSVD(IterativeRecommender):
    r"""Fit item factors so that a user is the sum of those in the history.

    Paterek: Improving regularized singular value decomposition for collaborative filtering. KDD Cup
    2007 (NSVD1). Koren: Factorization meets the neighborhood: a multifaceted collaborative
    filtering model. KDD 2008 (the implicit part of Asymmetric-SVD).

    .. math::

        \hat r_{ui} = \mu + b_u + b_i + q_i^\top \frac{1}{\sqrt{|I_u|}} \sum_{j \in I_u} y_j

    with :math:`I_u` the history, whatever its values. The squared error is minimised over sampled
    cells, with L2 penalties of b_u and y (`l2_user`) and of b_i and q (`l2_item`).

    Notes
    -----
    An epoch samples the cells of `FunkSVD`. It takes them user by user, in random order, as
    Koren does (TKDD 2010): b_u, b_i and q_i change after each cell, the y_j of the history once
    after the user's last one, by the sum of the gradients and one penalty. Adam counts cells.

    Koren's model also has a sum weighted by the residuals of the ratings, which is left out here,
    as it is in the code of Ferrari Dacrema et al. (TOIS 2021). That code changes the y_j after
    each cell, which takes time in proportion to the length of the history; it leaves the root out
    of their gradient; and to predict, but not to learn, it multiplies them by the values.

    A user is scored from the history alone, without the user's bias: it is the same for all items.
    Factors and biases of items without interactions start from 0, and learn from sampled zeros
    only; those that are not drawn stay so. Learning takes one thread and float32; the loss of an
    epoch is the mean squared error of its cells, each before its step.

    Attributes
    ----------
    mean : float
        What is predicted without biases and factors.
    history_factors : array of float32, shape (n_items, n_factors)
        y.
    item_factors : array of float32, shape (n_items, n)
        q, and with biases one column more: b.
    """

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
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-1)] = 0.01
        """Length of a step."""
        l2_user: Annotated[FiniteFloat, Ge(0), LogUniform(1e-5, 1e-2)] = 0.01
        """Penalty of the history's factors and of the user's bias."""
        l2_item: Annotated[FiniteFloat, Ge(0), LogUniform(1e-5, 1e-2)] = 0.01
        """Penalty of the item's factors and bias."""
        optimizer: Annotated[Optimizer, Choice("sgd", "adagrad", "adam")] = "sgd"
        """What turns a gradient into a step."""

    mean: float
    history_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]

    def fit_epochs(self, train: Interactions, rng: np.random.Generator) -> Iterator[EpochStats]:
        """Learn epoch by epoch."""
        config, counts = self.config, train.item_counts
        zeros, rate = config.negative_quota, config.learning_rate
        self.mean = mean_target(train, zeros) if config.biases else 0.0
        history_factors = first_factors(rng, counts, config.n_factors)
        item_factors = first_factors(rng, counts, config.n_factors + config.biases)
        user_biases = np.zeros((train.n_users, 1), np.float32)
        y = new_table(history_factors, config.optimizer, rate, config.l2_user)
        q = new_table(item_factors, config.optimizer, rate, config.l2_item)
        b = new_table(user_biases, config.optimizer, rate * config.biases, config.l2_user)
        if config.biases:
            item_factors[:, -1] = 0
        self.history_factors, self.item_factors = history_factors, item_factors
        matrix, n_cells = train.matrix, len(train)
        for epoch in count(1):
            loss = 0.0
            if n_cells:
                cells = draw_cells(rng, train, n_cells, zeros)
                order = np.argsort(rng.permutation(train.n_users)[cells[0]], kind="stable")
                users, items, targets = (part[order] for part in cells)
                targets -= np.float32(self.mean)
                step, rows = n_cells * (epoch - 1), (matrix.indptr, matrix.indices)
                loss = descend_histories(users, items, targets, step, *rows, y, q, b) / n_cells
            yield EpochStats(epoch, {"loss": loss})

    def score(
        self,
        users: NDArray[np.int32],  # noqa: ARG002  # the history says it all
        histories: csr_array,
    ) -> NDArray[np.float32]:
        """Sum the factors of the histories, and multiply them with those of the items."""
        factors: NDArray[np.float32] = self.fitted("history_factors")
        lengths = np.diff(histories.indptr)
        sums = np.ones((len(lengths), self.item_factors.shape[1]), np.float32)
        sums[:, : factors.shape[1]] = as_ones(histories) @ factors
        sums[:, : factors.shape[1]] /= np.sqrt(lengths.clip(1), dtype=np.float32)[:, np.newaxis]
        scores: NDArray[np.float32] = sums @ self.item_factors.T
        return scores + np.float32(self.mean)
