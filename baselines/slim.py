"""Sparse linear methods: a non-negative elastic net for every item."""

from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array

from recrepro.compute.threads import share_rows
from recrepro.errors import ModelError
from recrepro.interactions import Interactions
from recrepro.space import IntRange, LogUniform, Uniform

from ._fading import FadingConfig, FadingModel
from ._similarity import gram, largest_values
from ._slim_kernels import elastic_net_columns

WHOLE_UP_TO = 10_000
"""Number of items up to which the Gram matrix is dense: 400 MB."""


class SLIM(FadingModel):
    r"""Regress every item on all the others, with few weights, none of them negative.

    Ning & Karypis: SLIM: Sparse linear methods for top-N recommender systems. ICDM 2011.

    .. math::

        \min_{w \ge 0,\, w_j = 0} \; \frac{1}{2n} \lVert x_j - X w \rVert^2
        + \alpha \rho \lVert w \rVert_1 + \frac{\alpha (1 - \rho)}{2} \lVert w \rVert^2

    for item j with its column :math:`x_j` of the n x n_items interaction matrix X;
    :math:`\alpha` is `alpha`, :math:`\rho` is `l1_ratio`, and w becomes column j of the weights.

    Notes
    -----
    In the paper's notation :math:`\lambda = n \alpha \rho` and :math:`\beta = n \alpha
    (1 - \rho)`. The minimum is found by coordinate descent and held to its conditions: with
    :math:`d_k = x_k^\top (x_j - X w) - n \alpha \rho - n \alpha (1 - \rho) w_k`, at its end

    .. math:: |d_k| \le \epsilon \text{ where } w_k > 0, \quad d_k \le \epsilon \text{ elsewhere},
              \qquad \epsilon = \mathtt{tolerance} \cdot \max_k x_k^\top x_j

    so nothing is random, and the number of threads changes nothing. The code of Ferrari Dacrema et
    al. (TOIS 2021) takes steps in random order and stops after 100 rounds, converged or not. Like
    it, and unlike the paper, this keeps the `n_neighbors` largest weights of a column; of equal
    ones those of lower item index. Sums are float64, the Gram matrix and the weights float32.
    """

    class Config(FadingConfig):
        """Hyperparameters."""

        alpha: Annotated[FiniteFloat, Gt(0), Uniform(1e-3, 1.0)] = 0.05
        """Strength of both penalties together."""
        l1_ratio: Annotated[FiniteFloat, Ge(0), Le(1), LogUniform(1e-5, 1.0)] = 0.01
        """Share of the penalty that is on absolute values; the rest is on squares."""
        n_neighbors: Annotated[int, Ge(1), IntRange(5, 1000)] = 500
        """Number of weights kept in a column."""
        drop_smallest: bool = False
        """Whether a column of at most `n_neighbors` weights loses its smallest, as in the study."""
        tolerance: Annotated[FiniteFloat, Gt(0)] = 1e-7
        """Largest error in the conditions of the minimum, as a share of the largest product."""
        max_sweeps: Annotated[int, Ge(1)] = 10_000
        """Number of rounds over an item's weights after which it is an error not to be done."""

    def learn_weights(self, train: Interactions) -> csr_array:
        """Solve for each item, and keep the largest weights."""
        config, n_items = self.config, train.n_items
        penalty = train.n_users * config.alpha
        penalties = (penalty * config.l1_ratio, penalty * (1 - config.l1_ratio))
        signed = bool((train.matrix.data < 0).any())
        rows = _gram_rows(train.matrix)
        parts: dict[int, tuple[NDArray[Any], ...]] = {}

        def run(first: int, last: int) -> None:
            parts[first] = elastic_net_columns(
                first, last, *rows, *penalties, signed, config.tolerance, config.max_sweeps
            )

        share_rows(run, n_items)
        counts, items, weights = (
            np.concatenate([parts[first][n] for first in sorted(parts)]) for n in range(3)
        )
        if (counts < 0).any():
            raise ModelError(
                f"SLIM: {(counts < 0).sum()} of {n_items} items need more than "
                f"max_sweeps={config.max_sweeps} rounds to tolerance={config.tolerance:g}. "
                "Raise max_sweeps, tolerance or alpha."
            )
        starts = np.append(0, counts.cumsum())
        columns = csr_array((weights, items, starts), shape=(n_items, n_items))
        if config.drop_smallest:
            _drop_smallest(columns, config.n_neighbors)
        return largest_values(columns, config.n_neighbors).T.tocsr()


def _gram_rows(matrix: csr_array) -> tuple[NDArray[Any], ...]:
    """Return the Gram matrix as row ends, columns, values and diagonal; no columns if dense."""
    n_items = matrix.shape[1]
    if n_items <= WHOLE_UP_TO:
        whole = gram(matrix, np.float32)
        starts = n_items * np.arange(n_items + 1)
        return starts, np.empty(0, np.int32), whole.ravel(), whole.diagonal().astype(np.float64)
    wide = matrix.astype(np.float64)
    sparse = (wide.T.tocsr() @ wide).astype(np.float32)
    starts, items = sparse.indptr.astype(np.int64), sparse.indices.astype(np.int32, copy=False)
    return starts, items, sparse.data, sparse.diagonal().astype(np.float64)


def _drop_smallest(matrix: csr_array, least: int) -> None:
    """Zero the smallest value, of equal ones the last, of rows that have at most `least`."""
    counts = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((-matrix.indices, matrix.data, rows))
    short = (counts > 0) & (counts <= least)
    matrix.data[order[matrix.indptr[:-1][short]]] = 0
