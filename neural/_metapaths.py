"""Paths between users and items through other users, items and features of items."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from recrepro.compute.threads import share_rows
from recrepro.interactions import Interactions

from ._metapath_kernels import write_closest, write_paths

Paths = NDArray[np.signedinteger[Any]]
METAPATHS = ("umtm", "umum", "uuum", "ummm")
"""Kinds of the nodes of each: u for users, m for items, t for features of items."""
NOTHING = -1
"""Stands for the nodes of a path that there is not."""
_ROWS_AT_ONCE = 256


class Links(NamedTuple):
    """A graph: the neighbours of a node are `sorted` and `ranked` from starts[n] to starts[n+1]."""

    starts: NDArray[np.int64]
    sorted: NDArray[np.int32]
    """By number, to look them up."""
    ranked: NDArray[np.int32]
    """The closest first."""


class Hops(NamedTuple):
    """The best neighbours of each node, the best first, and the cosines of their vectors."""

    nodes: NDArray[np.int32]
    cosines: NDArray[np.float32]


def smallest_type(sizes: Sequence[int]) -> type[np.int16 | np.int32]:
    """Return what holds the numbers of nodes, of which there are so many of each kind."""
    return np.int16 if max(sizes) <= np.iinfo(np.int16).max else np.int32


def bytes_held(sizes: Sequence[int], n_instances: int) -> int:
    """Return how many bytes the paths of all pairs take.

    Parameters
    ----------
    sizes : sequence of int
        Number of users, of items and of any other nodes.
    n_instances : int
        Of each meta-path.
    """
    numbers = sizes[0] * sizes[1] * len(METAPATHS) * n_instances * 2
    return numbers * np.dtype(smallest_type(sizes)).itemsize


def ones_of(matrix: csr_array) -> csr_array:
    """Return ones in place of all values but zeros."""
    rows, columns = matrix.nonzero()
    return csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=matrix.shape)


def links_of(matrix: csr_array) -> Links:
    """Return the graph of a matrix, with the highest values first."""
    matrix = csr_array(matrix)
    matrix.sort_indices()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    ranks = np.lexsort((matrix.indices, -matrix.data, rows))
    columns = matrix.indices.astype(np.int32)
    return Links(matrix.indptr.astype(np.int64), columns, columns[ranks])


def nearest(matrix: csr_array, n_neighbors: int) -> csr_array:
    r"""Link each row to those that have most in common with it.

    .. math:: |I_a \cap I_b| / \sqrt{|I_a| |I_b|}

    Parameters
    ----------
    matrix : csr_array, shape (n, m)
        Values are ignored.
    n_neighbors : int
        Others that each row chooses, of equal ones those with lower numbers. It may have more
        neighbours, as links go both ways, or fewer, where it has something in common with fewer.

    Returns
    -------
    csr_array of float64, shape (n, n)
        The similarity of those that are linked; symmetric.
    """
    n, ones = matrix.shape[0], ones_of(matrix)
    sizes, across = np.maximum(np.diff(ones.indptr), 1), csr_array(ones.T)
    chosen = []
    for first in range(0, n, _ROWS_AT_ONCE):
        some = np.arange(first, min(first + _ROWS_AT_ONCE, n))
        close = (ones[some] @ across).toarray() / np.sqrt(np.outer(sizes[some], sizes))
        close[np.arange(len(some)), some] = 0
        others = np.argsort(-close, axis=1, kind="stable")[:, n_neighbors:]
        np.put_along_axis(close, others, 0, axis=1)
        chosen.append(csr_array(close))
    links = csr_array(vstack(chosen))
    return csr_array(links.maximum(links.T))


class MetapathFinder:
    """Finds the best instances of each meta-path between a user and an item.

    The graph has the interactions and the features of items, and links between users and between
    items with much in common. A node is as close to another as the cosine of their vectors says.

    - ``umtm``, ``ummm``: from the user's `n_hops` closest items to a feature of the item, or to one
      of the item's neighbours, if that is linked with both;
    - ``uuum``: from the item's `n_hops` closest users to one of the user's neighbours, likewise;
    - ``umum``: from the user's closest items to the item's closest users, if they are linked.

    Only paths that are closer than `threshold` count: in the mean of all three links for ``umum``;
    else in that of the link between user and item alone. The closest `n_instances` are taken; of
    equally close ones those with the more similar neighbour. None goes over the user or the item
    itself.

    Parameters
    ----------
    train : Interactions
        What is known of users and items.
    features : csr_array, shape (n_items, n_features)
        What is known of items; values are ignored.
    n_neighbors : int
        Other users, and other items, that each is linked with (see `nearest`).
    n_hops, n_instances, threshold
        See above.
    """

    def __init__(
        self,
        train: Interactions,
        features: csr_array,
        n_neighbors: int,
        n_hops: int,
        n_instances: int,
        threshold: float,
    ) -> None:
        matrix = train.matrix
        across = csr_array(matrix.T)
        graphs = (matrix, across, ones_of(features))
        self.of_users, self.of_items, self.features = map(links_of, graphs)
        self.users = links_of(nearest(matrix, n_neighbors))
        self.items = links_of(nearest(across, n_neighbors))
        self.sizes = (*matrix.shape, features.shape[1])
        self.n_hops, self.n_instances, self.threshold = n_hops, n_instances, threshold
        self.measured = False
        self.held: Paths | None = None

    def measure(self, users: NDArray[np.float32], items: NDArray[np.float32]) -> None:
        """Take the vectors of all users and all items, and look for the closest of each."""
        self.unit_users, self.unit_items = of_length_one(users), of_length_one(items)
        self.user_hops = closest(self.of_users, self.unit_users, self.unit_items, self.n_hops)
        self.item_hops = closest(self.of_items, self.unit_items, self.unit_users, self.n_hops)
        self.measured = True

    def hold(self) -> None:
        """Find the paths of all pairs, and keep them."""
        n_users, n_items, _ = self.sizes
        users = np.repeat(np.arange(n_users, dtype=np.int32), n_items)
        found = self.find(users, np.tile(np.arange(n_items, dtype=np.int32), n_users))
        self.held = found.reshape(n_users, n_items, *found.shape[1:])

    def find(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> Paths:
        """Return the paths of some pairs.

        Parameters
        ----------
        users, items : array of int, shape (n,)
            Where paths begin and end.

        Returns
        -------
        array of int16 or int32, shape (n, 4, n_instances, 2)
            For each pair, meta-path (`METAPATHS`) and instance the numbers of the two nodes between
            user and item, each among those of its kind; -1 for instances that there are not.
        """
        if self.held is not None:
            return self.held[users, items]
        size = len(users), len(METAPATHS), self.n_instances, 2
        paths = np.full(size, NOTHING, smallest_type(self.sizes))
        hops, units = (self.user_hops, self.item_hops), (self.unit_users, self.unit_items)
        graphs = self.of_users, self.features, self.users, self.items
        rest = self.sizes, np.float32(self.threshold), paths
        share_rows(
            lambda first, last: write_paths(users, items, hops, units, graphs, *rest, first, last),
            len(users),
        )
        return paths


def of_length_one(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale vectors to length 1; those of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    return scaled


def closest(
    links: Links, own: NDArray[np.float32], others: NDArray[np.float32], n_hops: int
) -> Hops:
    """Return the neighbours with the highest cosines, of equal ones those with lower numbers."""
    size = len(own), n_hops
    hops = Hops(np.full(size, NOTHING, np.int32), np.full(size, -np.inf, np.float32))
    share_rows(lambda first, last: write_closest(links, own, others, hops, first, last), len(own))
    return hops
