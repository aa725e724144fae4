"""The first singular vectors of a sparse matrix, which PureSVD and GF-CF share."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

SMALL = 500
"""Up to so many rows or columns, all singular vectors are computed at once."""


def right_singular_vectors(
    matrix: csr_array, n_vectors: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the right singular vectors of the largest singular values.

    Exact to rounding: LAPACK for small matrices or many vectors, else ARPACK from a random start.

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
    matrix = matrix.astype(np.float64)
    smaller = min(matrix.shape)
    wanted = min(n_vectors, smaller)
    if smaller <= SMALL or wanted > smaller // 2:
        _, values, vectors = np.linalg.svd(matrix.toarray(), full_matrices=False)
    else:
        _, values, vectors = svds(matrix, wanted, v0=rng.standard_normal(smaller))
    largest = np.argsort(-values, kind="stable")[:wanted]
    smallest = values.max() * max(matrix.shape) * np.finfo(float).eps
    found: NDArray[np.float64] = vectors[largest[values[largest] > smallest]].T
    return found
