"""The loop over the rows of a half-step of alternating least squares; it does not hold the GIL."""

import numpy as np

from recrepro.compute.compiling import compiled


@compiled
def solve_rows(
    rows, starts, columns, vectors, whole, inverse, extra, seen, right, found, first, last
):
    """Solve for some of the rows, from number `first` up to `last` of those that are listed.

    A row's matrix is `whole`, and `extra` times the products of the vectors that it has; its right
    side is that of `right`, and `seen` times their sum. `inverse` is that of `whole`, and `found`
    has the solutions without any vectors at first. Where there are few of these, the system that is
    solved has a row for each of them (Woodbury's identity).
    """
    n_factors = len(whole)
    for number in range(first, last):
        row = rows[number]
        chosen = vectors[columns[starts[row] : starts[row + 1]]]
        if 2 * len(chosen) <= n_factors:
            turned = np.dot(chosen, inverse)
            inner = np.eye(len(chosen)) + extra * np.dot(turned, chosen.T)
            start = found[row] + seen * turned.sum(axis=0)
            weights = np.linalg.solve(inner, np.dot(chosen, start))
            found[row] = start - extra * np.dot(weights, turned)
        else:
            matrix = whole + extra * np.dot(chosen.T, chosen)
            found[row] = np.linalg.solve(matrix, right[row] + seen * chosen.sum(axis=0))
