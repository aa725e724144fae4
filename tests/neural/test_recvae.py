import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import random_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural._autoencoder import as_rows, normalised  # noqa: E402
from recrepro.neural._multinomial import multinomial_loss  # noqa: E402
from recrepro.neural.multvae import divergence  # noqa: E402
from recrepro.neural.recvae import (  # noqa: E402
    RecVAE,
    RecVAENetwork,
    log_density,
    log_prior,
)

SMALL = {"n_factors": 4, "n_hidden": 8, "device": "cpu"}


def some_interactions(interactions):
    rng = np.random.default_rng(4)
    return interactions((rng.random((30, 12)) < 0.4) | np.eye(30, 12, dtype=bool))


def started(interactions, **hyperparameters):
    """Return a model before its first epoch, and its data."""
    train = some_interactions(interactions)
    model = RecVAE(**SMALL, **hyperparameters)
    torch.manual_seed(2)
    model.network = model.build(train).train()
    model.optimizers = model.make_optimizers()
    return model, train


def one_batch(batches):
    (batch,) = batches
    return [torch.from_numpy(part) for part in batch]


def copies(module):
    return [parameter.detach().clone() for parameter in module]


def unchanged(before, module):
    return [torch.equal(old, new) for old, new in zip(before, module, strict=True)]


def test_the_prior_of_two_worked_examples():
    half = torch.tensor(0.5)
    assert log_density(half, 0.0, 0.0).item() == pytest.approx(-1.0439385, abs=1e-6)
    assert log_density(half, 0.0, 10.0).item() == pytest.approx(-5.9189442, abs=1e-6)
    standard = log_prior(half, torch.tensor(0.0), torch.tensor(0.0))
    assert standard.item() == pytest.approx(-1.1484511, abs=1e-6)
    assert (log_density(half, 0.0, 0.0) - standard).item() == pytest.approx(0.1045125, abs=1e-6)
    old = torch.tensor(1.0), torch.tensor(-1.0)
    assert log_density(half, *old).item() == pytest.approx(-0.7587237, abs=1e-6)
    assert log_prior(half, *old).item() == pytest.approx(-0.9056567, abs=1e-6)


def test_with_the_standard_prior_alone_samples_average_to_the_divergence():
    torch.manual_seed(3)
    mean, log_variance = torch.tensor([0.7, -1.2]), torch.tensor([0.4, -0.9])
    codes = mean + torch.randn(100_000, 2) * (log_variance / 2).exp()
    prior = log_prior(codes, mean, log_variance, (1.0, 0.0, 0.0))
    found = (log_density(codes, mean, log_variance) - prior).sum(dim=1).mean().item()
    assert found == pytest.approx(divergence(mean[None], log_variance[None]).item(), rel=0.01)


@given(st.integers(0, 2**32 - 1))
def test_with_the_old_posterior_alone_there_is_no_divergence_from_it(seed):
    torch.manual_seed(seed)
    network = RecVAENetwork(9, 4, 8, 5, 0.1)
    rows = normalised(some_rows(seed))
    old, (mean, log_variance) = network.encode(rows), network.encode(rows)
    code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
    density = log_density(code, mean, log_variance)
    assert torch.equal(density, log_prior(code, *old, (0.0, 1.0, 0.0)))


def some_rows(seed):
    rng = np.random.default_rng(seed)
    return random_array((6, 9), density=0.4, format="csr", dtype=np.float32, random_state=rng)


def test_encoder_passes_change_the_encoder_only_and_decoder_passes_the_decoder_only(interactions):
    model, train = started(interactions)
    network, rng = model.network, np.random.default_rng(0)
    of_encoder, of_decoder = model.optimizers
    encoder, decoder = network.encoder_parameters(), list(network.decoder.parameters())
    before = copies(encoder), copies(decoder)
    starts, items = next(model.batches(train, rng))
    old = (part[: len(starts) - 1] for part in model.posteriors(train))
    model.descend(iter([(starts, items, *old)]), [of_encoder])
    assert not any(unchanged(before[0], encoder))
    assert all(unchanged(before[1], decoder))
    before = copies(encoder), copies(decoder)
    model.descend(model.batches(train, rng), [of_decoder])
    assert all(unchanged(before[0], encoder))
    assert not any(unchanged(before[1], decoder))
    assert len(encoder) + len(decoder) == len(list(network.parameters()))


def test_an_epoch_is_some_encoder_passes_and_then_some_decoder_passes(interactions, monkeypatch):
    model, train = started(interactions, encoder_passes=2, decoder_passes=3, batch_size=10)
    passes, losses = [], iter([4.0, 6.0, 1.0, 2.0, 3.0])

    def descend(batches, optimizers):
        lengths = [len(batch) for batch in batches]
        passes.append((model.optimizers.index(*optimizers), lengths))
        return next(losses)

    monkeypatch.setattr(model, "descend", descend)
    values = model.train_epoch(train, np.random.default_rng(0))
    assert passes == [(0, [4] * 3)] * 2 + [(1, [2] * 3)] * 3
    assert values == {"loss": 5.0, "decoder_loss": 3.0}


def test_the_old_posterior_is_that_of_the_beginning_of_the_epoch(interactions, monkeypatch):
    model, train = started(interactions)
    expected = [np.concatenate(part) for part in zip(model.posteriors(train), strict=True)]
    seen = []
    monkeypatch.setattr(model, "descend", lambda batches, _: seen.append(list(batches)) or 0.0)
    model.train_epoch(train, np.random.default_rng(0))
    for of_pass in seen[:3]:
        for number in (2, 3):
            found = np.concatenate([batch[number] for batch in of_pass])
            np.testing.assert_array_equal(
                np.sort(found, axis=0), np.sort(expected[number - 2], axis=0)
            )


def test_the_weight_of_the_divergence_is_by_user_or_the_same_for_all(interactions):
    model, train = started(interactions, kl_weight=0.0, dropout=0.0)
    starts, items = one_batch(model.batches(train, np.random.default_rng(0)))
    rows = as_rows(starts, items, train.n_items)
    network, counts = model.network, starts.diff()
    old = torch.zeros(len(counts), 4), torch.zeros(len(counts), 4)
    torch.manual_seed(7)
    likelihood = model.loss(starts, items, *old).item()
    torch.manual_seed(7)
    mean, log_variance = network.encode(normalised(rows))
    code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
    divergences = (log_density(code, mean, log_variance) - log_prior(code, *old)).sum(dim=1)
    for each, weights in ((True, 0.3 * counts), (False, 0.3)):
        model.config = RecVAE.Config(**SMALL, kl_weight=0.3, dropout=0.0, kl_per_interaction=each)
        torch.manual_seed(7)
        found = model.loss(starts, items, *old).item()
        expected = (weights * divergences).mean().item()
        assert found - likelihood == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_decoder_passes_sample_codes_but_drop_no_inputs(interactions):
    model, train = started(interactions, dropout=0.9)
    starts, items = one_batch(model.batches(train, np.random.default_rng(0)))
    rows = as_rows(starts, items, train.n_items)
    assert model.loss(starts, items) != model.loss(starts, items)
    torch.manual_seed(7)
    found = model.loss(starts, items)
    torch.manual_seed(7)
    mean, log_variance = model.network.encode(normalised(rows))
    code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
    decoder = model.network.decoder
    expected = multinomial_loss(code, decoder.weight, decoder.bias, rows).mean()
    torch.testing.assert_close(found, expected)


def test_scores_are_logits_of_the_mean_of_densely_connected_layers(interactions):
    train = some_interactions(interactions)
    model = RecVAE(**SMALL, epochs=2, normalisation_eps=0.3).fit(train, np.random.default_rng(0))
    network, rows = model.network, torch.from_numpy(train.matrix.toarray())
    with torch.no_grad():
        h = []
        inputs = torch.nn.functional.normalize(rows)
        for layer, norm in zip(network.layers, network.norms, strict=True):
            a = inputs @ layer.weight + layer.bias + sum(h)
            swish = a * torch.sigmoid(a)
            centred = swish - swish.mean(dim=1, keepdim=True)
            scaled = centred / (centred.square().mean(dim=1, keepdim=True) + 0.3).sqrt()
            inputs = scaled * norm.weight + norm.bias
            h.append(inputs)
        mean = inputs @ network.heads.weight[:, :4] + network.heads.bias[:4]
        expected = mean @ network.decoder.weight + network.decoder.bias
    assert len(h) == 5
    scores = model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-5)


def test_an_epsilon_of_a_tenth_is_the_default(interactions):
    network = RecVAE().build(interactions(np.ones((2, 3))))
    assert [norm.eps for norm in network.norms] == [0.1] * 5


def test_posteriors_do_not_depend_on_the_size_of_a_batch(interactions):
    model, train = started(interactions)
    whole = model.posteriors(train)
    model.config = RecVAE.Config(**SMALL, batch_size=4)
    for one, other in zip(whole, model.posteriors(train), strict=True):
        assert one.shape == (train.n_users, 4)
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
