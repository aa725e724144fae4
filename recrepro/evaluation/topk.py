"""From scores to ranks and ranked lists: candidates, seen items, ties.

One exact order underlies both: by score, equal scores by tie rank. So the outcome depends neither
on the algorithm nor on blocks or threads.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.evaluation.kernels import UNLISTED, UNRANKED, rank_rows


@dataclass(frozen=True, eq=False)
class Task:
    """What the kernel is asked of a block of users; row i of everything belongs to one user.

    Parameters
    ----------
    seen, held : csr_array, shape (n, n_items)
        Items that are not recommended; items to be found.
    barred : array of int32
        Items that nobody is recommended.
    candidates : csr_array or None, shape (n, n_items)
        If given, the only items that are ranked.
    ties : TieOrder
        Which of two equal scores comes first.
    depth : int
        Length of the lists; 0 for none.
    """

    seen: csr_array
    held: csr_array
    barred: NDArray[np.int32]
    candidates: csr_array | None
    ties: "TieOrder"
    depth: int


class TieOrder:
    """One random order of the items, which decides between equal scores.

    Parameters
    ----------
    items : array of int, shape (n_items,)
        Every item once; among equal scores the earlier one comes first.
    """

    def __init__(self, items: NDArray[np.integer[Any]]) -> None:
        self.items = items.astype(np.int32)
        self.ranks = np.empty_like(self.items)
        self.ranks[self.items] = np.arange(len(items), dtype=np.int32)


@dataclass(frozen=True, eq=False)
class Ranked:
    """What the kernel found for a block of n users.

    Parameters
    ----------
    ranks : array of int32
        Rank of each entry of `held`, from 1; `UNRANKED` if it has none.
    lists : array of int32, shape (n, depth)
        Items, best first, `UNLISTED` behind the end.
    lengths : array of int32, shape (n,)
        Number of items that could be ranked.
    wrong : array of bool, shape (n,)
        Rows with NaN or ``+inf``, for which nothing was done.
    """

    ranks: NDArray[np.int32]
    lists: NDArray[np.int32]
    lengths: NDArray[np.int32]
    wrong: NDArray[np.bool_]

    @classmethod
    def empty(cls, task: Task) -> "Ranked":
        """Make room for the outcome of a task."""
        n = task.held.shape[0]
        return cls(
            np.full(task.held.nnz, UNRANKED, np.int32),
            np.full((n, task.depth), UNLISTED, np.int32),
            np.zeros(n, np.int32),
            np.zeros(n, bool),
        )


def rank(scores: NDArray[np.float32], task: Task, out: Ranked, first: int, last: int) -> None:
    """Rank the rows from `first` up to `last`; others may be done by other threads meanwhile.

    Parameters
    ----------
    scores : array of float32, shape (n, n_items), C order
        Not changed; ``-inf`` is never ranked.
    task : Task
        What to do.
    out : Ranked
        Is filled.
    first, last : int
        Which rows.
    """
    rank_rows(
        scores,
        first,
        last,
        *_rows(task.seen),
        *_rows(task.held),
        task.barred,
        task.candidates is not None,
        *_rows(task.held if task.candidates is None else task.candidates),
        task.ties.ranks,
        task.ties.items,
        out.ranks,
        out.lists,
        out.lengths,
        out.wrong,
    )


def _rows(matrix: csr_array) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the ends of the rows and their columns, of one type: the kernel is compiled once."""
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32, copy=False)
