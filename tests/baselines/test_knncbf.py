"""Neighbourhoods by content: against the definition, and against their limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recrepro.baselines.itemknn import ItemKNN
from recrepro.baselines.itemknncbf import ItemKNNCBF, ItemKNNCFCBF
from recrepro.baselines.userknn import UserKNN
from recrepro.baselines.userknncbf import UserKNNCBF, UserKNNCFCBF
from recrepro.errors import DataError
from recrepro.features import Features, FeatureSet

R = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1]], float)
SETS = ["dice", "jaccard", "tversky"]
SIMILARITIES = ["cosine", "asymmetric", "adjusted", "pearson", "dice", "jaccard", "tversky"]


def features(side, matrix):
    matrix = np.asarray(matrix, np.float32)
    n = np.arange(len(matrix))
    one = FeatureSet(side, "made", n, csr_array(matrix), np.arange(matrix.shape[1]).astype(str))
    return Features((one,))


def scores(model, train):
    fitted = model.fit(train, np.random.default_rng(0))
    return fitted.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def cosines(described, shrinkage=0.0):
    """Compare rows by the definition; nobody is a neighbour of itself."""
    products = described @ described.T
    norms = np.sqrt(np.diag(products))
    found = products / (np.outer(norms, norms) + shrinkage + 1e-6)
    np.fill_diagonal(found, 0)
    return found


def drawn(seed, n_users=12, n_items=9, n_features=5):
    rng = np.random.default_rng(seed)
    interactions = (rng.random((n_users, n_items)) < 0.4).astype(float)
    interactions[0, -1] = interactions[-1, 0] = 1
    of_items = rng.integers(0, 3, (n_items, n_features)).astype(float)
    return interactions, of_items, rng.integers(0, 3, (n_users, n_features)).astype(float)


@given(st.integers(0, 1000), st.integers(0, 50))
def test_cosine_of_features_by_the_definition(interactions, seed, shrinkage):
    matrix, of_items, of_users = drawn(seed)
    train = interactions(matrix)
    options = {"n_neighbors": 20, "shrinkage": shrinkage}
    got = scores(ItemKNNCBF(**options).with_features(features("item", of_items)), train)
    np.testing.assert_allclose(got, matrix @ cosines(of_items, shrinkage), rtol=1e-5, atol=1e-6)
    got = scores(UserKNNCBF(**options).with_features(features("user", of_users)), train)
    np.testing.assert_allclose(got, cosines(of_users, shrinkage) @ matrix, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weight", [0.3, 7.0])
def test_a_hybrid_compares_weighted_features_beside_interactions(interactions, weight):
    matrix, of_items, of_users = drawn(5)
    train = interactions(matrix)
    options = {"n_neighbors": 20, "shrinkage": 3, "feature_weight": weight}
    described = np.hstack([weight * of_items, matrix.T])
    got = scores(ItemKNNCFCBF(**options).with_features(features("item", of_items)), train)
    np.testing.assert_allclose(got, matrix @ cosines(described, 3), rtol=1e-5, atol=1e-6)
    described = np.hstack([weight * of_users, matrix])
    got = scores(UserKNNCFCBF(**options).with_features(features("user", of_users)), train)
    np.testing.assert_allclose(got, cosines(described, 3) @ matrix, rtol=1e-5, atol=1e-6)


OPTIONS = st.fixed_dictionaries(
    {
        "similarity": st.sampled_from(SIMILARITIES),
        "weighting": st.sampled_from(["none", "tfidf", "bm25"]),
        "normalise": st.booleans(),
        "n_neighbors": st.integers(1, 12),
        "shrinkage": st.integers(0, 20),
    }
)


@given(st.integers(0, 1000), OPTIONS)
def test_without_weight_for_features_a_hybrid_is_collaborative(interactions, seed, options):
    matrix, of_items, of_users = drawn(seed)
    train = interactions(matrix)
    made = features("item", of_items)
    hybrid = ItemKNNCFCBF(**options, feature_weight=0.0).with_features(made)
    np.testing.assert_array_equal(scores(hybrid, train), scores(ItemKNN(**options), train))
    made = features("user", of_users)
    hybrid = UserKNNCFCBF(**options, feature_weight=0.0).with_features(made)
    got = scores(hybrid, train)
    # Users are documents here, as items are in ItemKNN: its items are the users of the other way.
    turned = ItemKNN(**options).fit(interactions(matrix.T), np.random.default_rng(0)).item_weights
    turned = turned if isinstance(turned, np.ndarray) else turned.toarray()
    np.testing.assert_array_equal(hybrid.user_weights.toarray(), turned.T)
    if options["weighting"] == "none" or options["similarity"] in SETS:
        np.testing.assert_array_equal(got, scores(UserKNN(**options), train))


@given(
    st.integers(0, 1000),
    st.sampled_from(["cosine", "asymmetric"]),
    st.sampled_from(["none", "tfidf"]),
)
def test_with_all_weight_on_features_a_hybrid_ranks_by_content(
    interactions, seed, similarity, weighting
):
    matrix, of_items, of_users = drawn(seed)
    train = interactions(matrix)
    options = {"similarity": similarity, "weighting": weighting, "n_neighbors": 20, "shrinkage": 0}
    for side, known, hybrid, pure in (
        ("item", of_items, ItemKNNCFCBF, ItemKNNCBF),
        ("user", of_users, UserKNNCFCBF, UserKNNCBF),
    ):
        # One of three for each: who has no feature is compared by interactions at any weight.
        made = features(side, np.hstack([known, np.eye(3)[np.arange(len(known)) % 3]]))
        mixed = scores(hybrid(**options, feature_weight=1e12).with_features(made), train)
        content = scores(pure(**options).with_features(made), train)
        np.testing.assert_allclose(mixed, content, rtol=1e-3, atol=1e-4)


def test_items_are_scored_for_users_who_were_not_there(interactions):
    matrix, of_items, _ = drawn(8)
    model = ItemKNNCBF(n_neighbors=20, shrinkage=0).with_features(features("item", of_items))
    model.fit(interactions(matrix), np.random.default_rng(0))
    history = csr_array(np.eye(9, dtype=np.float32)[[4]])
    got = model.score(np.array([99], np.int32), history)
    np.testing.assert_allclose(got[0], cosines(of_items)[4], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("side", "model"), [("item", ItemKNNCFCBF), ("user", UserKNNCFCBF)])
def test_scaling_divides_each_feature_by_its_largest_value(interactions, side, model):
    matrix, of_items, of_users = drawn(9)
    train = interactions(matrix)
    known = of_items if side == "item" else of_users
    known = known * [1, -10, 100, 1000, 0]
    by_hand = known / [2, 20, 200, 2000, 1]
    assert (np.abs(by_hand).max(axis=0) == [1, 1, 1, 1, 0]).all()
    scaled = scores(model(scaling="largest").with_features(features(side, known)), train)
    other = scores(model().with_features(features(side, by_hand)), train)
    np.testing.assert_allclose(scaled, other, rtol=1e-6)
    assert not np.allclose(scaled, scores(model().with_features(features(side, known)), train))


def test_weighting_refuses_features_below_0(interactions):
    made = features("item", [[1, 0], [-2, 1], [0, 1], [1, 1]])
    model = ItemKNNCBF(weighting="bm25").with_features(made)
    with pytest.raises(DataError, match="features of at least 0, but there is -2"):
        scores(model, interactions(R))


def test_the_weighting_takes_items_as_documents_and_features_as_terms(interactions):
    # The worked example of four documents with three terms: TF-IDF leaves this of it.
    documents = [[1, 1, 0], [1, 0, 0], [0, 1, 1], [1, 0, 0]]
    weighted = np.array([[0, 0.287682, 0], [0, 0, 0], [0, 0.287682, 0.693147], [0, 0, 0]])
    model = ItemKNNCBF(weighting="tfidf", n_neighbors=3, shrinkage=0)
    got = scores(model.with_features(features("item", documents)), interactions(R))
    np.testing.assert_allclose(got, R @ cosines(weighted), rtol=1e-4, atol=1e-6)


def test_only_the_largest_are_neighbours_and_reversed_looks_from_the_other_side(interactions):
    of_users = [[1, 0], [1, 1], [1, 2]]
    made = features("user", of_users)
    own = scores(UserKNNCBF(n_neighbors=1, shrinkage=0).with_features(made), interactions(R))
    other = UserKNNCBF(n_neighbors=1, shrinkage=0, neighbours="reversed").with_features(made)
    reversed_ = scores(other, interactions(R))
    alike = cosines(np.array(of_users, float))
    nearest = np.zeros_like(alike)
    nearest[np.arange(3), alike.argmax(axis=1)] = alike.max(axis=1)
    np.testing.assert_allclose(own, nearest @ R, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(reversed_, nearest.T @ R, rtol=1e-5, atol=1e-6)
    assert not np.allclose(own, reversed_)
