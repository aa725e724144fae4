import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recrepro.baselines.p3alpha import P3alpha
from recrepro.baselines.rp3beta import RP3beta

TOY = [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
ratings = arrays(
    np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 5)
)


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (1.0, [[0, 0.176777, 0], [0.176777, 0, 0.25], [0, 0.353553, 0]]),
        (2.0, [[0, 0.044194, 0], [0.044194, 0, 0.0625], [0, 0.176777, 0]]),
    ],
)
def test_worked_weights(item_weights, alpha, expected):
    weights = item_weights(RP3beta(alpha=alpha, beta=0.5, normalise=False), TOY)
    np.testing.assert_allclose(weights, expected, atol=1e-6)


def test_worked_normalised_row_and_score(item_weights, scores):
    weights = item_weights(RP3beta(beta=0.5), TOY)
    np.testing.assert_allclose(weights[1], [0.414214, 0, 0.585786], atol=1e-6)
    got = scores(RP3beta(beta=0.5, normalise=False), TOY)[2]
    np.testing.assert_allclose(got, [0, 0.176777, 0], atol=1e-6)


@given(ratings, st.integers(1, 9), st.sampled_from([0.0, 0.5, 1.3]), st.booleans())
def test_beta_zero_is_p3alpha_to_the_bit(item_weights, x, k, alpha, normalise):
    shared = {"alpha": alpha, "n_neighbors": k, "normalise": normalise}
    np.testing.assert_array_equal(
        item_weights(RP3beta(beta=0.0, **shared), x), item_weights(P3alpha(**shared), x)
    )


@given(ratings, st.sampled_from([0.3, 1.0, 2.0]))
def test_beta_divides_columns_by_popularity(item_weights, x, beta):
    degrees = np.maximum((x > 0).sum(axis=0), 1)
    got = item_weights(RP3beta(beta=beta, normalise=False), x)
    plain = item_weights(P3alpha(), x)
    np.testing.assert_allclose(got, plain / degrees**beta, rtol=1e-5)


def test_items_are_penalised_before_the_largest_are_chosen(item_weights):
    x = [[1, 1, 0], [1, 1, 1], [0, 1, 0], [0, 1, 0], [0, 1, 0]]
    without, with_penalty = (
        item_weights(RP3beta(n_neighbors=1, beta=b, normalise=False), x)[0] for b in (0.0, 2.0)
    )
    np.testing.assert_array_equal(without > 0, [False, True, False])
    np.testing.assert_array_equal(with_penalty > 0, [False, False, True])


def test_defaults_differ_from_p3alpha_in_normalising_only():
    common = set(P3alpha.Config.model_fields) - {"normalise"}
    assert all(getattr(RP3beta.Config(), n) == getattr(P3alpha.Config(), n) for n in common)
    assert RP3beta.Config().normalise
    assert not P3alpha.Config().normalise
