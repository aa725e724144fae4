"""What the similarity models share: Gram blocks, top-k selection, and scoring by item weights.

Everything runs over blocks of rows, so that no more than `BLOCK` values are dense at a time;
small catalogues (`WHOLE`) hold their Gram matrix once and use its symmetry.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csr_array

from recrepro.errors import DataError
from recrepro.interactions import Interactions
from recrepro.model import Recommender

BLOCK = 2**20
"""Number of values in a dense block."""
WHOLE = 2**26
"""Largest number of values of a Gram matrix that is held as a whole."""
DENSE_FROM = 0.2
"""Density from which a weight matrix is held, and multiplied faster, as a dense one."""

Block = tuple[int, NDArray[np.float32]]
"""First row, and some rows of a square matrix."""


class ItemSimilarityModel(Recommender):
    """A model whose score is the history times a matrix of item weights.

    Attributes
    ----------
    item_weights : csr_array or array of float32, shape (n_items, n_items)
        Row: item of the history; column: item scored. Sparse unless a fifth of it is non-zero.
    """

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


def row_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Cut the rows of a matrix into blocks of at most `BLOCK` values, or one row."""
    size = max(1, BLOCK // max(1, n_columns))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def gram(matrix: csr_array, dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """Return ``matrix.T @ matrix`` as a dense symmetric array, summed in float64."""
    n_columns = matrix.shape[1]
    columns = matrix.astype(np.float64)
    rows = columns.T.tocsr()
    result = np.zeros((n_columns, n_columns), dtype)
    for part in row_blocks(n_columns, n_columns):
        product = (rows[part] @ columns[:, part.start :]).toarray()
        result[part, part.start :] = product
        result[part.start :, part] = product.T
    return result


def product_blocks(left: csr_array, right: csr_array) -> Iterator[Block]:
    """Return the rows of ``left @ right``, dense, block by block."""
    for part in row_blocks(left.shape[0], right.shape[1]):
        yield part.start, (left[part] @ right).astype(np.float32).toarray()


def gram_blocks(matrix: csr_array) -> Iterator[Block]:
    """Return the rows of ``matrix.T @ matrix``, summed in float64, block by block."""
    n_columns = matrix.shape[1]
    if n_columns**2 > WHOLE:
        columns = matrix.astype(np.float64)
        yield from product_blocks(columns.T.tocsr(), columns)
        return
    whole = gram(matrix, np.float32)
    for part in row_blocks(n_columns, n_columns):
        yield part.start, whole[part]


def top_k(blocks: Iterable[Block], k: int, *, skip_diagonal: bool = True) -> csr_array:
    """Keep the k largest positive values of each row.

    Of equal values those with the lower column index stay; values of 0 or less never do.

    Parameters
    ----------
    blocks : iterable of (int, array of float32)
        First row and rows of a square matrix, in order; the arrays are overwritten.
    k : int
        How many to keep.
    skip_diagonal : bool
        Whether to leave the diagonal out.
    """
    parts = []
    for start, block in blocks:
        if skip_diagonal:
            inside = np.arange(len(block))
            block[inside, start + inside] = 0
        parts.append(_top_k_of_block(block, k))
    return csr_array(sparse.vstack(parts, format="csr"))


def _top_k_of_block(block: NDArray[np.float32], k: int) -> csr_array:
    positive = block > 0
    counts = positive.sum(axis=1)
    width = int(counts.max(initial=0))
    if width <= k:
        rows, columns = np.nonzero(positive)
    elif 4 * width > block.shape[1]:
        rows, columns = np.nonzero(_largest(block, k))
    else:
        rows, columns = np.nonzero(positive)
        places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        packed = np.zeros((len(block), width), np.float32)
        packed[rows, places] = block[rows, columns]
        chosen = _largest(packed, k)[rows, places]
        rows, columns = rows[chosen], columns[chosen]
    starts = np.zeros(len(block) + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=len(block)), out=starts[1:])
    return csr_array(
        (block[rows, columns], columns.astype(np.int32), starts.astype(np.int32)),
        shape=block.shape,
    )


def _largest(values: NDArray[np.float32], k: int) -> NDArray[np.bool_]:
    """Mark the k largest positive values of each row, of equal ones the leftmost."""
    bound = np.partition(values, -k, axis=1)[:, -k, np.newaxis]
    kept = (values >= bound) & (values > 0)
    crowded = np.flatnonzero(kept.sum(axis=1) > k)
    tied = values[crowded] == bound[crowded]
    room = k - kept[crowded].sum(axis=1) + tied.sum(axis=1)
    kept[crowded] &= ~tied | (tied.cumsum(axis=1) <= room[:, np.newaxis])
    return kept
