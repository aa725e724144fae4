import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.sparse import csr_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.evaluation.definitions import parse_metric  # noqa: E402
from recrepro.evaluation.evaluator import Evaluator  # noqa: E402
from recrepro.interactions import Interactions  # noqa: E402
from recrepro.neural._attention import SASRecNetwork  # noqa: E402
from recrepro.neural.sasrec import SASRec  # noqa: E402
from recrepro.splits.negatives import draw_negatives  # noqa: E402

LN2 = 0.69314718


def in_order(sequences, n_items):
    """Make interactions of users whose items come in the order of time."""
    users = np.repeat(np.arange(len(sequences)), [len(s) for s in sequences])
    items = np.array([i for s in sequences for i in s], np.int64)
    times = np.array([t for s in sequences for t in range(len(s))], np.int64)
    order = np.lexsort((items, users))
    return Interactions(
        users[order].astype(np.int32),
        items[order].astype(np.int32),
        np.ones(len(users), np.float32),
        times[order],
        np.arange(len(sequences)),
        np.arange(n_items),
    )


def built(train, **hyperparameters):
    """Make a model that has not learned anything."""
    torch.manual_seed(0)
    model = SASRec(**hyperparameters)
    model.network = model.build(train)
    return model


def network(seed=0, max_length=6, n_blocks=2, n_heads=1, **options):
    """Make a network that does not train, with parameters that are all away from their start."""
    torch.manual_seed(seed)
    made = SASRecNetwork(9, max_length, 8, n_blocks, n_heads, 0.5, **options)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape), alpha=0.3)
        made.items.weight[0] = 0
    return made.eval()


def states(made, *sequence):
    return made(torch.tensor([sequence]))


def first_batch(model, train, seed=0):
    return next(iter(model.batches(train, np.random.default_rng(seed))))


def loss_of(model, train, seed=0):
    return model.loss(*map(torch.from_numpy, first_batch(model, train, seed)))


def some_sequences(n_users=30, n_items=40, seed=5, longest=25):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, longest, n_users)
    return in_order([rng.permutation(n_items)[:size] for size in sizes], n_items)


def normalised(x, layer):
    x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + 1e-8).sqrt() * layer.weight + layer.bias


def as_in_the_sheet(made, sequence, max_length):
    """Compute the states of a padded sequence, step by step as the released code does."""
    sequence = torch.tensor([0] * (max_length - len(sequence)) + list(sequence))
    mask = (sequence > 0).float()[:, None]
    d = made.items.embedding_dim
    x = (made.items.weight[sequence] * d**0.5 + made.places.weight) * mask
    width = d // made.n_heads
    for block in made.blocks:
        q = normalised(x, block.norm)
        heads = []
        for h in range(made.n_heads):
            part = slice(h * width, (h + 1) * width)
            query, key, value = (
                (source @ layer.weight.T + layer.bias)[:, part]
                for source, layer in ((q, block.query), (x, block.key), (x, block.value))
            )
            logits = query @ key.T / width**0.5
            logits[:, sequence == 0] = -(2.0**32) + 1
            logits[torch.ones_like(logits).triu(1) > 0] = -(2.0**32) + 1
            heads.append(logits.softmax(-1) * mask @ value)
        y = normalised(torch.cat(heads, dim=-1) + q, block.norm_between)
        inner = (y @ block.inner.weight.T + block.inner.bias).clamp(min=0)
        x = (inner @ block.outer.weight.T + block.outer.bias + y) * mask
    return normalised(x, made.norm)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 4]), st.integers(1, 6))
def test_states_are_those_of_the_released_code(seed, n_heads, length):
    made = network(seed, n_heads=n_heads)
    sequence = np.random.default_rng(seed).integers(1, 10, length).tolist()
    expected = as_in_the_sheet(made, sequence, max_length=6)[-length:]
    torch.testing.assert_close(states(made, *sequence), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_heads", [1, 2])
def test_a_later_item_changes_no_earlier_state(n_heads):
    made = network(n_heads=n_heads)
    one, other = states(made, 3, 1, 4, 1, 5), states(made, 3, 1, 4, 9, 2)
    torch.testing.assert_close(one[:3], other[:3], rtol=0, atol=1e-6)
    assert (one[3] - other[3]).abs().max() > 1e-3


def test_more_padding_does_not_change_the_states():
    made = network()
    alone = states(made, 7, 2, 5)
    for padding in (1, 2, 3):
        padded = states(made, *[0] * padding, 7, 2, 5)
        torch.testing.assert_close(padded[-3:], alone, rtol=0, atol=1e-6)


def test_states_and_gradients_are_finite_where_everything_is_padding():
    made = network()
    found = states(made, 0, 0, 0)
    found.sum().backward()
    assert found.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in made.parameters())


@pytest.mark.parametrize("loss", ["bce", "softmax"])
def test_the_padding_stays_zero_and_gets_no_gradient(loss):
    train = some_sequences()
    model = built(train, loss=loss)
    loss_of(model, train).backward()
    gradient = model.network.items.weight.grad
    assert not gradient[0].any()
    assert gradient[1:].any()
    model = SASRec(epochs=3, loss=loss).fit(train, np.random.default_rng(1))
    assert not model.network.items.weight[0].any()


@pytest.mark.parametrize(
    ("hyperparameters", "expected"),
    [({}, 2 * LN2), ({"n_negatives": 3}, 4 * LN2), ({"loss": "softmax"}, np.log(40))],
)
def test_the_loss_of_a_table_of_zeros_is_that_of_a_coin(hyperparameters, expected):
    train = some_sequences()
    model = built(train, **hyperparameters)
    with torch.no_grad():
        model.network.items.weight.zero_()
    assert loss_of(model, train).item() == pytest.approx(expected, abs=1e-6)


def test_at_a_single_place_all_attention_goes_to_its_own_value():
    made = network(max_length=1, n_blocks=1)
    with torch.no_grad():
        x = made.items.weight[4] * 8**0.5 + made.places.weight[0]
        block = made.blocks[0]
        y = block.norm_between(block.norm(x) + block.value(x))
        expected = made.norm(block.outer(block.inner(y).relu()) + y)
        torch.testing.assert_close(states(made, 4)[0], expected)


def test_pre_norm_adds_the_input_and_normalises_keys_and_values_too():
    made = network(max_length=1, n_blocks=1, pre_norm=True)
    with torch.no_grad():
        x = made.items.weight[4] * 8**0.5 + made.places.weight[0]
        block = made.blocks[0]
        between = x + block.value(block.norm(x))
        layers = block.outer(block.inner(block.norm_between(between)).relu())
        torch.testing.assert_close(states(made, 4)[0], made.norm(between + layers))
    made = network(pre_norm=True, n_heads=2)
    whole = made(torch.tensor([[0, 0, 3, 1, 4, 1]]))
    torch.testing.assert_close(whole[2:], states(made, 3, 1, 4, 1), rtol=0, atol=1e-6)
    torch.testing.assert_close(whole[2:4], states(made, 3, 1, 9, 2)[:2], rtol=0, atol=1e-6)


def test_a_constant_scorer_lands_at_chance():
    rng = np.random.default_rng(2)
    train = in_order([rng.permutation(300)[:5] for _ in range(3000)], 300)
    held = in_order([[item] for item in rng.integers(300, size=3000)], 300)
    held = held.select(~held.in_common_with(train))
    model = built(train)
    with torch.no_grad():
        model.network.items.weight.zero_()
    negatives = draw_negatives(train, held, 100, rng)
    found = Evaluator([parse_metric("hit_rate@10")], tie_seed=1).evaluate(
        model, train, train, held, negatives
    )
    assert found.means["hit_rate@10"] == pytest.approx(10 / 101, abs=0.02)


@pytest.mark.parametrize(
    "hyperparameters",
    [{}, {"n_heads": 2, "loss": "softmax"}, {"n_negatives": 4, "pre_norm": True}],
)
def test_a_cycle_of_items_is_learned(hyperparameters):
    rng = np.random.default_rng(0)
    starts, sizes = rng.integers(10, size=100), rng.integers(3, 9, 100)
    cycles = [(start + np.arange(n)) % 10 for start, n in zip(starts, sizes, strict=True)]
    train = in_order(cycles, 10)
    small = {"n_factors": 16, "max_length": 10, "batch_size": 50, "learning_rate": 0.01}
    model = SASRec(epochs=60, dropout=0.1, **small, **hyperparameters)
    model.fit(train, np.random.default_rng(1))
    scores = model.score(np.arange(100, dtype=np.int32), train.matrix)
    scores[train.matrix.toarray() > 0] = -np.inf
    assert (scores.argmax(axis=1) == (starts + sizes) % 10).mean() > 0.99


@pytest.mark.parametrize("loss", ["bce", "softmax"])
def test_padding_and_blocks_change_neither_loss_nor_gradients(loss):
    train = some_sequences()
    model = built(train, dropout=0.0, max_length=30, n_negatives=2, loss=loss)
    blocks = first_batch(model, train)
    width = 28
    whole = np.concatenate(
        [np.pad(block, ((0, 0), (width - block.shape[1], 0), (0, 0))) for block in blocks]
    )
    halves = [half[:, half[..., 0].any(axis=0)] for half in np.array_split(whole, 5)]
    found = []
    for parts in ([whole], halves):
        model.network.zero_grad()
        loss = model.loss(*map(torch.from_numpy, parts))
        loss.backward()
        found.append((loss, *(p.grad.clone() for p in model.network.parameters())))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_state_after_the_last_item_needs_no_others():
    train = some_sequences(n_users=50)
    model = built(train, max_length=12, n_blocks=3, n_heads=2)
    model.network.eval()
    scores = model.score(np.arange(50, dtype=np.int32), train.matrix)
    table = model.network.items.weight[1:]
    for user in np.flatnonzero(train.user_counts):
        sequence = model._sequences.last(np.array([user]), 12)
        expected = table @ model.network(torch.from_numpy(sequence))[-1]
        np.testing.assert_allclose(scores[user], expected.detach(), rtol=1e-4, atol=1e-6)


def test_a_sample_is_an_item_its_successor_and_items_that_the_user_does_not_have():
    sequences = [[3, 0, 5, 1], [2, 4], [6, 5, 4, 3, 2, 1]]
    train = in_order(sequences, 8)
    model = built(train, max_length=3, n_negatives=50, batch_size=60)
    windows = {((4, 1, 6), (1, 6, 2)), ((3,), (5,)), ((5, 4, 3), (4, 3, 2))}
    found = set()
    for block in first_batch(model, train):
        for rows in block:
            real = rows[rows[:, 0] > 0]
            assert not rows[: len(rows) - len(real)].any()
            found.add((tuple(real[:, 0].tolist()), tuple(real[:, 1].tolist())))
            own = next(s for s in sequences if set(real[:, :2].ravel() - 1) <= set(s))
            assert set(real[:, 2:].ravel() - 1) == set(range(8)) - set(own)
    assert found == windows


def test_an_epoch_draws_users_with_two_items_or_more_in_whole_batches():
    train = in_order([[0, 1], [2], [], [1, 2, 0], [0, 1, 2, 3], [3, 1], [1, 3]], 4)
    model = built(train, batch_size=2)
    batches = list(model.batches(train, np.random.default_rng(0)))
    assert len(batches) == 6 // 2
    sizes = [sum(len(block) for block in batch) for batch in batches]
    assert sizes == [2, 2, 2]
    few = built(train, batch_size=100)
    (batch,) = few.batches(train, np.random.default_rng(0))
    lasts = np.concatenate([block[:, -1, 1] for block in batch])
    assert len(lasts) == 100
    counts = np.bincount(lasts, minlength=5)  # last items are 2, 1, 4 (left out), 2, 4
    np.testing.assert_array_equal(np.flatnonzero(counts), [1, 2, 4])
    assert counts.min(initial=100, where=counts > 0) > 10


def test_users_with_every_item_are_left_out_where_unseen_ones_are_drawn():
    train = in_order([[0, 1, 2], [2, 1, 0]], 3)
    assert list(built(train).batches(train, np.random.default_rng(0))) == []
    assert len(list(built(train, loss="softmax").batches(train, np.random.default_rng(0)))) == 1
    model = SASRec(epochs=2).fit(train, np.random.default_rng(0))
    assert np.isfinite(model.score(np.arange(2, dtype=np.int32), train.matrix)).all()


def test_users_without_items_get_zeros_and_those_with_one_do_not():
    train = in_order([[0, 1, 2], [], [3]], 5)
    model = SASRec(epochs=2).fit(train, np.random.default_rng(0))
    scores = model.score(np.arange(3, dtype=np.int32), train.matrix)
    assert not scores[1].any()
    assert scores[0].any()
    assert scores[2].any()


def test_the_latest_items_decide():
    sequences = [[0, 1, 2, 3, 4, 5], [5, 0, 1, 2, 3, 4]]
    scores = [
        built(train := in_order([s], 6), max_length=n).score(np.array([0], np.int32), train.matrix)
        for n in (2, 6)
        for s in (sequences[0], [1, 0, *sequences[0][2:]], sequences[1])
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    for one, other in ((0, 2), (3, 4), (3, 5)):
        assert np.abs(scores[one] - scores[other]).max() > 1e-3


def test_tables_and_weights_start_glorot_uniform_and_biases_from_zero():
    made = built(some_sequences(), max_length=20).network
    parameters = dict(made.named_parameters())
    for name, value in parameters.items():
        if name.endswith("bias"):
            assert not value.any(), name
        elif value.dim() == 2:
            end = (6 / sum(value.shape)) ** 0.5
            assert value.abs().max() < end, name
            assert value[1:].std().item() == pytest.approx(end / 3**0.5, rel=0.1), name
    assert sum("norm" in name for name in parameters) == 2 * 5
    n_items, length, d = 40, 20, 50
    expected = (n_items + 1 + length) * d + 2 * (5 * d * (d + 1) + 4 * d) + 2 * d
    assert sum(p.numel() for p in parameters.values()) == expected


def test_dropout_is_drawn_in_training_only():
    train = some_sequences()
    model = built(train)
    model.network.train()
    assert loss_of(model, train).item() != loss_of(model, train).item()
    model.network.eval()
    assert loss_of(model, train).item() == loss_of(model, train).item()


def test_the_penalty_is_half_the_squares_of_both_tables():
    train = some_sequences()
    plain, penalised = (built(train, dropout=0.0, l2=l2) for l2 in (0.0, 0.1))
    made = penalised.network
    squares = made.items.weight.square().sum() + made.places.weight.square().sum()
    difference = loss_of(penalised, train) - loss_of(plain, train)
    assert difference.item() == pytest.approx(0.05 * squares.item(), rel=1e-4)


def test_adam_has_the_second_momentum_of_the_paper():
    train = some_sequences()
    (adam,) = built(train).make_optimizers()
    assert adam.defaults["betas"] == (0.9, 0.98)
    (other,) = built(train, optimizer="sgd").make_optimizers()
    assert isinstance(other, torch.optim.SGD)


def test_heads_have_to_share_the_factors():
    with pytest.raises(ValidationError, match="n_factors = 50 cannot be shared by n_heads = 3"):
        SASRec(n_heads=3)
    assert SASRec(n_factors=51, n_heads=3).config.n_heads == 3


def test_an_unseen_user_is_scored_as_one_who_was_fitted_with_these_items():
    sequences = [[0, 1, 2, 3], [3, 1], [2, 0, 4]]
    model = built(in_order(sequences, 5), max_length=3)
    model.network.eval()
    users = np.arange(3, dtype=np.int32)
    expected = model.score(users, csr_array((3, 5), dtype=np.float32))
    later = in_order([[1], *sequences[::-1]], 5)
    model.set_histories(later)
    found = model.score(np.array([3, 2, 1], np.int32), later.matrix[[3, 2, 1]])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    model.set_histories(in_order([[1, *s] for s in sequences], 5))  # an item before the others
    assert not np.allclose(model.score(users, later.matrix[users])[1], expected[1])
