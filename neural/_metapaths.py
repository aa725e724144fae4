"""Paths between users and items through other users, items and features of items."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.compiling import compiled
from recrepro.interactions import Interactions
from recrepro.threads import share_rows

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
    ones = csr_array((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)
    sizes, across = np.maximum(np.diff(ones.indptr), 1), csr_array(ones.T)
    found = []
    for first in range(0, matrix.shape[0], _ROWS_AT_ONCE):
        some = np.arange(first, min(first + _ROWS_AT_ONCE, matrix.shape[0]))
        close = (ones[some] @ across).toarray() / np.sqrt(np.outer(sizes[some], sizes))
        close[np.arange(len(some)), some] = 0
        best = np.argsort(-close, axis=1, kind="stable")[:, :n_neighbors]
        found.append((np.repeat(some, best.shape[1]), best.ravel(), np.take_along_axis(close, best, 1).ravel()))
    rows, columns, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    chosen = csr_array((values, (rows, columns)), shape=(matrix.shape[0],) * 2)
    both: csr_array = chosen.maximum(chosen.T).tocsr()
    both.eliminate_zeros()
    return both


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
        had = csr_array(features != 0, dtype=np.float32)
        self.of_users, self.of_items, self.features = map(links_of, (matrix, across, had))
        self.users = links_of(nearest(matrix, n_neighbors))
        self.items = links_of(nearest(across, n_neighbors))
        self.sizes = (*matrix.shape, features.shape[1])
        self.n_hops, self.n_instances, self.threshold = n_hops, n_instances, threshold
        self.measured = False
        self.held: Paths | None = None

    def measure(self, users: NDArray[np.float32], items: NDArray[np.float32]) -> None:
        """Take the vectors of all users and all items, and look for the closest of each."""
        self.unit_users, self.unit_items = of_length_one(users), of_length_one(items)
        units = self.unit_users, self.unit_items
        self.user_hops = closest(self.of_users, *units, self.n_hops)
        self.item_hops = closest(self.of_items, *reversed(units), self.n_hops)
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
            lambda first, last: _find(users, items, hops, units, graphs, *rest, first, last),
            len(users),
        )
        return paths


def of_length_one(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale vectors to length 1; those of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.where(lengths == 0, 1, lengths)
    return scaled


def closest(
    links: Links, own: NDArray[np.float32], others: NDArray[np.float32], n_hops: int
) -> Hops:
    """Return the neighbours with the highest cosines, of equal ones those with lower numbers."""
    size = len(own), n_hops
    hops = Hops(np.full(size, NOTHING, np.int32), np.full(size, -np.inf, np.float32))
    share_rows(lambda first, last: _closest(links, own, others, hops, first, last), len(own))
    return hops


@compiled(fastmath={"reassoc", "contract"})
def _cosine(a, b):
    total = np.float32(0)
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@compiled
def _place(best, value):
    """Put a value into a descending row, behind equal ones; return its place, or the length."""
    place = len(best)
    while place > 0 and value > best[place - 1]:
        place -= 1
        if place + 1 < len(best):
            best[place + 1] = best[place]
    if place < len(best):
        best[place] = value
    return place


@compiled
def _insert(row, place, value):
    """Put a value at a place of a row, and move what is behind; nothing if that is its end."""
    for n in range(len(row) - 1, place, -1):
        row[n] = row[n - 1]
    if place < len(row):
        row[place] = value


@compiled
def _closest(links, own, others, hops, first, last):
    """Write the closest neighbours of the nodes first to last."""
    for row in range(first, last):
        nodes, cosines = hops.nodes[row], hops.cosines[row]
        for at in range(links.starts[row], links.starts[row + 1]):
            other = links.sorted[at]
            place = _place(cosines, _cosine(own[row], others[other]))
            _insert(nodes, place, other)


@compiled
def _linked(links, one, other):
    """Say whether two nodes are linked."""
    low, high = links.starts[one], links.starts[one + 1]
    end = high
    while low < high:
        middle = (low + high) // 2
        if links.sorted[middle] < other:
            low = middle + 1
        else:
            high = middle
    return low < end and links.sorted[low] == other


@compiled
def _bridges(hops, cosines, itself, target, links, threshold, hop_first, marks, found):
    """Write how a node's hops are linked with neighbours of the target, for one meta-path.

    Marks of an earlier hop are lower than those of the next one, and need not be deleted.
    """
    n = 0
    for place in range(len(hops)):
        hop = hops[place]
        if hop < 0 or not cosines[place] > threshold:
            return
        if hop == itself:
            continue
        marks[-1] += 1
        for at in range(links.starts[hop], links.starts[hop + 1]):
            marks[links.sorted[at]] = marks[-1]
        for at in range(links.starts[target], links.starts[target + 1]):
            neighbour = links.ranked[at]
            if marks[neighbour] == marks[-1]:
                found[n, 0], found[n, 1] = (hop, neighbour) if hop_first else (neighbour, hop)
                n += 1
                if n == len(found):
                    return


@compiled
def _squares(user, item, hops, units, of_users, threshold, found):
    """Write how a user's items are linked with an item's users."""
    best = np.full(len(found), threshold, np.float32)
    items, users = hops[0].nodes[user], hops[1].nodes[item]
    to_items, to_users = hops[0].cosines[user], hops[1].cosines[item]
    for a in range(len(items)):
        for b in range(len(users)):
            if items[a] < 0 or users[b] < 0 or items[a] == item or users[b] == user:
                continue
            if not _linked(of_users, users[b], items[a]):
                continue
            middle = _cosine(units[0][users[b]], units[1][items[a]])
            place = _place(best, (to_items[a] + middle + to_users[b]) / np.float32(3))
            _insert(found[:, 0], place, items[a])
            _insert(found[:, 1], place, users[b])


@compiled
def _find(users, items, hops, units, graphs, sizes, threshold, paths, first, last):
    """Write the paths of the pairs first to last, in the order of `METAPATHS`."""
    of_users, features, user_links, item_links = graphs
    marked_users = np.zeros(sizes[0] + 1, np.int64)
    marked_items = np.zeros(sizes[1] + 1, np.int64)
    marked_features = np.zeros(sizes[2] + 1, np.int64)
    for n in range(first, last):
        user, item, found = users[n], items[n], paths[n]
        own, close = hops[0].nodes[user], hops[0].cosines[user]
        _bridges(own, close, item, item, features, threshold, True, marked_features, found[0])
        _squares(user, item, hops, units, of_users, threshold, found[1])
        _bridges(own, close, item, item, item_links, threshold, True, marked_items, found[3])
        its, close = hops[1].nodes[item], hops[1].cosines[item]
        _bridges(its, close, user, user, user_links, threshold, False, marked_users, found[2])
