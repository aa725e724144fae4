import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.features import Features, FeatureSet  # noqa: E402
from recrepro.neural._products import SparseMatrix  # noqa: E402
from recrepro.neural.cvae import CVAE, CodeAlone, ContentVAE, sampled  # noqa: E402

N_ITEMS, N_WORDS = 12, 15
SIZES = {"n_factors": 3, "n_hidden": 6, "n_inner": 5, "batch_size": 12, "device": "cpu"}


def content(seed=0):
    rng = np.random.default_rng(seed)
    rows = random_array(
        (N_ITEMS, N_WORDS), density=0.3, format="csr", dtype=np.float32, random_state=rng
    )
    return csr_array(rows / np.maximum(rows.max(axis=0).toarray(), 1e-9)).astype(np.float32)


@pytest.fixture
def train(interactions):
    return interactions(np.random.default_rng(2).random((7, N_ITEMS)) < 0.4)


def built(train, **settings):
    """Make a model with parameters that are not small, and items that are somewhere."""
    one = FeatureSet("item", "words", np.arange(N_ITEMS), content(), np.arange(N_WORDS))
    model = CVAE(**SIZES, **settings).with_features(Features((one,)))
    torch.manual_seed(3)
    model.network = model.build(train)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.normal_(0, 0.5)
        model.network.items.normal_()
    return model


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def arrays(coder):
    return {name: value.detach().numpy().astype(float) for name, value in coder.named_parameters()}


def encode(p, x):
    """Compute mean and log-variance from the equations."""
    h = sigmoid(x @ p["first.weight"] + p["first.bias"])
    h = sigmoid(h @ p["second.weight"] + p["second.bias"])
    return (
        h @ p["mean.weight"] + p["mean.bias"],
        h @ p["log_variance.weight"] + p["log_variance.bias"],
    )


def loss_by_hand(p, x, items, noise, ratio, l2):
    """Compute the loss from the equations."""
    mean, logs = encode(p, x)
    z = mean + np.exp(logs / 2) * noise
    h = sigmoid(z @ p["above.weight"] + p["above.bias"])
    h = sigmoid(h @ p["second.weight"].T + p["first.bias"])
    out = sigmoid(h @ p["first.weight"].T + p["bias"])
    losses = -(x * np.log(out) + (1 - x) * np.log(1 - out)).sum(axis=1)
    losses += (mean**2 + np.exp(logs) - logs - 1).sum(axis=1) / 2
    losses += ratio * ((items - z) ** 2).sum(axis=1)
    squares = (p["first.weight"] ** 2).sum() + (p["second.weight"] ** 2).sum()
    return losses.mean() + l2 * squares


@pytest.mark.parametrize("settings", [{}, {"l2_item": 2.0, "reconstruction": 0.5, "l2": 0.1}])
def test_the_loss_is_that_of_the_equations(settings, train):
    model = built(train, **settings)
    chosen = torch.tensor([4, 0, 11, 7])
    torch.manual_seed(5)
    noise = torch.randn(4, 3).numpy()
    torch.manual_seed(5)
    found = model.loss(chosen).item()
    c = model.config
    expected = loss_by_hand(
        arrays(model.coder),
        content().toarray()[chosen],
        model.network.items.numpy()[chosen],
        noise,
        c.l2_item / c.reconstruction,
        c.l2,
    )
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["first.weight", "first.bias", "second.weight", "above.weight"])
def test_gradients_are_those_of_finite_differences_through_both_uses_of_a_weight(name, train):
    model = built(train)
    chosen = torch.arange(N_ITEMS)
    torch.manual_seed(5)
    noise = torch.randn(N_ITEMS, 3).numpy()
    torch.manual_seed(5)
    model.loss(chosen).backward()
    parameters = dict(model.coder.named_parameters())
    gradient = parameters[name].grad.numpy()
    p = arrays(model.coder)
    x, items = content().toarray(), model.network.items.numpy()
    place = np.unravel_index(abs(gradient).argmax(), gradient.shape)
    values = []
    for step in (1e-5, -1e-5):
        moved = {**p, name: p[name].copy()}
        moved[name][place] += step
        values.append(loss_by_hand(moved, x, items, noise, 10.0, 2e-4))
    assert gradient[place] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-3)


def test_codes_are_the_means_without_noise(train):
    model = built(train)
    expected, _ = encode(arrays(model.coder), content().toarray())
    with torch.no_grad():
        found = model.codes(SparseMatrix(content()))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_samples_have_the_variance_of_the_code_and_no_less_than_the_least():
    coder = ContentVAE(4, 3, 2, 1)
    units = torch.zeros(20_000, 2)
    with torch.no_grad():
        coder.mean.bias.fill_(3.0)
        coder.log_variance.bias.fill_(np.log(4))
        torch.manual_seed(0)
        samples, divergences = sampled(units, coder.mean, coder.log_variance)
        assert samples.mean() == pytest.approx(3, abs=0.05)
        assert samples.std() == pytest.approx(2, rel=0.03)
        expected = (9 + 4 - np.log(4) - 1) / 2
        np.testing.assert_allclose(divergences, expected, rtol=1e-5)
        coder.log_variance.bias.fill_(-100.0)
        samples, _ = sampled(units, coder.mean, coder.log_variance)
        assert (samples - 3).std() == pytest.approx(1e-5, rel=0.1)


def test_the_stage_of_the_code_trains_the_layers_beside_it_only(train):
    model = built(train)
    before = arrays(model.coder)
    code = CodeAlone(model.coder)
    units = np.random.default_rng(0).random((N_ITEMS, 5), np.float32)
    settings = {"epochs": 2, "learning_rate": 0.1, "draws": True}
    rng = np.random.default_rng(0)
    model.learn_before("code", code, units, code.loss, train, rng, **settings)
    changed = {name for name, value in arrays(model.coder).items() if (value != before[name]).any()}
    assert {name.split(".")[0] for name in changed} == {"mean", "log_variance", "above"}


def test_items_start_from_the_codes_of_the_autoencoder_that_was_trained_first(train):
    model = built(train, pretraining_epochs=2, vae_epochs=2)
    before = arrays(model.coder)
    model.prepare(train, np.random.default_rng(0))
    after = arrays(model.coder)
    assert not any(np.array_equal(before[name], after[name]) for name in before)
    expected, _ = encode(after, content().toarray())
    np.testing.assert_allclose(model.network.items, expected, rtol=1e-4, atol=1e-5)
