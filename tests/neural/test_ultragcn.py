"""UltraGCN."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="neural models need torch")

from torch.nn.functional import binary_cross_entropy_with_logits  # noqa: E402

from recrepro.neural.ultragcn import UltraGCN, degree_weights, item_neighbours  # noqa: E402

TRIANGLE = [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
OMEGA = [[0.666667, 0.298142, 0], [0.279508, 0.5, 0.322749], [0, 0.387298, 0.5]]
NO_CONSTANTS = {"positive_constant": 0.0, "negative_constant": 0.0}
ONLY_CONSTANTS = {
    "positive_constant": 1.0,
    "negative_constant": 1.0,
    "positive_degrees": 0.0,
    "negative_degrees": 0.0,
}
seeds = st.integers(0, 2**32 - 1)


def built(train, **hyperparameters):
    """Return a model with its first parameters."""
    model = UltraGCN(**{"n_factors": 3, "n_negatives": 4, "init_std": 0.5, **hyperparameters})
    torch.manual_seed(0)
    model.network = model.build(train)
    return model


def dense_omega(train, n_neighbors=10):
    found, strengths = item_neighbours(train, n_neighbors)
    omega = np.zeros((train.n_items, train.n_items), np.float32)
    np.add.at(omega, (np.arange(train.n_items)[:, None], found), strengths)
    return omega


def some_samples(seed, train, n_negatives=4, n=9):
    rng = np.random.default_rng(seed)
    drawn = rng.integers(train.n_items, size=(n, n_negatives))
    pairs = rng.integers(len(train), size=n)
    return [torch.from_numpy(x) for x in (train.users[pairs], train.items[pairs], drawn)]


def random_rows(seed, shape=(9, 6)):
    rows = np.random.default_rng(seed).random(shape) < 0.4
    rows[0, 0] = True
    return rows


def betas(train):
    return np.outer(*degree_weights(train))


def test_beta_of_a_user_of_3_and_an_item_of_8_is_two_ninths(interactions):
    rows = np.zeros((8, 3))
    rows[:, 0], rows[0] = 1, 1
    assert betas(interactions(rows))[0, 0] == pytest.approx(0.2222222)


def test_betas_are_those_worked_out_by_hand(interactions):
    expected = [[0.5, 0.5, 0.612372], [0.5, 0.5, 0.612372], [0.816497, 0.816497, 1]]
    np.testing.assert_allclose(betas(interactions(TRIANGLE)), expected, rtol=1e-6)


def test_users_without_interactions_have_a_beta_of_0(interactions):
    found = betas(interactions([[1, 0], [0, 0]]))
    np.testing.assert_allclose(found, [[1, 2**0.5], [0, 0]])


def test_omegas_are_those_worked_out_by_hand_and_not_symmetric(interactions):
    np.testing.assert_allclose(dense_omega(interactions(TRIANGLE)), OMEGA, rtol=2e-6)


def test_neighbours_are_in_order_and_the_item_is_its_own(interactions):
    found, strengths = item_neighbours(interactions(TRIANGLE), 2)
    np.testing.assert_array_equal(found, [[0, 1], [1, 2], [2, 1]])
    expected = [[0.666667, 0.298142], [0.5, 0.322749], [0.5, 0.387298]]
    np.testing.assert_allclose(strengths, expected, rtol=2e-6)


@given(seed=seeds, n_neighbors=st.integers(1, 7))
def test_neighbours_are_the_largest_of_the_dense_matrix(interactions, seed, n_neighbors):
    rows = random_rows(seed).astype(float)
    graph = rows.T @ rows
    degrees = graph.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        omega = np.sqrt(degrees + 1)[:, None] / degrees[:, None] / np.sqrt(degrees + 1) * graph
    omega = np.nan_to_num(omega)
    found, strengths = item_neighbours(interactions(rows * 2.5), n_neighbors)
    expected = -np.sort(-omega, axis=1)[:, :n_neighbors]
    np.testing.assert_allclose(strengths, expected, rtol=1e-5)
    np.testing.assert_allclose(
        np.take_along_axis(omega, found, 1)[strengths > 0], strengths[strengths > 0], rtol=1e-5
    )
    for items, weights in zip(found, strengths, strict=True):
        assert len(set(items[weights > 0])) == (weights > 0).sum()


def test_of_equally_strong_neighbours_those_with_smaller_numbers_are_taken(interactions):
    found, _ = item_neighbours(interactions(np.ones((2, 5))), 3)
    np.testing.assert_array_equal(found, np.tile([0, 1, 2], (5, 1)))


@given(seed=seeds)
def test_zero_tables_lose_the_weights_times_the_logarithm_of_2(interactions, seed):
    train = interactions(random_rows(seed))
    model = built(train, negative_weight=1.0, l2=0.0, item_weight=0.0, **NO_CONSTANTS)
    for table in (model.network.users, model.network.items):
        torch.nn.init.zeros_(table.weight)
    users, items, drawn = some_samples(seed, train)
    beta = betas(train)
    expected = np.log(2) * (beta[users, items] + beta[users[:, None], drawn].mean(1)).sum()
    assert model.loss(users, items, drawn).item() == pytest.approx(expected, rel=1e-5)


@given(seed=seeds, weight=st.floats(0.1, 100))
def test_with_constant_weights_it_is_a_logistic_factorisation(interactions, seed, weight):
    train = interactions(random_rows(seed))
    model = built(train, negative_weight=weight, l2=0.0, item_weight=0.0, **ONLY_CONSTANTS)
    users, items, drawn = some_samples(seed, train)
    p, q = model.network.users.weight[users], model.network.items.weight
    positive, negative = (p * q[items]).sum(1), torch.einsum("nk,nck->nc", p, q[drawn])
    expected = binary_cross_entropy_with_logits(
        positive, torch.ones_like(positive), reduction="sum"
    ) + weight / 4 * binary_cross_entropy_with_logits(
        negative, torch.zeros_like(negative), reduction="sum"
    )
    torch.testing.assert_close(model.loss(users, items, drawn), expected, rtol=1e-5, atol=1e-5)


@given(seed=seeds)
def test_the_loss_is_the_formula(interactions, seed):
    train = interactions(random_rows(seed))
    weights = {"positive_constant": 0.3, "positive_degrees": 1.2, "negative_constant": 0.7}
    weights |= {"negative_degrees": 0.4, "negative_weight": 5.0, "item_weight": 0.9, "l2": 0.01}
    model = built(train, **weights, n_neighbors=3)
    users, items, drawn = some_samples(seed, train)
    p, q = (x.weight.detach().double().numpy() for x in (model.network.users, model.network.items))
    scores, beta, omega = p @ q.T, betas(train), dense_omega(train, 3)
    expected = 0.005 * ((p**2).sum() + (q**2).sum())
    for u, i, others in zip(users.numpy(), items.numpy(), drawn.numpy(), strict=True):
        expected += (0.3 + 1.2 * beta[u, i]) * np.log1p(np.exp(-scores[u, i]))
        lost = (0.7 + 0.4 * beta[u, others]) * np.log1p(np.exp(scores[u, others]))
        expected += 5 * lost.mean()
        expected += 0.9 * (omega[i] * np.log1p(np.exp(-scores[u]))).sum()
    assert model.loss(users, items, drawn).item() == pytest.approx(expected, rel=1e-4)


def test_the_item_loss_reaches_the_user_and_the_neighbours_alone(interactions):
    rows = np.zeros((3, 6))
    rows[0, :3] = rows[1, 1:4] = rows[2, 4:] = 1
    train = interactions(rows)
    weights = {"positive_degrees": 0.0, "negative_degrees": 0.0, **NO_CONSTANTS}
    for n_neighbors, reached in ((10, [0, 1, 2, 3]), (1, [1])):
        model = built(train, l2=0.0, item_weight=1.0, n_neighbors=n_neighbors, **weights)
        user, item, drawn = torch.tensor([0]), torch.tensor([1]), torch.tensor([[5, 5, 5, 5]])
        model.loss(user, item, drawn).backward()
        of_users, of_items = model.network.users.weight.grad, model.network.items.weight.grad
        assert of_users.abs().sum(1).nonzero().ravel().tolist() == [0]
        assert of_items.abs().sum(1).nonzero().ravel().tolist() == reached
    model.network.similarities[1, 0] = 0  # as if the item were not its own neighbour
    model.network.zero_grad()
    model.loss(user, item, drawn).backward()
    assert not model.network.items.weight.grad.any()


def test_the_penalty_is_of_all_factors_whatever_the_batch(interactions):
    train = interactions(TRIANGLE)
    weights = {"positive_degrees": 0.0, "negative_degrees": 0.0, "item_weight": 0.0}
    model = built(train, l2=0.2, **weights, **NO_CONSTANTS)
    squares = sum(p.square().sum() for p in model.network.parameters())
    for n in (1, 2):
        loss = model.loss(*some_samples(1, train, n=n))
        torch.testing.assert_close(loss, 0.1 * squares)


def test_very_wrong_scores_have_finite_losses(interactions):
    train = interactions(TRIANGLE)
    model = built(train)
    torch.nn.init.constant_(model.network.users.weight, 100.0)
    torch.nn.init.constant_(model.network.items.weight, -100.0)
    assert torch.isfinite(model.loss(*some_samples(1, train)))


def test_every_interaction_comes_once_an_epoch_with_items_drawn_from_all(interactions):
    train = interactions(random_rows(2, (30, 8)))
    model = UltraGCN(batch_size=7, n_negatives=50)
    batches = list(model.batches(train, np.random.default_rng(1)))
    users, items, drawn = map(np.concatenate, zip(*batches, strict=True))
    pairs = list(zip(users, items, strict=True))
    assert sorted(pairs) == list(zip(train.users, train.items, strict=True))
    assert pairs != sorted(pairs)
    assert drawn.shape == (len(train), 50)
    assert {len(batch[0]) for batch in batches[:-1]} == {7}
    shares = np.bincount(drawn.ravel(), minlength=8) / drawn.size
    np.testing.assert_allclose(shares, 1 / 8, atol=0.02)


def test_items_drawn_are_new_to_the_user_where_that_is_asked_for(interactions):
    rows = random_rows(2, (30, 8))
    train = interactions(rows)
    model = UltraGCN(n_negatives=50, unseen_only=True)
    for users, items, drawn in model.batches(train, np.random.default_rng(1)):
        assert rows[users, items].all()
        assert not rows[users[:, None], drawn].any()


@pytest.mark.parametrize("rows", [[[1]], [[1, 1]], [[0, 0], [0, 0]], [[1], [0]]])
def test_scores_of_the_smallest_data_are_finite(interactions, rows):
    train = interactions(rows)
    model = UltraGCN(epochs=2).fit(train, np.random.default_rng(1))
    users = np.arange(train.n_users, dtype=np.int32)
    assert np.isfinite(model.score(users, train.matrix)).all()


def test_constants_of_the_graph_are_not_stored_with_the_parameters(interactions):
    assert set(built(interactions(TRIANGLE)).network.state_dict()) == {
        "users.weight",
        "items.weight",
    }
