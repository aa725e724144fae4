"""Rows of a sparse matrix as inputs of a first layer: of those in a batch, each once."""

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from ._dropout import Dropout
from ._products import SparseMatrix

_MOST = 0.7
"""Share of the rows from which on all are taken: none have to be copied then, nor transposed."""


class Rows:
    """Chooses rows of a sparse matrix.

    Parameters
    ----------
    matrix : csr_array of float32, shape (n, m)
        Not copied.
    """

    def __init__(self, matrix: csr_array) -> None:
        self.matrix = matrix
        self.all = SparseMatrix(matrix)

    def of(self, asked: Tensor, share: float = 0.0) -> tuple[SparseMatrix, Tensor]:
        """Return the distinct rows among those asked for, and which of them each one is.

        Parameters
        ----------
        asked : Tensor of int, shape (k,)
            Row numbers; may repeat.
        share : float
            Of what is stored in these rows that is dropped, at random; the rest is scaled up.

        Returns
        -------
        SparseMatrix, shape (d, m)
            Some rows, among them the distinct ones.
        Tensor of int, shape (k,)
            The place there of each one that was asked for.
        """
        distinct, places = np.unique(asked.cpu().numpy(), return_inverse=True)
        if len(distinct) < _MOST * self.matrix.shape[0]:
            rows, found = self.matrix[distinct], torch.from_numpy(places).to(asked.device)
        elif share == 0:
            return self.all, asked
        else:
            rows, found = self.matrix, asked
        if share == 0:
            return SparseMatrix(rows), found
        values = Dropout(share)(torch.from_numpy(rows.data)).numpy()
        kept = csr_array((values, rows.indices, rows.indptr), shape=rows.shape)
        return SparseMatrix(kept), found


def distinct_rows(matrix: csr_array) -> tuple[csr_array, NDArray[np.int64]]:
    """Return the distinct rows of a sparse matrix, and which of them each row is.

    Parameters
    ----------
    matrix : csr_array, shape (n, m)
        With sorted indices.

    Returns
    -------
    csr_array, shape (d, m)
        In the order in which they first occur.
    array of int, shape (n,)
        Rows of the former.
    """
    numbers: dict[bytes, int] = {}
    places = np.empty(matrix.shape[0], np.int64)
    firsts: list[int] = []
    for row, (start, end) in enumerate(pairwise(matrix.indptr.tolist())):
        key = matrix.indices[start:end].tobytes() + matrix.data[start:end].tobytes()
        places[row] = numbers.setdefault(key, len(numbers))
        if len(numbers) > len(firsts):
            firsts.append(row)
    return matrix[firsts], places
