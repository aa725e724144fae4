import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recrepro.baselines.puresvd import PureSVD

TOY = [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
ratings = arrays(
    np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 5)
)


@pytest.mark.parametrize(
    ("n_factors", "expected"),
    [
        (
            1,
            [
                [0.784851, 0.978694, 0.435560],
                [0.629402, 0.784851, 0.349292],
                [0.349292, 0.435560, 0.193842],
            ],
        ),
        (
            2,
            [
                [1.086268, 0.844551, 0.193842],
                [-0.047875, 1.086268, 0.892426],
                [0.892426, 0.193842, -0.241717],
            ],
        ),
        (3, TOY),
        (300, TOY),
    ],
)
def test_worked_scores(scores, n_factors, expected):
    np.testing.assert_allclose(scores(PureSVD(n_factors=n_factors), TOY), expected, atol=2e-6)


@given(ratings, st.integers(1, 9))
def test_scores_are_the_best_approximation_of_that_rank(scores, x, n_factors):
    u, s, vt = np.linalg.svd(x.astype(float), full_matrices=False)
    s[n_factors:] = 0
    got = scores(PureSVD(n_factors=n_factors), x)
    # By Eckart and Young no other matrix of that rank is nearer; where singular values are equal
    # there are several, so the distance is compared, not the matrix.
    error = np.linalg.norm(x - u * s @ vt)
    assert np.linalg.norm(x - got) == pytest.approx(error, abs=1e-4)


def test_a_large_matrix_gives_what_a_dense_decomposition_gives(scores):
    rng = np.random.default_rng(1)
    x = (rng.random((700, 600)) < rng.random(600) * 0.2).astype(float)
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    expected = (u[:, :20] * s[:20]) @ vt[:20]
    np.testing.assert_allclose(scores(PureSVD(n_factors=20), x), expected, atol=1e-4)


def test_users_and_items_without_interactions_score_zero(scores):
    x = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0]])
    got = scores(PureSVD(n_factors=3), x)
    np.testing.assert_allclose(got, x, atol=1e-6)
