"""Item similarities, one parameter each, for Bayesian personalised ranking."""

from collections.abc import Iterator
from itertools import count
from typing import Annotated, Literal, get_args

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array, vstack

from recrepro.compute.memory import require_memory
from recrepro.compute.sampling import draw_unseen
from recrepro.interactions import Interactions
from recrepro.model import EpochStats, IterativeRecommender, ModelConfig
from recrepro.space import Choice, IntRange, LogUniform

from ._similarity import DENSE_FROM, as_ones, dense
from ._slim_kernels import descend_similarities

Optimizer = Literal["sgd", "adagrad", "adam"]

ROWS_AT_ONCE = 256
"""Number of rows of the similarities that are cut together."""


class SLIMBPR(IterativeRecommender):
    r"""Learn how similar every two items are from which item a user prefers to which.

    Rendle, Freudenthaler, Gantner, Schmidt-Thieme: BPR: Bayesian personalized ranking from
    implicit feedback. UAI 2009 (there: adaptive k-nearest-neighbour). The form of the scores is
    that of SLIM (Ning & Karypis, ICDM 2011).

    .. math::

        \hat r_{ui} = \sum_{l \in I_u \setminus i} s_{il}, \qquad
        \min \sum_{(u,i,j)} -\ln \sigma(\hat r_{ui} - \hat r_{uj})
        + \tfrac{1}{2} \sum_{l \in I_u} \left( \lambda_+ s_{il}^2 + \lambda_- s_{jl}^2 \right)

    over samples (u, i, j): user u has interacted with the items :math:`I_u`, i is one of them and
    j is not.

    Notes
    -----
    As in Ferrari Dacrema et al. (TOIS 2021), and unlike the paper: a sample is a user, then one of
    the user's items and one of the others, all uniform, and an epoch has as many as there are users
    (there: one more); users with every item or none are left out; AdaGrad and Adam remember one
    number (Adam two) an item, made from the derivative of the logarithm alone and with 1e-8 added
    to the root; `symmetric` similarities are one parameter a pair, in the paper too; for scoring,
    the `n_neighbors` largest values of each row stay, and then of each column, negative ones after
    the zeros, of equal ones that of the lower index.

    With `as_in_study` two slips of that code are repeated: the penalty of s_jl has the wrong sign
    and pushes it away from 0; and scores sum s_li in place of the s_il that were learned, which
    is the same where they are symmetric.

    Similarities start from 0; s_ii stays there. Interaction values are ignored. The loss of an
    epoch is the mean of the logarithms, each before its step. Learning takes one thread;
    similarities are float32 and take 4 bytes times the number of items squared.

    Attributes
    ----------
    similarities : array of float32, shape (n_items, n_items)
        s, as learned. Row: item scored; column: item of the history.
    """

    class Config(ModelConfig):
        """Hyperparameters."""

        n_neighbors: Annotated[int, Ge(1), IntRange(5, 1000)] = 500
        """Number of similarities kept in each row and then in each column."""
        epochs: Annotated[int, Ge(1)] = 300
        """Number of epochs."""
        symmetric: Annotated[bool, Choice(True, False)] = True
        """Whether an item is as similar to a second as that to the first."""
        optimizer: Annotated[Optimizer, Choice(*get_args(Optimizer))] = "sgd"
        """What turns a gradient into a step."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-1)] = 0.01
        """Length of a step."""
        l2_positive: Annotated[FiniteFloat, Ge(0), LogUniform(1e-5, 1e-2)] = 0.001
        """Penalty of the similarities of the item interacted with, for each sample."""
        l2_negative: Annotated[FiniteFloat, Ge(0), LogUniform(1e-5, 1e-2)] = 0.001
        """Penalty of the similarities of the other item."""
        as_in_study: bool = False
        """Whether to repeat two slips of the study's code: a wrong sign and a missing transpose."""

    similarities: NDArray[np.float32]

    def memory_needed(self, train: Interactions) -> int:
        """Estimate the bytes of the similarities."""
        return 4 * train.n_items**2

    def fit_epochs(self, train: Interactions, rng: np.random.Generator) -> Iterator[EpochStats]:
        """Learn epoch by epoch."""
        config, n_items = self.config, train.n_items
        require_memory(
            f"SLIMBPR for {n_items:,} items",
            self.memory_needed(train),
            "Keep fewer items (filters), or leave it out.",
        )
        starts, items = train.matrix.indptr, train.matrix.indices
        pool = np.flatnonzero((train.user_counts > 0) & (train.user_counts < n_items)).astype(
            np.int32
        )
        n_samples = train.n_users if len(pool) else 0
        self.similarities = np.zeros((n_items, n_items), np.float32)
        l2_negative = -config.l2_negative if config.as_in_study else config.l2_negative
        optimizer = get_args(Optimizer).index(config.optimizer)
        squares, means = np.zeros(n_items), np.zeros(n_items)
        for epoch in count(1):
            self._weights: csr_array | NDArray[np.float32] | None = None
            users = pool[rng.integers(len(pool), size=n_samples)] if n_samples else pool
            preferred = items[starts[users] + rng.integers(train.user_counts[users])]
            loss = descend_similarities(
                users,
                preferred,
                draw_unseen(rng, users, train.matrix),
                starts,
                items,
                self.similarities,
                config.symmetric,
                config.learning_rate,
                config.l2_positive,
                l2_negative,
                optimizer,
                squares,
                means,
                (epoch - 1) * n_samples,
            )
            yield EpochStats(epoch, {"loss": loss / max(n_samples, 1)})

    def score(
        self,
        users: NDArray[np.int32],  # noqa: ARG002  # the history says it all
        histories: csr_array,
    ) -> NDArray[np.float32]:
        """Sum the similarities that are kept over the histories."""
        similarities: NDArray[np.float32] = self.fitted("similarities")
        if self._weights is None:
            rows = _largest_of_rows(csr_array(similarities), self.config.n_neighbors)
            weights = _largest_of_rows(rows.T.tocsr(), self.config.n_neighbors)
            if self.config.as_in_study:
                weights = weights.T.tocsr()
            crowded = weights.nnz > DENSE_FROM * similarities.size
            self._weights = weights.toarray() if crowded else weights
        return dense(as_ones(histories) @ self._weights)


def _largest_of_rows(matrix: csr_array, k: int) -> csr_array:
    """Keep the k largest values of each row, of equal ones those with the lower column."""
    k = min(k, matrix.shape[1])
    parts = []
    for start in range(0, matrix.shape[0], ROWS_AT_ONCE):
        rows = matrix[start : start + ROWS_AT_ONCE].toarray()
        bound = np.partition(rows, -k, axis=1)[:, -k, np.newaxis]
        tied = rows == bound
        room = k - (rows > bound).sum(axis=1, keepdims=True)
        rows[(rows < bound) | (tied & (tied.cumsum(axis=1) > room))] = 0
        parts.append(csr_array(rows))
    return csr_array(vstack(parts, format="csr"))
