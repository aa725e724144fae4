import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recrepro.baselines.ease import EASE
from recrepro.baselines.edlae import EDLAE

TOY = [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
ratings = arrays(
    np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 5)
)


def test_worked_weights(item_weights):
    expected = [[0, 0.243902, -0.063251], [0.275953, 0, 0.259330], [-0.131406, 0.476190, 0]]
    got = item_weights(EDLAE(l2=0.1, dropout=0.5), TOY)
    np.testing.assert_allclose(got, expected, atol=1e-6)


@given(ratings, st.sampled_from([0.5, 3.0, 200.0]))
def test_without_dropout_it_is_ease(item_weights, x, l2):
    expected = item_weights(EASE(l2=l2), x)
    np.testing.assert_array_equal(item_weights(EDLAE(l2=l2, dropout=0.0), x), expected)


@given(ratings, st.sampled_from([0.5, 3.0]), st.sampled_from([0.1, 0.5, 0.9]))
def test_weights_follow_the_dense_formula(item_weights, x, l2, dropout):
    x = x.astype(np.float64)
    g = x.T @ x
    p = np.linalg.inv(g + l2 * np.eye(len(g)) + dropout / (1 - dropout) * np.diag(np.diag(g)))
    expected = -p / np.diag(p)
    np.fill_diagonal(expected, 0)
    got = item_weights(EDLAE(l2=l2, dropout=dropout, precision="double"), x)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)


def test_it_is_the_best_autoencoder_of_dropped_inputs(item_weights):
    """Its objective, averaged over every pattern of dropped inputs, is least at its weights."""
    x = np.array(TOY, float)
    l2, p = 0.1, 0.5
    patterns = np.array(np.meshgrid(*[[0, 1]] * 3)).reshape(3, -1).T  # equally likely at p = 1/2

    def loss(weights):
        total = 0.0
        for kept in patterns:
            # What is dropped has to be rebuilt from what is kept.
            error = x - (x * kept / (1 - p)) @ weights
            total += ((error * (1 - kept)) ** 2).sum() / len(patterns)
        return total

    def with_ridge(weights):
        # For a dropped target the others are kept with probability 1 - p, and scaled by 1/(1 - p).
        return loss(weights) + p * l2 * (weights**2).sum()

    best = item_weights(EDLAE(l2=l2, dropout=p), TOY).astype(float)
    rng = np.random.default_rng(0)
    for step in (1e-3, 1e-2, 0.1):
        change = rng.standard_normal((50, 3, 3)) * step * (1 - np.eye(3))
        assert min(with_ridge(best + one) for one in change) > with_ridge(best)
