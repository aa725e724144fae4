import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural._autoencoder import TanhNetwork, normalised  # noqa: E402
from recrepro.neural.multvae import MultVAE, MultVAENetwork, divergence  # noqa: E402

SMALL = {"n_factors": 4, "n_hidden": 8, "device": "cpu"}


def two_halves(interactions):
    rng = np.random.default_rng(4)
    own = np.kron(np.eye(2), np.ones((20, 10))).astype(bool)
    return interactions(own & (rng.random(own.shape) < 0.5))


def one_batch(model, train):
    (batch,) = model.batches(train, np.random.default_rng(0))
    return [torch.from_numpy(part) for part in batch]


def test_the_divergence_of_a_worked_example():
    mean, log_variance = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, np.log(4)]])
    assert divergence(mean, log_variance).item() == pytest.approx(1.3068528, abs=1e-6)
    assert divergence(torch.zeros(2, 3), torch.zeros(2, 3)).tolist() == [0, 0]


def test_the_weight_of_the_divergence_grows_by_the_step_up_to_its_cap(interactions):
    train = interactions(np.ones((10, 3)))
    model = MultVAE(**SMALL, batch_size=1, annealing_steps=100, kl_weight=0.2)
    betas = []
    for stats in model.fit_epochs(train, np.random.default_rng(0)):
        betas.append(stats.values["beta"])
        if stats.epoch == 3:
            break
    assert betas == [0.1, 0.2, 0.2]
    assert model.network.n_steps == 30


def test_the_first_step_has_no_divergence_unless_there_is_no_annealing(interactions):
    train = two_halves(interactions)
    for steps, beta in ((10, 0.0), (0, 0.7)):
        model = MultVAE(**SMALL, kl_weight=0.7, annealing_steps=steps)
        model.network = model.build(train)
        assert model.beta == beta


def test_the_loss_is_likelihood_and_weighted_divergence_and_penalty(interactions):
    train = two_halves(interactions)
    found = []
    for settings in ({}, {"kl_weight": 0.7}, {"l2": 0.1}):
        config = {"kl_weight": 0.0, "annealing_steps": 0, "dropout": 0.0, **settings}
        model = MultVAE(**SMALL, **config)
        torch.manual_seed(5)
        model.network = model.build(train)
        found.append(model.loss(*one_batch(model, train)).item())
    outputs = model.network.encode(normalised(train.matrix))
    mean_divergence = divergence(*outputs.chunk(2, dim=1)).mean().item()
    squares = sum(
        parameter.square().sum().item()
        for name, parameter in model.network.named_parameters()
        if name.endswith("weight")
    )
    assert found[1] - found[0] == pytest.approx(0.7 * mean_divergence, rel=1e-4)
    assert found[2] - found[0] == pytest.approx(0.1 * squares, rel=1e-4)


def test_training_is_noisy_and_scoring_is_not(interactions):
    train = two_halves(interactions)
    for dropout in (0.0, 0.5):
        model = MultVAE(**SMALL, dropout=dropout, epochs=2).fit(train, np.random.default_rng(0))
        batch = one_batch(model, train)
        assert model.loss(*batch) != model.loss(*batch)
        users = np.arange(train.n_users, dtype=np.int32)
        scores = model.score(users, train.matrix)
        np.testing.assert_array_equal(scores, model.score(users, train.matrix))


def test_scores_are_logits_of_the_mean(interactions):
    train = two_halves(interactions)
    model = MultVAE(**SMALL, n_layers=1, epochs=2).fit(train, np.random.default_rng(0))
    rows = train.matrix.toarray()
    x = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    (a, b), (c, d) = (
        [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in half]
        for half in (model.network.encoder, model.network.decoder)
    )
    mean = (np.tanh(x @ a[0] + a[1]) @ b[0] + b[1])[:, :4]
    expected = np.tanh(mean @ c[0] + c[1]) @ d[0] + d[1]
    scores = model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_layers", [0, 1, 2])
def test_there_are_as_many_hidden_layers_as_asked_for(n_layers):
    network = MultVAENetwork(9, 4, [8] * n_layers)
    shapes = [tuple(layer.weight.shape) for layer in (*network.encoder, *network.decoder)]
    expected = {
        0: [(9, 8), (4, 9)],
        1: [(9, 8), (8, 8), (4, 8), (8, 9)],
        2: [(9, 8), (8, 8), (8, 8), (4, 8), (8, 8), (8, 9)],
    }
    assert shapes == expected[n_layers]


def test_weights_start_glorot_uniform_and_biases_from_a_cut_normal_distribution():
    torch.manual_seed(0)
    for layer in TanhNetwork([300, 5000], [5000, 300]).encoder:
        end = (6 / 5300) ** 0.5
        weight, bias = layer.weight.detach(), layer.bias.detach()
        assert weight.abs().max() == pytest.approx(end, rel=1e-3)
        assert weight.std() == pytest.approx(end / 3**0.5, rel=0.01)
        assert 0.0019 < bias.abs().max() <= 0.002
        assert bias.std() == pytest.approx(0.00088, rel=0.05)


def test_codes_are_pulled_to_the_prior_by_a_large_weight(interactions):
    train = two_halves(interactions)
    found = []
    for kl_weight in (0.0, 50.0):
        config = {"kl_weight": kl_weight, "annealing_steps": 0, "epochs": 150, "dropout": 0.0}
        model = MultVAE(**SMALL, **config, learning_rate=0.01).fit(train, np.random.default_rng(0))
        outputs = model.network.encode(normalised(train.matrix))
        found.append(divergence(*outputs.chunk(2, dim=1)).mean().item())
    assert found[1] < 0.02 * found[0]
