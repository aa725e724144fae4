"""The loop over the rows of a half-step of alternating least squares; it does not hold the GIL."""

import numpy as np

from recrepro.compute.compiling import compiled

_BATCH = 256


@compiled
def solve_rows(first, last, starts, columns, weights, factors, whole, l2, counted, found):
    """Solve for the rows from `first` up to `last`; what is what, `solve` in ``_als`` says.

    It computes in the type of `whole`, and numpy's LinAlgError is raised on a matrix that is not
    positive definite. The vectors are gathered by the hundred, so that BLAS adds up their products.
    """
    n = len(whole)
    batch = np.empty((_BATCH, n), whole.dtype)
    product = np.empty_like(whole)
    matrix = np.empty_like(whole)
    x = np.empty(n, whole.dtype)
    for row in range(first, last):
        begin, end = starts[row], starts[row + 1]
        x[:] = 0
        if begin < end:
            matrix[:] = whole
            for j in range(n):
                matrix[j, j] += l2[row]
            for start in range(begin, end, _BATCH):
                size = min(_BATCH, end - start)
                for place in range(size):
                    y = factors[columns[start + place]]
                    weight = weights[start + place]
                    root = np.sqrt(weight - counted)
                    for j in range(n):
                        x[j] += weight * y[j]
                        batch[place, j] = root * y[j]
                np.dot(batch[:size].T, batch[:size], product)
                matrix += product
            _substitute(np.linalg.cholesky(matrix), x)
        found[row] = x


@compiled
def _substitute(lower, x):
    """Replace x by the solution of ``lower @ lower.T @ solution = x``."""
    for i in range(len(x)):
        rest = x[i]
        for j in range(i):
            rest -= lower[i, j] * x[j]
        x[i] = rest / lower[i, i]
    for i in range(len(x) - 1, -1, -1):
        x[i] /= lower[i, i]
        for j in range(i):
            x[j] -= lower[i, j] * x[i]
