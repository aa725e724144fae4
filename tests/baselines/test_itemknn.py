import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array

from recrepro.baselines._weighting import Weighting
from recrepro.baselines.itemknn import ItemKNN

TOY = [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
ratings = arrays(
    np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 5)
)
models = st.builds(
    ItemKNN,
    n_neighbors=st.integers(1, 9),
    similarity=st.sampled_from(["cosine", "dice"]),
    shrinkage=st.sampled_from([0, 1, 50]),
)


@pytest.mark.parametrize(
    ("similarity", "shrinkage", "first", "second"),
    [
        ("cosine", 0, 0.5, 0.707107),
        ("cosine", 1, 1 / 3, 0.414214),
        ("dice", 0, 0.25, 1 / 3),
    ],
)
def test_worked_similarities(item_weights, similarity, shrinkage, first, second):
    weights = item_weights(ItemKNN(similarity=similarity, shrinkage=shrinkage), TOY)
    expected = [[0, first, 0], [first, 0, second], [0, second, 0]]
    np.testing.assert_allclose(weights, expected, atol=2e-6)


def test_without_normalising_shrinkage_only_rescales(item_weights):
    plain = item_weights(ItemKNN(normalise=False, shrinkage=0), TOY)
    np.testing.assert_array_equal(plain, [[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(
        item_weights(ItemKNN(normalise=False, shrinkage=4), TOY), plain / 4
    )


@given(ratings, models)
def test_scores_follow_the_dense_formula(scores, largest, x, model):
    cosine = model.config.similarity == "cosine"
    x = x.astype(np.float64)
    y = x if cosine else (x > 0).astype(float)
    n = (y**2).sum(axis=0)
    below = np.sqrt(np.outer(n, n)) if cosine else np.add.outer(n, n)
    s = y.T @ y / (below + model.config.shrinkage + 1e-6) * (1 - np.eye(len(n)))
    expected = x @ largest(s.astype(np.float32), model.config.n_neighbors).T
    np.testing.assert_allclose(scores(model, x), expected, rtol=1e-4, atol=1e-6)


def test_neighbours_are_those_of_the_item_scored(item_weights):
    # Item 1 is the nearest of both others, but has one neighbour itself.
    weights = item_weights(ItemKNN(n_neighbors=1, shrinkage=0), TOY)
    np.testing.assert_array_equal(weights > 0, [[0, 0, 0], [1, 0, 1], [0, 1, 0]])


def test_equal_similarities_leave_the_lower_index(item_weights):
    weights = item_weights(ItemKNN(n_neighbors=2), np.ones((3, 5)))
    np.testing.assert_array_equal(
        (weights > 0).T, [[0, 1, 1, 0, 0], [1, 0, 1, 0, 0]] + 3 * [[1, 1, 0, 0, 0]]
    )


def test_more_neighbours_than_items_is_all_of_them(item_weights):
    np.testing.assert_array_equal(
        item_weights(ItemKNN(n_neighbors=3), TOY), item_weights(ItemKNN(n_neighbors=1000), TOY)
    )


DOCUMENTS = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1], [1, 0, 0]], np.float32)  # items x users


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("tfidf", [[0, 0.287682, 0], [0, 0, 0], [0, 0.287682, 0.693147], [0, 0, 0]]),
        ("bm25", [[0, 0.253160, 0], [0, 0, 0], [0, 0.253160, 0.609970], [0, 0, 0]]),
    ],
)
def test_worked_weightings(kind, expected):
    matrix = csr_array(DOCUMENTS.T)
    weighted = Weighting.fit(kind, matrix).apply(matrix).toarray().T
    np.testing.assert_allclose(weighted, expected, atol=1e-6)


def test_the_weight_of_a_history_of_every_item_is_negative():
    matrix = csr_array(np.ones((1, 4), np.float32))
    weighted = Weighting.fit("tfidf", matrix).apply(matrix).toarray()
    np.testing.assert_allclose(weighted, np.log(4 / 5) * np.ones((1, 4)), rtol=1e-6)


@pytest.mark.parametrize("weighting", ["none", "tfidf", "bm25"])
@pytest.mark.parametrize("similarity", ["cosine", "dice"])
def test_a_training_row_as_history_scores_by_the_weighted_matrix(
    interactions, scores, weighting, similarity
):
    rng = np.random.default_rng(0)
    x = rng.integers(1, 6, (12, 9)) * (rng.random((12, 9)) < 0.5)
    train = interactions(x)
    model = ItemKNN(weighting=weighting, similarity=similarity, n_neighbors=4, profiles="weighted")
    got = scores(model, x)
    weighted = Weighting.fit(weighting, train.matrix).apply(train.matrix)
    weights = csr_array(model.item_weights)
    np.testing.assert_array_equal(got, (weighted @ weights).toarray())


def test_raw_profiles_keep_the_weighted_similarities(item_weights, scores):
    x = np.random.default_rng(0).integers(1, 6, (12, 9)) * (np.arange(108).reshape(12, 9) % 3 > 0)
    weighted, raw = (ItemKNN(weighting="bm25", profiles=p) for p in ("weighted", "raw"))
    weights = item_weights(weighted, x)
    np.testing.assert_array_equal(item_weights(raw, x), weights)
    np.testing.assert_allclose(scores(raw, x), x @ weights, rtol=1e-5)


def test_dice_ignores_weighting_in_the_similarity_but_not_in_the_profile(item_weights, scores):
    x = np.array([[3, 1, 0, 0], [0, 2, 5, 0], [1, 0, 1, 0], [4, 4, 0, 1]])
    plain, weighted = (
        ItemKNN(similarity="dice", weighting=w, profiles="weighted") for w in ("none", "bm25")
    )
    np.testing.assert_array_equal(item_weights(plain, x), item_weights(weighted, x))
    assert not np.allclose(scores(plain, x), scores(weighted, x))


def test_a_history_is_weighted_by_its_own_length_and_the_items_training_lengths(interactions):
    train = interactions([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 0]])
    weighting = Weighting.fit("bm25", train.matrix)
    lengths = np.array([2, 2, 1, 0])
    x, n = np.array([0, 3, 0, 1]), 2
    damping = 1.2 * (0.25 + 0.75 * lengths / lengths.mean())
    expected = x * 2.2 / (damping + x) * np.log(4 / (1 + n))
    weighted = weighting.apply(csr_array(x[np.newaxis].astype(np.float32))).toarray()
    np.testing.assert_allclose(weighted[0], expected, rtol=1e-6)
