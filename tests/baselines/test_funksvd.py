from itertools import islice

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare

from recrepro.baselines._sgd_kernels import descend_cells, new_table
from recrepro.baselines.funksvd import FunkSVD, draw_cells, mean_target

UNEVEN = [[5, 3, 0, 0], [4, 0, 0, 0], [1, 1, 2, 0], [2, 5, 1, 3]]


def descend(p, q, cells, optimizer="sgd", batch_size=1, rate=0.1, l2=(0.0, 0.0)):
    """Run the kernel in float64; return the loss and the tables."""
    users, items = (np.array([cell[n] for cell in cells], np.int32) for n in range(2))
    targets = np.array([cell[2] for cell in cells], float)
    p = new_table(np.array(p, float), optimizer, rate, l2[0])
    q = new_table(np.array(q, float), optimizer, rate, l2[1])
    loss = descend_cells(users, items, targets, batch_size, 0, p, q)
    return loss, p.weights, q.weights


def slow_descend(p, q, cells, optimizer, batch_size, rate, l2):
    """Do the same with dense gradients, cell by cell."""
    weights = {"p": np.array(p, float), "q": np.array(q, float)}
    means = {name: np.zeros_like(w) for name, w in weights.items()}
    squares = {name: np.zeros_like(w) for name, w in weights.items()}
    total = 0.0
    for step, start in enumerate(range(0, len(cells), batch_size), 1):
        slopes = {name: np.zeros_like(w) for name, w in weights.items()}
        touched = {"p": set(), "q": set()}
        for u, i, target in cells[start : start + batch_size]:
            p_u, q_i = weights["p"][u], weights["q"][i]
            error = target - p_u @ q_i
            total += error**2
            slopes["p"][u] += error * q_i - l2[0] * p_u
            slopes["q"][i] += error * p_u - l2[1] * q_i
            touched["p"].add(u)
            touched["q"].add(i)
        for name, rows in touched.items():
            for row in rows:
                g = slopes[name][row] / batch_size
                if optimizer == "adagrad":
                    squares[name][row] += g**2
                    g = g / (np.sqrt(squares[name][row]) + 1e-8)
                if optimizer == "adam":
                    means[name][row] = 0.9 * means[name][row] + 0.1 * g
                    squares[name][row] = 0.999 * squares[name][row] + 0.001 * g**2
                    root = np.sqrt(squares[name][row] / (1 - 0.999**step))
                    g = means[name][row] / (1 - 0.9**step) / (root + 1e-8)
                weights[name][row] += rate * g
    return total, weights["p"], weights["q"]


def some_factors(n_users=4, n_items=5, n_factors=3):
    rng = np.random.default_rng(1)
    return rng.normal(0, 1, (n_users, n_factors)), rng.normal(0, 1, (n_items, n_factors))


def test_worked_step():
    # The prediction is 2, so 1 is missing.
    loss, p, q = descend([[1, 2]], [[0, 1]], [(0, 0, 3)], l2=(0.5, 0.2))
    assert loss == 1
    np.testing.assert_allclose(p, [[1 + 0.1 * (0 - 0.5), 2 + 0.1 * (1 - 1)]])
    np.testing.assert_allclose(q, [[0 + 0.1 * 1, 1 + 0.1 * (2 - 0.2)]])


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_step_goes_down_the_slope_that_finite_differences_give(batch_size):
    p, q = some_factors()
    cells = [(0, 1, 4.0), (3, 2, 0.0), (0, 4, 1.0), (2, 1, 5.0)][:batch_size]

    def objective(p, q):
        total = 0.0
        for u, i, target in cells:
            total += (target - p[u] @ q[i]) ** 2 / 2
            total += (0.03 * p[u] @ p[u] + 0.05 * q[i] @ q[i]) / 2
        return total

    _, p_after, q_after = descend(p, q, cells, "sgd", batch_size, 1.0, (0.03, 0.05))
    for table, after in ((p, p_after), (q, q_after)):
        for index in np.ndindex(table.shape):
            value, h = table[index], 1e-5
            table[index] = value + h
            above = objective(p, q)
            table[index] = value - h
            below = objective(p, q)
            table[index] = value
            slope = (above - below) / (2 * h) / batch_size
            assert after[index] - value == pytest.approx(-slope, abs=1e-7)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_every_optimizer_does_what_a_slow_rewrite_does(optimizer, batch_size):
    rng = np.random.default_rng(2)
    p, q = some_factors()
    cells = [(int(rng.integers(4)), int(rng.integers(5)), rng.random()) for _ in range(48)]
    arguments = (cells, optimizer, batch_size, 0.05, (0.01, 0.02))
    expected = slow_descend(p, q, *arguments)
    for one, other in zip(descend(p, q, *arguments), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_cells_are_interactions_or_zeros_in_the_wanted_shares(interactions):
    train = interactions(UNEVEN)
    users, items, targets = draw_cells(np.random.default_rng(0), train, 90_000, 0.3)
    matrix = train.matrix.toarray()
    np.testing.assert_array_equal(targets, matrix[users, items])
    counts = np.zeros(matrix.shape)
    np.add.at(counts, (users, items), 1)
    seen = matrix > 0
    lengths = seen.sum(axis=1, keepdims=True)
    share = np.where(lengths < 4, 0.3, 0)  # the last user has no item for a zero
    zeros = share * lengths / (4 - lengths).clip(1)
    chances = np.where(seen, 1 - share, zeros) / seen.sum()
    assert chances.sum() == pytest.approx(1)
    assert chisquare(counts.ravel(), 90_000 * chances.ravel()).pvalue > 0.01


def test_by_user_every_user_with_interactions_is_drawn_equally_often(interactions):
    train = interactions([*UNEVEN, [0, 0, 0, 0]])
    users, items, targets = draw_cells(np.random.default_rng(0), train, 50_000, 0.0, by_user=True)
    counts = np.bincount(users, minlength=5)
    assert counts[4] == 0
    assert chisquare(counts[:4]).pvalue > 0.01
    assert chisquare(np.bincount(items[users == 2], minlength=4)[:3]).pvalue > 0.01
    assert targets.all()


@pytest.mark.parametrize(("quota", "zeros"), [(0.2, 0.8), (0.0, 0.0)])
def test_the_study_takes_the_quota_for_the_share_of_interactions(
    interactions, monkeypatch, quota, zeros
):
    drawn = []

    def spy(*arguments, **options):
        cells = draw_cells(*arguments, **options)
        drawn.append((cells[2].copy(), options))
        return cells

    monkeypatch.setattr("recrepro.baselines.funksvd.draw_cells", spy)
    rows = np.random.default_rng(0).random((60, 50)) < 0.3
    model = FunkSVD(negative_quota=quota, as_in_study=True)
    next(model.fit_epochs(interactions(rows), np.random.default_rng(0)))
    assert model.mean == pytest.approx(1 - zeros)
    [(targets, options)] = drawn
    assert options == {"by_user": True}
    n_zeros = int((targets == 0).sum())
    assert binomtest(n_zeros, len(targets), zeros).pvalue > 0.01


def test_in_the_study_biases_and_item_factors_are_not_penalised(scores):
    table = np.array([[5, 3], [4, 2]])
    options = {"n_factors": 1, "epochs": 500, "negative_quota": 0.0, "l2_user": 3.0, "l2_item": 3.0}
    # The factors vanish, and biases alone tell it all.
    model = FunkSVD(as_in_study=True, **options)
    np.testing.assert_allclose(scores(model, table), table, atol=0.01)
    assert abs(model.user_factors[:, 0]).max() < 1e-3
    assert abs(model.item_factors[:, 0]).min() > 1e-2
    penalised = scores(FunkSVD(**options), table)
    assert abs(penalised - 3.5).max() < 0.75


def test_with_biases_there_are_a_constant_and_a_bias_on_each_side(interactions):
    model = FunkSVD(n_factors=3, epochs=5, optimizer="adam").fit(
        interactions(UNEVEN), np.random.default_rng(0)
    )
    np.testing.assert_array_equal(model.user_factors[:, -1], 1)
    np.testing.assert_array_equal(model.item_factors[:, -2], 1)
    assert model.user_factors[:, -2].all()
    assert model.item_factors[:, -1].all()


def test_ratings_of_an_additive_table_are_predicted_where_they_are_missing(interactions):
    rng = np.random.default_rng(0)
    full = 3 + rng.normal(0, 0.7, (60, 1)) + rng.normal(0, 0.7, (1, 40))
    known = rng.random(full.shape) < 0.5
    model = FunkSVD(negative_quota=0.0, n_factors=1, epochs=100, learning_rate=0.02, l2_user=1e-3)
    train = interactions(np.where(known, full, 0))
    got = model.fit(train, np.random.default_rng(1)).score(np.arange(60), train.matrix)
    assert np.sqrt(np.mean((got - full)[~known] ** 2)) < 0.1


def test_a_matrix_of_rank_two_is_completed_without_biases(interactions):
    rng = np.random.default_rng(0)
    full = rng.uniform(0.5, 1.5, (80, 2)) @ rng.uniform(0.5, 1.5, (2, 50))
    known = rng.random(full.shape) < 0.5
    model = FunkSVD(
        negative_quota=0.0, biases=False, n_factors=2, epochs=200, learning_rate=0.05,
        l2_user=1e-4, l2_item=1e-4,
    )  # fmt: skip
    train = interactions(np.where(known, full, 0))
    got = model.fit(train, np.random.default_rng(1)).score(np.arange(80), train.matrix)
    assert model.mean == 0
    assert np.sqrt(np.mean((got - full)[~known] ** 2)) < 0.05


def test_without_zeros_what_was_never_rated_is_the_mean_and_a_bias(scores):
    model = FunkSVD(negative_quota=0.0, epochs=5)
    got = scores(model, [[5, 3, 0], [4, 2, 0], [0, 0, 0]])
    assert model.mean == 3.5
    user_bias, item_bias = model.user_factors[:, -2], model.item_factors[:, -1]
    assert user_bias[2] == item_bias[2] == 0
    np.testing.assert_allclose(got[2], 3.5 + item_bias, rtol=1e-6)
    np.testing.assert_allclose(got[:, 2], 3.5 + user_bias, rtol=1e-6)


@pytest.mark.parametrize("as_in_study", [False, True])
def test_no_interactions_at_all_give_zeros(scores, as_in_study):
    got = scores(FunkSVD(epochs=2, as_in_study=as_in_study), np.zeros((2, 3)))
    np.testing.assert_array_equal(got, 0)


def test_a_user_with_every_item_is_learned_without_zeros(scores):
    got = scores(FunkSVD(epochs=200), [[1, 1, 1], [1, 0, 0], [0, 1, 0]])
    assert got[0].min() > got[1, 1:].max()


def test_the_mean_counts_the_zeros(interactions):
    assert mean_target(interactions(UNEVEN), 0.25) == pytest.approx(0.75 * 2.7)


def test_epochs_go_on_from_where_they_were(interactions):
    train = interactions(UNEVEN)
    longer = FunkSVD(optimizer="adam", batch_size=2)
    epochs = longer.fit_epochs(train, np.random.default_rng(5))
    losses = [stats.values["loss"] for stats in islice(epochs, 7)]
    assert len(set(losses)) == 7
    whole = FunkSVD(optimizer="adam", batch_size=2, epochs=7).fit(train, np.random.default_rng(5))
    np.testing.assert_array_equal(longer.user_factors, whole.user_factors)
    np.testing.assert_array_equal(longer.item_factors, whole.item_factors)
