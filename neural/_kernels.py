"""Products that numba compiles; they hold no lock, and each row or column is one thread's."""

import numpy as np

from recrepro.compute.compiling import compiled

_FASTMATH = {"reassoc", "contract"}
"""Sums may be taken in any order: several numbers fit in one instruction."""


@compiled(fastmath=_FASTMATH)
def add_rows(starts, columns, values, dense, out, first, last):
    """Write rows first to last of a CSR matrix times a dense one to `out`.

    Four entries are taken at once: a row of `out` then is read and written a quarter as often.
    """
    for row in range(first, last):
        total = out[row]
        total[:] = 0
        at, end = starts[row], starts[row + 1]
        while at + 4 <= end:
            a, b = dense[columns[at]], dense[columns[at + 1]]
            c, d = dense[columns[at + 2]], dense[columns[at + 3]]
            u, v, w, x = values[at], values[at + 1], values[at + 2], values[at + 3]
            for k in range(len(total)):
                total[k] += u * a[k] + v * b[k] + w * c[k] + x * d[k]
            at += 4
        while at < end:
            value, other = values[at], dense[columns[at]]
            for k in range(len(total)):
                total[k] += value * other[k]
            at += 1


@compiled(fastmath=_FASTMATH)
def dot_pairs(left, table, chosen, out, first, last):
    """Write the products of rows first to last of `left` with chosen rows of a table to `out`.

    Four are taken at once.
    """
    for row in range(first, last):
        vector, which, products = left[row], chosen[row], out[row]
        n, end = 0, len(which)
        while n + 4 <= end:
            a, b, c, d = (
                table[which[n]],
                table[which[n + 1]],
                table[which[n + 2]],
                table[which[n + 3]],
            )
            u = v = w = x = np.float32(0)
            for k in range(len(vector)):
                factor = vector[k]
                u += factor * a[k]
                v += factor * b[k]
                w += factor * c[k]
                x += factor * d[k]
            products[n], products[n + 1], products[n + 2], products[n + 3] = u, v, w, x
            n += 4
        while n < end:
            other = table[which[n]]
            total = np.float32(0)
            for k in range(len(vector)):
                total += vector[k] * other[k]
            products[n] = total
            n += 1


@compiled
def drop_values(values, low, high, kept, scale, out, first, last):
    """Write values first to last, scaled, or 0 in their place, to `out`.

    Whether number n of all stays is a hash of n and of two seeds: values stay where its 32 bits are
    below `kept`.
    """
    source, target = values[first:last], out[first:last]
    start = low + np.uint32(first)
    for n in range(np.uint32(len(source))):
        bits = start + np.uint32(n)
        bits = np.uint32((bits ^ (bits >> np.uint32(16))) * np.uint32(0x7FEB352D))
        bits = bits ^ (bits >> np.uint32(15)) ^ high
        bits = np.uint32(bits * np.uint32(0x846CA68B))
        bits = bits ^ (bits >> np.uint32(16))
        target[n] = source[n] * (scale if bits < kept else np.float32(0))


@compiled(fastmath=_FASTMATH)
def step_rows(parameter, square, move, rows, gradient, rate, decay, momentum, eps):
    """Make a step of TensorFlow's RMSprop in those rows of a table that have a gradient."""
    for n in range(len(rows)):
        values, squares, moves = parameter[rows[n]], square[rows[n]], move[rows[n]]
        slopes = gradient[n]
        for k in range(len(values)):
            squares[k] += (slopes[k] * slopes[k] - squares[k]) * (np.float32(1) - decay)
            moves[k] = momentum * moves[k] + rate * slopes[k] / np.sqrt(squares[k] + eps)
            values[k] -= moves[k]


@compiled
def strongest_neighbours(
    user_starts, user_items, item_starts, item_users, weights, found, strengths, first, last
):
    """Write for items first to last which others have most users in common, times their weights.

    A row of `found` has as many items as there is room for, the strongest first, of equal ones that
    with the smaller number; what is left of it stays as it is. `strengths` has the products.
    """
    counts = np.zeros(len(weights), np.float32)
    touched = np.empty(len(weights), np.int32)
    room = found.shape[1]
    for item in range(first, last):
        n_touched = n_found = 0
        for at in range(item_starts[item], item_starts[item + 1]):
            user = item_users[at]
            for place in range(user_starts[user], user_starts[user + 1]):
                other = user_items[place]
                if counts[other] == 0:
                    touched[n_touched] = other
                    n_touched += 1
                counts[other] += 1
        items, products = found[item], strengths[item]
        for other in touched[:n_touched]:
            product = counts[other] * weights[other]
            counts[other] = 0
            at = n_found
            while at > 0 and (
                products[at - 1] < product
                or (products[at - 1] == product and items[at - 1] > other)
            ):
                at -= 1
            if at < room:
                n_found = min(n_found + 1, room)
                for place in range(n_found - 1, at, -1):
                    items[place], products[place] = items[place - 1], products[place - 1]
                items[at], products[at] = other, product


@compiled(fastmath=_FASTMATH)
def shift_stored(starts, columns, shifts, dense, sums, first, last):
    """Write sums of what rows first to last have where a CSR matrix has something; then shift it.

    That is, add each row's shift to all of these numbers.
    """
    for row in range(first, last):
        line, shift = dense[row], shifts[row]
        total = np.float32(0)
        for at in range(starts[row], starts[row + 1]):
            total += line[columns[at]]
            line[columns[at]] += shift
        sums[row] = total


@compiled(fastmath=_FASTMATH)
def descend_logistic(users, items, labels, p, q, bias, rate, l2):
    """Make a step of SGD for each sample, one after the other; return the sum of their losses.

    The logit is the product of a row of `p` and one of `q`, whose last numbers are added instead,
    and `bias[0]`. The loss is logistic, with half the squares of all these numbers times `l2`.
    """
    lost = 0.0
    last = p.shape[1] - 1
    keep = np.float32(1 - rate * l2)
    for n in range(len(users)):
        a, b = p[users[n]], q[items[n]]
        logit = bias[0] + a[last] + b[last]
        squares = bias[0] ** 2 + a[last] ** 2 + b[last] ** 2
        for k in range(last):
            logit += a[k] * b[k]
            squares += a[k] * a[k] + b[k] * b[k]
        small = np.exp(-abs(logit))
        lost += np.log1p(small) + max(logit, 0) - labels[n] * logit + l2 / 2 * squares
        step = np.float32(rate * (labels[n] - (1 if logit > 0 else small) / (1 + small)))
        for k in range(last):
            u, v = a[k], b[k]
            a[k] = keep * u + step * v
            b[k] = keep * v + step * u
        a[last] = keep * a[last] + step
        b[last] = keep * b[last] + step
        bias[0] = keep * bias[0] + step
    return lost


@compiled
def find_seen(users, drawn, starts, items, n_items, places):
    """Write which of drawn items, row by row, are in the row of their user; return how many.

    `starts` and `items` are a CSR matrix; `places` counts through all rows of `drawn`.
    """
    seen = np.zeros(n_items, np.bool_)
    n = 0
    for row in range(len(users)):
        of_user = items[starts[users[row]] : starts[users[row] + 1]]
        for item in of_user:
            seen[item] = True
        for k in range(drawn.shape[1]):
            places[n] = row * drawn.shape[1] + k
            n += seen[drawn[row, k]]
        for item in of_user:
            seen[item] = False
    return n
