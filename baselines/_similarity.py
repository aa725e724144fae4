"""What the similarity models share: the largest of many products, and scoring by item weights."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.compute.threads import share_rows
from recrepro.errors import DataError
from recrepro.interactions import Interactions
from recrepro.model import Recommender

from ._kernels import gram_rows, largest_of_rows, nearest_rows

DENSE_FROM = 0.2
"""Density from which a weight matrix is held, and multiplied faster, as a dense one."""


class ItemSimilarityModel(Recommender):
    """A model whose score is the history times a matrix of item weights.

    Attributes
    ----------
    item_weights : csr_array or array of float32, shape (n_items, n_items)
        Row: item of the history; column: item scored. Sparse unless a fifth of it is non-zero.
    """

    deterministic = True

    item_weights: csr_array | NDArray[np.float32]

    @abstractmethod
    def learn_weights(self, train: Interactions) -> csr_array | NDArray[np.float32]:
        """Return the item weights."""

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:  # noqa: ARG002  # closed form
        """Learn the item weights; nothing is random."""
        weights = self.learn_weights(train)
        if isinstance(weights, csr_array) and weights.nnz > DENSE_FROM * train.n_items**2:
            weights = weights.toarray()
        self.item_weights = weights
        return self

    def score(
        self,
        users: NDArray[np.int32],  # noqa: ARG002  # the history says it all
        histories: csr_array,
    ) -> NDArray[np.float32]:
        """Multiply the histories with the item weights."""
        return dense(histories @ self.fitted("item_weights"))


@dataclass(frozen=True)
class Divisor:
    r"""What the product c of rows i and j is divided by.

    .. math:: f_i g_j + a_i + b_j + s c + h

    Parameters
    ----------
    constant : float
        h.
    row_factors, column_factors : array of float64, optional
        f and g; 0 when absent.
    row_terms, column_terms : array of float64, optional
        a and b; 0 when absent.
    share : float
        s.
    """

    constant: float = 1.0
    row_factors: NDArray[np.float64] | None = None
    column_factors: NDArray[np.float64] | None = None
    row_terms: NDArray[np.float64] | None = None
    column_terms: NDArray[np.float64] | None = None
    share: float = 0.0


def largest_products(
    left: csr_array, right: csr_array, n_kept: int, divisor: Divisor | None = None
) -> csr_array:
    """Keep the largest positive values of each row of ``left @ right``, divided, off the diagonal.

    Products are summed in float64, divided, and rounded to float32 before they are ranked, so that
    those that are equal in theory tie. Of equal values those with the lower column index stay;
    values of 0 or less never do. The result does not depend on the number of threads.

    Parameters
    ----------
    left, right : csr_array of float32, shapes (n, m) and (m, n)
        What to multiply.
    n_kept : int
        How many to keep in a row.
    divisor : Divisor, optional
        What each product is divided by; 1 when absent.

    Returns
    -------
    csr_array of float32, shape (n, n)
        Sorted, without zeros.
    """
    divisor = divisor or Divisor()
    n = left.shape[0]
    zeros = np.zeros(n)
    factors = [zeros if f is None else f for f in (divisor.row_factors, divisor.column_factors)]
    terms = [zeros if t is None else t for t in (divisor.row_terms, divisor.column_terms)]
    all_ones = bool((left.data == 1).all() and (right.data == 1).all())
    rows = (*_rows(left), *_rows(right))

    numbers = (divisor.share, divisor.constant)

    def run(first: int, last: int, n_kept: int, *out: NDArray[Any]) -> None:
        nearest_rows(first, last, *rows, all_ones, *factors, *terms, *numbers, n_kept, *out)

    return kept_of_rows(run, n, n_kept)


def kept_of_rows(run: Callable[..., None], n: int, n_kept: int) -> csr_array:
    """Make a square matrix of what a kernel keeps of each row.

    Parameters
    ----------
    run : callable
        Takes the first row and the one behind the last, how many values a row has at most, and what
        it fills: columns, values, and how many of them a row has.
    n : int
        Number of rows.
    n_kept : int
        How many values a row may keep.

    Returns
    -------
    csr_array of float32, shape (n, n)
    """
    n_kept = min(n_kept, n)
    columns = np.empty((n, n_kept), np.int32)
    values = np.empty((n, n_kept), np.float32)
    counts = np.zeros(n, np.int64)
    share_rows(lambda first, last: run(first, last, n_kept, columns, values, counts), n)
    kept = np.arange(n_kept) < counts[:, np.newaxis]
    starts = np.append(0, counts.cumsum())
    return csr_array((values[kept], columns[kept], starts), shape=(n, n))


def largest_values(matrix: csr_array, n_kept: int) -> csr_array:
    """Keep the largest positive values of each row; of equal ones those with the lower column."""
    matrix.sort_indices()
    kept = np.empty(matrix.nnz, bool)
    starts = matrix.indptr.astype(np.int64)
    n_kept = min(n_kept, matrix.shape[1])

    def run(first: int, last: int) -> None:
        largest_of_rows(first, last, starts, matrix.data, n_kept, kept)

    share_rows(run, matrix.shape[0])
    new_starts = np.append(0, kept.cumsum())[starts]
    return csr_array((matrix.data[kept], matrix.indices[kept], new_starts), shape=matrix.shape)


def gram(matrix: csr_array, dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """Return ``matrix.T @ matrix`` as a dense array, summed in float64."""
    n_columns = matrix.shape[1]
    result = np.empty((n_columns, n_columns), dtype)
    rows = (*_rows(matrix.T.tocsr()), *_rows(matrix))
    share_rows(lambda first, last: gram_rows(first, last, *rows, result), n_columns)
    return result


def _rows(matrix: csr_array) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[Any]]:
    """Return a matrix as kernels want it."""
    columns = matrix.indices.astype(np.int32, copy=False).view(np.uint32)
    return matrix.indptr.astype(np.int64), columns, matrix.data


def dense(product: Any) -> NDArray[np.float32]:
    """Return a sparse or dense product as an array of float32."""
    values = product.toarray() if isinstance(product, csr_array) else product
    return np.asarray(values, np.float32)


def refuse_negative(matrix: csr_array) -> None:
    """Refuse interaction values below 0 for a model that they would make meaningless."""
    if (matrix.data < 0).any():
        raise DataError(
            f"the model needs interaction values of at least 0, but got {matrix.data.min():g}. "
            "Binarise the interactions or filter them by value."
        )


def as_ones(matrix: csr_array) -> csr_array:
    """Return the same pairs, each with the value 1."""
    return csr_array((np.ones_like(matrix.data), matrix.indices, matrix.indptr), matrix.shape)


def power(values: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """Raise numbers of at least 0 to a power; 0 stays 0."""
    raised: NDArray[np.float64] = np.power(
        values, exponent, out=np.zeros(len(values)), where=values > 0
    )
    return raised
