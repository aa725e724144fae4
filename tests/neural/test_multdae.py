import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural._autoencoder import normalised  # noqa: E402
from recrepro.neural.multdae import MultDAE  # noqa: E402

SMALL = {"n_factors": 4, "n_hidden": 8, "device": "cpu"}


def some_interactions(interactions):
    rng = np.random.default_rng(4)
    return interactions((rng.random((30, 12)) < 0.4) | np.eye(30, 12, dtype=bool))


def test_it_explains_rows_that_differ_better_than_popularity_does(interactions):
    rng = np.random.default_rng(1)
    rows = np.kron(np.eye(10), np.ones((6, 3))) + (rng.random((60, 30)) < 0.03) > 0
    train = interactions(rows)
    model = MultDAE(dropout=0.0, epochs=100, device="cpu").fit(train, np.random.default_rng(0))
    share = rows.sum(axis=0) / rows.sum()
    by_popularity = -(rows * np.log(share)).sum(axis=1).mean()
    with torch.no_grad():
        code = model.network.encode(normalised(train.matrix)).tanh()
        loss = model.network.loss(code, train.matrix).mean().item()
    assert loss < 0.8 * by_popularity


def test_scores_are_those_of_one_layer_down_and_one_up(interactions):
    train = some_interactions(interactions)
    model = MultDAE(**SMALL, epochs=3).fit(train, np.random.default_rng(0))
    rows = train.matrix.toarray()
    x = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    (down,), (up,) = model.network.encoder, model.network.decoder
    a, b, c, d = (part.detach().numpy() for part in (*down.parameters(), *up.parameters()))
    scores = model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)
    np.testing.assert_allclose(scores, np.tanh(x @ a + b) @ c + d, rtol=1e-4, atol=1e-6)


def test_a_hidden_layer_can_be_put_on_either_side(interactions):
    network = MultDAE(**SMALL, n_layers=1).build(interactions(np.ones((2, 9))))
    shapes = [tuple(layer.weight.shape) for layer in (*network.encoder, *network.decoder)]
    assert shapes == [(9, 8), (8, 4), (4, 8), (8, 9)]


def test_the_penalty_is_of_the_squares_of_weights_but_not_of_biases(interactions):
    train = some_interactions(interactions)
    model = MultDAE(**SMALL, dropout=0.0, l2=0.0)
    model.network = model.build(train)
    (batch,) = model.batches(train, np.random.default_rng(0))
    batch = [torch.from_numpy(part) for part in batch]
    plain = model.loss(*batch)
    model.config = MultDAE.Config(**SMALL, dropout=0.0, l2=0.1)
    penalised = model.loss(*batch)
    parameters = dict(model.network.named_parameters())
    slopes = torch.autograd.grad(penalised - plain, list(parameters.values()))
    total = 0
    for (name, parameter), slope in zip(parameters.items(), slopes, strict=True):
        wanted = 0.2 * parameter if name.endswith("weight") else torch.zeros_like(parameter)
        torch.testing.assert_close(slope, wanted, rtol=1e-3, atol=1e-5)
        total += parameter.square().sum().item() if name.endswith("weight") else 0
    assert (penalised - plain).item() == pytest.approx(0.1 * total, rel=1e-3)


def test_training_drops_inputs_and_scoring_does_not(interactions):
    train = some_interactions(interactions)
    model = MultDAE(**SMALL, epochs=2).fit(train, np.random.default_rng(0))
    (batch,) = model.batches(train, np.random.default_rng(0))
    batch = [torch.from_numpy(part) for part in batch]
    assert model.loss(*batch) != model.loss(*batch)
    users = np.arange(train.n_users, dtype=np.int32)
    first = model.score(users, train.matrix)
    np.testing.assert_array_equal(first, model.score(users, train.matrix))
