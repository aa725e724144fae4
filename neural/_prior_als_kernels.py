"""The loop over the rows of a half-step of alternating least squares; it does not hold the GIL."""

import numpy as np

from recrepro.compiling import compiled


@compiled
def solve_rows(rows, starts, columns, vectors, whole, extra, seen, right, found, first, last):
    """Solve for some of the rows, from number `first` up to `last` of those that are listed.

    A row's matrix is `whole`, and `extra` times the products of the vectors that it has; its right
    side is that of `right`, and `seen` times their sum.
    """
    for number in range(first, last):
        row = rows[number]
        chosen = vectors[columns[starts[row] : starts[row + 1]]]
        matrix = whole + extra * np.dot(chosen.T, chosen)
        found[row] = np.linalg.solve(matrix, right[row] + seen * chosen.sum(axis=0))
