"""MCRec, and the paths that it looks at."""

from itertools import product
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.compute import memory  # noqa: E402
from recrepro.compute.checkpoint import Checkpoint  # noqa: E402
from recrepro.errors import ModelError  # noqa: E402
from recrepro.features import Features, FeatureSet  # noqa: E402
from recrepro.neural._metapaths import METAPATHS, MetapathFinder, bytes_held  # noqa: E402
from recrepro.neural.mcrec import MCRec  # noqa: E402

RNG = np.random.default_rng(3)
SEEN, HAD = RNG.random((13, 11)) < 0.4, RNG.random((11, 5)) < 0.4
SMALL = {
    "n_factors": 8,
    "width": 16,
    "n_layers": 2,
    "node_factors": 6,
    "threshold": 0.0,
    "pretraining_epochs": 3,
    "n_negatives": 2,
    "batch_size": 16,
    "epochs": 3,
}


@pytest.fixture
def train(interactions):
    return interactions(SEEN)


def made(**hyperparameters):
    matrix = csr_array(HAD.astype(np.float32))
    genres = FeatureSet("item", "genres", np.arange(11), matrix, np.arange(5).astype(str))
    return MCRec(**{**SMALL, **hyperparameters}).with_features(Features((genres,)))


def fit(train, **hyperparameters):
    return made(**hyperparameters).fit(train, np.random.default_rng(1))


def scores(model, train):
    return model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def some_pairs():
    """Return each pair of the first users and items, and paths between, with gaps."""
    users, items = (torch.from_numpy(part.ravel()) for part in np.indices((4, 5)))
    rng = np.random.default_rng(7)
    between = rng.integers(0, 5, size=(20, 4, 5, 2)).astype(np.int16)
    between[rng.random(between.shape[:3]) < 0.3] = -1
    return users, items, torch.from_numpy(between)


def weights(layer):
    return layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()


def dense(layer, *parts):
    weight, bias = weights(layer)
    return np.maximum(np.concatenate(parts) @ weight.T + bias, 0)


def softmax(values):
    powers = np.exp(values)
    return powers / powers.sum()


def by_definition(network, user, item, between):
    """Return the logit of a pair, node by node and layer by layer."""
    nodes = {kind: network.get_buffer(f"nodes_{kind}").double().numpy() for kind in "umt"}
    filters = network.filters.detach().double().numpy()
    contexts = []
    for path, (kinds, instances) in enumerate(zip(METAPATHS, between, strict=True)):
        pooled = []
        for first, second in instances:
            total = network.filter_bias[path].detach().double().numpy().copy()
            if first >= 0:
                for place, node in enumerate((user, first, second, item)):
                    total += nodes[kinds[place]][node] @ filters[path, place]
            pooled.append(np.maximum(total, 0))
        contexts.append(np.max(pooled, axis=0))
    x = network.users.weight[user].detach().double().numpy()
    y = network.items.weight[item].detach().double().numpy()
    hidden = [dense(network.path_attention, x, y, context) for context in contexts]
    attention = softmax(np.array([dense(network.path_weight, part)[0] for part in hidden]))
    context = attention @ np.array(contexts)
    gates = [
        dense(network.user_attention, x, context),
        dense(network.item_attention, y, context),
    ]
    if network.co_attention == "softmax":
        gates = [softmax(gate) for gate in gates]
    top = np.concatenate([x * gates[0], context, y * gates[1]])
    for layer in network.tower:
        top = dense(layer, top)
    weight, bias = weights(network.output)
    return (weight @ top + bias)[0]


@pytest.fixture(params=["relu", "softmax"])
def network(request, train):
    return fit(train, co_attention=request.param, epochs=1).network


def cosine(a, b):
    a, b = a.astype(float), b.astype(float)
    return float(a @ b / sqrt((a @ a) * (b @ b)))


def linked(rows, n_neighbors):
    """Return who is linked with whom, and how similar they are, by definition."""
    n = len(rows)
    close = np.zeros((n, n))
    for a, b in product(range(n), repeat=2):
        if a != b and rows[a].any() and rows[b].any():
            close[a, b] = (rows[a] & rows[b]).sum() / sqrt(rows[a].sum() * rows[b].sum())
    links = np.zeros((n, n), bool)
    for a in range(n):
        for b in sorted(range(n), key=lambda other: -close[a, other])[:n_neighbors]:
            links[a, b] |= close[a, b] > 0
    return links | links.T, close


def all_paths(seen, had, user_vectors, item_vectors, limits, user, item):
    """Return the best instances of each meta-path between a user and an item, by definition."""
    n_neighbors, n_hops, n_instances, threshold = limits
    user_links, user_close = linked(seen, n_neighbors)
    item_links, item_close = linked(seen.T, n_neighbors)
    near = lambda u, m: cosine(user_vectors[u], item_vectors[m])  # noqa: E731
    mine = sorted(np.flatnonzero(seen[user]), key=lambda m: -near(user, m))[:n_hops]
    its = sorted(np.flatnonzero(seen[:, item]), key=lambda u: -near(u, item))[:n_hops]
    mine, its = [m for m in mine if m != item], [u for u in its if u != user]
    found = {name: [] for name in METAPATHS}  # how close, ties, nodes between
    for m in mine:
        for t in np.flatnonzero(had[m] & had[item]):
            found["umtm"].append((-near(user, m), mine.index(m), t, (m, t)))
        for s in np.flatnonzero(item_links[m] & item_links[item]):
            found["ummm"].append((-near(user, m), mine.index(m), -item_close[item, s], s, (m, s)))
        for v in its:
            if seen[v, m]:
                mean = (near(user, m) + near(v, m) + near(v, item)) / 3
                found["umum"].append((-mean, mine.index(m), its.index(v), (m, v)))
    for v in its:
        for w in np.flatnonzero(user_links[v] & user_links[user]):
            found["uuum"].append((-near(v, item), its.index(v), -user_close[user, w], w, (w, v)))
    best = [sorted(path for path in found[name] if -path[0] > threshold) for name in METAPATHS]
    return [[tuple(map(int, path[-1])) for path in some[:n_instances]] for some in best]


@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(2, 9), st.integers(2, 9), st.integers(1, 4)),
    share=st.sampled_from([0.2, 0.5, 0.9]),
    limits=st.tuples(
        st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.sampled_from([-1.0, 0.0, 0.5])
    ),
)
def test_paths_are_those_of_the_definition(interactions, seed, shape, share, limits):
    rng = np.random.default_rng(seed)
    n_users, n_items, n_features = shape
    seen, had = rng.random((n_users, n_items)) < share, rng.random((n_items, n_features)) < 0.5
    vectors = [rng.standard_normal((n, 3)).astype(np.float32) for n in (n_users, n_items)]
    finder = MetapathFinder(interactions(seen), csr_array(had.astype(np.float32)), *limits)
    finder.measure(*vectors)
    users, items = (part.ravel().astype(np.int32) for part in np.indices(seen.shape))
    paths = finder.find(users, items)
    for user, item, found in zip(users, items, paths, strict=True):
        expected = all_paths(seen, had, *vectors, limits, user, item)
        got = [[tuple(p.tolist()) for p in some if p[0] >= 0] for some in found]
        assert got == expected, (user, item)
    finder.hold()
    np.testing.assert_array_equal(finder.find(users[::-1], items[::-1]), paths[::-1])
    assert finder.held.nbytes == bytes_held(shape, limits[2])


def test_the_number_of_threads_changes_no_path(train, monkeypatch):
    rng = np.random.default_rng(5)
    vectors = [rng.standard_normal((n, 3)).astype(np.float32) for n in SEEN.shape]
    held = []
    for threads in ("1", "3"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        finder = MetapathFinder(train, csr_array(HAD.astype(np.float32)), 4, 3, 2, -1.0)
        finder.measure(*vectors)
        finder.hold()
        held.append(finder.held)
    assert (held[0] >= 0).any(axis=(0, 1, 3, 4)).all()
    np.testing.assert_array_equal(*held)


def test_logits_are_those_of_the_formulas(network):
    users, items, between = some_pairs()
    with torch.no_grad():
        logits = network(users, items, between, network.table())
    triples = zip(users.tolist(), items.tolist(), between.numpy(), strict=True)
    expected = [by_definition(network, *triple) for triple in triples]
    assert np.std(expected) > 0
    np.testing.assert_allclose(logits.numpy(), expected, rtol=1e-4, atol=1e-5)
    network.train().dropout.share = 0
    torch.testing.assert_close(network(users, items, between, network.table()), logits)


def test_sums_of_looked_up_rows_are_a_convolution_of_the_whole_path(network):
    users, items, between = some_pairs()
    between = between.abs()
    with torch.no_grad():
        got = network.metapaths(users, items, between, network.table())
        for path, kinds in enumerate(METAPATHS):
            ends = (part[:, None].expand(-1, 5) for part in (users, items))
            first, last = ends
            places = (first, *between[:, path].long().unbind(-1), last)
            vectors = [
                network.get_buffer(f"nodes_{k}")[n] for k, n in zip(kinds, places, strict=True)
            ]
            signal = torch.stack(vectors, dim=-1).flatten(0, 1)
            kernel = network.filters[path].permute(2, 1, 0)
            swept = torch.conv1d(signal, kernel, network.filter_bias[path])
            assert swept.shape[-1] == 1
            expected = swept.view(20, 5, -1).amax(dim=1).relu()
            torch.testing.assert_close(got[:, path], expected, rtol=1e-4, atol=1e-5)


def test_the_order_of_instances_does_not_matter(network):
    users, items, between = some_pairs()
    table = network.table()
    shuffled = between[:, :, [3, 0, 4, 2, 1]]
    torch.testing.assert_close(
        network(users, items, shuffled, table), network(users, items, between, table)
    )


def test_without_paths_all_pairs_have_the_context_of_the_bias(network):
    users, items, between = some_pairs()
    network.filter_bias.data.normal_()
    pooled = network.metapaths(users, items, torch.full_like(between, -1), network.table())
    expected = network.filter_bias.relu().expand(20, 4, 8)
    torch.testing.assert_close(pooled, expected)


def test_attention_spreads_one_over_the_factors(train):
    model = fit(train, co_attention="softmax", epochs=1)
    ones, context = torch.ones(6, 8), torch.randn(6, 8)
    weights = model.network.attended(model.network.user_attention, ones, context)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(6))
    metapaths = torch.ones(6, 4, 8)  # a mean of ones is one
    torch.testing.assert_close(model.network.context(ones, context, metapaths), ones)


def test_the_loss_is_cross_entropy_and_squares_of_attention_and_tower(train):
    model = fit(train, l2=0.3, epochs=1)
    users, items, between = some_pairs()
    labels = (torch.arange(20) % 3 == 0).float()
    z = model.network(users, items, between, model.network.table()).detach().double().numpy()
    y = labels.numpy()
    entropy = np.mean(-y * np.log(1 / (1 + np.exp(-z))) - (1 - y) * np.log(1 / (1 + np.exp(z))))
    names = ["path_attention", "path_weight", "user_attention", "item_attention"]
    names += ["tower.0", "tower.1"]
    state = model.network.state_dict()
    penalty = 0.3 * sum(float((state[f"{name}.weight"] ** 2).sum()) for name in names)
    assert model.loss(users, items, between, labels).item() == pytest.approx(
        entropy + penalty, rel=1e-5
    )


def test_the_learning_rate_is_divided_by_one_more_for_each_ten_thousand_steps(train):
    model = fit(train, decay=1e-4, learning_rate=0.25)
    n_batches = -(-SEEN.sum() // 16)
    assert int(model.network.steps) == 3 * n_batches
    (group,) = model.optimizers[0].param_groups
    assert group["lr"] == pytest.approx(0.25 / (1 + 1e-4 * (3 * n_batches - 1)))
    model.network.steps.fill_(10_000)
    model.optimizers[0].step()
    assert group["lr"] == pytest.approx(0.125)


def test_batches_have_all_interactions_unseen_items_and_their_paths(train):
    model = fit(train)
    batches = list(model.batches(train, np.random.default_rng(2)))
    users, items, between, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    assert [len(batch[0]) for batch in batches[:-1]] == [48] * (len(batches) - 1)
    np.testing.assert_array_equal(labels.reshape(-1, 3), [[1, 0, 0]] * SEEN.sum())
    np.testing.assert_array_equal(SEEN[users, items], labels == 1)
    assert set(zip(users[labels == 1], items[labels == 1], strict=True)) == set(
        zip(*np.nonzero(SEEN), strict=True)
    )
    np.testing.assert_array_equal(between, model.between(users, items))
    assert (between >= 0).any()
    assert (items[labels == 0] == train.n_items - 1).any()  # the last item can be drawn, too


def test_paths_found_again_for_each_batch_give_the_same_model(train):
    held, sought = fit(train), fit(train, hold_paths=False)
    np.testing.assert_array_equal(scores(held, train), scores(sought, train))


def test_paths_that_do_not_fit_are_refused_with_the_figure(train, monkeypatch):
    assert made().memory_needed(train) == 13 * 11 * 4 * 5 * 2 * 2
    assert made(hold_paths=False).memory_needed(train) == 0
    assert bytes_held((943, 1682), 5) == 943 * 1682 * 40 * 2
    assert bytes_held((40_000, 10, 3), 1) == 40_000 * 10 * 4 * 2 * 4
    monkeypatch.setattr(memory, "available_bytes", lambda: 100)
    with pytest.raises(ModelError, match=r"Set hold_paths = false"):
        fit(train)
    fit(train, hold_paths=False)


def test_nodes_have_vectors_of_two_factorisations_and_nothing_has_zeros(train, monkeypatch):
    parts = {}

    def train_before(self, name, part, known, rng):
        parts[name] = part.fit(known, rng), known

    monkeypatch.setattr(MCRec, "train_before", train_before)
    network = fit(train).network
    (nodes, known), (features, graph) = parts["nodes"], parts["features"]
    assert known is train
    np.testing.assert_array_equal(graph.matrix.toarray(), HAD)
    for kind, expected in zip("umt", [*nodes.vectors(), features.vectors()[1]], strict=True):
        table = network.get_buffer(f"nodes_{kind}")
        torch.testing.assert_close(table[:-1], expected)
        assert not table[-1].any()


def test_a_training_that_goes_on_gives_the_same(train, tmp_path):
    undisturbed, cut_off, resumed = fit(train), made(), made()
    cut_off.checkpoint = resumed.checkpoint = Checkpoint(tmp_path / "fit.npz")
    for _ in cut_off.fit_epochs(train, np.random.default_rng(1)):
        cut_off.keep(now=True)
        break
    resumed.fit(train, np.random.default_rng(1))
    np.testing.assert_array_equal(scores(resumed, train), scores(undisturbed, train))


def test_a_stored_model_scores_the_same(train, tmp_path):
    model = fit(train)
    model.save(tmp_path / "model.npz")
    loaded = made().load(tmp_path / "model.npz", train)
    np.testing.assert_array_equal(scores(loaded, train), scores(model, train))
