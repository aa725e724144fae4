"""The similarities of item and user neighbourhoods."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array, csr_matrix

from recrepro.baselines._neighbours import NeighbourConfig, nearest_columns
from recrepro.baselines.itemknn import ItemKNN
from recrepro.baselines.userknn import UserKNN
from recrepro.spec.experiment import ModelSpec
from recrepro.tuning.tuner import search_space

TOY = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 0]], np.float32)
SIMILARITIES = NeighbourConfig.model_fields["similarity"].annotation.__args__
ratings = arrays(
    np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 5)
)
configs = st.builds(
    NeighbourConfig,
    n_neighbors=st.integers(1, 9),
    similarity=st.sampled_from(SIMILARITIES),
    shrinkage=st.sampled_from([0, 1, 50]),
    asymmetry=st.sampled_from([0.0, 0.3, 1.0, 1.7]),
    tversky_alpha=st.sampled_from([0.0, 0.4, 2.0]),
    tversky_beta=st.sampled_from([0.0, 1.3]),
)


def similarity(x, i, j, config):
    """Read the formulas with sets and loops; column i is the one that looks for neighbours."""
    rated = x != 0
    n_i, n_j, both = rated[:, i].sum(), rated[:, j].sum(), (rated[:, i] & rated[:, j]).sum()
    h = config.shrinkage + 1e-6
    match config.similarity:
        case "dice":
            return both / (n_i + n_j + h)
        case "jaccard":
            return both / ((rated[:, i] | rated[:, j]).sum() + h)
        case "tversky":
            only_i, only_j = n_i - both, n_j - both
            weighted = config.tversky_alpha * only_i + config.tversky_beta * only_j
            return both / (both + weighted + h)
    means = np.zeros(x.shape)
    for u, item in np.argwhere(rated):
        if config.similarity == "adjusted":
            means[u, item] = x[u][rated[u]].mean()
        if config.similarity == "pearson":
            means[u, item] = x[:, item][rated[:, item]].mean()
    y = (x - means).astype(np.float32).astype(float)
    product = sum(y[u, i] * y[u, j] for u in range(len(y)))
    if product == 0:
        return 0
    a = config.asymmetry if config.similarity == "asymmetric" else 0.5
    return product / ((y[:, i] ** 2).sum() ** a * (y[:, j] ** 2).sum() ** (1 - a) + h)


@given(ratings, configs)
def test_every_similarity_follows_its_formula(x, config):
    n = x.shape[1]
    # With all neighbours kept, so that no last bit decides who is one.
    everyone = config.model_copy(update={"n_neighbors": n})
    expected = [
        [max(0, similarity(x, i, j, config)) if i != j else 0 for j in range(n)] for i in range(n)
    ]
    got = nearest_columns(csr_array(x), everyone)
    np.testing.assert_allclose(got.toarray(), expected, rtol=1e-5, atol=1e-6)


@given(ratings, configs)
def test_the_nearest_are_the_largest_of_all(largest, x, config):
    everyone = config.model_copy(update={"n_neighbors": x.shape[1]})
    few = nearest_columns(csr_array(x), config).toarray()
    every = nearest_columns(csr_array(x), everyone).toarray()
    np.testing.assert_array_equal(few, largest(every, config.n_neighbors))


@pytest.mark.parametrize(
    ("config", "pairs"),
    [
        ({"similarity": "jaccard"}, {(0, 1): 1 / 3, (1, 2): 0.5, (1, 0): 1 / 3, (2, 1): 0.5}),
        (
            {"similarity": "asymmetric", "asymmetry": 0.25},
            {(0, 1): 0.5, (1, 0): 0.5, (1, 2): 0.594604, (2, 1): 0.840896},
        ),
        (
            {"similarity": "asymmetric", "asymmetry": 0.5},
            {(0, 1): 0.5, (1, 0): 0.5, (1, 2): sqrt(0.5), (2, 1): sqrt(0.5)},
        ),
        (
            {"similarity": "tversky", "tversky_alpha": 1.0, "tversky_beta": 0.5},
            {(1, 0): 0.4, (0, 1): 0.4, (1, 2): 2 / 3, (2, 1): 0.5},
        ),
        (
            {"similarity": "tversky", "tversky_alpha": 0.5, "tversky_beta": 0.5},
            {(1, 0): 0.5, (0, 1): 0.5, (1, 2): 2 / 3, (2, 1): 2 / 3},
        ),
    ],
)
def test_worked_similarities(item_weights, config, pairs):
    weights = item_weights(ItemKNN(shrinkage=0, **config), TOY)
    expected = np.zeros((3, 3))
    for (neighbour, item), value in pairs.items():
        expected[neighbour, item] = value
    np.testing.assert_allclose(weights, expected, atol=2e-6)


def test_values_that_are_all_one_leave_nothing_to_centred_similarities(scores):
    for kind in ("adjusted", "pearson"):
        assert not scores(ItemKNN(similarity=kind), TOY).any()


def test_pearson_is_the_correlation_of_columns_that_are_full():
    x = np.random.default_rng(0).integers(1, 6, (50, 6)).astype(np.float32)
    config = NeighbourConfig(similarity="pearson", shrinkage=0, n_neighbors=6)
    expected = np.corrcoef(x.T).clip(0) * (1 - np.eye(6))
    got = nearest_columns(csr_array(x), config).toarray()
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_users_are_centred_by_adjusted_for_items_and_by_pearson_for_users(interactions):
    x = np.random.default_rng(0).integers(0, 6, (12, 9)).astype(np.float32)
    train = interactions(x)
    as_users = UserKNN(similarity="pearson", shrinkage=0).fit(train, np.random.default_rng(0))
    means = np.array([row[row > 0].mean() for row in x])
    y = np.where(x > 0, x - means[:, np.newaxis], 0)
    norms = np.sqrt((y**2).sum(axis=1))
    expected = (y @ y.T / np.outer(norms, norms)).clip(0) * (1 - np.eye(12))
    np.testing.assert_allclose(as_users.user_weights.toarray(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("similarity", "searched"),
    [
        ("cosine", {"n_neighbors", "shrinkage", "weighting", "profiles", "normalise"}),
        ("dice", {"n_neighbors", "shrinkage"}),
        ("asymmetric", {"n_neighbors", "shrinkage", "weighting", "profiles", "asymmetry"}),
        ("tversky", {"n_neighbors", "shrinkage", "tversky_alpha", "tversky_beta"}),
        ("pearson", {"n_neighbors", "shrinkage"}),
    ],
)
def test_only_what_has_an_effect_is_searched(similarity, searched):
    spec = ModelSpec.model_validate({"name": "itemknn", "params": {"similarity": similarity}})
    assert search_space(ItemKNN, spec).keys() == searched


@pytest.mark.filterwarnings("ignore:Method expects CSR input")  # of its own making
def test_cosines_are_those_of_implicit():
    from implicit.nearest_neighbours import CosineRecommender

    x = (np.random.default_rng(0).random((60, 25)) < 0.2).astype(np.float32)
    theirs = CosineRecommender(K=25, num_threads=1)
    theirs.fit(csr_matrix(x), show_progress=False)
    expected = theirs.similarity.toarray() * (1 - np.eye(25))
    config = NeighbourConfig(shrinkage=0, n_neighbors=25)
    np.testing.assert_allclose(nearest_columns(csr_array(x), config).toarray(), expected, atol=1e-6)
