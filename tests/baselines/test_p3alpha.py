import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recrepro.baselines.p3alpha import P3alpha
from recrepro.interactions import Interactions

TOY = [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
ratings = arrays(
    np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 5)
)
models = st.builds(
    P3alpha,
    n_neighbors=st.integers(1, 9),
    alpha=st.sampled_from([0.5, 1.0, 1.7]),
    normalise=st.booleans(),
)


@pytest.mark.parametrize(
    ("alpha", "normalise", "expected"),
    [
        (1.0, False, [[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.5, 0]]),
        (1.0, True, [[0, 1, 0], [0.5, 0, 0.5], [0, 1, 0]]),
        (2.0, False, [[0, 0.0625, 0], [0.0625, 0, 0.0625], [0, 0.25, 0]]),
        (0.0, False, [[0, 1, 0], [1, 0, 1], [0, 1, 0]]),
    ],
)
def test_worked_weights(item_weights, alpha, normalise, expected):
    weights = item_weights(P3alpha(alpha=alpha, normalise=normalise), TOY)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_worked_scores(scores):
    np.testing.assert_allclose(scores(P3alpha(), TOY)[2], [0, 0.25, 0])


@given(ratings, models)
def test_weights_follow_the_dense_formula(item_weights, largest, x, model):
    alpha, k = model.config.alpha, model.config.n_neighbors
    x = x.astype(np.float64)
    to_item = x / np.maximum(x.sum(axis=1, keepdims=True), 1)
    to_user = (x > 0).T / np.maximum((x > 0).sum(axis=0), 1)[:, np.newaxis]
    w = (to_user**alpha @ to_item**alpha * (1 - np.eye(x.shape[1]))).astype(np.float32)
    w = largest(w, k)
    if model.config.normalise:
        # In float64, or weights that are equal in theory are not, and other ones are kept.
        sums = w.sum(axis=1, keepdims=True, dtype=np.float64)
        w = np.divide(w, sums, out=np.zeros(w.shape), where=w > 0).astype(np.float32)
    expected = largest(w.T, k).T
    np.testing.assert_allclose(item_weights(model, x), expected, rtol=1e-5)


def test_rows_of_the_full_walk_sum_to_one():
    x = np.array(TOY)
    walk = (x.T / x.sum(axis=0)[:, None]) @ (x / x.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(walk.sum(axis=1), 1)


def test_a_users_scale_of_ratings_does_not_matter(item_weights):
    x = np.random.default_rng(0).integers(0, 6, (10, 7))
    y = x.copy()
    y[3] *= 4
    np.testing.assert_allclose(item_weights(P3alpha(), y), item_weights(P3alpha(), x), rtol=1e-6)


def test_weights_are_cut_in_rows_and_then_in_columns(item_weights):
    # Everyone's best neighbour is item 0, whose column can keep one of them only.
    x = [[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0]]
    weights = item_weights(P3alpha(n_neighbors=1), x)
    assert (weights > 0).sum(axis=0).max() == 1
    assert (weights > 0).sum(axis=1).max() == 1
    np.testing.assert_array_equal(np.argwhere(weights > 0), [[0, 1], [1, 0]])


def test_stored_zeros_are_no_interactions(item_weights, toy):
    dense = toy.matrix.toarray()
    users, items = np.indices(dense.shape).reshape(2, -1).astype(np.int32)
    padded = Interactions(users, items, dense.ravel(), None, toy.user_ids, toy.item_ids)
    before = padded.matrix.copy()
    got = P3alpha(alpha=0.0).fit(padded, np.random.default_rng(0)).item_weights
    np.testing.assert_array_equal(got, item_weights(P3alpha(alpha=0.0), dense))
    np.testing.assert_array_equal(padded.matrix.indices, before.indices)
    np.testing.assert_array_equal(padded.matrix.indptr, before.indptr)


def test_nothing_leaks_between_components(scores):
    x = np.kron(np.eye(2), np.random.default_rng(0).random((8, 6)) < 0.6)
    got = scores(P3alpha(), x)
    assert not got[:8, 6:].any()
    assert not got[8:, :6].any()
