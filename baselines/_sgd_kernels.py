"""Matrix factorisation by stochastic gradient descent: loops that numba compiles.

They hold no lock, run in one thread and draw nothing: samples come from outside and are taken in
their order. Within a batch every sample sees the parameters from before it. Gradients, with the L2
penalty of every sample, are summed, divided by the batch size, and applied once to each row.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recrepro.compute.compiling import compiled

Optimizer = Literal["sgd", "adagrad", "adam"]

_FASTMATH = {"reassoc", "contract"}
"""Sums may be taken in any order: several numbers fit in one instruction."""
_SGD, _ADAGRAD, _ADAM = range(3)
_SAMPLES_AT_ONCE = 2**18


def _inlined(function):
    return njit(inline="always", fastmath=_FASTMATH, error_model="numpy")(function)


class Table(NamedTuple):
    """Parameters, a row for each user or item, and what the optimiser remembers of them.

    A column has its own learning rate and penalty; one of rate 0 stays as it is.
    """

    weights: NDArray[np.float32]
    rates: NDArray[np.float32]
    l2: NDArray[np.float32]
    optimizer: int
    squares: NDArray[np.float32]
    """AdaGrad's sums of squares or Adam's second moments; no rows for SGD."""
    means: NDArray[np.float32]
    """Adam's first moments; no rows for the others."""


def new_table(
    weights: NDArray[Any], optimizer: Optimizer, learning_rate: float, l2: float
) -> Table:
    """Make a table from first weights of shape (n_rows, n_columns), which it changes later."""
    n_rows, n_columns = weights.shape
    number = ("sgd", "adagrad", "adam").index(optimizer)
    squares, means = (n_rows if number >= least else 0 for least in (_ADAGRAD, _ADAM))
    return Table(
        weights,
        np.full(n_columns, learning_rate, weights.dtype),
        np.full(n_columns, l2, weights.dtype),
        number,
        np.zeros((squares, n_columns), weights.dtype),
        np.zeros((means, n_columns), weights.dtype),
    )


def first_factors(
    rng: np.random.Generator, counts: NDArray[np.int64], n_factors: int
) -> NDArray[np.float32]:
    """Draw factors from N(0, 0.1^2), a row for each count; where that is 0, so are they."""
    factors = rng.standard_normal((len(counts), n_factors), np.float32) * np.float32(0.1)
    factors[counts == 0] = 0
    return factors


def whole_batches(n_samples: int, batch_size: int) -> Iterator[int]:
    """Cut samples, rounded up to whole batches, into portions of whole batches."""
    n_batches, at_once = -(-n_samples // batch_size), max(1, _SAMPLES_AT_ONCE // batch_size)
    for first in range(0, n_batches, at_once):
        yield min(at_once, n_batches - first) * batch_size


@compiled(fastmath=_FASTMATH)
def descend_pairs(users, preferred, others, batch_size, step, p, q, l2_others):
    """Descend -ln sigmoid(p_u q_i - p_u q_j) over samples (u, i, j); return its sum.

    `step` is the number of batches before these, `l2_others` the penalties of q_j.
    """
    if batch_size == 1 and p.optimizer == _SGD:
        return _descend_single_pairs(users, preferred, others, p, q, l2_others)
    number = p.weights.dtype.type
    loss = 0.0
    difference = np.empty_like(p.weights[0])
    p_batch, q_batch = _new_batch(p, batch_size), _new_batch(q, 2 * batch_size)
    for start in range(0, len(users), batch_size):
        n_p = n_q = 0
        for n in range(start, start + batch_size):
            u, i, j = users[n], preferred[n], others[n]
            p_u, q_i, q_j = p.weights[u], q.weights[i], q.weights[j]
            x = number(0)
            for f in range(len(p_u)):
                difference[f] = q_i[f] - q_j[f]
                x += p_u[f] * difference[f]
            lost, slope = _logistic(x)
            loss += lost
            g = number(slope)
            n_p, n_q = _touch(p_batch, u, n_p), _touch(q_batch, i, n_q)
            n_q = _touch(q_batch, j, n_q)
            _add(p_batch, u, g, difference, p.l2, p_u)
            _add(q_batch, i, g, p_u, q.l2, q_i)
            _add(q_batch, j, -g, p_u, l2_others, q_j)
        step += 1
        _apply(p, p_batch, n_p, batch_size, step)
        _apply(q, q_batch, n_q, batch_size, step)
    return loss


@compiled(fastmath=_FASTMATH)
def _descend_single_pairs(users, preferred, others, p, q, l2_others):
    """Do the same for batches of one sample and SGD, two to three times faster."""
    number = p.weights.dtype.type
    loss = 0.0
    for n in range(len(users)):
        p_u, q_i, q_j = p.weights[users[n]], q.weights[preferred[n]], q.weights[others[n]]
        x = number(0)
        for f in range(len(p_u)):
            x += p_u[f] * (q_i[f] - q_j[f])
        lost, slope = _logistic(x)
        loss += lost
        g = number(slope)
        for f in range(len(p_u)):
            a, b, c = p_u[f], q_i[f], q_j[f]
            p_u[f] = a + p.rates[f] * (g * (b - c) - p.l2[f] * a)
            q_i[f] = b + q.rates[f] * (g * a - q.l2[f] * b)
            q_j[f] = c + q.rates[f] * (-g * a - l2_others[f] * c)
    return loss


@compiled(fastmath=_FASTMATH)
def descend_transitions(users, preferred, others, first, last, items, rate, l2, p, q, m, r):
    """Descend -ln sigmoid(x_i - x_j) over samples (u, i, j), a step for each; return its sum.

    x_i is p_u q_i + m_i b, with b the mean of r over ``items[first:last]``, the basket before i.
    """
    number = p.dtype.type
    rate, l2 = number(rate), number(l2)
    loss = 0.0
    mean = np.empty_like(p[0])
    for n in range(len(users)):
        p_u, q_i, q_j = p[users[n]], q[preferred[n]], q[others[n]]
        m_i, m_j = m[preferred[n]], m[others[n]]
        share = number(1) / number(last[n] - first[n])
        mean[:] = 0
        for place in range(first[n], last[n]):
            for f in range(len(mean)):
                mean[f] += share * r[items[place], f]
        x = number(0)
        for f in range(len(mean)):
            x += p_u[f] * (q_i[f] - q_j[f]) + mean[f] * (m_i[f] - m_j[f])
        lost, slope = _logistic(x)
        loss += lost
        g = number(slope)
        for place in range(first[n], last[n]):
            r_l = r[items[place]]
            for f in range(len(mean)):
                r_l[f] += rate * (g * share * (m_i[f] - m_j[f]) - l2 * r_l[f])
        for f in range(len(mean)):
            a, b, c = p_u[f], q_i[f], q_j[f]
            p_u[f] = a + rate * (g * (b - c) - l2 * a)
            q_i[f] = b + rate * (g * a - l2 * b)
            q_j[f] = c + rate * (-g * a - l2 * c)
            m_i[f] += rate * (g * mean[f] - l2 * m_i[f])
            m_j[f] += rate * (-g * mean[f] - l2 * m_j[f])
    return loss


@_inlined
def _logistic(x):
    """Return -ln sigmoid(x), and how steeply it falls; neither overflows."""
    small = np.exp(-abs(x))
    return np.log1p(small) + max(-x, 0), (small if x > 0 else 1) / (1 + small)


@compiled(fastmath=_FASTMATH)
def descend_cells(users, items, targets, batch_size, step, p, q):
    """Descend half the squared error of p_u q_i over cells; return the sum of squared errors.

    `step` is the number of batches before these.
    """
    if batch_size == 1 and p.optimizer == _SGD:
        return _descend_single_cells(users, items, targets, p, q)
    loss = 0.0
    p_batch, q_batch = _new_batch(p, batch_size), _new_batch(q, batch_size)
    for start in range(0, len(users), batch_size):
        n_p = n_q = 0
        for n in range(start, start + batch_size):
            u, i = users[n], items[n]
            p_u, q_i = p.weights[u], q.weights[i]
            error = targets[n] - _dot(p_u, q_i)
            loss += error * error
            n_p, n_q = _touch(p_batch, u, n_p), _touch(q_batch, i, n_q)
            _add(p_batch, u, error, q_i, p.l2, p_u)
            _add(q_batch, i, error, p_u, q.l2, q_i)
        step += 1
        _apply(p, p_batch, n_p, batch_size, step)
        _apply(q, q_batch, n_q, batch_size, step)
    return loss


@compiled(fastmath=_FASTMATH)
def _descend_single_cells(users, items, targets, p, q):
    """Do the same for batches of one cell and SGD, faster."""
    loss = 0.0
    for n in range(len(users)):
        p_u, q_i = p.weights[users[n]], q.weights[items[n]]
        error = targets[n] - _dot(p_u, q_i)
        loss += error * error
        for f in range(len(p_u)):
            a, b = p_u[f], q_i[f]
            p_u[f] = a + p.rates[f] * (error * b - p.l2[f] * a)
            q_i[f] = b + q.rates[f] * (error * a - q.l2[f] * b)
    return loss


@compiled(fastmath=_FASTMATH)
def descend_histories(users, items, targets, step, starts, history, y, q, biases):
    """Descend half the squared error of p_u q_i + b_u; return the sum of squared errors.

    p_u is the sum of y_j over the user's row of a CSR matrix, divided by the root of its length;
    q_i may have one column more, of which p_u is 1. Cells of a user stand together: q_i and b_u are
    changed after each of them, the y_j after the last, by the sum of their gradients. `step` is the
    number of cells before these.
    """
    loss = 0.0
    n_factors = y.weights.shape[1]
    p_u = np.ones_like(q.weights[0])
    slope, of_history = np.empty_like(y.weights[0]), np.empty_like(y.weights[0])
    of_item, of_bias = np.empty_like(p_u), np.empty_like(biases.weights[0])
    start = 0
    while start < len(users):
        u = users[start]
        row = history[starts[u] : starts[u + 1]]
        scale = y.weights.dtype.type(1 / np.sqrt(len(row)))
        p_u[:n_factors] = 0
        for j in row:
            y_j = y.weights[j]
            for f in range(n_factors):
                p_u[f] += scale * y_j[f]
        slope[:] = 0
        while start < len(users) and users[start] == u:
            q_i = q.weights[items[start]]
            error = targets[start] - biases.weights[u, 0] - _dot(p_u, q_i)
            loss += error * error
            step += 1
            for f in range(n_factors):
                slope[f] += error * q_i[f]
            for f in range(len(q_i)):
                of_item[f] = error * p_u[f] - q.l2[f] * q_i[f]
            _step(q, items[start], of_item, 1, step)
            of_bias[0] = error - biases.l2[0] * biases.weights[u, 0]
            _step(biases, u, of_bias, 1, step)
            start += 1
        for j in row:
            y_j = y.weights[j]
            for f in range(n_factors):
                of_history[f] = scale * slope[f] - y.l2[f] * y_j[f]
            _step(y, j, of_history, 1, step)
    return loss


class _Batch(NamedTuple):
    """Sums of gradients of the rows that a batch has touched."""

    places: NDArray[np.int32]
    """Of each row of the table: where its sum is; -1 if it has none."""
    rows: NDArray[np.int32]
    """The other way round."""
    gradients: NDArray[np.float32]


@compiled(fastmath=_FASTMATH)
def _new_batch(table, size):
    places = np.full(len(table.weights), -1, np.int32)
    gradients = np.zeros((size, table.weights.shape[1]), table.weights.dtype)
    return _Batch(places, np.empty(size, np.int32), gradients)


@_inlined
def _touch(batch, row, n):
    """Give a row a place if it has none; return how many have one."""
    if batch.places[row] < 0:
        batch.places[row] = n
        batch.rows[n] = row
        n += 1
    return n


@_inlined
def _dot(left, right):
    total = left.dtype.type(0)
    for f in range(len(left)):
        total += left[f] * right[f]
    return total


@_inlined
def _add(batch, row, slope, inputs, l2, weights):
    gradients = batch.gradients[batch.places[row]]
    for f in range(len(weights)):
        gradients[f] += slope * inputs[f] - l2[f] * weights[f]


@_inlined
def _apply(table, batch, n, batch_size, step):
    for place in range(n):
        row = batch.rows[place]
        _step(table, row, batch.gradients[place], batch_size, step)
        batch.gradients[place] = 0
        batch.places[row] = -1


@_inlined
def _step(table, row, gradient, batch_size, step):
    """Let the optimiser change a row in the direction of a gradient, divided by the batch size."""
    number = table.weights.dtype.type
    weights, rates = table.weights[row], table.rates
    share, tiny = number(1 / batch_size), number(1e-8)
    if table.optimizer == _SGD:
        for f in range(len(weights)):
            weights[f] += rates[f] * share * gradient[f]
    elif table.optimizer == _ADAGRAD:
        squares = table.squares[row]
        for f in range(len(weights)):
            g = share * gradient[f]
            squares[f] += g * g
            weights[f] += rates[f] * g / (np.sqrt(squares[f]) + tiny)
    else:
        squares, means = table.squares[row], table.means[row]
        keep_mean, keep_square = number(0.9), number(0.999)
        add_mean, add_square = number(1 - 0.9), number(1 - 0.999)
        scale_mean = number(1 / (1 - 0.9**step))
        scale_square = number(1 / (1 - 0.999**step))
        for f in range(len(weights)):
            g = share * gradient[f]
            means[f] = keep_mean * means[f] + add_mean * g
            squares[f] = keep_square * squares[f] + add_square * g * g
            root = np.sqrt(scale_square * squares[f]) + tiny
            weights[f] += rates[f] * scale_mean * means[f] / root
