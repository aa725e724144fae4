import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recrepro.baselines.ease import EASE
from recrepro.errors import ModelError

TOY = [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
ratings = arrays(
    np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 5)
)


@pytest.mark.parametrize(
    ("rows", "l2", "expected"),
    [
        (TOY, 1.0, [[0, 1 / 3, -0.125], [0.4, 0, 0.375], [-0.2, 0.5, 0]]),
        (
            [*TOY, [1, 1, 1]],
            0.4,
            [[0, 0.391061, -0.079365], [0.673077, 0, 0.634921], [-0.144231, 0.670391, 0]],
        ),
    ],
)
def test_worked_weights(item_weights, rows, l2, expected):
    np.testing.assert_allclose(item_weights(EASE(l2=l2), rows), expected, atol=1e-6)


def test_worked_scores(scores):
    np.testing.assert_allclose(scores(EASE(l2=1.0), TOY)[2], [0, 1 / 3, -0.125], rtol=1e-6)


def test_ratings_use_the_true_diagonal(item_weights):
    weights = item_weights(EASE(l2=10.0), [[5, 3, 0], [0, 4, 1], [2, 0, 0]])
    np.testing.assert_allclose(weights[0], [0, 0.384615, -0.052632], atol=1e-6)


@given(ratings, st.sampled_from([0.5, 3.0, 200.0]))
def test_weights_follow_the_dense_formula(item_weights, x, l2):
    x = x.astype(np.float64)
    p = np.linalg.inv(x.T @ x + l2 * np.eye(x.shape[1]))
    expected = -p / np.diag(p)
    np.fill_diagonal(expected, 0)
    got = item_weights(EASE(l2=l2, precision="double"), x)
    assert not got.diagonal().any()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)


def test_a_column_is_ridge_regression_on_the_other_items(item_weights):
    rng = np.random.default_rng(0)
    x = (rng.random((40, 9)) < 0.3).astype(float)
    got = item_weights(EASE(l2=2.0), x)
    for j in range(9):
        others = np.delete(np.arange(9), j)
        a = x[:, others]
        ridge = np.linalg.solve(a.T @ a + 2 * np.eye(8), a.T @ x[:, j])
        np.testing.assert_allclose(got[others, j], ridge, rtol=1e-5, atol=1e-7)


def test_with_a_large_penalty_the_weights_are_co_occurrences(item_weights):
    x = np.random.default_rng(0).integers(0, 2, (20, 6))
    co_occurrences = x.T @ x * (1 - np.eye(6))
    np.testing.assert_allclose(item_weights(EASE(l2=1e9), x) * 1e9, co_occurrences, rtol=1e-5)


def test_a_penalty_that_is_numerically_nothing_is_an_error(interactions):
    x = np.tile(np.random.default_rng(0).random((30, 1)), (1, 12))
    with pytest.raises(ModelError, match=r"l2=1e-30 .* Raise l2"):
        EASE(l2=1e-30).fit(interactions(x), np.random.default_rng(0))


def test_single_precision_is_chosen_only_where_it_is_enough(item_weights):
    x = (np.random.default_rng(0).random((400, 120)) < 0.2).astype(float)
    row_sum = (x.T @ x).sum(axis=1).max()
    enough, too_little = 1.01 * row_sum / 1e4, 0.99 * row_sum / 1e4
    single, double = (EASE(l2=enough, precision=p) for p in ("single", "double"))
    assert np.array_equal(item_weights(EASE(l2=enough), x), item_weights(single, x))
    difference = np.abs(item_weights(single, x) - item_weights(double, x)).max()
    assert 0 < difference < 1e-4
    double = EASE(l2=too_little, precision="double")
    assert np.array_equal(item_weights(EASE(l2=too_little), x), item_weights(double, x))


def test_what_does_not_fit_is_refused_before_it_starts(monkeypatch, interactions):
    train = interactions(np.eye(30))
    panels = 2 * 30 * 384
    assert EASE(precision="double").memory_needed(train) == 8 * (30**2 + panels)
    assert EASE(precision="single").memory_needed(train) == 4 * (30**2 + panels)
    monkeypatch.setattr("recrepro.compute.memory.available_bytes", lambda: 100_000)
    with pytest.raises(ModelError, match=r"EASE for 30 items needs about 0\.2 MB .* 0\.1 MB"):
        EASE(precision="double").fit(train, np.random.default_rng(0))
