"""The inverse of a symmetric positive definite matrix, in place."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from recrepro.compute.threads import share_rows, single_blas_thread, tiny_numbers_are_zero

BLOCK = 384
"""Rows of a block."""


def invert(matrix: NDArray[Any], block: int = BLOCK) -> None:
    r"""Replace a symmetric positive definite matrix by its inverse.

    The matrix is swept block by block (Gauss and Jordan). With D the inverse of the diagonal block
    k, which LAPACK computes by its Cholesky factor, and C the columns of block k,

    .. math:: A_{ij} \leftarrow A_{ij} - C_i D C_j^\top, \qquad A_{ik} \leftarrow C_i D, \qquad
              A_{kk} \leftarrow -D

    and after all sweeps A is the negative inverse. Only the lower half is computed: it takes as
    many operations as LAPACK's inverse of the whole. Unlike that, each product is the work of one
    thread, and the result the same for any number of threads; no more memory is needed than for
    two blocks of columns; and there may be more than some 35,000 rows (LAPACK as it comes with
    scipy counts in 32 bits, and ends the process). Entries of less than the smallest normal number
    are taken for zero, see `tiny_numbers_are_zero`: a large penalty makes many of them.

    Parameters
    ----------
    matrix : array of float32 or float64, shape (n, n), C order
        Is overwritten.
    block : int
        Rows of a block.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is numerically not positive definite; it is spoilt then.
    """
    n = len(matrix)
    blocks = [slice(start, min(start + block, n)) for start in range(0, n, block)]
    swept = np.empty((n, min(block, n)), matrix.dtype)
    with single_blas_thread():
        for k in blocks:
            _sweep(matrix, k, blocks, swept[:, : k.stop - k.start])
    for i in blocks:
        matrix[i, : i.stop] *= -1
        for j in blocks:
            if j.start < i.start:
                matrix[j, i] = matrix[i, j].T


def _sweep(matrix: NDArray[Any], k: slice, blocks: list[slice], swept: NDArray[Any]) -> None:
    columns = np.concatenate([matrix[k, : k.start].T, matrix[k.start :, k]])
    inner = _inverse(columns[k])
    others = [i for i in blocks if i != k]
    tiles = [(i, j) for j in others for i in others if i.start >= j.start]

    @tiny_numbers_are_zero()
    def multiply(first: int, last: int) -> None:
        for i in blocks[first:last]:
            np.matmul(columns[i], inner, out=swept[i])

    @tiny_numbers_are_zero()
    def update(first: int, last: int) -> None:
        for i, j in tiles[first:last]:
            matrix[i, j] -= swept[i] @ columns[j].T

    share_rows(multiply, len(blocks))
    share_rows(update, len(tiles))
    matrix[k, : k.start] = swept[: k.start].T
    matrix[k.stop :, k] = swept[k.stop :]
    matrix[k, k] = -inner


@tiny_numbers_are_zero()
def _inverse(matrix: NDArray[Any]) -> NDArray[Any]:
    """Invert a block by its Cholesky factor."""
    single = matrix.dtype == np.float32
    cholesky = lapack.spotrf if single else lapack.dpotrf
    inverse = lapack.spotri if single else lapack.dpotri
    factor, failed = cholesky(matrix.T, clean=False)
    if failed:
        raise np.linalg.LinAlgError(f"not positive definite: row {failed} of a block")
    upper, _ = inverse(factor, overwrite_c=True)
    symmetric: NDArray[Any] = np.triu(upper) + np.triu(upper, 1).T
    return symmetric
