import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recrepro.baselines._weighting import Weighting
from recrepro.baselines.userknn import UserKNN

TOY = [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
ratings = arrays(
    np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 5)
)
models = st.builds(
    UserKNN,
    n_neighbors=st.integers(1, 9),
    similarity=st.sampled_from(["cosine", "dice"]),
    shrinkage=st.sampled_from([0, 1, 50]),
    neighbours=st.sampled_from(["own", "reversed"]),
)
H = 0.707107


@pytest.mark.parametrize(
    ("neighbours", "expected"),
    [
        ("own", [[H, 0, 0], [0.5, 0.5, 0], [H, H, 0]]),
        ("reversed", [[H, 0.5, 0.5], [0, 0, 0], [H, H, 0]]),
    ],
)
def test_worked_scores(scores, neighbours, expected):
    model = UserKNN(n_neighbors=1, shrinkage=0, neighbours=neighbours)
    np.testing.assert_allclose(scores(model, TOY), expected, atol=2e-6)


def test_worked_similarities(interactions):
    model = UserKNN(shrinkage=0).fit(interactions(TOY), np.random.default_rng(0))
    expected = [[0, 0.5, H], [0.5, 0, 0], [H, 0, 0]]
    np.testing.assert_allclose(model.user_weights.toarray(), expected, atol=2e-6)


@given(ratings, models)
def test_scores_follow_the_dense_formula(scores, largest, x, model):
    cosine = model.config.similarity == "cosine"
    x = x.astype(np.float64)
    y = x if cosine else (x > 0).astype(float)
    n = (y**2).sum(axis=1)
    below = np.sqrt(np.outer(n, n)) if cosine else np.add.outer(n, n)
    s = y @ y.T / (below + model.config.shrinkage + 1e-6) * (1 - np.eye(len(n)))
    s = largest(s.astype(np.float32), model.config.n_neighbors)
    expected = (s if model.config.neighbours == "own" else s.T) @ x
    np.testing.assert_allclose(scores(model, x), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weighting", ["none", "tfidf", "bm25"])
def test_both_rules_agree_when_everyone_is_a_neighbour(scores, weighting):
    rng = np.random.default_rng(0)
    x = rng.random((15, 10)) < 0.4
    own, turned = (
        scores(UserKNN(n_neighbors=15, weighting=weighting, neighbours=rule), x)
        for rule in ("own", "reversed")
    )
    np.testing.assert_allclose(own, turned, rtol=1e-5, atol=1e-7)


def test_the_weighted_matrix_replaces_the_profiles(interactions):
    train = interactions(np.random.default_rng(0).random((15, 10)) < 0.4)
    model = UserKNN(weighting="bm25", profiles="weighted").fit(train, np.random.default_rng(0))
    weighted = Weighting.fit("bm25", train.matrix).apply(train.matrix)
    np.testing.assert_array_equal(model.profiles.toarray(), weighted.toarray())


def test_raw_profiles_keep_the_weighted_similarities(interactions):
    train = interactions(np.random.default_rng(0).random((15, 10)) < 0.4)
    weighted, raw = (
        UserKNN(weighting="bm25", profiles=p).fit(train, np.random.default_rng(0))
        for p in ("weighted", "raw")
    )
    np.testing.assert_array_equal(raw.user_weights.toarray(), weighted.user_weights.toarray())
    np.testing.assert_array_equal(raw.profiles.toarray(), train.matrix.toarray())


def test_equal_similarities_leave_the_lower_index(interactions):
    model = UserKNN(n_neighbors=2).fit(interactions(np.ones((4, 3))), np.random.default_rng(0))
    expected = [[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]]
    np.testing.assert_array_equal(model.user_weights.toarray() > 0, expected)
