"""From scores to ranks and ranked lists: candidates, seen items, ties.

One exact order underlies both: by score, equal scores by a random order of each user's own. So the
outcome depends neither on the algorithm nor on blocks or threads.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.evaluation.kernels import UNLISTED, UNRANKED, rank_rows
from recrepro.randomness import generator


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
    ties : array of int64, shape (n, 2)
        Keys of each user's order of equal scores: see `tie_keys`.
    depth : int
        Length of the lists; 0 for none.
    """

    seen: csr_array
    held: csr_array
    barred: NDArray[np.int32]
    candidates: csr_array | None
    ties: NDArray[np.int64]
    depth: int


def tie_keys(n_users: int, seed: int) -> NDArray[np.int64]:
    """Draw what decides between equal scores: an order of the items for each user.

    With one order for all users, a model that gives all items the same score would recommend the
    same ones to everybody, and be as good as these happen to be.

    Parameters
    ----------
    n_users : int
        Number of users. The keys of the first ones do not depend on how many follow.
    seed : int
        Root of the randomness. All models of a seed get the same orders.

    Returns
    -------
    array of int64, shape (n_users, 2)
        Two numbers below 2^31 for each user, which a function of them and of the item scatters
        over all places (`recrepro.evaluation.kernels`).
    """
    return generator(seed, "ties").integers(2**31, size=(n_users, 2))


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
        task.ties,
        out.ranks,
        out.lists,
        out.lengths,
        out.wrong,
    )


def _rows(matrix: csr_array) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the ends of the rows and their columns, of one type: the kernel is compiled once."""
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32, copy=False)
