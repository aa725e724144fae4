"""The half-step of alternating least squares, exact."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.compute.threads import share_rows, single_blas_thread
from recrepro.errors import ModelError

from ._als_kernels import solve_rows


def gram(factors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return ``factors.T @ factors``, summed in float64."""
    wide = factors.astype(np.float64)
    with single_blas_thread():
        product: NDArray[np.float64] = wide.T @ wide
    return product


def solve(
    rows: csr_array,
    factors: NDArray[np.float32],
    whole: NDArray[np.float64],
    l2: NDArray[np.float64],
    *,
    counted: float,
) -> NDArray[np.float32]:
    r"""Find the factors of one side from those of the other side.

    Those of a row are the x of

    .. math:: \Bigl(G + \sum_o (w_o - w_0) y_o y_o^\top + \lambda I\Bigr) x = \sum_o w_o y_o

    over its stored entries o. Rows without entries get zeros. It is solved by a Cholesky
    factorisation in float32, or in float64 if a matrix is not positive definite in float32.

    Parameters
    ----------
    rows : csr_array, shape (n_rows, n_columns)
        The weights w.
    factors : array of float32, shape (n_columns, n_factors)
        The vectors y.
    whole : array of float64, shape (n_factors, n_factors)
        What all cells together contribute, G.
    l2 : array of float64, shape (n_rows,)
        The ridge penalty of each row.
    counted : float
        The part of every weight that G holds already, w_0; no weight is smaller.

    Returns
    -------
    array of float32, shape (n_rows, n_factors)
        The same for any number of threads.

    Raises
    ------
    ModelError
        If a matrix is not positive definite in float64 either.
    """
    starts, columns = rows.indptr.astype(np.int64), rows.indices.astype(np.int32, copy=False)
    weights = rows.data.astype(np.float32, copy=False)
    found = np.empty((rows.shape[0], factors.shape[1]), np.float32)

    def solve_all(dtype: type[np.floating[Any]]) -> None:
        system = whole.astype(dtype), l2.astype(dtype), dtype(counted)

        def run(first: int, last: int) -> None:
            solve_rows(first, last, starts, columns, weights, factors, *system, found)

        # Small shares, because a few rows have many more entries than the others.
        with single_blas_thread():
            share_rows(run, len(found), shares=64)

    try:
        solve_all(np.float32)
    except np.linalg.LinAlgError:
        try:
            solve_all(np.float64)
        except np.linalg.LinAlgError:
            raise ModelError(
                "alternating least squares: the equations of some user or item have no stable "
                f"solution with a penalty of {l2.min():g}. Raise l2."
            ) from None
    return found
