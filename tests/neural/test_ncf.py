"""GMF, MLP and NeuMF."""

import numpy as np
import pytest
from scipy.sparse import csr_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.interactions import Interactions  # noqa: E402
from recrepro.model import EpochStats  # noqa: E402
from recrepro.neural.gmf import GMF, GMFNetwork  # noqa: E402
from recrepro.neural.mlp import MLP, MLPNetwork  # noqa: E402
from recrepro.neural.neumf import NeuMF, NeuMFNetwork  # noqa: E402

WORST_CONSTANT = -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))
"""Binary cross-entropy of the best constant with 4 negatives for each positive: 0.5004."""


@pytest.fixture(scope="module")
def train():
    rng = np.random.default_rng(3)
    likes = np.kron(np.eye(2), np.ones((30, 20))) * (rng.random((60, 40)) < 0.5)
    users, items = np.nonzero(likes)
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.ones(len(users), np.float32),
        None,
        np.arange(60),
        np.arange(40),
    )


def n_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def some_pairs(train, n=50):
    rng = np.random.default_rng(5)
    users, items = rng.integers(train.n_users, size=n), rng.integers(train.n_items, size=n)
    return torch.from_numpy(users), torch.from_numpy(items)


def scores(model, train):
    return model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def test_neumf_has_as_many_parameters_as_the_paper_says_on_movielens_1m():
    network = NeuMFNetwork(6040, 3706, n_factors=64, n_layers=2, std=0.05)
    tables = [network.users, network.items, network.tower.users, network.tower.items]
    assert n_parameters(torch.nn.ModuleList(tables)) == 1_871_232
    assert [n_parameters(layer) for layer in network.tower.layers] == [32_896, 8_256]
    assert n_parameters(network.output) == 129
    assert n_parameters(network) == 1_912_513


def test_gmf_has_two_tables_and_one_weighted_sum():
    assert n_parameters(GMFNetwork(30, 20, n_factors=8, std=0.01)) == 50 * 8 + 8 + 1


def test_layers_halve_down_to_the_number_of_factors():
    network = MLPNetwork(30, 20, n_factors=8, n_layers=3, std=0.01)
    widths = [(layer.in_features, layer.out_features) for layer in network.tower.layers]
    assert widths == [(64, 32), (32, 16), (16, 8)]
    assert network.tower.users.embedding_dim == network.tower.items.embedding_dim == 32


def test_after_pretraining_the_logit_is_the_mean_of_those_of_the_parts(train):
    gmf, mlp = (part(epochs=2).fit(train, np.random.default_rng(1)) for part in (GMF, MLP))
    network = NeuMFNetwork(train.n_users, train.n_items, n_factors=64, n_layers=2, std=0.05)
    network.start_from(gmf.network, mlp.network)
    pairs = some_pairs(train)
    with torch.no_grad():
        mean = (gmf.network(*pairs) + mlp.network(*pairs)) / 2
        torch.testing.assert_close(network(*pairs), mean)


def test_gmf_with_weights_of_one_is_a_dot_product(train):
    network = GMFNetwork(train.n_users, train.n_items, n_factors=5, std=1.0)
    torch.nn.init.ones_(network.output.weight)
    users, items = some_pairs(train)
    with torch.no_grad():
        dots = (network.users.weight[users] * network.items.weight[items]).sum(1)
        torch.testing.assert_close(network(users, items), dots)


@pytest.mark.parametrize("model", [GMF, MLP, NeuMF])
def test_the_loss_starts_at_that_of_a_coin_and_falls_below_that_of_a_constant(model, train):
    kwargs = {"pretraining": False} if model is NeuMF else {}
    fitted = model(learning_rate=1e-6, epochs=1, **kwargs)
    reports = []
    fitted.fit(train, np.random.default_rng(1), reports.append)
    assert reports[0].values["loss"] == pytest.approx(np.log(2), abs=0.02)
    reports = []
    quick = model(learning_rate=0.01, epochs=15, **kwargs)
    quick.fit(train, np.random.default_rng(1), reports.append)
    assert reports[-1].values["loss"] < WORST_CONSTANT


def test_pretraining_is_that_of_the_parts_by_adam_and_then_plain_descent(train):
    pretrained = NeuMF(gmf_epochs=3, mlp_epochs=3, epochs=1)
    pretrained.fit(train, np.random.default_rng(1))
    assert isinstance(pretrained.optimizers[0], torch.optim.SGD)
    from_scratch = NeuMF(pretraining=False, epochs=1).fit(train, np.random.default_rng(1))
    assert isinstance(from_scratch.optimizers[0], torch.optim.Adam)
    told = NeuMF(optimizer="adagrad", gmf_epochs=1, mlp_epochs=1, epochs=1)
    told.fit(train, np.random.default_rng(1))
    assert isinstance(told.optimizers[0], torch.optim.Adagrad)


def test_pretraining_goes_on_where_it_was_interrupted(train, tmp_path, monkeypatch):
    from recrepro.compute.checkpoint import Checkpoint

    config = {"gmf_epochs": 3, "mlp_epochs": 3, "epochs": 2}
    undisturbed = NeuMF(**config).fit(train, np.random.default_rng(1))
    cut_off, resumed = NeuMF(**config), NeuMF(**config)
    cut_off.checkpoint = Checkpoint(tmp_path / "fit.npz", seconds=0)
    resumed.checkpoint = cut_off.checkpoint
    whole = MLP.train_epoch

    def interrupted(self, train, rng):
        if getattr(self, "_reached", EpochStats(0)).epoch == 2:
            raise KeyboardInterrupt
        return whole(self, train, rng)

    with monkeypatch.context() as patch:
        patch.setattr(MLP, "train_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cut_off.fit(train, np.random.default_rng(1))
    with monkeypatch.context() as patch:
        patch.setattr(GMF, "train_epoch", None)  # it was finished
        resumed.fit(train, np.random.default_rng(1))
    np.testing.assert_array_equal(scores(resumed, train), scores(undisturbed, train))


@pytest.mark.parametrize("model", [MLP, NeuMF])
def test_scoring_all_items_gives_the_logits_of_the_pairs(model, train):
    kwargs = {"pretraining": False} if model is NeuMF else {}
    fitted = model(epochs=2, **kwargs).fit(train, np.random.default_rng(1))
    users, items = some_pairs(train)
    with torch.no_grad():
        logits = fitted.network(users, items).numpy()
    np.testing.assert_allclose(scores(fitted, train)[users, items], logits, rtol=1e-4, atol=1e-6)


def test_gmf_scores_are_logits_but_for_the_bias(train):
    fitted = GMF(epochs=2).fit(train, np.random.default_rng(1))
    users, items = some_pairs(train)
    with torch.no_grad():
        logits = (fitted.network(users, items) - fitted.network.output.bias).numpy()
    np.testing.assert_allclose(scores(fitted, train)[users, items], logits, rtol=1e-4, atol=1e-6)


def test_candidates_are_scored_in_blocks(train, monkeypatch):
    fitted = MLP(epochs=1).fit(train, np.random.default_rng(1))
    users = np.arange(train.n_users, dtype=np.int32)
    monkeypatch.setattr("recrepro.neural._training.PAIRS_AT_ONCE", 7)
    found = fitted.score_candidates(users, train.matrix, csr_array(np.ones(train.shape, bool)))
    np.testing.assert_allclose(found, scores(fitted, train), rtol=1e-5, atol=1e-6)
