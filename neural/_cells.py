"""All cells of a sparse matrix in random order."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ._training import Batch

LISTED_AT_MOST = 2**25
"""Cells of which a shuffled list is made: 134 MB."""
_ROUNDS = 4
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9], np.uint64)


def cells_in_batches(
    matrix: csr_array, batch_size: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Yield rows, labels and columns of all cells in random order.

    Parameters
    ----------
    matrix : csr_array, shape (n, m)
        What it stores is labelled 1, all else 0. Its columns are in order in each row.
    batch_size : int
        Cells in a batch. Those left over are left out, unless they are all.
    rng : numpy.random.Generator
        Decides the order.
    """
    n_rows, n_columns = matrix.shape
    n = n_rows * n_columns
    stored = np.repeat(np.arange(n_rows), np.diff(matrix.indptr)) * n_columns + matrix.indices
    stored = np.append(stored, n)
    numbers = np.arange(n, dtype=np.int32) if n <= LISTED_AT_MOST else None
    keys = rng.integers(2**63, size=(_ROUNDS, 2), dtype=np.uint64)
    if numbers is not None:
        rng.shuffle(numbers)
    for start in range(0, n - n % batch_size or n, batch_size):
        if numbers is not None:
            cells = numbers[start : start + batch_size].astype(np.int64)
        else:
            cells = scrambled(np.arange(start, min(start + batch_size, n)), n_rows, n_columns, keys)
        labels = stored[np.searchsorted(stored, cells)] == cells
        yield cells // n_columns, labels.astype(np.float32), cells % n_columns


def scrambled(
    cells: NDArray[np.int64], n_rows: int, n_columns: int, keys: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Return other cells, no two the same: a permutation of all cells, drawn by keys.

    Rows are shifted by a hash of the column, and columns by one of the row, in turn. Each shift can
    be undone, so that no two cells meet.

    Parameters
    ----------
    cells : array of int, shape (k,)
        Numbers of cells, row by row.
    n_rows, n_columns : int
        How many there are.
    keys : array of uint64, shape (rounds, 2)
        Of the hashes.
    """
    rows, columns = np.divmod(cells, n_columns)
    for of_columns, of_rows in keys:
        rows = (rows + _hashed(columns, of_columns)) % n_rows
        columns = (columns + _hashed(rows, of_rows)) % n_columns
    return rows * n_columns + columns


def _hashed(numbers: NDArray[np.int64], key: np.uint64) -> NDArray[np.int64]:
    """Return numbers below 2^31 that look random."""
    mixed = numbers.astype(np.uint64) ^ key
    for factor in _FACTORS:
        mixed = (mixed ^ (mixed >> np.uint64(32))) * factor
    return (mixed >> np.uint64(33)).astype(np.int64)
