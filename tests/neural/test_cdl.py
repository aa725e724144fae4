import numpy as np
import pytest
from scipy.sparse import csr_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.errors import ModelError  # noqa: E402
from recrepro.features import Features, FeatureSet  # noqa: E402
from recrepro.neural._products import SparseMatrix  # noqa: E402
from recrepro.neural.cdl import CDL, mean_logits  # noqa: E402

N_ITEMS, N_WORDS = 12, 15
SIZES = {"n_factors": 3, "n_hidden": 6, "batch_size": 12, "device": "cpu"}


def content():
    rng = np.random.default_rng(0)
    rows = rng.random((N_ITEMS, N_WORDS)) * (rng.random((N_ITEMS, N_WORDS)) < 0.4)
    rows[0] = 1  # the largest of each word
    rows[3] = 0
    return csr_array(rows.astype(np.float32))


@pytest.fixture
def train(interactions):
    return interactions(np.random.default_rng(2).random((7, N_ITEMS)) < 0.4)


def made(**settings):
    one = FeatureSet("item", "words", np.arange(N_ITEMS), content(), np.arange(N_WORDS))
    return CDL(**SIZES, **settings).with_features(Features((one,)))


def built(train, **settings):
    """Make a model with parameters that are not small, and items that are somewhere."""
    model = made(**settings)
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


def outputs(p, x):
    """Compute codes and reconstructions from the equations, without noise."""
    h = sigmoid(x @ p["first.weight"] + p["first.bias"])
    code = sigmoid(h @ p["second.weight"] + p["second.bias"])
    h = sigmoid(code @ p["second.weight"].T + p["first.bias"])
    return code, sigmoid(h @ p["first.weight"].T + p["bias"])


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("epoch", [0, 1])
def test_the_loss_is_that_of_the_equations(squared, epoch, train):
    model = built(train, mask=0.0, dropout=0.0, squared=squared, l2_item=3.0, reconstruction=2.0)
    model.coder.n_epochs += epoch
    chosen = torch.tensor([4, 3, 11, 7])
    x = content().toarray()[chosen]
    code, out = outputs(arrays(model.coder), x)
    if squared:
        expected = ((out - x) ** 2).sum(axis=1) / 2
    else:
        expected = -(x * np.log(out) + (1 - x) * np.log(1 - out)).sum(axis=1)
    if epoch:  # in the first one the target is the code itself
        expected += 1.5 * ((code - model.network.items.numpy()[chosen]) ** 2).sum(axis=1) / 2
    assert model.loss(chosen).item() == pytest.approx(expected.mean(), rel=1e-4)


@pytest.mark.parametrize("name", ["first.weight", "first.bias", "second.weight"])
def test_gradients_are_those_of_finite_differences_through_both_uses_of_a_weight(name, train):
    model = built(train, mask=0.0, dropout=0.0, reconstruction=2.0)
    model.coder.n_epochs += 1
    model.loss(torch.arange(N_ITEMS)).backward()
    gradient = dict(model.coder.named_parameters())[name].grad.numpy()
    p, x = arrays(model.coder), content().toarray()
    place = np.unravel_index(abs(gradient).argmax(), gradient.shape)
    values = []
    for step in (1e-5, -1e-5):
        moved = {**p, name: p[name].copy()}
        moved[name][place] += step
        code, out = outputs(moved, x)
        losses = -(x * np.log(out) + (1 - x) * np.log(1 - out)).sum(axis=1)
        losses += 5 * ((code - model.network.items.numpy()) ** 2).sum(axis=1) / 2
        values.append(losses.mean())
    assert gradient[place] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-3)


def test_the_code_is_a_plain_network_without_dropout_and_a_scaled_one_with_it(train):
    x = content().toarray()
    for dropout in (0.0, 0.1):
        model = built(train, dropout=dropout)
        p = arrays(model.coder)
        h = sigmoid((1 - dropout) * (x @ p["first.weight"] + p["first.bias"]))
        expected = sigmoid(h @ p["second.weight"] + p["second.bias"])
        with torch.no_grad():
            found = model.codes(SparseMatrix(content()))
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_dropout_sets_units_to_zero_and_scales_nothing_up(train):
    model = built(train, dropout=0.4)
    torch.manual_seed(0)
    units = model.coder._dropped(torch.ones(300, 100))
    assert set(units.unique().tolist()) == {0, 1}
    assert units.mean() == pytest.approx(0.6, abs=0.02)


def test_noise_makes_the_codes_of_a_step_differ_but_drops_nothing_from_those_for_items(train):
    model = built(train, mask=0.0, dropout=0.5)
    _, noisy, codes = model.coder.losses(content(), 0.0, squared=False)
    assert (noisy == 0).any()
    assert (codes > 0).all()


def test_items_start_from_the_codes_after_the_first_epoch(train):
    model = made(pretraining_epochs=1, l2_item=1e-3, confidence_unseen=0.5, final_sweeps=1)
    next(model.fit_epochs(train, np.random.default_rng(0)))
    _, codes = model.vectors_and_means()
    users, items = model.squares.sweep(codes, codes)
    np.testing.assert_allclose(model.network.users, users, rtol=1e-5)
    np.testing.assert_allclose(model.network.items, items, rtol=1e-5)
    assert model.coder.n_epochs == 1


def test_scores_have_the_last_sweeps_and_training_goes_on_without_them(train):
    settings = {"pretraining_epochs": 1, "l2_item": 0.1, "epochs": 3}
    everyone = np.arange(train.n_users, dtype=np.int32)
    alone = made(**settings, final_sweeps=1).fit(train, np.random.default_rng(0))
    more = made(**settings, final_sweeps=50)
    for stats in more.fit_epochs(train, np.random.default_rng(0)):
        scores = more.score(everyone, train.matrix)
        if stats.epoch == 3:
            break
    for name, value in alone.network.state_dict().items():
        assert torch.equal(value, more.network.state_dict()[name])
    users, items = more.squares.sweeps(*more.vectors_and_means(), 49)
    np.testing.assert_allclose(scores, users @ items.T, rtol=1e-4)
    assert not np.allclose(scores, alone.score(everyone, train.matrix), rtol=1e-3)


def test_an_optimiser_without_a_penalty_is_refused(train):
    with pytest.raises(ModelError, match="set l2 = 0"):
        built(train, optimizer="rmsprop-tf").make_optimizers()
    for settings in ({"optimizer": "rmsprop-tf", "l2": 0.0}, {"l2": 0.3}):
        (optimizer,) = built(train, **settings).make_optimizers()
        (group,) = optimizer.param_groups
        assert group.get("weight_decay", 0) == settings["l2"]


def test_biases_start_from_the_logits_of_means_within_bounds():
    rows = np.array([[0, 1, 1, 0.5], [0, 1, 0, 0]], np.float32)
    expected = [-4, 4, 0, np.log(0.25 / 0.75)]
    for some in (rows, csr_array(rows)):
        np.testing.assert_allclose(mean_logits(some), expected, rtol=1e-5)
