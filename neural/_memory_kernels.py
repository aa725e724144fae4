"""Attention over neighbours, as loops that numba compiles; they hold no lock.

A pair (of user and item) has a query, and the neighbours from `begins` to `ends` of a list, among
which one may be passed over; each has a memory, by which it gets its attention, and an output.
"""

import numpy as np

from recrepro.compute.compiling import compiled

_FASTMATH = {"reassoc", "contract"}
"""Sums may be taken in any order: several numbers fit in one instruction."""


@compiled
def renumber(begins, ends, neighbours, users, numbers, found, places, flat):
    """Number the users that occur in a batch, in the order of their first occurrence.

    Parameters
    ----------
    begins, ends, neighbours
        Of the pairs of the batch.
    users : array of int32
        Of the pairs of the batch.
    numbers : array of int32
        For each user -1, which it is again afterwards.
    found : array of int32
        Gets the users that occur.
    places : array of int32
        Gets the numbers of the pairs' users.
    flat : array of int32
        Gets the numbers of all neighbours, pair by pair.

    Returns
    -------
    int
        How many occur.
    """
    n_found = to = 0
    for pair in range(len(users)):
        for at in range(begins[pair] - 1, ends[pair]):
            user = users[pair] if at < begins[pair] else neighbours[at]
            if numbers[user] < 0:
                numbers[user] = n_found
                found[n_found] = user
                n_found += 1
            if at < begins[pair]:
                places[pair] = numbers[user]
            else:
                flat[to] = numbers[user]
                to += 1
    for n in range(n_found):
        numbers[found[n]] = -1
    return n_found


@compiled(fastmath=_FASTMATH)
def read_outputs(
    queries, memories, outputs, begins, ends, neighbours, passed, out, logs, first, last
):
    """Write the outputs of neighbours, weighted by attention, to rows first to last of `out`.

    `logs` gets the logarithms of the sums that attentions are divided by. Where there are no
    neighbours both are 0.
    """
    longest = 0
    for pair in range(first, last):
        longest = max(longest, ends[pair] - begins[pair])
    matches = np.empty(longest, np.float32)
    none = -np.float32(np.inf)
    for pair in range(first, last):
        query, total = queries[pair], out[pair]
        begin, skip = begins[pair], passed[pair]
        n = ends[pair] - begin
        total[:] = 0
        logs[pair] = 0
        largest = none
        for a in range(n):
            if neighbours[begin + a] == skip:
                matches[a] = none
                continue
            memory = memories[neighbours[begin + a]]
            match = np.float32(0)
            for k in range(len(query)):
                match += query[k] * memory[k]
            matches[a] = match
            largest = max(largest, match)
        if largest == none:
            continue
        whole = np.float32(0)
        for a in range(n):
            weight = np.exp(matches[a] - largest)
            whole += weight
            output = outputs[neighbours[begin + a]]
            for k in range(len(total)):
                total[k] += weight * output[k]
        for k in range(len(total)):
            total[k] /= whole
        logs[pair] = largest + np.log(whole)


@compiled(fastmath=_FASTMATH)
def read_of_items(queries, memories, outputs, starts, neighbours, out):
    """Write what `read_outputs` does, for the pairs of each item with the same users, by BLAS.

    Parameters
    ----------
    queries : array of float32, shape (n_items, n_users, k)
        Of each pair.
    memories, outputs : array of float32, shape (m, k)
        Of each possible neighbour.
    starts : array of int64, shape (n_items + 1,)
        Where each item's neighbours begin in the list; an item without any reads 0.
    neighbours : array of int32
        The list.
    out : array of float32, shape (n_items, n_users, k)
        Gets what is read.
    """
    n_users, k = queries.shape[1:]
    for item in range(len(queries)):
        begin, n = starts[item], starts[item + 1] - starts[item]
        if n == 0:
            out[item] = 0
            continue
        memory, output = np.empty((n, k), np.float32), np.empty((n, k), np.float32)
        for a in range(n):
            memory[a] = memories[neighbours[begin + a]]
            output[a] = outputs[neighbours[begin + a]]
        weights = np.dot(queries[item], memory.T)
        for user in range(n_users):
            largest = weights[user, 0]
            for a in range(1, n):
                largest = max(largest, weights[user, a])
            for a in range(n):
                weights[user, a] -= largest
        _exp(weights.reshape(-1))
        for user in range(n_users):
            whole = np.float32(0)
            for a in range(n):
                whole += weights[user, a]
            share = np.float32(1) / whole
            for a in range(n):
                weights[user, a] *= share
        np.dot(weights, output, out[item])


@compiled(fastmath=_FASTMATH)
def _exp(x):
    """Replace numbers up to 0 by their exponentials, many at once, which ``np.exp`` does not do.

    That is 2^n times a polynomial of the rest, which is exact to 2e-7 of the value, as `np.exp` is.
    """
    powers = np.empty(len(x), np.int32)
    for i in range(len(x)):
        value = max(x[i], np.float32(-87))  # below, the power is no normal number
        n = np.int32(value * np.float32(1.44269504) - np.float32(0.5))  # rounds, as it is below 0
        rest = (
            value
            - np.float32(n) * np.float32(0.693359375)
            + np.float32(n) * np.float32(2.12194440e-4)
        )
        powers[i] = (n + np.int32(127)) << np.int32(23)
        found = np.float32(1.9875691500e-4)
        found = found * rest + np.float32(1.3981999507e-3)
        found = found * rest + np.float32(8.3334519073e-3)
        found = found * rest + np.float32(4.1665795894e-2)
        found = found * rest + np.float32(1.6666665459e-1)
        found = found * rest + np.float32(5.0000001201e-1)
        x[i] = found * rest * rest + rest + np.float32(1)
    scale = powers.view(np.float32)
    for i in range(len(x)):
        x[i] *= scale[i]


@compiled(fastmath=_FASTMATH)
def slopes_of_matches(
    slopes,
    queries,
    memories,
    outputs,
    begins,
    ends,
    neighbours,
    passed,
    out,
    logs,
    offsets,
    weights,
    matches,
    of_queries,
    first,
    last,
):
    """Write what follows from the slopes of `out`, for rows first to last of the queries.

    `weights` gets the attentions and `matches` the slopes of what they are computed from, both for
    all neighbours, pair by pair; `of_queries` those of the queries.
    """
    for pair in range(first, last):
        slope, query, read, total = slopes[pair], queries[pair], out[pair], of_queries[pair]
        begin, skip, offset = begins[pair], passed[pair], offsets[pair]
        total[:] = 0
        mean = np.float32(0)
        for k in range(len(slope)):
            mean += slope[k] * read[k]
        for a in range(ends[pair] - begin):
            neighbour = neighbours[begin + a]
            if neighbour == skip:
                weights[offset + a] = matches[offset + a] = 0
                continue
            memory, output = memories[neighbour], outputs[neighbour]
            match = gain = np.float32(0)
            for k in range(len(query)):
                match += query[k] * memory[k]
                gain += slope[k] * output[k]
            weight = np.exp(match - logs[pair])
            change = weight * (gain - mean)
            weights[offset + a], matches[offset + a] = weight, change
            for k in range(len(total)):
                total[k] += change * memory[k]


@compiled(fastmath=_FASTMATH)
def scatter_slopes(
    slopes,
    queries,
    begins,
    ends,
    neighbours,
    offsets,
    weights,
    matches,
    of_memories,
    of_outputs,
    first,
    last,
):
    """Add what the neighbours' memories and outputs get, in columns first to last."""
    for pair in range(len(begins)):
        slope, query = slopes[pair, first:last], queries[pair, first:last]
        begin, offset = begins[pair], offsets[pair]
        for a in range(ends[pair] - begin):
            neighbour = neighbours[begin + a]
            weight, change = weights[offset + a], matches[offset + a]
            of_memory = of_memories[neighbour, first:last]
            of_output = of_outputs[neighbour, first:last]
            for k in range(len(slope)):
                of_memory[k] += change * query[k]
                of_output[k] += weight * slope[k]
