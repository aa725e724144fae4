"""The loops of SLIM that numba compiles on their first use; none of them holds the GIL."""

import numpy as np

from recrepro.compute.compiling import compiled

_FASTMATH = {"reassoc", "contract"}
"""Sums may be taken in any order: several numbers fit in one instruction."""
_FIRST_WORKING = 64
_SHARE = 0.01
"""What is left of a violation before more items join: all before them need not be exact."""


@compiled(fastmath=_FASTMATH)
def elastic_net_columns(
    first,
    last,
    starts,
    items,
    values,
    diagonal,
    l1,
    l2,
    signed,
    tolerance,
    max_sweeps,
):
    """Regress the items from `first` up to `last` on all the others, with weights of at least 0.

    Of item j it minimises w'Gw / 2 - g'w + l1 |w| + l2 w'w / 2, where g is column j of the Gram
    matrix G and w_j = 0, by coordinate descent on a growing working set. G is symmetric and
    consists of CSR rows; `items` is empty where the rows are whole.

    Without negative values in the data (`signed`) gradients only fall while weights grow: an item
    whose gradient is not positive at w = 0 has no weight.

    Returns
    -------
    counts : array of int64, shape (last - first,)
        Number of weights of each item; -1 where `max_sweeps` did not suffice.
    found, found_weights : arrays
        Their items and values, one item after the other.
    """
    n = len(diagonal)
    curvatures = diagonal + l2
    gradient, weights = np.empty(n), np.zeros(n)
    places = np.full(n, -1, np.int32)
    candidates, working = np.empty(n, np.int32), np.empty(n, np.int32)
    sub_gram = np.empty((_FIRST_WORKING, _FIRST_WORKING), np.float32)
    counts = np.zeros(last - first, np.int64)
    found, found_weights = np.empty(1024, np.int32), np.empty(1024, np.float32)
    n_found = 0
    for j in range(first, last):
        gradient[:] = -l1
        _subtract_row(gradient, -1.0, j, starts, items, values)
        gradient[j] = -np.inf
        n_candidates = 0
        for k in range(n):
            if k != j and (signed or gradient[k] > 0):
                candidates[n_candidates] = k
                n_candidates += 1
        bound = tolerance * max(0.0, gradient.max() + l1)
        size = 0
        sweeps_left = max_sweeps
        while True:
            violation = _violation(candidates[:n_candidates], gradient, weights)
            if violation <= bound:
                break
            if sweeps_left == 0:
                counts[j - first] = -1
                break
            old_size = size
            size = _add_violators(
                candidates[:n_candidates], gradient, curvatures, bound, places, working, size
            )
            sub_gram = _grow(sub_gram, size)
            for place in range(old_size, size):
                _pick(sub_gram, place, working[:size], places, starts, items, values)
            sweeps_left -= _descend(
                working[:size],
                sub_gram,
                gradient,
                curvatures,
                l2,
                weights,
                max(bound, _SHARE * violation),
                sweeps_left,
                starts,
                items,
                values,
            )
        if n_found + size > len(found):
            found = np.append(found, np.empty(n_found + size, np.int32))
            found_weights = np.append(found_weights, np.empty(n_found + size, np.float32))
        for k in working[:size]:
            if weights[k] > 0 and counts[j - first] >= 0:
                found[n_found], found_weights[n_found] = k, weights[k]
                n_found += 1
                counts[j - first] += 1
            weights[k] = 0
            places[k] = -1
    return counts, found[:n_found].copy(), found_weights[:n_found].copy()


@compiled(fastmath=_FASTMATH)
def _violation(candidates, gradient, weights):
    """Return by how much the conditions of a minimum are missed."""
    worst = 0.0
    for k in candidates:
        miss = abs(gradient[k]) if weights[k] > 0 else gradient[k]
        worst = max(worst, miss)
    return worst


@compiled(fastmath=_FASTMATH)
def _add_violators(candidates, gradient, curvatures, bound, places, working, size):
    """Add to the working set, at most doubling it, those that promise most; return its size."""
    room = max(size, _FIRST_WORKING)
    gains = np.empty(len(candidates))
    n = 0
    for k in candidates:
        if places[k] < 0 and gradient[k] > bound:
            gains[n] = gradient[k] ** 2 / curvatures[k]
            n += 1
    least = np.partition(gains[:n], n - room)[n - room] if n > room else 0.0
    room += size
    for k in candidates:
        if size == room:
            break
        if places[k] < 0 and gradient[k] > bound and gradient[k] ** 2 / curvatures[k] >= least:
            places[k] = size
            working[size] = k
            size += 1
    return size


@compiled(fastmath=_FASTMATH)
def _descend(
    working,
    sub_gram,
    gradient,
    curvatures,
    l2,
    weights,
    bound,
    max_sweeps,
    starts,
    items,
    values,
):
    """Meet the conditions within the working set, then bring all gradients up to date.

    Returns the number of sweeps.
    """
    size = len(working)
    part, inside = np.empty(size), np.empty(size)
    for place in range(size):
        part[place], inside[place] = gradient[working[place]], weights[working[place]]
    n_sweeps, work, worst = 0, 0.0, np.inf
    while worst > bound and n_sweeps < max_sweeps:
        n_sweeps, worst = n_sweeps + 1, 0.0
        for place in range(size):
            slope, old = part[place], inside[place]
            if abs(slope) <= bound or (slope <= 0 and old == 0):
                continue
            worst = max(worst, abs(slope))
            inside[place] = max(0.0, old + slope / curvatures[working[place]])
            _change(part, place, inside[place] - old, sub_gram, l2)
            work += size
        # Steps until now have cost several times what a jump will: sweeps alone get slow here.
        if worst > bound and work > (inside > 0).sum() ** 3:
            _jump(part, inside, curvatures[working], sub_gram, l2)
            work = 0.0
    for place in range(size):
        k = working[place]
        change = inside[place] - weights[k]
        if change != 0:
            weights[k] = inside[place]
            _subtract_row(gradient, change, k, starts, items, values)
            gradient[k] -= change * l2
    return n_sweeps


@compiled(fastmath=_FASTMATH)
def _change(part, place, change, sub_gram, l2):
    """Bring the gradients within the working set up to date with a changed weight."""
    row = sub_gram[place]
    for other in range(len(part)):
        part[other] -= change * row[other]
    part[place] -= change * l2


@compiled(fastmath=_FASTMATH)
def _jump(part, inside, curvatures, sub_gram, l2):
    """Go where all positive weights together have their minimum, or towards it until one is 0.

    It costs as much as some sweeps, but does not mind that items are alike. Does nothing where they
    are too much so.
    """
    active = np.flatnonzero(inside > 0)
    size = len(active)
    factor, change = np.empty((size, size)), part[active]
    for a in range(size):
        for b in range(a + 1):
            rest = curvatures[active[a]] if a == b else np.float64(sub_gram[active[a], active[b]])
            for c in range(b):
                rest -= factor[a, c] * factor[b, c]
            if a != b:
                factor[a, b] = rest / factor[b, b]
            elif rest > 1e-10 * curvatures[active[a]]:
                factor[a, a] = np.sqrt(rest)
            else:
                return
        for c in range(a):
            change[a] -= factor[a, c] * change[c]
        change[a] /= factor[a, a]
    for a in range(size - 1, -1, -1):
        change[a] /= factor[a, a]
        for c in range(a):
            change[c] -= factor[a, c] * change[a]
    share = 1.0
    for a in range(size):
        if change[a] < 0:
            share = min(share, -inside[active[a]] / change[a])
    for a in range(size):
        old = inside[active[a]]
        inside[active[a]] = max(0.0, old + share * change[a])
        _change(part, active[a], inside[active[a]] - old, sub_gram, l2)


@compiled(fastmath=_FASTMATH)
def _subtract_row(target, factor, k, starts, items, values):
    """Subtract a multiple of a row of the Gram matrix."""
    row = values[starts[k] : starts[k + 1]]
    if len(items) == 0:
        for other in range(len(target)):
            target[other] -= factor * row[other]
    else:
        columns = items[starts[k] : starts[k + 1]]
        for place in range(len(row)):
            target[columns[place]] -= factor * row[place]


@compiled(fastmath=_FASTMATH)
def _pick(sub_gram, place, working, places, starts, items, values):
    """Copy what the working set has of a row of the Gram matrix, and of its column."""
    k = working[place]
    row = values[starts[k] : starts[k + 1]]
    picked = sub_gram[place]
    if len(items) == 0:
        for other in range(len(working)):
            picked[other] = row[working[other]]
    else:
        picked[: len(working)] = 0
        columns = items[starts[k] : starts[k + 1]]
        for other in range(len(row)):
            if places[columns[other]] >= 0:
                picked[places[columns[other]]] = row[other]
    for other in range(place):
        sub_gram[other, place] = picked[other]


@compiled(fastmath=_FASTMATH)
def _grow(square, size):
    """Return a square with room for so many rows and columns, and with the values of the old."""
    old = len(square)
    if size <= old:
        return square
    larger = np.empty((2 * size, 2 * size), square.dtype)
    larger[:old, :old] = square
    return larger


@compiled(fastmath=_FASTMATH)
def descend_similarities(
    users,
    preferred,
    others,
    starts,
    items,
    similarities,
    symmetric,
    learning_rate,
    l2_preferred,
    l2_others,
    optimizer,
    squares,
    means,
    step,
):
    """Descend -ln sigmoid(x_i - x_j) over samples (u, i, j) in their order; return its sum.

    x_i is the sum of ``similarities[i, l]`` over the items l in the user's row of a CSR matrix.
    `step` is the number of samples before these; `squares` and `means` are what the optimiser
    remembers of each item.
    """
    loss = 0.0
    for n in range(len(users)):
        i, j = preferred[n], others[n]
        row = items[starts[users[n]] : starts[users[n] + 1]]
        towards, away = similarities[i], similarities[j]
        x = 0.0
        for item in row:
            x += towards[item] - away[item]
        small = np.exp(-abs(x))
        loss += np.log1p(small) + max(-x, 0.0)
        g = (small if x > 0 else 1.0) / (1.0 + small)
        step += 1
        g_i = _scaled(g, i, optimizer, squares, means, step)
        g_j = _scaled(g, j, optimizer, squares, means, step)
        for item in row:
            if item != i:
                towards[item] += learning_rate * (g_i - l2_preferred * towards[item])
            away[item] -= learning_rate * (g_j + l2_others * away[item])
            if symmetric:
                similarities[item, i] = towards[item]
                similarities[item, j] = away[item]
    return loss


@compiled(fastmath=_FASTMATH)
def _scaled(g, item, optimizer, squares, means, step):
    """Return the size of a step as SGD (0), AdaGrad (1) or Adam (2) have it."""
    if optimizer == 0:
        return g
    if optimizer == 1:
        squares[item] += g * g
        return g / (np.sqrt(squares[item]) + 1e-8)
    means[item] = 0.9 * means[item] + 0.1 * g
    squares[item] = 0.999 * squares[item] + 0.001 * g * g
    mean, square = means[item] / (1 - 0.9**step), squares[item] / (1 - 0.999**step)
    return mean / (np.sqrt(square) + 1e-8)
