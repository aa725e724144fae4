import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recrepro.baselines.gfcf import GFCF
from recrepro.errors import DataError

TOY = [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
LINEAR = [[1, 0.75, 0.353553], [0.25, 0.853553, 0.853553], [0.75, 0.25, 0]]
IDEAL = [[0.8, 0.8, 0.4], [0.8, 0.8, 0.4], [0.4, 0.4, 0.2]]
ratings = arrays(
    np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 5)
)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_worked_scores(scores, alpha):
    expected = np.array(LINEAR) + alpha * np.array(IDEAL)
    np.testing.assert_allclose(scores(GFCF(n_factors=1, alpha=alpha), TOY), expected, atol=1e-6)


@given(ratings)
def test_scores_follow_the_dense_formula_with_all_vectors(scores, x):
    x = x.astype(float)
    of_users, of_items = x.sum(axis=1), x.sum(axis=0)
    u, i = (np.where(d > 0, np.maximum(d, 1) ** -0.5, 0) for d in (of_users, of_items))
    n = u[:, None] * x * i
    # All of the row space: the projection on it, whatever the basis.
    project = np.linalg.pinv(n) @ n
    expected = x @ n.T @ n + 0.5 * (x * i) @ project * np.sqrt(of_items)
    got = scores(GFCF(n_factors=8, alpha=0.5), x)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_the_first_vector_ranks_by_degree(scores):
    """The largest singular value is 1, and its vector the root of the degrees."""
    x = np.array(TOY, float)
    ideal = scores(GFCF(n_factors=1, alpha=1.0), x) - scores(GFCF(n_factors=1, alpha=0.0), x)
    np.testing.assert_allclose(ideal / ideal[:, :1], np.tile([1, 1, 0.5], (3, 1)), atol=1e-6)


def test_items_without_interactions_score_zero(scores):
    got = scores(GFCF(n_factors=2, alpha=0.3), [[1, 1, 0], [0, 1, 0]])
    assert not got[:, 2].any()
    assert np.isfinite(got).all()


def test_values_below_zero_are_refused(interactions):
    with pytest.raises(DataError, match="at least 0"):
        GFCF().fit(interactions([[1, -1]]), np.random.default_rng(0))
