import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="neural models need torch")

from torch import nn  # noqa: E402
from torch.nn.functional import softplus  # noqa: E402

from recrepro.interactions import Interactions  # noqa: E402
from recrepro.neural import _memory  # noqa: E402
from recrepro.neural._memory import Neighbours, read  # noqa: E402
from recrepro.neural._optimizers import TensorFlowRMSprop  # noqa: E402
from recrepro.neural._pairwise_gmf import PairwiseGMF  # noqa: E402
from recrepro.neural.cmn import CMN  # noqa: E402

seeds = st.integers(0, 2**32 - 1)
N_USERS, N_ITEMS = 9, 7


def some(seed=0) -> Interactions:
    """Make interactions: item 0 has no users, item 1 has one, user 0 has no items."""
    rng = np.random.default_rng(seed)
    matrix = rng.random((N_USERS, N_ITEMS)) < 0.4
    matrix[0], matrix[:, :2], matrix[4, 1] = False, False, True
    users, items = np.nonzero(matrix)
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.ones(len(users), np.float32),
        None,
        np.arange(N_USERS),
        np.arange(N_ITEMS),
    )


def built(train, **hyperparameters) -> CMN:
    """Make a model whose parameters are not small, so that all of them matter."""
    model = CMN(**{"n_factors": 4, "pretraining_epochs": 0, **hyperparameters})
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        model.network = model.build(train)
        with torch.no_grad():
            for parameter in model.network.parameters():
                parameter.normal_(0, 0.5)
    return model


def scores_of(model, train) -> np.ndarray:
    return model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def tables(model):
    network = model.network
    return [t.weight.data.numpy() for t in (network.memories, network.outputs, network.items)]


def score_by_hand(model, train, user, item) -> float:
    """Compute one score from the equations."""
    network = model.network
    m, c, e = tables(model)
    neighbours = list(train.users[train.items == item])
    if not model.config.includes_user:
        neighbours = [v for v in neighbours if v != user]
    if not neighbours and model.config.without_users == "user":
        neighbours = [user]

    def read_by(query):
        if not neighbours:
            return np.zeros(len(query))
        matches = m[neighbours] @ query
        attention = np.exp(matches - matches.max())
        return attention / attention.sum() @ c[neighbours]

    query = m[user] + e[item]
    found = read_by(query)
    for hop in network.hops:
        weights, bias = (p.data.numpy() for p in (hop.weight, hop.bias))
        query = np.maximum(weights @ query + bias + found, 0)
        found = read_by(query)
    weights, bias = (p.data.numpy() for p in (network.hidden.weight, network.hidden.bias))
    hidden = np.maximum(weights @ np.concatenate([m[user] * e[item], found]) + bias, 0)
    return float((network.output.weight.data.numpy() @ hidden)[0])


def hood(rng, n_pairs=6, n_users=5) -> Neighbours:
    """Make neighbourhoods: some are empty, of some a user is passed over."""
    sizes = rng.integers(0, 5, n_pairs)
    ends = np.cumsum(sizes)
    parts = ends - sizes, ends, rng.integers(n_users, size=ends[-1])
    passed = np.where(rng.random(n_pairs) < 0.5, -1, rng.integers(n_users, size=n_pairs))
    return Neighbours(*map(torch.from_numpy, (*parts, passed)))


def vectors(rng, n, width):
    return torch.from_numpy(rng.standard_normal((n, width), np.float32)).requires_grad_()


def in_rows(rows, values, n):
    """Make a sparse gradient of a table of n rows."""
    shape = n, values.shape[1]
    return torch.sparse_coo_tensor(torch.tensor([rows]), values, shape, check_invariants=True)


@given(seeds, st.integers(1, 20))
def test_what_is_read_and_its_gradients_are_those_of_torch(seed, width):
    rng = np.random.default_rng(seed)
    neighbours = hood(rng)
    inputs = vectors(rng, 6, width), vectors(rng, 5, width), vectors(rng, 5, width)
    slopes = vectors(rng, 6, width).detach()
    found = []
    for reader in (read, _memory._read_in_blocks):
        out = reader(*inputs, neighbours)
        found.append([out, *torch.autograd.grad((out * slopes).sum(), inputs)])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)
    assert torch.isfinite(torch.cat(found[0])).all()


@given(seeds, st.integers(1, 6))
def test_blocks_of_a_gpu_change_nothing(seed, at_once):
    rng = np.random.default_rng(seed)
    neighbours = hood(rng)
    inputs = [vectors(rng, n, 3).detach() for n in (6, 5, 5)]
    whole = _memory._read_by_torch(*inputs, neighbours)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_memory, "_NEIGHBOURS_AT_ONCE", at_once)
        torch.testing.assert_close(_memory._read_in_blocks(*inputs, neighbours), whole)


def test_what_is_read_has_the_same_bits_for_every_number_of_threads(monkeypatch):
    monkeypatch.setattr(_memory, "_NUMBERS_A_THREAD", 1)
    rng = np.random.default_rng(0)
    neighbours = hood(rng, 500, 60)
    inputs = vectors(rng, 500, 40), vectors(rng, 60, 40), vectors(rng, 60, 40)
    slopes = vectors(rng, 500, 40).detach()
    found = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        out = read(*inputs, neighbours)
        found.append([out, *torch.autograd.grad((out * slopes).sum(), inputs)])
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))


def test_equal_memories_get_equal_attention():
    rng = np.random.default_rng(0)
    neighbours = hood(rng)._replace(passed=torch.full((6,), -1))
    outputs = vectors(rng, 5, 3).detach()
    found = read(vectors(rng, 6, 3).detach(), torch.full((5, 3), 0.7), outputs, neighbours)
    for row, begin, end in zip(found, neighbours.begins, neighbours.ends, strict=True):
        if end > begin:
            mean = outputs[neighbours.listed[begin:end]].mean(dim=0)
            torch.testing.assert_close(row, mean)


def test_the_output_of_an_only_neighbour_is_read_whatever_the_query():
    outputs = torch.tensor([[3.0, -2.0], [5.0, 7.0]])
    only = Neighbours(*map(torch.tensor, ([0, 0], [1, 1], [1], [-1, -1])))
    found = read(torch.tensor([[9.0, 1.0], [-4.0, 0.0]]), torch.ones(2, 2), outputs, only)
    torch.testing.assert_close(found, outputs[[1, 1]])


def test_large_matches_do_not_overflow():
    memories = torch.tensor([[100.0], [-100.0], [99.0]])
    everyone = Neighbours(*map(torch.tensor, ([0], [3], [0, 1, 2], [-1])))
    found = read(torch.tensor([[50.0]]), memories, torch.eye(3)[:, :1], everyone)
    torch.testing.assert_close(found, torch.ones(1, 1))


@pytest.mark.parametrize("n_hops", [1, 2, 4])
@pytest.mark.parametrize("includes_user", [True, False])
@pytest.mark.parametrize("without_users", ["nothing", "user"])
def test_scores_are_those_of_the_equations(n_hops, includes_user, without_users):
    train = some()
    model = built(train, n_hops=n_hops, includes_user=includes_user, without_users=without_users)
    pairs = itertools.product(range(N_USERS), range(N_ITEMS))
    expected = [score_by_hand(model, train, *pair) for pair in pairs]
    np.testing.assert_allclose(scores_of(model, train).ravel(), expected, rtol=1e-4, atol=1e-5)


def test_a_user_has_no_part_in_scores_of_items_that_he_has_not_nor_of_other_users():
    train = some()
    model = built(train)
    before = scores_of(model, train)
    with torch.no_grad():
        model.network.memories.weight[4] += 1
        model.network.outputs.weight[4] -= 2
    changed = scores_of(model, train) != before
    others = np.arange(N_USERS) != 4
    is_his = train.matrix[[4]].toarray()[0] > 0
    assert not changed[np.ix_(others, ~is_his)].any()
    assert changed[np.ix_(others, is_his)].any()


def test_with_one_hop_there_is_no_map():
    assert len(built(some(), n_hops=1).network.hops) == 0
    assert len(built(some(), n_hops=3).network.hops) == 2


@pytest.mark.parametrize("includes_user", [True, False])
@pytest.mark.parametrize("without_users", ["nothing", "user"])
@pytest.mark.parametrize("optimizer", ["rmsprop-tf", "adam"])
def test_the_loss_of_a_batch_is_that_of_its_scores(includes_user, without_users, optimizer):
    train = some(2)
    options = {"includes_user": includes_user, "without_users": without_users}
    model = built(train, batch_size=8, n_negatives=2, optimizer=optimizer, **options)
    scores = torch.from_numpy(scores_of(model, train))
    squares = sum(float((weights.detach() ** 2).sum()) for weights in model.network.weights)
    seen = []
    groups = PairwiseGMF(batch_size=8, n_negatives=2).batches(train, np.random.default_rng(5))
    batches = model.batches(train, np.random.default_rng(5))
    for (users, items), batch in zip(groups, batches, strict=True):
        assert len(users) <= 4
        differences = scores[users[:, None], items[:, 1:]] - scores[users[:, None], items[:, :1]]
        expected = softplus(differences).mean() + 0.1 * squares / 2
        loss = model.loss(*map(torch.from_numpy, batch))
        torch.testing.assert_close(loss.detach(), expected, rtol=1e-4, atol=1e-5)
        loss.backward()
        for table in (model.network.memories, model.network.items):
            assert table.weight.grad.is_sparse == (optimizer == "rmsprop-tf")
        seen += zip(users.tolist(), items[:, 0].tolist(), strict=True)
    assert sorted(seen) == sorted(zip(train.users, train.items, strict=True))


@given(seeds)
def test_unseen_items_are_such_as_others_have(seed):
    train = some(seed)
    matrix = train.matrix.toarray()
    for users, items in PairwiseGMF(n_negatives=3).batches(train, np.random.default_rng(seed)):
        assert matrix[users, items[:, 0]].all()
        assert not matrix[users[:, None], items[:, 1:]].any()
        assert train.item_counts[items].all()


def test_users_with_every_item_that_anyone_has_are_left_out():
    matrix = np.array([[1, 1, 0], [1, 0, 0]], np.float32)
    users, items = np.nonzero(matrix)
    ones = np.ones(3, np.float32)
    train = Interactions(
        users.astype(np.int32), items.astype(np.int32), ones, None, np.arange(2), np.arange(3)
    )
    ((users, items),) = PairwiseGMF(n_negatives=2).batches(train, np.random.default_rng(0))
    assert users.tolist() == [1]
    assert items.tolist() == [[0, 1, 1]]


def test_tables_and_biases_are_not_penalised():
    train = some()
    models = [built(train, l2=l2) for l2 in (0.0, 1.0)]
    (batch,) = models[0].batches(train, np.random.default_rng(0))
    batch = [torch.from_numpy(part) for part in batch]

    def penalty():
        without, penalised = (float(model.loss(*batch).detach()) for model in models)
        return penalised - without

    before = penalty()
    weights = models[0].network.weights
    assert [tuple(w.shape) for w in weights] == [(4, 4), (4, 4), (4, 8), (1, 4)]
    assert before == pytest.approx(sum(float(w.detach().square().sum()) for w in weights) / 2)
    for model in models:
        network = model.network
        with torch.no_grad():
            for part in (network.memories, network.outputs, network.items):
                part.weight.mul_(3)
            for layer in (*network.hops, network.hidden):
                layer.bias.add_(1)
    assert penalty() == pytest.approx(before, rel=1e-5)


def test_parameters_start_where_the_code_starts_them():
    model = CMN(n_factors=200)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = model.build(some())
    for table in (network.memories, network.outputs, network.items):
        assert table.weight.abs().max() <= 0.02
        assert float(table.weight.detach().std()) == pytest.approx(0.0088, rel=0.1)
    for layer, bias in [*((hop, 1) for hop in network.hops), (network.hidden, 0)]:
        n_in = layer.in_features
        assert float(layer.weight.detach().var()) == pytest.approx(2 / n_in, rel=0.1)
        assert (layer.bias == bias).all()
    assert network.output.bias is None
    assert network.output.weight.abs().max() <= (6 / 201) ** 0.5


def test_the_network_starts_from_half_of_the_factorisation():
    train = some()
    shared = {"n_factors": 5, "batch_size": 8}
    model = CMN(**shared, pretraining_epochs=3, pretraining_l2=0.5)
    model.network = model.build(train)
    outputs = model.network.outputs.weight.detach().clone()
    model.prepare(train, np.random.default_rng(7))
    part = PairwiseGMF(**shared, epochs=3, l2=0.5, clip_norm=5.0)
    part.fit(train, np.random.default_rng(7))
    torch.testing.assert_close(model.network.memories.weight, part.network.users.weight / 2)
    torch.testing.assert_close(model.network.items.weight, part.network.items.weight / 2)
    assert torch.equal(model.network.outputs.weight, outputs)


def test_without_pre_training_the_start_is_random():
    train = some()
    model = CMN(pretraining_epochs=0)
    model.network = model.build(train)
    before = [p.detach().clone() for p in model.network.parameters()]
    model.prepare(train, np.random.default_rng(7))
    assert all(map(torch.equal, before, model.network.parameters()))


@pytest.mark.parametrize("relu", [True, False])
def test_a_factorisation_with_relu_learns_nothing_from_two_scores_below_0(relu):
    train = some()
    model = PairwiseGMF(n_factors=3, relu=relu, l2=0.0)
    model.network = model.build(train)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.copy_(parameter.abs())
        model.network.output.weight.neg_()
    loss = model.loss(torch.tensor([1, 2]), torch.tensor([[3, 4, 5], [5, 2, 3]]))
    loss.backward()
    learned = bool(model.network.users.weight.grad.any())
    assert learned != relu
    if relu:
        assert float(loss.detach()) == pytest.approx(np.log(2), rel=1e-6)


def test_the_factorisation_scores_pairs():
    train = some()
    model = PairwiseGMF(n_factors=3, epochs=2).fit(train, np.random.default_rng(0))
    network = model.network
    p, q, w = (t.weight.data.numpy() for t in (network.users, network.items, network.output))
    expected = np.maximum((p * w) @ q.T, 0)
    np.testing.assert_allclose(scores_of(model, train), expected, rtol=1e-4, atol=1e-9)


def test_each_gradient_is_cut_by_itself():
    model = CMN(clip_norm=0.5)
    small, large, table = (nn.Parameter(torch.zeros(3, 2)) for _ in range(3))
    small.grad, large.grad = torch.full((3, 2), 0.1), torch.full((3, 2), 7.0)
    table.grad = in_rows([2, 0, 2], torch.full((3, 2), 4.0), 3)
    whole = table.grad.to_dense()
    assert float(whole.norm()) > 0.5
    model.clip([small, large, table, nn.Parameter(torch.zeros(1))])
    torch.testing.assert_close(small.grad, torch.full((3, 2), 0.1))
    assert float(large.grad.norm()) == pytest.approx(0.5)
    torch.testing.assert_close(table.grad.to_dense(), whole * 0.5 / whole.norm())


@given(seeds, st.floats(0, 0.9))
def test_rmsprop_changes_the_rows_of_a_sparse_gradient_and_no_others(seed, momentum):
    rng = np.random.default_rng(seed)
    start = torch.from_numpy(rng.standard_normal((6, 3), np.float32))
    dense, sparse = (nn.Parameter(start.clone()) for _ in range(2))
    optimizers = [TensorFlowRMSprop([p], lr=0.1, momentum=momentum) for p in (dense, sparse)]
    for _ in range(3):
        values = torch.from_numpy(rng.standard_normal((3, 3), np.float32))
        sparse.grad = in_rows([4, 1, 4], values, 6)
        dense.grad = sparse.grad.to_dense()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(sparse.detach(), dense.detach(), rtol=1e-4, atol=1e-5)
    left = [0, 2, 3, 5]
    memory = optimizers[1].state[sparse]
    assert torch.equal(sparse[left], start[left])
    assert (memory["square"][left] == 1).all()
    assert (memory["square"][[1, 4]] != 1).all()
    assert not memory["move"][left].any()


def test_the_default_optimiser_has_momentum():
    model = built(some())
    (optimizer,) = model.make_optimizers()
    assert isinstance(optimizer, TensorFlowRMSprop)
    (group,) = optimizer.param_groups
    assert (group["decay"], group["momentum"], group["lr"]) == (0.9, 0.9, 1e-3)
    (other,) = built(some(), optimizer="adam").make_optimizers()
    assert isinstance(other, torch.optim.Adam)


def test_candidates_are_scored_as_among_all_items():
    train = some()
    model = built(train)
    users = np.array([3, 0, 8], np.int32)
    asked = train.matrix[[1, 5, 6]].astype(bool)
    found = model.score_candidates(users, train.matrix[users], asked)
    whole = model.score(users, train.matrix[users])
    chosen = asked.toarray()
    np.testing.assert_allclose(found[chosen], whole[chosen], rtol=1e-5)


def test_learning_ranks_seen_items_first():
    train = some(4)
    model = CMN(n_factors=8, epochs=60, batch_size=16, learning_rate=1e-2, l2=1e-3, n_hops=2)
    scores = scores_of(model.fit(train, np.random.default_rng(0)), train)
    seen = train.matrix.toarray() > 0
    means = [(scores[u][seen[u]].mean(), scores[u][~seen[u]].mean()) for u in set(train.users)]
    assert np.mean([liked > other for liked, other in means]) > 0.85
