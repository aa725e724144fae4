"""LightGCN."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural.lightgcn import LightGCN, normalised  # noqa: E402

TRIANGLE = [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
seeds = st.integers(0, 2**32 - 1)


def built(train, **hyperparameters):
    """Return a model with its first parameters."""
    model = LightGCN(**hyperparameters)
    torch.manual_seed(0)
    model.network = model.build(train)
    return model


def adjacency(train):
    """Return the normalised matrix of users and then items, dense."""
    block = normalised(train).toarray()
    n_users, n_items = block.shape
    return np.block(
        [[np.zeros((n_users, n_users)), block], [block.T, np.zeros((n_items, n_items))]]
    )


def set_first(model, values):
    n_users = model.network.users.num_embeddings
    values = torch.as_tensor(values)
    with torch.no_grad():
        model.network.users.weight.copy_(values[:n_users])
        model.network.items.weight.copy_(values[n_users:])


def first(model):
    return torch.cat([model.network.users.weight, model.network.items.weight])


def random_rows(seed, shape=(7, 5)):
    rows = np.random.default_rng(seed).random(shape) < 0.4
    rows[0, 0] = True
    return rows


def some_samples(seed, train, n=20):
    rng = np.random.default_rng(seed)
    sizes = train.n_users, train.n_items, train.n_items
    return [torch.from_numpy(rng.integers(size, size=n)) for size in sizes]


def test_weights_are_divided_by_the_roots_of_both_degrees(interactions):
    block = normalised(interactions(TRIANGLE)).toarray()
    expected = [[0.5, 0.5, 0], [0, 0.5, 0.707107], [0.707107, 0, 0]]
    np.testing.assert_allclose(block, expected, atol=1e-6)


@given(seed=seeds)
def test_values_of_interactions_are_ignored(interactions, seed):
    rows = random_rows(seed)
    found, expected = (normalised(interactions(x)).toarray() for x in (rows * 3.5, rows))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found > 0, rows)


@given(seed=seeds)
def test_the_largest_eigenvalue_is_1_and_they_come_in_pairs(interactions, seed):
    train = interactions(random_rows(seed))
    matrix = adjacency(train)
    roots = np.sqrt(np.concatenate([train.user_counts, train.item_counts]))
    np.testing.assert_allclose(matrix @ roots, roots, atol=1e-6)
    eigenvalues = np.linalg.eigvalsh(matrix)
    np.testing.assert_allclose(eigenvalues, -eigenvalues[::-1], atol=1e-6)
    assert eigenvalues[-1] == pytest.approx(1, abs=1e-6)


def test_layers_and_their_mean_are_those_worked_out_by_hand(interactions):
    train = interactions(TRIANGLE)
    start = np.array([[1], [2], [3], [4], [5], [6]], np.float32)
    second = [4.5, 6.742641, 2.828427, 2.621320, 1.5, 1.414214]
    third = [2.060660, 1.75, 1.853553, 4.25, 5.621320, 4.767767]
    matrix = adjacency(train)
    np.testing.assert_allclose((matrix @ start).ravel(), second, rtol=1e-6)
    np.testing.assert_allclose((matrix @ matrix @ start).ravel(), third, rtol=1e-6)
    model = built(train, n_factors=1, n_layers=2)
    set_first(model, start)
    users, items = model.vectors()
    np.testing.assert_allclose(
        torch.cat([users, items]).detach().ravel(),
        [2.520220, 3.497547, 2.560660, 3.623773, 4.040440, 4.060660],
        rtol=1e-6,
    )


@given(seed=seeds)
def test_without_layers_loss_gradient_and_scores_are_those_of_bpr(interactions, seed):
    train = interactions(random_rows(seed))
    model = built(train, n_factors=4, n_layers=0, l2=0.1)
    samples = users, preferred, others = some_samples(seed, train)
    tables = model.network.users.weight, model.network.items.weight
    p, q, r = tables[0][users], tables[1][preferred], tables[1][others]
    differences = (p * q).sum(1) - (p * r).sum(1)
    penalty = 0.1 * 0.5 * sum((x**2).sum(1) for x in (p, q, r))
    expected = (-torch.nn.functional.logsigmoid(differences) + penalty).mean()
    loss = model.loss(*samples)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss, tables), torch.autograd.grad(expected, tables)
    )
    scores = model.score(np.arange(7, dtype=np.int32), train.matrix)
    of_users, of_items = (table.detach().numpy() for table in tables)
    np.testing.assert_allclose(scores, of_users @ of_items.T, rtol=1e-5, atol=1e-6)


def test_the_worked_step_of_bpr(interactions):
    train = interactions([[1, 0]])
    model = built(train, n_factors=2, n_layers=0, l2=0.0)
    set_first(model, [[1.0, 0], [0, 1], [1, 1]])
    loss = model.loss(*(torch.tensor([n]) for n in (0, 0, 1)))
    assert loss.item() == pytest.approx(1.3132617)
    loss.backward()
    after = [p.detach() - 0.1 * p.grad for p in model.network.parameters()]
    expected = [[0.9268941, 0], [0.0731059, 1], [0.9268941, 1]]
    np.testing.assert_allclose(torch.cat(after), expected, rtol=1e-6)


def test_zero_tables_lose_the_logarithm_of_2(interactions):
    train = interactions(TRIANGLE)
    model = built(train, l2=0.1)
    set_first(model, np.zeros((6, 64)))
    assert model.loss(*some_samples(1, train)).item() == pytest.approx(np.log(2))


@pytest.mark.parametrize("n_layers", [0, 1, 2, 3, 6])
def test_separate_components_exchange_nothing(interactions, n_layers):
    train = interactions(np.kron(np.eye(2), np.ones((3, 2))))
    model = built(train, n_factors=3, n_layers=n_layers)
    before = torch.cat(model.vectors())
    with torch.no_grad():
        model.network.users.weight[3:] += 10
        model.network.items.weight[2:] += 10
    moved = (torch.cat(model.vectors()) - before).abs().sum(1) > 0
    assert moved.nonzero().ravel().tolist() == [3, 4, 5, 6 + 2, 6 + 3]


@given(seed=seeds, n_layers=st.integers(0, 4))
def test_the_gradient_is_the_mean_of_the_propagated_gradients(interactions, seed, n_layers):
    train = interactions(random_rows(seed))
    model = built(train, n_factors=3, n_layers=n_layers, l2=0.0)
    users, preferred, others = some_samples(seed, train)
    final = torch.cat(model.network()).detach().requires_grad_()
    lost = -torch.nn.functional.logsigmoid(
        (final[users] * (final[7 + preferred] - final[7 + others])).sum(1)
    ).mean()
    (propagated,) = torch.autograd.grad(lost, final)
    matrix = torch.from_numpy(adjacency(train).astype(np.float32))
    expected = torch.zeros_like(propagated)
    for _ in range(n_layers + 1):
        expected += propagated / (n_layers + 1)
        propagated = matrix @ propagated
    model.loss(users, preferred, others).backward()
    found = torch.cat([parameter.grad for parameter in model.network.parameters()])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_nodes_without_interactions_keep_a_share_of_their_first_factors(interactions):
    train = interactions([[1, 0], [0, 0]])
    model = built(train, n_factors=2, n_layers=3)
    users, items = model.vectors()
    torch.testing.assert_close(users[1], first(model)[1] / 4)
    torch.testing.assert_close(items[1], first(model)[3] / 4)


def test_the_penalty_is_of_the_first_factors_of_the_samples_alone(interactions):
    train = interactions(TRIANGLE)
    samples = [torch.tensor([0, 1]), torch.tensor([0, 1]), torch.tensor([2, 2])]
    losses = []
    for l2 in (0.0, 0.5):
        model = built(train, l2=l2)
        losses.append(model.loss(*samples))
    rows = first(model)[[0, 1, 3, 4, 5, 5]]
    torch.testing.assert_close(losses[1] - losses[0], 0.5 / 2 * rows.square().sum() / 2)


def test_every_interaction_is_a_sample_once_an_epoch_with_an_unseen_item(interactions):
    rows = random_rows(3, (20, 9))
    rows[5] = True  # there is nothing to draw
    train = interactions(rows)
    batches = list(LightGCN(batch_size=10).batches(train, np.random.default_rng(1)))
    users, preferred, others = map(np.concatenate, zip(*batches, strict=True))
    rows[5] = False
    assert sorted(zip(users, preferred, strict=True)) == sorted(zip(*rows.nonzero(), strict=True))
    assert not rows[users, others].any()


def test_samples_by_users_draw_every_user_equally_often(interactions):
    rows = np.zeros((4, 400), bool)
    rows[0, :300], rows[1, 300:320], rows[3] = True, True, True
    train = interactions(rows)
    model = LightGCN(sampling="users", batch_size=50)
    batches = list(model.batches(train, np.random.default_rng(1)))
    users, preferred, others = map(np.concatenate, zip(*batches, strict=True))
    assert len(users) == len(train)
    assert rows[users, preferred].all()
    assert not rows[users, others].any()
    shares = np.bincount(users, minlength=4) / len(users)
    np.testing.assert_allclose(shares, [0.5, 0.5, 0, 0], atol=0.06)
    of_second = np.bincount(preferred[users == 1] - 300, minlength=20)
    assert of_second.min() > 0


@pytest.mark.parametrize("sampling", ["interactions", "users"])
@pytest.mark.parametrize("rows", [[[1]], [[1, 1]], [[0, 0], [0, 0]], [[1], [0]]])
def test_where_nothing_can_be_drawn_the_scores_are_finite(interactions, sampling, rows):
    train = interactions(rows)
    model = LightGCN(epochs=2, sampling=sampling).fit(train, np.random.default_rng(1))
    users = np.arange(train.n_users, dtype=np.int32)
    assert np.isfinite(model.score(users, train.matrix)).all()


def test_training_lowers_the_loss(interactions):
    train = interactions(np.kron(np.eye(2), random_rows(4, (20, 15))))
    losses = []
    LightGCN(epochs=8, batch_size=50, learning_rate=0.02).fit(
        train, np.random.default_rng(1), on_epoch=lambda stats: losses.append(stats.values["loss"])
    )
    assert losses[-1] < 0.6 * losses[0]
