"""Loops that numba compiles on their first use, and keeps on disk; none of them holds the GIL.

Each works on a stretch of rows and writes to these alone, so that threads can share the rows and
change nothing by it. Matrices are CSR: ends of the rows, columns in order as uint32 (signed ones
numba would ask each time whether they count from the end), values. Sums are written as
``np.int32(n + ...)``: ``n += ...`` would count in 64 bits.
"""

import numpy as np

from recrepro.compute.compiling import compiled

_CHUNK = 32
_MIDDLE = np.int64(2**31)


@compiled
def nearest_rows(
    first,
    last,
    left_starts,
    left,
    left_values,
    right_starts,
    right,
    right_values,
    all_ones,
    row_factors,
    column_factors,
    row_terms,
    column_terms,
    share,
    constant,
    n_kept,
    columns,
    values,
    counts,
):
    """Keep the largest positive values of rows of ``left @ right``, divided, off the diagonal.

    A product c becomes c / (row factor * column factor + row term + column term + share * c +
    constant), rounded to float32; of equal values that of the lower column stays.
    """
    n_columns = len(column_factors)
    sums = np.zeros(0 if all_ones else n_columns, np.float64)
    number = np.zeros(n_columns if all_ones else 0, np.int32)
    row = np.empty(n_columns, np.float32)
    bits = row.view(np.int32)
    heap = np.empty(n_kept, np.int64)
    for i in range(first, last):
        factor, term = row_factors[i], row_terms[i] + constant
        if all_ones:
            for place in range(left_starts[i], left_starts[i + 1]):
                middle = left[place]
                for other in range(right_starts[middle], right_starts[middle + 1]):
                    number[right[other]] = np.int32(number[right[other]] + 1)
            for j in range(n_columns):
                c = np.float64(number[j])
                number[j] = 0
                below = factor * column_factors[j] + column_terms[j] + term + share * c
                row[j] = np.float32(c / below)
        else:
            for place in range(left_starts[i], left_starts[i + 1]):
                middle, weight = left[place], np.float64(left_values[place])
                for other in range(right_starts[middle], right_starts[middle + 1]):
                    sums[right[other]] += weight * right_values[other]
            for j in range(n_columns):
                c = sums[j]
                sums[j] = 0
                below = factor * column_factors[j] + column_terms[j] + term + share * c
                row[j] = np.float32(c / below)
        row[i] = 0
        counts[i] = _keep_largest(bits, heap, columns[i], values[i].view(np.int32))


@compiled
def largest_of_rows(first, last, starts, data, heap_size, kept):
    """Mark the largest positive float32 values of rows; of equal ones those that come first."""
    bits = data.view(np.int32)
    heap = np.empty(heap_size, np.int64)
    for i in range(first, last):
        row = bits[starts[i] : starts[i + 1]]
        bound = _smallest_kept(row, heap)
        for j in range(len(row)):
            kept[starts[i] + j] = row[j] > 0 and _key(row[j], j) >= bound


@compiled
def gram_rows(first, last, left_starts, left, left_values, right_starts, right, right_values, out):
    """Write rows of ``left @ right``, summed in float64."""
    sums = np.zeros(out.shape[1], np.float64)
    for i in range(first, last):
        for place in range(left_starts[i], left_starts[i + 1]):
            middle, weight = left[place], np.float64(left_values[place])
            for other in range(right_starts[middle], right_starts[middle + 1]):
                sums[right[other]] += weight * right_values[other]
        for j in range(len(sums)):
            out[i, j] = sums[j]
            sums[j] = 0


@compiled
def _keep_largest(bits, heap, columns, values):
    """Write the largest positive values of a row, in the order of the columns; return how many."""
    bound = _smallest_kept(bits, heap)
    least = max(np.int32(bound >> 32), np.int32(1))
    n = 0
    for start in range(0, len(bits), _CHUNK):
        stop = min(start + _CHUNK, len(bits))
        highest = np.int32(0)
        for j in range(start, stop):
            highest = max(highest, bits[j])
        if highest < least:
            continue
        for j in range(start, stop):
            if bits[j] >= least and _key(bits[j], j) >= bound:
                columns[n] = j
                values[n] = bits[j]
                n += 1
    return n


@compiled
def _smallest_kept(bits, heap):
    """Return the key of the last of the largest positive values, as many as the heap holds."""
    size = 0
    least = np.int32(0)
    for start in range(0, len(bits), _CHUNK):
        stop = min(start + _CHUNK, len(bits))
        highest = np.int32(0)
        for j in range(start, stop):
            highest = max(highest, bits[j])
        if highest <= least:
            continue
        for j in range(start, stop):
            if bits[j] <= least:
                continue
            if size < len(heap):
                heap[size] = _key(bits[j], j)
                size += 1
                if size < len(heap):
                    continue
                for place in range(size // 2 - 1, -1, -1):
                    _sink(heap, place)
            else:
                heap[0] = _key(bits[j], j)
                _sink(heap, 0)
            least = np.int32(heap[0] >> 32)
    return heap[0] if size == len(heap) else np.int64(0)


@compiled
def _key(bits, place):
    """Return a number that sorts like a positive float32, and among equal ones from the right."""
    return (np.int64(bits) << 32) | (_MIDDLE - place)


@compiled
def _sink(heap, place):
    """Let a value sink to where no smaller one is below it."""
    value = heap[place]
    while True:
        child = 2 * place + 1
        if child >= len(heap):
            break
        if child + 1 < len(heap) and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = value


@compiled
def rule_rows(
    first,
    last,
    place_starts,
    places,
    items,
    ends,
    after,
    row_factors,
    column_factors,
    n_kept,
    columns,
    values,
    counts,
):
    """Keep the largest weights of rules from one item to those that follow it in sequences.

    `places` are those of each item in `items`, all sequences one after the other; `ends` has the
    end of the sequence of each place. An item that follows d places later adds ``after[d - 1]``,
    what is further away adds nothing. The sum is divided by row factor * column factor.
    """
    n_items = len(column_factors)
    sums = np.zeros(n_items, np.float64)
    row = np.empty(n_items, np.float32)
    bits = row.view(np.int32)
    heap = np.empty(n_kept, np.int64)
    for i in range(first, last):
        for at in range(place_starts[i], place_starts[i + 1]):
            place = places[at]
            for d in range(1, min(len(after), ends[place] - place - 1) + 1):
                sums[items[place + d]] += after[d - 1]
        for j in range(n_items):
            row[j] = np.float32(sums[j] / (row_factors[i] * column_factors[j]))
            sums[j] = 0
        row[i] = 0
        counts[i] = _keep_largest(bits, heap, columns[i], values[i].view(np.int32))


@compiled
def session_rows(
    first,
    last,
    users,
    starts,
    items,
    place_starts,
    places,
    owners,
    session_weights,
    match_weights,
    factors,
    times,
    recency,
    per_time,
    per_place,
    n_candidates,
    n_neighbors,
    out,
):
    """Write scores by the histories that share items with the latest items of users.

    `places` are those of each item in `items`, the histories one after the other; `owners` has the
    user of each place. Of those who share an item, the `n_candidates` with the highest `recency`
    are compared: the weights of the items in common times `factors`, times exp of `per_time` times
    the time between the ends of both histories. The items of the `n_neighbors` most similar ones
    get the similarity times the match weight of the user's latest item in common, times exp of
    `per_place` times the distance from the other's latest item in common.
    """
    n_users = len(factors)
    shared = np.zeros(n_users, np.float64)
    match = np.empty(n_users, np.int64)
    match_place = np.empty(n_users, np.int64)
    touched = np.empty(n_users, np.int64)
    for row in range(first, last):
        user = users[row]
        end = starts[user + 1]
        n_found = 0
        for back in range(min(session_weights.shape[1], end - starts[user])):
            item = items[end - 1 - back]
            weight = session_weights[min(end - starts[user], session_weights.shape[1]) - 1, back]
            for at in range(place_starts[item], place_starts[item + 1]):
                other = owners[places[at]]
                if other == user:
                    continue
                if shared[other] == 0:
                    touched[n_found] = other
                    n_found += 1
                    match[other] = back
                    match_place[other] = places[at]
                match_place[other] = max(match_place[other], places[at])
                shared[other] += weight
        found = np.sort(touched[:n_found])
        if n_found > n_candidates:
            least = np.partition(recency[found], n_found - n_candidates)[n_found - n_candidates]
            found = found[recency[found] >= least]
        similarity = np.empty(len(found), np.float64)
        for place in range(len(found)):
            other = found[place]
            apart = np.abs(times[user] - times[other])
            similarity[place] = shared[other] * factors[other] * np.exp(per_time * apart)
        order = np.argsort(-similarity, kind="mergesort")[:n_neighbors]
        for place in order:
            other = found[place]
            weight = similarity[place] * match_weights[match[other]]
            for at in range(starts[other], starts[other + 1]):
                near = np.exp(per_place * np.abs(at - match_place[other])) if per_place else 1.0
                out[row, items[at]] += np.float32(weight * near)
        for place in range(n_found):
            shared[touched[place]] = 0
