"""DMF."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.errors import ModelError  # noqa: E402
from recrepro.neural.dmf import DMF, other_pairs  # noqa: E402

RATINGS = np.random.default_rng(3).integers(0, 6, size=(12, 9)) * (
    np.random.default_rng(4).random((12, 9)) < 0.5
)
QUICK = {"epochs": 2, "n_hidden": 8, "n_factors": 4, "learning_rate": 0.01, "batch_size": 16}


@pytest.fixture
def train(interactions):
    return interactions(RATINGS)


def fit(train, seed=1, **hyperparameters):
    return DMF(**{**QUICK, **hyperparameters}).fit(train, np.random.default_rng(seed))


def scores(model, train):
    return model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def all_pairs(train):
    users, items = np.indices(train.shape).reshape(2, -1)
    values = train.matrix.toarray()[users, items]
    return [torch.from_numpy(part) for part in (users, items, values)]


def predictions(model, train):
    with torch.no_grad():
        return model.predictions(*all_pairs(train)).numpy().reshape(train.shape)


def dense_cosine(network, row, column):
    """Compute one score from dense inputs, as the paper has it."""
    ends = []
    for tower, inputs in ((network.users, row), (network.items, column)):
        hidden = torch.relu(torch.from_numpy(inputs) @ tower.first.weight + tower.first.bias)
        ends.append(hidden @ tower.last.weight + tower.last.bias)
    return torch.cosine_similarity(*ends, dim=0).item()


def test_predictions_lie_between_the_floor_and_1(train):
    model = fit(train, floor=0.2)
    found = predictions(model, train)
    assert found.min() == np.float32(0.2)
    assert 0.2 < found.max() <= 1
    np.testing.assert_allclose(found, scores(model, train).clip(0.2), rtol=1e-5)


def test_a_last_layer_as_a_whole_may_have_any_scale(train):
    model = fit(train)
    before = scores(model, train)
    with torch.no_grad():
        for parameter in model.network.users.last.parameters():
            parameter.mul_(7.5)
    np.testing.assert_allclose(scores(model, train), before, rtol=1e-5, atol=1e-6)


def test_on_binary_data_both_losses_are_one(train):
    binary = train.binarised()
    nce, bce = (scores(fit(binary, loss=loss), binary) for loss in ("nce", "bce"))
    np.testing.assert_array_equal(nce, bce)
    nce, bce = (scores(fit(train, loss=loss), train) for loss in ("nce", "bce"))
    assert np.abs(nce - bce).max() > 1e-3


def test_with_one_tower_and_a_symmetric_matrix_everyone_is_like_itself(interactions):
    symmetric = interactions(np.maximum(RATINGS[:9], RATINGS[:9].T))
    model = fit(symmetric)
    model.network.items.load_state_dict(model.network.users.state_dict())
    np.testing.assert_allclose(np.diag(scores(model, symmetric)), 1, rtol=1e-6)


def test_a_soft_label_has_its_least_loss_at_itself(train, monkeypatch):
    model = DMF()
    label, nothing = torch.tensor([0.6]), torch.tensor([0])

    def loss(prediction):
        monkeypatch.setattr(model, "predictions", lambda *_: torch.tensor([prediction]))
        return model.loss(nothing, nothing, label, label).item()

    assert loss(0.6) == pytest.approx(0.6730, abs=5e-5)
    assert loss(0.6) < min(loss(0.59), loss(0.61))


@pytest.mark.parametrize(("label", "prediction"), [(1.0, 0.0), (0.0, 1.0)])
def test_the_loss_of_certain_errors_is_large_but_finite(label, prediction, monkeypatch):
    model = DMF(floor=0.0)
    monkeypatch.setattr(model, "predictions", lambda *_: torch.tensor([prediction]))
    nothing, labels = torch.tensor([0]), torch.tensor([label])
    assert model.loss(nothing, nothing, labels, labels).item() == pytest.approx(23.03, abs=0.01)


def test_labels_are_shares_of_the_largest_value_or_1(train):
    rng = np.random.default_rng(1)
    for loss, expected in (("nce", train.values / 5), ("bce", np.ones(len(train)))):
        model = DMF(loss=loss, n_negatives=2)
        model.build(train)
        users, items, labels, values = map(
            np.concatenate, zip(*model.batches(train, rng), strict=True)
        )
        own = RATINGS[users, items] > 0
        assert (own.sum(), (~own).sum()) == (len(train), 2 * len(train))
        order = np.lexsort((items[own], users[own]))
        np.testing.assert_allclose(labels[own][order], expected)
        np.testing.assert_array_equal(values[own][order], train.values)
        assert not labels[~own].any()
        assert not values[~own].any()


def test_scores_are_cosines_of_what_the_towers_make_of_values(train):
    model = fit(train)
    found = scores(model, train)
    for user, item in ((0, 0), (3, 7), (11, 2)):
        rows = train.matrix.toarray()
        expected = dense_cosine(model.network, rows[user], rows[:, item])
        assert found[user, item] == pytest.approx(expected, abs=1e-6)
    doubled = train.matrix * 2
    assert np.abs(scores(model, train) - model.score(np.arange(12), doubled)).max() > 1e-3


def test_a_hidden_target_is_in_neither_input(train):
    model = fit(train, hide_target=True, floor=0.0)
    found, rows = predictions(model, train), train.matrix.toarray()
    for user, item in zip(train.users[::5], train.items[::5], strict=True):
        without = rows.copy()
        without[user, item] = 0
        expected = dense_cosine(model.network, without[user], without[:, item])
        assert found[user, item] == pytest.approx(max(expected, 0), abs=1e-5)
    seen = rows > 0
    plain = scores(model, train).clip(0)
    np.testing.assert_allclose(found[~seen], plain[~seen], rtol=1e-5, atol=1e-6)
    assert np.abs(found[seen] - plain[seen]).max() > 1e-3


def test_a_user_is_what_the_history_says(train):
    model = fit(train)
    strangers = np.array([100, 200], np.int32)
    np.testing.assert_allclose(
        model.score(strangers, train.matrix[[4, 7]]), scores(model, train)[[4, 7]], rtol=1e-5
    )


def test_weights_and_biases_start_glorot_uniform(train):
    torch.manual_seed(0)
    network = DMF(n_hidden=300, n_factors=64).build(train)
    for layer, n_in, n_out in ((network.users.first, 9, 300), (network.users.last, 300, 64)):
        assert layer.weight.abs().max().item() == pytest.approx((6 / (n_in + n_out)) ** 0.5, 0.02)
        assert layer.bias.abs().max().item() == pytest.approx((3 / n_out) ** 0.5, 0.05)
    n_users, n_items = train.shape
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    assert n_parameters == 300 * (n_users + n_items) + 600 + 2 * (300 * 64 + 64)


def test_the_loss_falls(train):
    reports = []
    model = DMF(**{**QUICK, "loss": "bce", "epochs": 12})
    model.fit(train, np.random.default_rng(1), reports.append)
    assert reports[-1].values["loss"] < 0.9 * reports[0].values["loss"]


@given(st.integers(0, 2**32 - 1))
def test_other_pairs_are_no_interactions(interactions, seed):
    rng = np.random.default_rng(seed)
    train = interactions(rng.random((5, 4)) < rng.random())
    users, items = other_pairs(train, 50, rng)
    seen = train.matrix.toarray() > 0
    assert not seen[users, items].any()
    assert len(users) == (0 if seen.all() else 50)


def test_other_pairs_are_drawn_equally_often(train):
    users, items = other_pairs(train, 60_000, np.random.default_rng(1))
    counts = np.zeros(train.shape)
    np.add.at(counts, (users, items), 1)
    expected = 60_000 / (RATINGS == 0).sum()
    np.testing.assert_allclose(counts[RATINGS == 0], expected, rtol=0.15)


def test_where_everyone_has_everything_there_are_no_other_pairs_to_learn_from(interactions):
    full = interactions(np.ones((4, 3)))
    assert np.isfinite(scores(fit(full), full)).all()


def test_values_that_are_no_shares_are_refused(interactions):
    negative = interactions([[1, -2], [3, 1]])
    with pytest.raises(ModelError, match=r"values of at least 0.*between -2 and 3.*bce"):
        fit(negative)
    assert np.isfinite(scores(fit(negative, loss="bce"), negative)).all()
