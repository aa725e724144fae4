"""Products that numba compiles; they hold no lock, and each row or column is one thread's."""

import numpy as np

from recrepro.compiling import compiled

_FASTMATH = {"reassoc", "contract"}
"""Sums may be taken in any order: several numbers fit in one instruction."""


@compiled(fastmath=_FASTMATH)
def add_rows(starts, columns, values, dense, out, first, last):
    """Write rows first to last of a CSR matrix times a dense one to `out`."""
    for row in range(first, last):
        total = out[row]
        total[:] = 0
        for at in range(starts[row], starts[row + 1]):
            value, other = values[at], dense[columns[at]]
            for k in range(len(total)):
                total[k] += value * other[k]


@compiled(fastmath=_FASTMATH)
def dot_pairs(left, table, chosen, out, first, last):
    """Write the products of rows first to last of `left` with chosen rows of a table to `out`."""
    for row in range(first, last):
        vector = left[row]
        for n in range(chosen.shape[1]):
            other = table[chosen[row, n]]
            total = np.float32(0)
            for k in range(len(vector)):
                total += vector[k] * other[k]
            out[row, n] = total


@compiled(fastmath=_FASTMATH)
def add_chosen(slopes, table, chosen, out, first, last):
    """Write sums of chosen rows of a table, weighted by slopes, to rows first to last of `out`."""
    for row in range(first, last):
        total = out[row]
        total[:] = 0
        for n in range(chosen.shape[1]):
            slope = slopes[row, n]
            if slope != 0:
                other = table[chosen[row, n]]
                for k in range(len(total)):
                    total[k] += slope * other[k]


@compiled(fastmath=_FASTMATH)
def scatter_chosen(slopes, left, chosen, out, first, last):
    """Add rows of `left`, weighted by slopes, to chosen rows of `out`, in columns first to last."""
    for row in range(chosen.shape[0]):
        vector = left[row, first:last]
        for n in range(chosen.shape[1]):
            slope = slopes[row, n]
            if slope != 0:
                total = out[chosen[row, n], first:last]
                for k in range(len(vector)):
                    total[k] += slope * vector[k]
