"""The first singular vectors of a sparse matrix, which PureSVD and GF-CF share."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

SMALL = 500
"""Up to so many rows or columns, all singular vectors are computed at once."""
SPREAD = 0.01
"""Single precision is enough for singular values down to this share of the largest one. ARPACK
works with their squares, of which it knows seven digits of the largest."""


def right_singular_vectors(
    matrix: csr_array, n_vectors: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the right singular vectors of the largest singular values.

    Exact to rounding: LAPACK for small matrices or many vectors, else ARPACK from a random start,
    in single precision where that is enough (a projection on the vectors is right to some 1e-5),
    else in double precision.

    Parameters
    ----------
    matrix : csr_array, shape (n_users, n_items)
        Not changed.
    n_vectors : int
        How many; fewer come back if the matrix has a lower rank, because directions of the null
        space are arbitrary.
    rng : numpy.random.Generator
        Of the start.

    Returns
    -------
    array of float64, shape (n_items, n)
        One vector a column, that of the largest singular value first; signs are arbitrary.
    """
    smaller = min(matrix.shape)
    wanted = min(n_vectors, smaller)
    if smaller <= SMALL or wanted > smaller // 2:
        whole = matrix.toarray().astype(np.float64)
        _, values, vectors = np.linalg.svd(whole, full_matrices=False)
    else:
        start = rng.standard_normal(smaller)
        values, vectors = _largest(matrix.astype(np.float32), wanted, start.astype(np.float32))
        if values.min() < SPREAD * values.max():
            values, vectors = _largest(matrix.astype(np.float64), wanted, start)
    largest = np.argsort(-values, kind="stable")[:wanted]
    smallest = values.max() * max(matrix.shape) * np.finfo(float).eps
    found: NDArray[np.float64] = vectors[largest[values[largest] > smallest]].T.astype(np.float64)
    return found


def _largest(
    matrix: csr_array, wanted: int, start: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the largest singular values, and their right vectors as rows, by ARPACK."""
    # Half as many Lanczos vectors more than are wanted: ARPACK's default, twice as many, takes a
    # quarter longer for hundreds of vectors.
    tried = min(wanted + wanted // 2 + 10, len(start))
    _, values, vectors = svds(
        matrix,
        wanted,
        ncv=tried,
        v0=start,
        return_singular_vectors="vh",  # type: ignore[arg-type]  # scipy-stubs know "v" only
    )
    return values, vectors
