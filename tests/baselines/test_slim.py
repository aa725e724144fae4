import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.linear_model import ElasticNet

from recrepro.baselines import slim
from recrepro.baselines.ease import EASE
from recrepro.baselines.slim import SLIM
from recrepro.errors import ModelError

TOY = [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
shapes = st.tuples(st.integers(1, 8), st.integers(1, 8))
ratings = arrays(np.float32, shapes, elements=st.integers(0, 5))
signed_ratings = arrays(np.float32, shapes, elements=st.integers(-2, 3))


def exact(**hyperparameters: object) -> SLIM:
    return SLIM(**{"n_neighbors": 10_000, "tolerance": 1e-10, **hyperparameters})


def sparse_ratings(seed: int, n_users: int = 150, n_items: int = 120) -> np.ndarray:
    """Make ratings with so many items that a working set has to grow."""
    rng = np.random.default_rng(seed)
    mask = rng.random((n_users, n_items)) < rng.random(n_items) * 0.5
    return (mask * rng.integers(1, 6, mask.shape)).astype(np.float32)


def distance_to_minimum(x: np.ndarray, w: np.ndarray, model: SLIM) -> float:
    """Return by how much the conditions of a minimum are missed, as a share of what is allowed."""
    x, w = x.astype(np.float64), w.astype(np.float64)
    config, n = model.config, len(x)
    l1, l2 = n * config.alpha * config.l1_ratio, n * config.alpha * (1 - config.l1_ratio)
    products = x.T @ x
    np.fill_diagonal(products, -np.inf)
    allowed = config.tolerance * np.maximum(products.max(axis=0, initial=0), 0)
    rounding = 1e-6 * (1 + np.abs(x.T @ x).max())  # the weights are float32
    slopes = x.T @ (x - x @ w) - l1 - l2 * w
    misses = np.where(w > 0, np.abs(slopes), slopes)
    np.fill_diagonal(misses, 0)
    return (misses / (allowed + rounding)).max()


@pytest.mark.parametrize(
    ("alpha", "l1_ratio", "expected"),
    [
        (0.5, 0.0, [[0, 0.285714, 0], [0.285714, 0, 0.285714], [0, 0.4, 0]]),
        (0.1, 0.5, [[0, 0.395349, 0], [0.395349, 0, 0.395349], [0, 0.739130, 0]]),
    ],
)
def test_worked_weights(item_weights, alpha, l1_ratio, expected):
    weights = item_weights(SLIM(alpha=alpha, l1_ratio=l1_ratio), TOY)
    np.testing.assert_allclose(weights, expected, atol=1e-6)


def test_worked_scores(scores):
    got = scores(SLIM(alpha=0.1, l1_ratio=0.5), TOY)
    np.testing.assert_allclose(got[2], [0, 0.395349, 0], atol=1e-6)


def test_without_l1_it_is_the_closed_form_where_that_is_not_negative(item_weights):
    closed = item_weights(EASE(l2=3 * 0.5), TOY)
    weights = item_weights(exact(alpha=0.5, l1_ratio=0.0), TOY)
    assert (closed[:, 1] >= 0).all()
    np.testing.assert_allclose(weights[:, 1], closed[:, 1], atol=1e-6)


def test_without_l1_a_column_is_the_closed_form_on_the_items_it_has(item_weights):
    x = sparse_ratings(2)
    weights = item_weights(exact(alpha=0.1, l1_ratio=0.0), x)
    gram = x.T.astype(float) @ x
    for j in range(0, 120, 7):
        own = np.flatnonzero(weights[:, j])
        system = gram[np.ix_(own, own)] + len(x) * 0.1 * np.eye(len(own))
        np.testing.assert_allclose(weights[own, j], np.linalg.solve(system, gram[own, j]), 1e-4)


@pytest.mark.parametrize("gram", ["dense", "sparse"])
@pytest.mark.parametrize(("alpha", "l1_ratio"), [(0.01, 0.5), (0.3, 0.01), (0.05, 1.0)])
@pytest.mark.parametrize("kind", ["ones", "ratings", "signed"])
def test_weights_are_those_of_scikit_learn(item_weights, monkeypatch, kind, alpha, l1_ratio, gram):
    x = sparse_ratings(1)
    if kind == "ones":
        x = np.minimum(x, 1)
    if kind == "signed":
        x[x == 1] = -2
    if gram == "sparse":
        monkeypatch.setattr(slim, "WHOLE_UP_TO", 0)
    weights = item_weights(exact(alpha=alpha, l1_ratio=l1_ratio), x)
    for j in range(0, x.shape[1], 9):
        others = x.astype(np.float64)
        others[:, j] = 0
        reference = ElasticNet(
            alpha=alpha,
            l1_ratio=l1_ratio,
            positive=True,
            fit_intercept=False,
            tol=1e-12,
            max_iter=100_000,
        ).fit(others, x[:, j].astype(np.float64))
        np.testing.assert_allclose(weights[:, j], reference.coef_, rtol=1e-5, atol=1e-6)


@given(
    st.one_of(ratings, signed_ratings),
    st.sampled_from([1e-3, 0.05, 1.0]),
    st.sampled_from([0.0, 1e-5, 0.3, 1.0]),
    st.sampled_from([1e-4, 1e-8]),
)
def test_conditions_of_the_minimum_hold(item_weights, x, alpha, l1_ratio, tolerance):
    # Items that all users have in proportion take tens of thousands of rounds to the last digits.
    options = {"tolerance": tolerance, "max_sweeps": 1_000_000}
    model = SLIM(alpha=alpha, l1_ratio=l1_ratio, n_neighbors=100, **options)
    weights = item_weights(model, x)
    assert (weights >= 0).all()
    assert (weights.diagonal() == 0).all()
    assert distance_to_minimum(x, weights, model) <= 1


@pytest.mark.parametrize("signed", [False, True])
def test_conditions_of_the_minimum_hold_for_working_sets_that_grow(item_weights, signed):
    x = sparse_ratings(3, 400, 300)
    if signed:
        x[x == 1] = -1
    model = SLIM(alpha=10.0, l1_ratio=1e-4, n_neighbors=1000)
    weights = item_weights(model, x)
    assert (weights > 0).sum(axis=0).max() > 2 * 64
    assert distance_to_minimum(x, weights, model) <= 1


def test_a_penalty_above_every_product_leaves_no_weights(item_weights):
    x = sparse_ratings(4)
    products = x.T.astype(float) @ x
    np.fill_diagonal(products, 0)
    largest = products.max() / len(x)
    assert not item_weights(SLIM(alpha=largest * 1.001, l1_ratio=1.0), x).any()
    assert item_weights(SLIM(alpha=largest * 0.999, l1_ratio=1.0), x).any()


def test_a_penalty_is_for_each_user(item_weights):
    # Twice the users, each there twice: the mean error stays, and so do the weights.
    x = sparse_ratings(5)
    np.testing.assert_allclose(
        item_weights(exact(), np.vstack([x, x])), item_weights(exact(), x), rtol=1e-4, atol=1e-6
    )


def test_the_largest_weights_of_a_column_stay(item_weights, largest):
    x = sparse_ratings(6)
    model = {"alpha": 0.01, "l1_ratio": 0.01}
    everything = item_weights(exact(**model), x)
    cut = item_weights(exact(**model, n_neighbors=4), x)
    np.testing.assert_array_equal(cut, largest(everything.T, 4).T)


def test_dropping_the_smallest_keeps_one_weight_less_where_there_are_few(item_weights):
    x = sparse_ratings(7)
    model = {"alpha": 0.05, "l1_ratio": 0.5}
    everything = item_weights(exact(**model), x)
    counts = (everything > 0).sum(axis=0)
    k = int(np.median(counts[counts > 0]))
    assert (counts > k).any()
    assert (counts == k).any()
    assert (counts < k).any()
    expected = np.zeros_like(everything)
    for j, n in enumerate(counts):
        kept = np.argsort(-everything[:, j], kind="stable")[: max(min(n - 1, k), 0)]
        expected[kept, j] = everything[kept, j]
    got = item_weights(exact(**model, n_neighbors=k, drop_smallest=True), x)
    np.testing.assert_array_equal(got, expected)


def test_dropping_the_smallest_empties_a_column_of_one(item_weights):
    weights = item_weights(SLIM(alpha=0.1, l1_ratio=0.5, drop_smallest=True), TOY)
    np.testing.assert_allclose(weights, [[0, 0, 0], [0, 0, 0], [0, 0.739130, 0]], atol=1e-6)


def test_the_number_of_threads_changes_nothing(item_weights, monkeypatch):
    x = sparse_ratings(8)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    one = item_weights(SLIM(), x)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    np.testing.assert_array_equal(item_weights(SLIM(), x), one)


def test_a_minimum_not_reached_is_an_error(scores):
    model = SLIM(alpha=1e-3, max_sweeps=2)
    with pytest.raises(ModelError, match=r"need more than max_sweeps=2 rounds.*Raise max_sweeps"):
        scores(model, sparse_ratings(9))


def test_a_zero_user_and_item_count_for_nothing(item_weights):
    x = np.zeros((4, 4))
    x[:3, :3] = TOY
    weights = item_weights(SLIM(alpha=0.1 * 3 / 4, l1_ratio=0.5), x)
    expected = item_weights(SLIM(alpha=0.1, l1_ratio=0.5), TOY)
    np.testing.assert_allclose(weights[:3, :3], expected, atol=1e-6)
    assert not weights[3].any()
    assert not weights[:, 3].any()
