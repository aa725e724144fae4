"""Loops that numba compiles on their first use, and keeps on disk; none of them holds the GIL.

Array arguments are in C order; numba finds their types by itself. Sums are written as
``np.int32(n + ...)``: ``n += ...`` would count in 64 bits, three times slower.
"""

import numpy as np

from recrepro.compute.compiling import compiled

UNLISTED = -1
"""Fills the places of a list that is shorter than the cutoff."""


UNRANKED = 0
"""The rank of an item that cannot be recommended."""


_CHUNK = 32


_MINUS_INFINITY = np.float32(-np.inf)


_INFINITY = np.float32(np.inf)


_LOWEST = np.finfo(np.float32).min


@compiled
def rank_rows(
    scores,
    first,
    last,
    seen_starts,
    seen,
    held_starts,
    held,
    barred,
    sampled,
    candidate_starts,
    candidates,
    tie_keys,
    ranks,
    lists,
    lengths,
    wrong,
):
    """Rank the rows from `first` up to `last`; what is what, `recrepro.evaluation.topk` says."""
    n_items = scores.shape[1]
    depth = lists.shape[1]
    masked = np.empty(n_items, np.float32)
    packed = np.empty(n_items if sampled else 0, np.float32)
    packed_items = np.empty(n_items if sampled else 0, np.int32)
    all_items = np.arange(n_items, dtype=np.int32)
    keys = np.empty(depth, np.int64)
    for row in range(first, last):
        if not _copy_finite(scores[row], masked):
            wrong[row] = True
            continue
        for place in range(seen_starts[row], seen_starts[row + 1]):
            masked[seen[place]] = _MINUS_INFINITY
        for item in barred:
            masked[item] = _MINUS_INFINITY
        values, items = masked, all_items
        if sampled:
            n = 0
            for place in range(candidate_starts[row], candidate_starts[row + 1]):
                packed[n] = masked[candidates[place]]
                packed_items[n] = candidates[place]
                n += 1
            values, items = packed[:n], packed_items[:n]
        lengths[row] = _count_above(values, _MINUS_INFINITY)
        start, end = held_starts[row], held_starts[row + 1]
        _count_ranks(values, items, masked, tie_keys[row], held[start:end], ranks[start:end])
        if depth:
            bound = _bound(masked, held[start:end], ranks[start:end], depth)
            best = _best_keys(values, items, tie_keys[row], bound, keys)
            for place in range(len(best)):
                tie = _TIE_MASK - (best[place] & _TIE_MASK)
                lists[row, place] = _item_of_tie(tie, tie_keys[row])


@compiled
def _copy_finite(source, target):
    """Copy a row; return whether it has neither NaN nor +inf."""
    n_wrong = np.int32(0)
    for i in range(len(source)):
        target[i] = source[i]
        n_wrong = np.int32(n_wrong + (not source[i] < _INFINITY))
    return n_wrong == 0


@compiled
def _count_above(values, bound):
    n = np.int32(0)
    for i in range(len(values)):
        n = np.int32(n + (values[i] > bound))
    return n


@compiled
def _count_ranks(values, items, masked, tie_key, held, ranks):
    """Count, for each held-out item, the candidates in front of it: four items in one sweep."""
    n_held = len(held)
    for place in range(0, n_held, 4):
        # Behind the end, the last one is counted again.
        a = place
        b, c, d = min(a + 1, n_held - 1), min(a + 2, n_held - 1), min(a + 3, n_held - 1)
        score_a, score_b = masked[held[a]], masked[held[b]]
        score_c, score_d = masked[held[c]], masked[held[d]]
        above_a = above_b = above_c = above_d = np.int32(0)
        level_a = level_b = level_c = level_d = np.int32(0)
        for i in range(len(values)):
            value = values[i]
            above_a = np.int32(above_a + (value > score_a))
            level_a = np.int32(level_a + (value >= score_a))
            above_b = np.int32(above_b + (value > score_b))
            level_b = np.int32(level_b + (value >= score_b))
            above_c = np.int32(above_c + (value > score_c))
            level_c = np.int32(level_c + (value >= score_c))
            above_d = np.int32(above_d + (value > score_d))
            level_d = np.int32(level_d + (value >= score_d))
        ranks[d] = _rank_among_equals(values, items, score_d, tie_key, held[d], above_d, level_d)
        ranks[c] = _rank_among_equals(values, items, score_c, tie_key, held[c], above_c, level_c)
        ranks[b] = _rank_among_equals(values, items, score_b, tie_key, held[b], above_b, level_b)
        ranks[a] = _rank_among_equals(values, items, score_a, tie_key, held[a], above_a, level_a)


@compiled
def _rank_among_equals(values, items, score, tie_key, held, above, level):
    if score == _MINUS_INFINITY:
        return np.int32(UNRANKED)
    earlier = np.int32(0)
    if level - above > 1:
        tie = _tie_of_item(held, tie_key)
        for i in range(len(values)):
            if values[i] == score:
                earlier = np.int32(earlier + (_tie_of_item(items[i], tie_key) < tie))
    return above + earlier + np.int32(1)


_TIE_MASK = np.int64(0x7FFFFFFF)

# Multipliers of the mixing function "lowbias32", cut to 31 bits, and their inverses modulo 2^31.
_FIRST, _SECOND = np.int64(0x7FEB352D), np.int64(0x046CA68B)
_FIRST_INVERSE = np.int64(pow(0x7FEB352D, -1, 2**31))
_SECOND_INVERSE = np.int64(pow(0x046CA68B, -1, 2**31))


@compiled
def _mix(x):
    """Scatter the numbers below 2^31: each has another one, so that no two items tie again."""
    x ^= x >> 16
    x = (x * _FIRST) & _TIE_MASK
    x ^= x >> 15
    x = (x * _SECOND) & _TIE_MASK
    return x ^ (x >> 16)


@compiled
def _unmix(x):
    """Return the number that `_mix` has scattered."""
    x ^= x >> 16
    x = (x * _SECOND_INVERSE) & _TIE_MASK
    x ^= (x >> 15) ^ (x >> 30)
    x = (x * _FIRST_INVERSE) & _TIE_MASK
    return x ^ (x >> 16)


@compiled
def _tie_of_item(item, tie_key):
    """Return the place of an item among equal scores of one user: the lowest one comes first."""
    return _mix(_mix(np.int64(item) ^ tie_key[0]) ^ tie_key[1])


@compiled
def _item_of_tie(tie, tie_key):
    """Return the item that has a place in a user's order of ties."""
    return np.int32(_unmix(_unmix(np.int64(tie)) ^ tie_key[1]) ^ tie_key[0])


@compiled
def _key(score, tie):
    """Pack a score and a tie rank into one integer that sorts like the pair, best last."""
    # The bits of a float sort like integers once the negative half is mirrored. Adding 0 turns
    # -0.0 into 0.0.
    bits = np.int64(np.float32(score + np.float32(0)).view(np.int32))
    if bits < 0:
        bits ^= _TIE_MASK
    return (bits << 32) | (_TIE_MASK - np.int64(tie))


@compiled
def _score(key):
    """Return the score in a key."""
    bits = key >> 32
    if bits < 0:
        bits ^= _TIE_MASK
    return np.int32(bits).view(np.float32)


@compiled
def _bound(masked, held, ranks, depth):
    """Return a score that no listed item is below: that of the first held-out one behind them."""
    bound = _LOWEST
    for place in range(len(held)):
        if ranks[place] >= depth:
            bound = max(bound, masked[held[place]])
    return bound


@compiled
def _best_keys(values, items, tie_key, bound, heap):
    """Fill a heap with the keys of the best candidates; return them, best first."""
    depth, size = len(heap), 0
    for start in range(0, len(values), _CHUNK):
        end = min(start + _CHUNK, len(values))
        n_good = np.int32(0)  # in most chunks nothing is good enough; counting takes no branches
        for i in range(start, end):
            n_good = np.int32(n_good + (values[i] >= bound))
        if n_good == 0:
            continue
        for i in range(start, end):
            if values[i] < bound:
                continue
            key = _key(values[i], _tie_of_item(items[i], tie_key))
            if size < depth:
                heap[size] = key
                size += 1
                if size < depth:
                    continue
                for root in range(depth // 2 - 1, -1, -1):
                    _sift_down(heap, root, depth)
            elif key > heap[0]:
                heap[0] = key
                _sift_down(heap, 0, depth)
            bound = _score(heap[0])  # of the worst in a full heap
    if size < depth:
        for root in range(size // 2 - 1, -1, -1):
            _sift_down(heap, root, size)
    for last in range(size - 1, 0, -1):  # the worst goes last
        heap[0], heap[last] = heap[last], heap[0]
        _sift_down(heap, 0, last)
    return heap[:size]


@compiled
def _sift_down(heap, root, size):
    """Restore the order of a heap with its smallest key in front, from a changed root on."""
    key = heap[root]
    while True:
        child = 2 * root + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[root] = heap[child]
        root = child
    heap[root] = key
