"""Neighbourhoods by content: against the definition, and against their limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recrepro.baselines.itemknn import ItemKNN
from recrepro.baselines.itemknncbf import ItemKNNCBF, ItemKNNCFCBF
from recrepro.baselines.userknn import UserKNN
from recrepro.baselines.userknncbf import UserKNNCBF, UserKNNCFCBF
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
@settings(max_examples=25)
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


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("weighting", ["none", "tfidf", "bm25"])
def test_without_weight_for_features_a_hybrid_is_collaborative(interactions, similarity, weighting):
    matrix, of_items, of_users = drawn(6)
    train = interactions(matrix)
    options = {"similarity": similarity, "weighting": weighting, "n_neighbors": 4, "shrinkage": 2}
    for side, known, hybrid, pure in (
        ("item", of_items, ItemKNNCFCBF, ItemKNN),
        ("user", of_users, UserKNNCFCBF, UserKNN),
    ):
        if side == "user" and weighting != "none" and similarity not in SETS:
            continue  # users are documents beside features, and terms where there are none
        mixed = hybrid(**options, feature_weight=0.0).with_features(features(side, known))
        np.testing.assert_array_equal(scores(mixed, train), scores(pure(**options), train))


def test_with_all_weight_on_features_a_hybrid_ranks_by_content(interactions):
    matrix, of_items, of_users = drawn(7)
    train = interactions(matrix)
    options = {"n_neighbors": 20, "shrinkage": 0}
    for side, known, hybrid, pure in (
        ("item", of_items, ItemKNNCFCBF, ItemKNNCBF),
        ("user", of_users, UserKNNCFCBF, UserKNNCBF),
    ):
        made = features(side, known)
        mixed = scores(hybrid(**options, feature_weight=1e5).with_features(made), train)
        content = scores(pure(**options).with_features(made), train)
        np.testing.assert_allclose(mixed, content, rtol=1e-4, atol=1e-5)


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
