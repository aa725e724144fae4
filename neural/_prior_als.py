"""Alternating least squares for implicit feedback, in which item vectors have a prior mean each."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.compute.threads import share_rows, single_blas_thread

from ._prior_als_kernels import solve_rows

Vectors = NDArray[np.float64]
_TOLERANCE = 1e-6
"""Relative change of the objective below which no further sweep is made."""
_PAIRS_AT_ONCE = 2**16


@dataclass(frozen=True)
class PriorALS:
    r"""Finds the vectors of users and items for which a weighted sum of squares is smallest.

    .. math::

        \sum_{u,i} \frac{c_{ui}}{2} (r_{ui} - x_u^\top y_i)^2 + \frac{\lambda_u}{2} \sum_u \|x_u\|^2
        + \frac{\lambda_v}{2} \sum_i \|y_i - \theta_i\|^2

    with r = 1 and c = a for an interaction, else r = 0 and c = b. All of it is in float64.

    Parameters
    ----------
    matrix : csr_array, shape (n_users, n_items)
        Interactions; values are ignored.
    seen, unseen : float
        The confidences a and b.
    l2_user, l2_item : float
        The weights lambda_u and lambda_v.
    every_item : bool
        Whether the users' step counts the items that nobody has interacted with; the items' step
        moves them in any case.
    """

    matrix: csr_array
    seen: float
    unseen: float
    l2_user: float
    l2_item: float
    every_item: bool = True
    _by_item: csr_array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_item", self.matrix.T.tocsr())

    def sweep(self, items: Vectors, means: Vectors) -> tuple[Vectors, Vectors]:
        """Solve for all users, and then for all items.

        Parameters
        ----------
        items, means : array of float64, shape (n_items, k)
            The items' vectors, and the means of their prior, theta.

        Returns
        -------
        tuple of array of float64, shapes (n_users, k) and (n_items, k)
            Vectors of users, 0 for those without interactions, and of items.
        """
        counted = items if self.every_item else items[np.diff(self._by_item.indptr) > 0]
        nothing = np.zeros((self.matrix.shape[0], items.shape[1]))
        users = self._solve(self.matrix, items, counted, self.l2_user, nothing)
        return users, self._solve(self._by_item, users, users, self.l2_item, self.l2_item * means)

    def sweeps(self, items: Vectors, means: Vectors, at_most: int) -> tuple[Vectors, Vectors]:
        """Make sweeps until the objective hardly changes, and at least one."""
        users, items = self.sweep(items, means)
        before = np.inf
        for _ in range(at_most - 1):
            now = self.objective(users, items, means)
            if abs(before - now) <= _TOLERANCE * abs(now):
                break
            before = now
            users, items = self.sweep(items, means)
        return users, items

    def objective(self, users: Vectors, items: Vectors, means: Vectors) -> float:
        """Return what is to become small, with all items."""
        starts, columns = self.matrix.indptr, self.matrix.indices
        rows = np.repeat(np.arange(len(users)), np.diff(starts))
        total = self.unseen * float(((users.T @ users) * (items.T @ items)).sum())
        for start in range(0, len(rows), _PAIRS_AT_ONCE):
            at = slice(start, start + _PAIRS_AT_ONCE)
            scores = np.einsum("nk,nk->n", users[rows[at]], items[columns[at]])
            total += float((self.seen * (1 - scores) ** 2 - self.unseen * scores**2).sum())
        total += self.l2_user * float((users**2).sum())
        return (total + self.l2_item * float(((items - means) ** 2).sum())) / 2

    def _solve(
        self, rows: csr_array, vectors: Vectors, counted: Vectors, ridge: float, right: Vectors
    ) -> Vectors:
        """Find the vectors of one side."""
        with single_blas_thread():
            whole = self.unseen * (counted.T @ counted) + ridge * np.eye(vectors.shape[1])
            inverse = np.linalg.inv(whole)
            found = right @ inverse
            stored = np.flatnonzero(np.diff(rows.indptr))
            parts = stored, rows.indptr, rows.indices, vectors, whole, inverse
            weights = self.seen - self.unseen, self.seen
            share_rows(
                lambda first, last: solve_rows(*parts, *weights, right, found, first, last),
                len(stored),
            )
        return found
