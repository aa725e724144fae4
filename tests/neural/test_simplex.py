"""SimpleX and MF-CCL."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.interactions import Interactions  # noqa: E402
from recrepro.neural.simplex import Histories, SimpleX  # noqa: E402

MF_CCL = {"user_share": 1.0, "dropout": 0.0, "l2": 0.0}
ROWS = [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
seeds = st.integers(0, 2**32 - 1)


def built(train, **hyperparameters):
    """Return a model with its first parameters."""
    model = SimpleX(**{"n_factors": 3, "init_std": 0.5, "n_negatives": 4, **hyperparameters})
    torch.manual_seed(0)
    model.network = model.build(train)
    return model


def set_tables(model, users, items):
    with torch.no_grad():
        model.network.users.weight.copy_(torch.as_tensor(users))
        model.network.items.weight.copy_(torch.as_tensor(items))


def batch(model, users, preferred, drawn):
    users = np.asarray(users)
    arrays = users, np.asarray(preferred), np.asarray(drawn), *model.network.histories.of(users)
    return [torch.from_numpy(array) for array in arrays]


def some_batch(model, train, seed=0, n=9, n_negatives=4):
    rng = np.random.default_rng(seed)
    drawn = rng.integers(train.n_items, size=(n, n_negatives))
    return batch(model, *rng.integers((train.n_users, train.n_items), size=(n, 2)).T, drawn)


def scores(model, train):
    return model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def random_rows(seed, shape=(7, 6)):
    rows = np.random.default_rng(seed).random(shape) < 0.5
    rows[0, 0] = True
    return rows


def cosines(left, right):
    left, right = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (left, right))
    return left @ right.T


def on_the_circle(*heights):
    return [[cosine, (1 - cosine**2) ** 0.5] for cosine in heights]


def test_the_loss_is_the_one_worked_out_by_hand(interactions):
    train = interactions([[1, 0, 0]])
    model = built(train, n_factors=2, margin=0.4, negative_weight=2.0, **MF_CCL)
    set_tables(model, [[3.0, 0]], on_the_circle(0.8, 0.5, 0.3))
    assert model.loss(*batch(model, [0], [0], [[1, 2]])).item() == pytest.approx(0.30)


def test_without_a_history_its_items_have_no_gradient_and_there_are_no_layers(interactions):
    train = interactions(ROWS)
    model = built(train, **MF_CCL)
    assert set(dict(model.network.named_parameters())) == {"users.weight", "items.weight"}
    model.loss(*batch(model, [0], [0], [[2, 3]])).backward()
    assert not model.network.items.weight.grad[1].any()
    model = built(train, user_share=0.5, margin=-1.0)
    model.loss(*batch(model, [0], [0], [[2, 3]])).backward()
    assert model.network.items.weight.grad[1].any()
    assert model.network.values.weight.grad.any()


@given(seed=seeds)
def test_the_length_of_factors_does_not_matter(interactions, seed):
    train = interactions(ROWS)
    model = built(train, **MF_CCL)
    before = scores(model, train)
    with torch.no_grad():
        for table in (model.network.users.weight, model.network.items.weight):
            lengths = np.random.default_rng(seed).uniform(0.1, 10, (len(table), 1))
            table.mul_(torch.from_numpy(lengths))
    model._epoch_ended()
    np.testing.assert_allclose(scores(model, train), before, atol=1e-6)


def test_with_a_margin_of_1_items_that_were_drawn_count_for_nothing(interactions):
    train = interactions(ROWS)
    model = built(train, margin=1.0, **MF_CCL)
    first = model.loss(*batch(model, [0, 1], [0, 1], [[2, 3], [3, 3]]))
    second = model.loss(*batch(model, [0, 1], [0, 1], [[1, 1], [0, 2]]))
    torch.testing.assert_close(first, second)
    set_tables(model, np.full((3, 3), 0.7), np.full((4, 3), 0.2))
    collapsed = model.loss(*batch(model, [0, 1], [0, 1], [[2, 3], [3, 3]]))
    assert collapsed.item() == pytest.approx(0, abs=1e-5)


@given(seed=seeds, margin=st.floats(-1, 1), share=st.sampled_from([0.0, 0.3, 1.0]))
def test_scores_are_cosines_and_the_loss_is_bounded(interactions, seed, margin, share):
    train = interactions(random_rows(seed))
    hyperparameters = {"margin": margin, "user_share": share, "negative_weight": 3.0}
    model = built(train, **{**MF_CCL, **hyperparameters})
    assert np.abs(scores(model, train)).max() <= 1 + 1e-6
    assert model.loss(*some_batch(model, train, seed)) <= 2 + 3 * max(0, 1 - margin) + 1e-5


@given(seed=seeds)
def test_the_gradient_of_a_positive_score_is_orthogonal_to_the_user(interactions, seed):
    train = interactions(ROWS)
    model = built(train, margin=1.0, **MF_CCL)
    set_tables(model, np.random.default_rng(seed).standard_normal((3, 3)), np.eye(4, 3) + 0.1)
    model.loss(*batch(model, [0], [0], [[1]])).backward()
    table = model.network.users.weight
    assert table.grad[0].any()
    assert (table.grad[0] @ table[0]).item() == pytest.approx(0, abs=1e-6)


@given(seed=seeds, weight=st.floats(0.1, 50), margin=st.floats(-0.5, 0.9))
def test_the_loss_is_the_formula(interactions, seed, weight, margin):
    train = interactions(random_rows(seed))
    model = built(train, negative_weight=weight, margin=margin, l2=0.02, dropout=0.0)
    users, preferred, drawn, *_ = arrays = some_batch(model, train, seed)
    every = scores(model, train)
    positive = every[users, preferred]
    negative = every[users[:, None], drawn]
    expected = (1 - positive).mean() + weight * np.maximum(negative - margin, 0).mean()
    for table in (model.network.users.weight, model.network.items.weight):
        expected += 0.01 * table.detach().square().sum().item()
    assert model.loss(*arrays).item() == pytest.approx(expected, rel=1e-4)


def of_histories(train, items, weigh):
    """Return sums of the items of histories, each weighed by a function."""
    sums = np.zeros((train.n_users, items.shape[1]))
    for user in range(train.n_users):
        seen = train.items[train.users == user]
        if len(seen):
            sums[user] = weigh(user, seen) @ items[seen]
    return sums


def expected_scores(model, train, weigh):
    network, share = model.network, model.config.user_share
    p, q, v = (
        x.weight.detach().double().numpy() for x in (network.users, network.items, network.values)
    )
    return cosines(share * p + (1 - share) * of_histories(train, q, weigh) @ v.T, q)


@given(seed=seeds)
def test_a_mean_weighs_all_items_of_the_history_alike(interactions, seed):
    train = interactions(random_rows(seed))
    model = built(train, user_share=0.3)
    expected = expected_scores(model, train, lambda _, seen: np.full(len(seen), 1 / len(seen)))
    np.testing.assert_allclose(scores(model, train), expected, atol=1e-5)


@pytest.mark.parametrize("attend_padding", [False, True])
@pytest.mark.parametrize("aggregation", ["user_attention", "self_attention"])
@given(seed=seeds)
def test_attention_weighs_items_by_a_softmax(interactions, aggregation, attend_padding, seed):
    train = interactions(random_rows(seed))
    options = {"aggregation": aggregation, "attend_padding": attend_padding, "max_history": 8}
    model = built(train, user_share=0.3, **options)
    network = model.network
    torch.nn.init.normal_(network.keys.bias)
    with torch.no_grad():
        keys = network.items.weight @ network.keys.weight.T + network.keys.bias
        asked = network.users.weight
        if aggregation == "self_attention":
            asked = network.query.expand(train.n_users, -1)
        logits = (asked @ torch.tanh(keys).T).double().numpy()

    def weigh(user, seen):
        powers = np.exp(logits[user, seen])
        return powers / (powers.sum() + (8 - len(seen)) * attend_padding)

    expected = expected_scores(model, train, weigh)
    np.testing.assert_allclose(scores(model, train), expected, atol=1e-5)


@pytest.mark.parametrize("aggregation", ["mean", "user_attention", "self_attention"])
@pytest.mark.parametrize("attend_padding", [False, True])
def test_gradients_are_those_of_finite_differences(interactions, aggregation, attend_padding):
    train = interactions(random_rows(3))
    options = {"aggregation": aggregation, "attend_padding": attend_padding, "biases": True}
    model = built(train, user_share=0.4, dropout=0.0, margin=-0.5, negative_weight=2.0, **options)
    arrays = some_batch(model, train)
    model.loss(*arrays).backward()
    rng = np.random.default_rng(1)
    for parameter in model.network.parameters():
        direction = torch.from_numpy(rng.standard_normal(parameter.shape).astype(np.float32))
        around = []
        for length in (-5e-3, 5e-3):
            with torch.no_grad():
                parameter.add_(direction, alpha=length)
                around.append(model.loss(*arrays).item())
                parameter.sub_(direction, alpha=length)
        slope = (parameter.grad * direction).sum().item()
        assert (around[1] - around[0]) / 1e-2 == pytest.approx(slope, rel=0.02, abs=2e-4)


@pytest.mark.parametrize("aggregation", ["mean", "user_attention", "self_attention"])
@pytest.mark.parametrize("attend_padding", [False, True])
def test_an_empty_history_adds_nothing_to_the_users_own_factors(
    interactions, aggregation, attend_padding
):
    train = interactions(ROWS)
    options = {"aggregation": aggregation, "attend_padding": attend_padding}
    model = built(train, user_share=0.2, **options)
    p, q = (x.weight.detach().numpy() for x in (model.network.users, model.network.items))
    np.testing.assert_allclose(scores(model, train)[2], cosines(p[[2]], q)[0], atol=1e-6)
    model.loss(*batch(model, [2, 2], [0, 1], [[1, 2], [3, 3]])).backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.network.parameters())


def test_a_large_attention_does_not_overflow(interactions):
    train = interactions(ROWS)
    model = built(train, user_share=0.2, aggregation="user_attention", attend_padding=True)
    torch.nn.init.constant_(model.network.users.weight, 1e3)
    torch.nn.init.ones_(model.network.keys.bias)
    assert np.isfinite(scores(model, train)).all()


def test_histories_are_the_latest_items_or_without_times_the_last(interactions):
    users, items = np.nonzero([[1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]])
    times = np.array([40, 10, 30, 20, 5])
    labels = np.arange(3), np.arange(4)
    pairs = users.astype(np.int32), items.astype(np.int32), np.ones(5, np.float32)
    for given_times, expected in ((times, [0, 2]), (None, [2, 3])):
        histories = Histories(Interactions(*pairs, given_times, *labels), 2)
        found, counts = histories.of(np.array([1, 0, 2]))
        assert counts.tolist() == [1, 2, 0]
        assert sorted(found[1]) == expected
        assert found[0, 0] == 1
    found, counts = Histories(Interactions(*pairs, times, *labels), 9).of(np.array([0, 0]))
    np.testing.assert_array_equal(np.sort(found), [[0, 1, 2, 3]] * 2)


def test_the_target_stays_in_the_history(interactions):
    model = built(interactions(ROWS))
    _, preferred, _, history, counts = next(
        model.batches(interactions(ROWS), np.random.default_rng(1))
    )
    for item, items, count in zip(preferred, history, counts, strict=True):
        assert item in items[:count]


def test_the_biases_of_users_and_the_common_one_count_in_training_only(interactions):
    train = interactions(ROWS)
    model = built(train, biases=True, **MF_CCL)
    arrays = some_batch(model, train)
    before, lost = scores(model, train), model.loss(*arrays).item()
    with torch.no_grad():
        model.network.user_biases.weight += 0.1
        model.network.bias += 0.1
    model._epoch_ended()
    np.testing.assert_array_equal(scores(model, train), before)
    assert model.loss(*arrays).item() != pytest.approx(lost)
    with torch.no_grad():
        model.network.item_biases.weight[1] += 0.25
    model._epoch_ended()
    np.testing.assert_allclose(scores(model, train) - before, [[0, 0.25, 0, 0]] * 3, atol=1e-6)


def test_dropout_is_of_the_normalised_vector_and_of_the_biases_constant(interactions):
    train = interactions(ROWS)
    options = {**MF_CCL, "dropout": 0.5, "negative_weight": 0.0}
    model = built(train, n_factors=1, biases=True, **options)
    set_tables(model, np.full((3, 1), 5.0), np.full((4, 1), 2.0))
    torch.nn.init.constant_(model.network.item_biases.weight, 0.25)
    for table in (model.network.user_biases.weight, model.network.bias):
        torch.nn.init.zeros_(table)
    model.network.train()
    torch.manual_seed(1)
    # The loss is 1 - score, or 0; the score is a sum of 0 or 2 and of 0 or 0.5.
    found = [model.loss(*batch(model, [0], [0], [[1]])).item() for _ in range(40)]
    assert set(found) == {1.0, 0.5, 0.0}
    model.network.eval()
    assert model.loss(*batch(model, [0], [0], [[1]])).item() == 0.0


def test_every_interaction_comes_once_an_epoch_with_items_drawn_from_all(interactions):
    train = interactions(random_rows(2, (30, 8)))
    model = built(train, batch_size=7, n_negatives=50)
    batches = list(model.batches(train, np.random.default_rng(1)))
    users, items, drawn = map(np.concatenate, list(zip(*batches, strict=True))[:3])
    pairs = list(zip(users, items, strict=True))
    assert sorted(pairs) == list(zip(train.users, train.items, strict=True))
    assert pairs != sorted(pairs)
    np.testing.assert_allclose(np.bincount(drawn.ravel()) / drawn.size, 1 / 8, atol=0.02)


def test_items_drawn_are_new_to_the_user_where_that_is_asked_for(interactions):
    rows = random_rows(2, (12, 8))
    rows[3], rows[4, 1:] = True, True
    train = interactions(rows * 0.0 + rows * 2.0)
    model = built(train, n_negatives=400, unseen_only=True)
    batches = list(model.batches(train, np.random.default_rng(1)))
    users, items, drawn = map(np.concatenate, list(zip(*batches, strict=True))[:3])
    assert not rows[users[:, None], drawn].any()
    assert len(users) == len(train) - 8
    assert rows[users, items].all()
    for user in range(12):
        unseen = np.flatnonzero(~rows[user])
        of_user = drawn[users == user]
        if of_user.size:
            shares = np.bincount(of_user.ravel(), minlength=8)[unseen] / of_user.size
            np.testing.assert_allclose(shares, 1 / len(unseen), atol=0.05)


def test_the_penalty_is_of_all_factors_and_biases_whatever_the_batch(interactions):
    train = interactions(ROWS)
    options = {"biases": True, "margin": 1.0, "user_share": 0.5, "dropout": 0.0}
    with_penalty, without = (built(train, l2=l2, **options) for l2 in (0.2, 0.0))
    network = with_penalty.network
    tables = network.users, network.items, network.user_biases, network.item_biases
    squares = sum(table.weight.square().sum() for table in tables)
    for n in (1, 5):
        difference = [
            model.loss(*some_batch(model, train, n=n)) for model in (with_penalty, without)
        ]
        torch.testing.assert_close(difference[0] - difference[1], 0.1 * squares)


def test_the_learning_rate_falls_to_a_tenth_after_some_epochs(interactions):
    train = interactions(ROWS)
    model = SimpleX(decay_after=2, learning_rate=0.01, n_negatives=3)
    rates = []
    for stats in model.fit_epochs(train, np.random.default_rng(1)):
        rates.append(model.optimizers[0].param_groups[0]["lr"])
        if stats.epoch == 4:
            break
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.001])


@pytest.mark.parametrize("unseen_only", [False, True])
@pytest.mark.parametrize("rows", [[[1]], [[1, 1]], [[0, 0], [0, 0]], [[1], [0]]])
def test_scores_of_the_smallest_data_are_finite(interactions, rows, unseen_only):
    train = interactions(rows)
    options = {"unseen_only": unseen_only, "aggregation": "user_attention", "n_negatives": 5}
    model = SimpleX(epochs=2, **options).fit(train, np.random.default_rng(1))
    assert np.isfinite(scores(model, train)).all()
