import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array

from recrepro.baselines.globaleffects import GlobalEffects

RATINGS = [[5, 3, 0], [4, 0, 1], [0, 2, 0]]
matrices = arrays(
    np.float32, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.integers(0, 5)
)


def test_worked_biases(scores):
    model = GlobalEffects(l2_item=1.0, l2_user=2.0)
    got = scores(model, RATINGS)
    assert model.mean == 3
    np.testing.assert_allclose(model.item_biases, [3 / 3, -1 / 3, -2 / 2])
    # What is left of the first user's ratings is 1 and 1/3, of the second's 0 and -1.
    user_biases = np.array([(1 + 1 / 3) / 4, -1 / 4, -2 / 3 / 3])
    expected = 3 + user_biases[:, np.newaxis] + model.item_biases
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@given(matrices, st.floats(0, 50), st.floats(0, 50))
def test_biases_minimise_their_penalised_squared_error_one_after_the_other(
    interactions, x, l2_item, l2_user
):
    train = interactions(x)
    model = GlobalEffects(l2_item=l2_item, l2_user=l2_user)
    model.fit(train, np.random.default_rng(0))
    seen, x = x > 0, x.astype(float)
    # At the minimum of sum (residual - b)^2 + l2 b^2 the slope is 0, and so is a b without ratings.
    left = np.where(seen, x - model.mean - model.item_biases, 0)
    slopes = left.sum(axis=0) - l2_item * model.item_biases
    np.testing.assert_allclose(slopes, 0, atol=1e-9)
    got = model.score(np.arange(len(x), dtype=np.int32), train.matrix).astype(float)
    user_biases = (got - model.mean - model.item_biases).mean(axis=1)
    left = np.where(seen, left - user_biases[:, np.newaxis], 0)
    np.testing.assert_allclose(left.sum(axis=1) - l2_user * user_biases, 0, atol=2e-4)
    np.testing.assert_array_equal(model.item_biases[~seen.any(axis=0)], 0)


def test_everyone_gets_the_ranking_of_the_item_biases(scores):
    rng = np.random.default_rng(3)
    model = GlobalEffects()
    got = scores(model, rng.integers(0, 6, (30, 12)))
    order = np.argsort(-model.item_biases)
    np.testing.assert_array_equal(np.argsort(-got, axis=1), np.tile(order, (30, 1)))


def test_interactions_of_one_value_tie_all_items(scores):
    np.testing.assert_array_equal(scores(GlobalEffects(), [[1, 1, 0], [0, 1, 0]]), 1)


def test_a_history_says_as_much_about_an_unseen_user_as_about_a_known_one(interactions):
    train = interactions(RATINGS)
    model = GlobalEffects().fit(train, np.random.default_rng(0))
    known = model.score(np.array([1], np.int32), train.matrix[[1]])
    np.testing.assert_array_equal(model.score(np.array([99], np.int32), train.matrix[[1]]), known)


def test_without_history_the_users_bias_is_zero(interactions):
    model = GlobalEffects().fit(interactions(RATINGS), np.random.default_rng(0))
    got = model.score(np.array([0], np.int32), csr_array((1, 3), dtype=np.float32))
    np.testing.assert_allclose(got[0], model.mean + model.item_biases, rtol=1e-6)


def test_the_defaults_are_those_of_the_study():
    assert GlobalEffects().config.model_dump() == {"l2_item": 25.0, "l2_user": 10.0}


@pytest.mark.parametrize("shape", [(2, 3), (0, 0)])
def test_no_interactions_at_all_give_zeros(scores, shape):
    np.testing.assert_array_equal(scores(GlobalEffects(), np.zeros(shape)), np.zeros(shape))
