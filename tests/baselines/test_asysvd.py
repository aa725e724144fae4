from itertools import islice

import numpy as np
import pytest
from scipy.sparse import csr_array

from recrepro.baselines._sgd_kernels import descend_histories, new_table
from recrepro.baselines.asysvd import AsymmetricSVD

ROWS = np.array([[1, 1, 0, 0, 1], [0, 1, 0, 0, 0], [1, 0, 1, 1, 0]], float)
CELLS = [(2, 0, 1.0), (2, 4, 0.0), (2, 0, 1.0), (0, 1, 3.0), (0, 2, 0.0), (1, 1, 2.0)]
"""User, item, value; the cells of a user stand together."""


def descend(y, q, b, cells, optimizer="sgd", rate=0.1, l2=(0.0, 0.0)):
    """Run the kernel in float64; return the loss and the tables."""
    rows = csr_array(ROWS)
    users, items = (np.array([cell[n] for cell in cells], np.int32) for n in range(2))
    targets = np.array([cell[2] for cell in cells], float)
    y, b = (new_table(np.array(w, float), optimizer, rate, l2[0]) for w in (y, b))
    q = new_table(np.array(q, float), optimizer, rate, l2[1])
    loss = descend_histories(users, items, targets, 0, rows.indptr, rows.indices, y, q, b)
    return loss, y.weights, q.weights, b.weights


def slow_descend(y, q, b, cells, optimizer, rate, l2):
    """Do the same, one user after the other."""
    tables = [np.array(w, float) for w in (y, q, b)]
    y, q, b = tables
    means = [np.zeros_like(w) for w in tables]
    squares = [np.zeros_like(w) for w in tables]
    total, step = 0.0, 0

    def move(n, row, g):
        if optimizer == "adagrad":
            squares[n][row] += g**2
            g = g / (np.sqrt(squares[n][row]) + 1e-8)
        if optimizer == "adam":
            means[n][row] = 0.9 * means[n][row] + 0.1 * g
            squares[n][row] = 0.999 * squares[n][row] + 0.001 * g**2
            root = np.sqrt(squares[n][row] / (1 - 0.999**step)) + 1e-8
            g = means[n][row] / (1 - 0.9**step) / root
        tables[n][row] += rate * g

    for user in dict.fromkeys(cell[0] for cell in cells):
        history = np.flatnonzero(ROWS[user])
        vector = np.append(y[history].sum(axis=0) / np.sqrt(len(history)), 1)
        slope = np.zeros(y.shape[1])
        for _, item, target in (cell for cell in cells if cell[0] == user):
            step += 1
            error = target - b[user, 0] - vector @ q[item]
            total += error**2
            slope += error * q[item, :-1]
            move(1, item, error * vector - l2[1] * q[item])
            move(2, user, error - l2[0] * b[user])
        for item in history:
            move(0, item, slope / np.sqrt(len(history)) - l2[0] * y[item])
    return total, y, q, b


def some_factors():
    rng = np.random.default_rng(1)
    return rng.normal(0, 1, (5, 2)), rng.normal(0, 1, (5, 3)), rng.normal(0, 1, (3, 1))


def test_worked_step():
    # User 1 has item 1 alone: 0.5 + 2 * 3 + 0.25 is predicted for it, so 0.25 is missing.
    y, q, b = np.zeros((5, 1)), np.zeros((5, 2)), np.zeros((3, 1))
    y[1], q[1], b[1] = 2, (3, 0.25), 0.5
    loss, y, q, b = descend(y, q, b, [(1, 1, 7.0)])
    assert loss == pytest.approx(0.25**2)
    np.testing.assert_allclose(q[1], [3 + 0.1 * 0.25 * 2, 0.25 + 0.1 * 0.25])
    assert b[1] == pytest.approx(0.5 + 0.1 * 0.25)
    assert y[1] == pytest.approx(2 + 0.1 * 0.25 * 3)


def test_a_step_goes_down_the_slope_that_finite_differences_give():
    y, q, b = tables = some_factors()

    def objective():
        vector = np.append((y[0] + y[2] + y[3]) / np.sqrt(3), 1)
        penalty = 0.05 * q[4] @ q[4] + 0.03 * (b[2] @ b[2] + (y[[0, 2, 3]] ** 2).sum())
        return (1.5 - b[2, 0] - vector @ q[4]) ** 2 / 2 + penalty / 2

    after = descend(y, q, b, [(2, 4, 1.5)], "sgd", 1.0, (0.03, 0.05))[1:]
    for table, moved in zip(tables, after, strict=True):
        for index in np.ndindex(table.shape):
            value, h = table[index], 1e-5
            table[index] = value + h
            above = objective()
            table[index] = value - h
            below = objective()
            table[index] = value
            assert moved[index] - value == pytest.approx(-(above - below) / (2 * h), abs=1e-7)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
def test_every_optimizer_does_what_a_slow_rewrite_does(optimizer):
    y, q, b = some_factors()
    expected = slow_descend(y, q, b, CELLS, optimizer, 0.05, (0.01, 0.02))
    got = descend(y, q, b, CELLS, optimizer, 0.05, (0.01, 0.02))
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_a_score_is_the_mean_the_bias_and_the_product_with_the_histories_sum(scores):
    model = AsymmetricSVD(n_factors=2, epochs=3)
    got = scores(model, ROWS)
    q, bias = model.item_factors[:, :2], model.item_factors[:, 2]
    for user in range(3):
        history = np.flatnonzero(ROWS[user])
        vector = model.history_factors[history].sum(axis=0) / np.sqrt(len(history))
        np.testing.assert_allclose(got[user], model.mean + bias + q @ vector, rtol=1e-5)


def test_scoring_ignores_the_values_of_the_history(interactions):
    train = interactions(ROWS)
    model = AsymmetricSVD(epochs=3).fit(train, np.random.default_rng(0))
    user = np.array([0], np.int32)
    once = model.score(user, train.matrix[[0]])
    np.testing.assert_array_equal(model.score(user, train.matrix[[0]] * 5), once)


def test_an_unseen_user_scores_like_a_known_one_with_the_same_history(interactions):
    train = interactions(ROWS)
    model = AsymmetricSVD(epochs=3).fit(train, np.random.default_rng(0))
    known = model.score(np.array([2], np.int32), train.matrix[[2]])
    np.testing.assert_array_equal(model.score(np.array([50], np.int32), train.matrix[[2]]), known)


def test_an_item_never_seen_adds_only_to_the_length_of_a_history(interactions):
    rows = np.hstack([ROWS, np.zeros((3, 1))])
    model = AsymmetricSVD(epochs=3, biases=False).fit(interactions(rows), np.random.default_rng(0))
    one, two = csr_array([[1, 0, 0, 0, 0, 0]]), csr_array([[1, 0, 0, 0, 0, 1]])
    user = np.array([0], np.int32)
    expected = model.score(user, one) / np.sqrt(2)
    np.testing.assert_allclose(model.score(user, two), expected, rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
def test_without_biases_there_are_none(scores, optimizer):
    model = AsymmetricSVD(n_factors=2, epochs=3, biases=False, optimizer=optimizer)
    got = scores(model, [*ROWS, np.zeros(5)])
    assert model.item_factors.shape == (5, 2)
    assert model.mean == 0
    np.testing.assert_array_equal(got[3], 0)


def test_ratings_of_an_additive_table_are_predicted_but_for_the_users_bias(interactions):
    rng = np.random.default_rng(0)
    full = 3 + rng.normal(0, 0.7, (60, 1)) + rng.normal(0, 0.7, (1, 40))
    known = rng.random(full.shape) < 0.5
    model = AsymmetricSVD(
        negative_quota=0.0, n_factors=1, epochs=100, learning_rate=0.01, l2_user=1e-3
    )
    train = interactions(np.where(known, full, 0))
    got = model.fit(train, np.random.default_rng(1)).score(np.arange(60), train.matrix)
    wrong = np.where(known, np.nan, got - full)
    wrong -= np.nanmean(wrong, axis=1, keepdims=True)
    assert np.sqrt(np.nanmean(wrong**2)) < 0.1


def test_no_interactions_at_all_give_zeros(scores):
    np.testing.assert_array_equal(scores(AsymmetricSVD(epochs=2), np.zeros((2, 3))), 0)


def test_epochs_go_on_from_where_they_were_and_lower_the_loss(interactions):
    own = np.kron(np.eye(2), np.ones((20, 15)))
    train = interactions(own)
    longer = AsymmetricSVD(learning_rate=0.02)
    epochs = longer.fit_epochs(train, np.random.default_rng(5))
    losses = [stats.values["loss"] for stats in islice(epochs, 20)]
    assert losses[-1] < losses[0] / 2
    whole = AsymmetricSVD(learning_rate=0.02, epochs=20).fit(train, np.random.default_rng(5))
    np.testing.assert_array_equal(longer.history_factors, whole.history_factors)
    np.testing.assert_array_equal(longer.item_factors, whole.item_factors)
