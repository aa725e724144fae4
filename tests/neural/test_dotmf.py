"""The matrix factorisation of Rendle and others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural._kernels import descend_logistic  # noqa: E402
from recrepro.neural.dotmf import DotMF  # noqa: E402

seeds = st.integers(0, 2**32 - 1)


def built(train, **hyperparameters):
    """Return a model with its first parameters."""
    model = DotMF(**{"n_factors": 3, "init_std": 0.5, **hyperparameters})
    torch.manual_seed(0)
    model.network = model.build(train)
    model.optimizers = model.make_optimizers()
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def random_rows(seed, shape=(7, 6)):
    rows = np.random.default_rng(seed).random(shape) < 0.5
    rows[0, 0] = True
    return rows


def parameters(model):
    return {name: value.numpy().copy() for name, value in model.network.state_dict().items()}


def scores(model, train):
    return model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def some_samples(seed, train, n):
    rng = np.random.default_rng(seed)
    users, items = rng.integers(train.n_users, size=n), rng.integers(train.n_items, size=n)
    return users, items, (rng.random(n) < 0.5).astype(np.float32)


def descend(samples, arrays, rate, l2):
    return descend_logistic(
        *samples, arrays["users.weight"], arrays["items.weight"], arrays["bias"], rate, l2
    )


def test_biases_start_from_0_and_factors_as_told(interactions):
    model = DotMF(init_std=0.3)
    network = model.build(interactions(np.ones((300, 200))))
    for table in (network.users.weight, network.items.weight):
        assert table.shape[1] == 192
        assert not table[:, -1].any()
        assert table[:, :-1].std().item() == pytest.approx(0.3, rel=0.02)
    assert network.bias.item() == 0


@given(seed=seeds)
def test_scores_are_sums_of_products_and_biases(interactions, seed):
    train = interactions(random_rows(seed))
    model = built(train)
    p, q, bias = (
        x.detach().numpy()
        for x in (model.network.users.weight, model.network.items.weight, model.network.bias)
    )
    expected = p[:, :-1] @ q[:, :-1].T + p[:, -1:] + q[:, -1] + bias
    np.testing.assert_allclose(scores(model, train), expected, rtol=1e-5, atol=1e-6)


@given(seed=seeds, l2=st.floats(0, 1))
def test_the_loss_is_the_formula(interactions, seed, l2):
    train = interactions(random_rows(seed))
    model = built(train, l2=l2)
    users, items, labels = some_samples(seed, train, 9)
    signed = scores(model, train)[users, items] * (2 * labels - 1)
    network = parameters(model)
    squares = (network["users.weight"][users] ** 2).sum() + 9 * network["bias"][0] ** 2
    squares += (network["items.weight"][items] ** 2).sum()
    expected = np.log1p(np.exp(-signed)).sum() + l2 / 2 * squares
    loss = model.loss(*map(torch.from_numpy, (users, items, labels)))
    assert loss.item() == pytest.approx(expected, rel=1e-4)


@given(seed=seeds, l2=st.floats(0, 1), rate=st.floats(1e-3, 0.5))
def test_a_single_step_follows_the_gradient(interactions, seed, l2, rate):
    train = interactions(random_rows(seed))
    model = built(train, l2=l2)
    samples = some_samples(seed, train, 1)
    after = parameters(model)
    lost = descend(samples, after, rate, l2)
    loss = model.loss(*map(torch.from_numpy, samples))
    loss.backward()
    assert lost == pytest.approx(loss.item(), rel=1e-4)
    for name, parameter in model.network.named_parameters():
        expected = parameter.detach() - rate * parameter.grad
        np.testing.assert_allclose(after[name], expected, rtol=1e-4, atol=1e-6)


def test_single_steps_are_made_one_after_the_other(interactions):
    train = interactions(random_rows(1))
    users, items, labels = samples = some_samples(1, train, 30)
    together, apart = parameters(built(train)), parameters(built(train))
    descend(samples, together, 0.1, 0.01)
    for n in range(30):
        descend((users[[n]], items[[n]], labels[[n]]), apart, 0.1, 0.01)
    for name, array in together.items():
        np.testing.assert_array_equal(array, apart[name])


def test_a_batch_is_the_sum_of_the_steps_of_its_samples(interactions):
    train = interactions(random_rows(1))
    users, items, labels = samples = some_samples(1, train, 30)
    model = built(train, batch_size=30, learning_rate=0.1, l2=0.01)
    before = parameters(model)
    moved = {name: np.zeros_like(array) for name, array in before.items()}
    for n in range(30):
        alone = {name: array.copy() for name, array in before.items()}
        descend((users[[n]], items[[n]], labels[[n]]), alone, 0.1, 0.01)
        for name, array in alone.items():
            moved[name] += array - before[name]
    model.descend(iter([samples]), model.optimizers)
    for name, array in parameters(model).items():
        np.testing.assert_allclose(array, before[name] + moved[name], rtol=1e-4, atol=1e-5)


def test_single_steps_in_a_compiled_loop_end_where_the_loop_of_all_models_does(interactions):
    train = interactions(random_rows(5))
    ends, reported = [], []
    for clip_norm in (0.0, 1e9):  # a limit, which no gradient reaches, is for the other loop
        model = built(train, learning_rate=0.05, clip_norm=clip_norm)
        reported.append(model.train_epoch(train, np.random.default_rng(1))["loss"])
        ends.append(parameters(model))
    assert reported[0] == pytest.approx(reported[1], rel=1e-4)
    for name, array in ends[0].items():
        np.testing.assert_allclose(array, ends[1][name], rtol=1e-3, atol=1e-4)


def test_logits_far_from_0_do_not_overflow(interactions):
    train = interactions(random_rows(1))
    for bias in (-1e4, 1e4):
        arrays = parameters(built(train))
        arrays["bias"][:] = bias
        lost = descend((np.array([0]), np.array([0]), np.ones(1, np.float32)), arrays, 0.1, 0.0)
        assert lost == pytest.approx(max(-bias, 0), abs=10)
        assert all(np.isfinite(array).all() for array in arrays.values())


def test_an_epoch_has_every_interaction_once_and_items_drawn_from_all(interactions):
    rows = random_rows(2, (30, 8))
    train = interactions(rows * 3.0)
    model = built(train, n_negatives=200, batch_size=512)
    batches = list(model.batches(train, np.random.default_rng(1)))
    users, items, labels = map(np.concatenate, zip(*batches, strict=True))
    positive = labels == 1
    pairs = list(zip(users[positive], items[positive], strict=True))
    assert sorted(pairs) == list(zip(train.users, train.items, strict=True))
    assert pairs != sorted(pairs)
    assert (labels == 0).sum() == 200 * len(train)
    np.testing.assert_array_equal(np.bincount(users), 201 * train.user_counts)
    np.testing.assert_allclose(np.bincount(items[~positive]) / (~positive).sum(), 1 / 8, atol=0.02)
    assert not positive[: len(train)].all()


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("rows", [[[1]], [[1, 1]], [[0, 0], [0, 0]], [[1], [0]]])
def test_scores_of_the_smallest_data_are_finite(interactions, rows, batch_size):
    train = interactions(rows)
    model = DotMF(epochs=2, batch_size=batch_size).fit(train, np.random.default_rng(1))
    assert np.isfinite(scores(model, train)).all()
