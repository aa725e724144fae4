"""Paths that numba compiles; they hold no lock, and each node or pair is one thread's."""

import numpy as np

from recrepro.compute.compiling import compiled


@compiled(fastmath={"reassoc", "contract"})
def cosine(a, b):
    total = np.float32(0)
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@compiled
def place_of(best, value):
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
def insert(row, place, value):
    """Put a value at a place of a row, and move what is behind; nothing if that is its end."""
    for n in range(len(row) - 1, place, -1):
        row[n] = row[n - 1]
    if place < len(row):
        row[place] = value


@compiled
def write_closest(links, own, others, hops, first, last):
    """Write the closest neighbours of the nodes first to last."""
    for row in range(first, last):
        nodes, cosines = hops.nodes[row], hops.cosines[row]
        for at in range(links.starts[row], links.starts[row + 1]):
            other = links.sorted[at]
            rank = place_of(cosines, cosine(own[row], others[other]))
            insert(nodes, rank, other)


@compiled
def linked(links, one, other):
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
def write_bridges(hops, cosines, itself, target, links, threshold, hop_first, marks, found):
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
def write_squares(user, item, hops, units, of_users, threshold, found):
    """Write how a user's items are linked with an item's users."""
    best = np.full(len(found), threshold, np.float32)
    items, users = hops[0].nodes[user], hops[1].nodes[item]
    to_items, to_users = hops[0].cosines[user], hops[1].cosines[item]
    for a in range(len(items)):
        for b in range(len(users)):
            if items[a] < 0 or users[b] < 0 or items[a] == item or users[b] == user:
                continue
            if not linked(of_users, users[b], items[a]):
                continue
            middle = cosine(units[0][users[b]], units[1][items[a]])
            rank = place_of(best, (to_items[a] + middle + to_users[b]) / np.float32(3))
            insert(found[:, 0], rank, items[a])
            insert(found[:, 1], rank, users[b])


@compiled
def write_paths(users, items, hops, units, graphs, sizes, threshold, paths, first, last):
    """Write the paths of the pairs first to last, in the order of `METAPATHS`."""
    of_users, features, user_links, item_links = graphs
    marked_users = np.zeros(sizes[0] + 1, np.int64)
    marked_items = np.zeros(sizes[1] + 1, np.int64)
    marked_features = np.zeros(sizes[2] + 1, np.int64)
    for n in range(first, last):
        user, item, found = users[n], items[n], paths[n]
        own, close = hops[0].nodes[user], hops[0].cosines[user]
        write_bridges(own, close, item, item, features, threshold, True, marked_features, found[0])
        write_squares(user, item, hops, units, of_users, threshold, found[1])
        write_bridges(own, close, item, item, item_links, threshold, True, marked_items, found[3])
        its, close = hops[1].nodes[item], hops[1].cosines[item]
        write_bridges(its, close, user, user, user_links, threshold, False, marked_users, found[2])
