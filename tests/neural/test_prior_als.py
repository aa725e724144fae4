import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, random_array

pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural._prior_als import PriorALS

K = 6
shapes = st.sampled_from([(30, 20, 0.5), (25, 60, 0.05), (9, 8, 0.0)])
seeds = st.integers(0, 2**32 - 1)


def world(seed, n_users=30, n_items=20, density=0.5, **settings):
    """Make a problem in which a user and an item have no interactions; return it and its cells."""
    rng = np.random.default_rng(seed)
    rows = random_array((n_users, n_items), density=density, format="lil", random_state=rng)
    rows[0], rows[:, 1] = 0, 0
    matrix = csr_array(rows)
    matrix.eliminate_zeros()
    chosen = {"seen": 1.0, "unseen": 0.01, "l2_user": 0.1, "l2_item": 10.0, **settings}
    observed = matrix.toarray() != 0
    confidences = np.where(observed, chosen["seen"], chosen["unseen"])
    vectors = rng.standard_normal((2, n_items, K))
    return PriorALS(matrix, **chosen), observed, confidences, *vectors


def residuals(observed, confidences, users, items):
    """Return the gradients of the weighted squares, from all cells."""
    slopes = confidences * (users @ items.T - observed)
    return slopes @ items, slopes.T @ users


@given(seeds, shapes, st.sampled_from([0.0, 0.01, 0.9, 1.0]))
def test_each_step_ends_where_its_gradient_is_zero(seed, shape, unseen):
    problem, observed, confidences, items, means = world(seed, *shape, unseen=unseen)
    users, found = problem.sweep(items, means)
    of_users, _ = residuals(observed, confidences, users, items)
    np.testing.assert_allclose(0.1 * users + of_users, 0, atol=1e-8)
    _, of_items = residuals(observed, confidences, users, found)
    np.testing.assert_allclose(10 * (found - means) + of_items, 0, atol=1e-8)


@given(seeds)
def test_items_are_their_means_with_a_heavy_prior(seed):
    problem, _, _, items, means = world(seed, l2_item=1e12)
    _, found = problem.sweep(items, means)
    np.testing.assert_allclose(found, means, atol=1e-8)


def test_without_a_prior_it_is_weighted_factorisation():
    problem, observed, confidences, items, means = world(3, l2_item=0.0)
    users, found = problem.sweep(items, means)
    for item in range(len(items)):
        weighted = users.T * confidences[:, item]
        expected = np.linalg.solve(weighted @ users, weighted @ observed[:, item])
        np.testing.assert_allclose(found[item], expected, rtol=1e-6, atol=1e-8)


def test_an_item_without_users_is_held_against_all_of_them():
    problem, _, _, items, means = world(4)
    users, found = problem.sweep(items, means)
    matrix = 0.01 * users.T @ users + 10 * np.eye(K)
    np.testing.assert_allclose(found[1], np.linalg.solve(matrix, 10 * means[1]))


def test_users_without_interactions_get_zeros():
    problem, _, _, items, means = world(5)
    users, _ = problem.sweep(items, means)
    assert not users[0].any()
    assert users[1:].all()


def test_unread_items_can_be_left_out_of_the_step_of_users():
    problem, observed, confidences, items, means = world(6, 25, 60, 0.05, every_item=False)
    users, found = problem.sweep(items, means)
    read = observed.any(axis=0)
    assert not read.all()
    of_users, _ = residuals(observed[:, read], confidences[:, read], users, items[read])
    np.testing.assert_allclose(0.1 * users + of_users, 0, atol=1e-8)
    _, of_items = residuals(observed, confidences, users, found)
    np.testing.assert_allclose(10 * (found - means) + of_items, 0, atol=1e-8)


@given(seeds)
def test_the_objective_is_that_of_all_cells(seed):
    problem, observed, confidences, items, means = world(seed)
    users = np.random.default_rng(seed).standard_normal((len(observed), K))
    squares = (confidences * (observed - users @ items.T) ** 2).sum()
    expected = (squares + 0.1 * (users**2).sum() + 10 * ((items - means) ** 2).sum()) / 2
    assert problem.objective(users, items, means) == pytest.approx(expected)


def test_sweeps_lower_the_objective_and_stop_when_they_hardly_do():
    problem, _, _, items, means = world(7, l2_item=0.1)
    users, expected = problem.sweep(items, means)
    values = []
    for n in range(1, 5):
        found = problem.sweeps(items, means, n)
        np.testing.assert_array_equal(found[0], users)
        np.testing.assert_array_equal(found[1], expected)
        values.append(problem.objective(users, expected, means))
        users, expected = problem.sweep(expected, means)
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4
    last = problem.sweeps(items, means, 10_000)
    again = problem.sweep(last[1], means)
    before, after = (problem.objective(*vectors, means) for vectors in (last, again))
    assert 0 <= before - after < 2e-6 * before


def test_vectors_have_the_same_bits_for_every_number_of_threads(monkeypatch):
    problem, _, _, items, means = world(8, 200, 300, 0.02)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        found.append(problem.sweep(items, means))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
