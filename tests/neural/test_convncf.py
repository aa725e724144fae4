"""ConvNCF, and the matrix factorisation it starts from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.compute.checkpoint import Checkpoint  # noqa: E402
from recrepro.neural import convncf  # noqa: E402
from recrepro.neural._mfbpr import MFBPR, full_batches  # noqa: E402
from recrepro.neural.convncf import ConvNCF, nested_order  # noqa: E402

SEEN = np.random.default_rng(3).random((13, 11)) < 0.3
SMALL = {
    "n_factors": 8,
    "n_channels": 4,
    "init_std": 0.5,
    "batch_size": 16,
    "pretraining_epochs": 3,
    "epochs": 3,
}


@pytest.fixture
def train(interactions):
    return interactions(SEEN)


def fit(train, model=ConvNCF, **hyperparameters):
    return model(**{**SMALL, **hyperparameters}).fit(train, np.random.default_rng(1))


def scores(model, train):
    return model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def built(train, **hyperparameters):
    model = ConvNCF(**hyperparameters)
    torch.manual_seed(0)
    model.network = model.build(train)
    return model


def vectors(n, size, seed=0):
    rng = np.random.default_rng(seed)
    return [torch.from_numpy(rng.standard_normal((n, size), np.float32)) for _ in range(2)]


def convolved(network, left, right):
    """Return what torch makes of the maps, layer by layer, and the scores."""
    layers = [torch.einsum("bi,bj->bij", left, right)[:, None]]
    for layer in network.layers:
        layers.append(torch.relu(layer(layers[-1])))
    return layers[1:], network.output(layers[-1].flatten(1))[:, 0]


def test_six_layers_halve_a_map_of_64_down_to_one_cell(train):
    network = built(train).network
    left, right = vectors(3, 64)
    with torch.no_grad():
        layers, expected = convolved(network, left, right)
        sides = [32, 16, 8, 4, 2, 1]
        assert [tuple(layer.shape) for layer in layers] == [(3, 32, n, n) for n in sides]
        torch.testing.assert_close(network(left, right), expected)


def test_the_network_has_20833_parameters_beside_the_tables(train):
    network = built(train).network
    sizes = [sum(p.numel() for p in layer.parameters()) for layer in network.layers]
    assert sizes == [160, 4128, 4128, 4128, 4128, 4128]
    assert sum(p.numel() for p in network.output.parameters()) == 33
    tables = sum(p.numel() for p in network.tables.parameters())
    assert sum(p.numel() for p in network.parameters()) - tables == 20_833
    assert tables == 64 * (13 + 11)


def test_without_weights_of_convolutions_all_items_are_alike(train):
    model = fit(train)
    for layer in model.network.layers:
        torch.nn.init.zeros_(layer.weight)
    found = scores(model, train)
    np.testing.assert_array_equal(found, found[0, 0])


def test_the_matrix_factorisation_scores_by_the_trace_of_the_map(train):
    model = MFBPR(n_factors=8, epochs=3).fit(train, np.random.default_rng(1))
    users, items = model.vectors()
    maps = torch.einsum("ui,vj->uvij", users, items)
    traces = torch.einsum("uvii->uv", maps).detach().numpy()
    np.testing.assert_allclose(scores(model, train), traces, rtol=1e-5, atol=1e-6)


def test_another_order_of_factors_changes_convolutions_and_not_what_they_start_from(train):
    natural, permuted, other = (
        fit(train, permutation=n, first_learning_rate=1e-9, epochs=1) for n in (0, 1, 2)
    )
    for one in (permuted, other):
        for name, value in natural.network.state_dict().items():
            torch.testing.assert_close(one.network.state_dict()[name], value)
    tables = natural.network.tables
    products = tables.users.weight @ tables.items.weight.T
    order = torch.from_numpy(np.random.default_rng(0).permutation(8))
    torch.testing.assert_close(
        tables.users.weight[:, order] @ tables.items.weight[:, order].T, products
    )
    assert sorted(permuted.network.rows.unique().tolist()) == list(range(8))
    first, second, third = (scores(model, train) for model in (natural, permuted, other))
    assert not np.allclose(first, second, rtol=1e-4)
    assert not np.allclose(second, third, rtol=1e-4)


def test_a_permutation_is_that_of_both_vectors(train):
    natural, permuted = (built(train, n_factors=16, permutation=n).network for n in (0, 3))
    permuted.load_state_dict(natural.state_dict())
    left, right = vectors(5, 16)
    size = 16
    row = torch.zeros(size, dtype=torch.long)
    places = nested_order(size)
    row[torch.from_numpy(places[0])] = permuted.rows
    with torch.no_grad():
        torch.testing.assert_close(permuted(left, right), natural(left[:, row], right[:, row]))


def test_a_map_of_the_diagonal_sees_what_a_matrix_factorisation_sees(train):
    left, right = vectors(6, 16)
    factor = torch.linspace(0.5, 2, 16)
    with torch.no_grad():
        diagonal = built(train, n_factors=16, map="diagonal").network
        torch.testing.assert_close(diagonal(left * factor, right / factor), diagonal(left, right))
        for part in ("full", "off-diagonal"):
            network = built(train, n_factors=16, map=part).network
            assert not torch.allclose(network(left * factor, right / factor), network(left, right))


def test_a_map_without_the_diagonal_is_the_full_one_less_that(train):
    network = built(train, n_factors=8, map="off-diagonal").network
    one = torch.eye(8)
    with torch.no_grad():
        nothing = network(torch.zeros(8, 8), torch.zeros(8, 8))
        torch.testing.assert_close(network(one, one), nothing)
        moved = network(one, one.roll(1, dims=0))
        assert not torch.allclose(moved, nothing)


@pytest.mark.parametrize("n_factors", [0, 1, 3, 48])
def test_factors_that_cannot_be_halved_are_refused(n_factors):
    with pytest.raises(ValidationError, match=r"power of two|greater than or equal to 2"):
        ConvNCF(n_factors=n_factors)


@pytest.mark.parametrize(("n_factors", "n_layers"), [(2, 1), (16, 4), (128, 7)])
def test_there_are_as_many_layers_as_the_logarithm_of_the_factors(n_factors, n_layers, train):
    network = built(train, n_factors=n_factors, n_channels=4).network
    assert len(network.layers) == n_layers
    left, right = vectors(3, n_factors)
    with torch.no_grad():
        torch.testing.assert_close(network(left, right), convolved(network, left, right)[1])


def test_nested_order_has_all_patches_side_by_side():
    rows, columns = nested_order(4)
    assert list(zip(rows, columns, strict=True))[:8] == [
        *[(0, 0), (0, 1), (1, 0), (1, 1)],
        *[(0, 2), (0, 3), (1, 2), (1, 3)],
    ]
    assert len(set(zip(rows, columns, strict=True))) == 16


def test_losses_are_summed_and_penalties_are_whole_squares(train):
    model = built(train, n_factors=2, n_channels=1, l2=0.01, l2_network=1.0, l2_output=10.0)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.fill_(1)
    batch = [torch.tensor(part) for part in ([0, 0, 1], [2, 3, 4], [5, 5, 5])]
    assert model.loss(*batch).item() == pytest.approx(3 * np.log(2))
    model.penalised = True
    # 9 vectors of 2 factors, 4 weights and a bias of the one layer, weight and bias of the output
    penalties = 0.01 * 9 * 2 + 1 * (4 + 1) + (10 + 1) * (1 + 1)
    assert model.loss(*batch).item() == pytest.approx(3 * np.log(2) + penalties)


def test_the_loss_of_the_matrix_factorisation_is_summed_too(train):
    model = MFBPR(n_factors=2)
    model.network = model.build(train)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.fill_(1)
        model.network.items.weight[5] = 0
    batch = [torch.tensor(part) for part in ([0, 0, 1], [2, 3, 4], [5, 5, 5])]
    expected = 3 * np.log1p(np.exp(-2.0)) + 0.01 * 6 * 2
    assert model.loss(*batch).item() == pytest.approx(expected)


def test_adagrad_starts_from_a_sum_of_squares_of_a_tenth(train):
    model = MFBPR(n_factors=2, learning_rate=0.05)
    model.network = model.build(train)
    (optimizer,) = model.make_optimizers()
    before = model.network.users.weight.detach().clone()
    slopes = torch.linspace(-1, 1, 26).reshape(13, 2)
    model.network.users.weight.grad = slopes
    optimizer.step()
    expected = before - 0.05 * slopes / (0.1 + slopes**2).sqrt()
    torch.testing.assert_close(model.network.users.weight.detach(), expected)


def test_the_first_epoch_has_an_optimiser_of_its_own_and_no_penalties(train):
    model = ConvNCF(**SMALL)
    epochs = model.fit_epochs(train, np.random.default_rng(1))

    def moved():
        sums = [[s["sum"] for s in o.state.values()] for o in model.optimizers]
        return [any((part != np.float32(0.1)).any() for part in parts) for parts in sums]

    first = next(epochs).values["loss"]
    assert moved() == [True, False, False]
    assert not model.penalised
    kept = [part.clone() for part in (s["sum"] for s in model.optimizers[0].state.values())]
    second = next(epochs).values["loss"]
    assert moved() == [True, True, True]
    for old, state in zip(kept, model.optimizers[0].state.values(), strict=True):
        assert torch.equal(old, state["sum"])
    assert second > first + 1
    rates = [o.param_groups[0]["lr"] for o in model.optimizers]
    assert rates == [0.01, 0.05, 0.05]
    sizes = [sum(p.numel() for p in o.param_groups[0]["params"]) for o in model.optimizers]
    assert sizes[1:] == [8 * 24, sizes[0] - 8 * 24]


def test_a_second_epoch_goes_on_after_an_interruption_as_one(train, tmp_path):
    undisturbed = fit(train)
    cut_off, resumed = ConvNCF(**SMALL), ConvNCF(**SMALL)
    cut_off.checkpoint = resumed.checkpoint = Checkpoint(tmp_path / "fit.npz")
    for _ in cut_off.fit_epochs(train, np.random.default_rng(1)):
        cut_off.keep(now=True)
        break
    resumed.fit(train, np.random.default_rng(1))
    np.testing.assert_array_equal(scores(resumed, train), scores(undisturbed, train))


def test_factors_start_from_those_of_the_matrix_factorisation(train, monkeypatch):
    parts = []

    def train_before(self, name, part, train, rng):
        parts.append(part.fit(train, rng))

    monkeypatch.setattr(ConvNCF, "train_before", train_before)
    model = fit(train, first_learning_rate=1e-12, epochs=1)
    assert parts[0].config.epochs == 3
    assert parts[0].config.learning_rate == 0.05
    for name, value in parts[0].network.state_dict().items():
        torch.testing.assert_close(model.network.tables.state_dict()[name], value)
    fit(train, pretraining=False)
    assert len(parts) == 1


def test_first_numbers_are_cut_at_two_deviations(train):
    network = built(train).network
    for table in (network.tables.users, network.tables.items):
        assert 0.017 < table.weight.abs().max() <= 0.02
    for layer in network.layers[1:]:
        assert 0.19 < layer.weight.abs().max() <= 0.2
        assert (layer.bias == 0.1).all()
    assert network.output.weight.abs().max() <= 0.2
    assert network.output.bias.abs() <= 0.2


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_a_batch_that_is_not_full_is_left_out_unless_it_is_all_there_is(interactions, seed, size):
    rng = np.random.default_rng(seed)
    train = interactions(rng.random((6, 5)) < 0.4)
    n = len(train.users[train.user_counts[train.users] < 5])
    found = [len(users) for users, _, _ in full_batches(train, size, rng)]
    assert found == ([size] * (n // size) or [n] * (n > 0))


def test_scores_do_not_depend_on_how_many_pairs_are_computed_at_once(train, monkeypatch):
    model = fit(train)
    at_once = scores(model, train)
    monkeypatch.setitem(convncf._ROWS_AT_ONCE, "cpu", 16 * 3)
    np.testing.assert_allclose(scores(model, train), at_once, rtol=1e-5, atol=1e-6)
    users = np.arange(13, dtype=np.int32)
    candidates = train.matrix.astype(bool)
    some = model.score_candidates(users, train.matrix, candidates)
    np.testing.assert_allclose(some[SEEN], at_once[SEEN], rtol=1e-5, atol=1e-6)
    assert np.isneginf(some[~SEEN]).all()


def test_channels_are_dropped_in_training_only(train):
    network = built(train, n_factors=8, dropout=0.5).network
    left, right = vectors(20, 8)
    with torch.no_grad():
        assert not torch.equal(network(left, right), network(left, right))
        network.eval()
        torch.testing.assert_close(network(left, right), convolved(network, left, right)[1])


def test_the_loss_falls(train):
    reports = []
    quiet = {"l2": 0.0, "l2_network": 0.0, "l2_output": 0.0}
    model = ConvNCF(**{**SMALL, **quiet, "network_std": 0.5, "epochs": 30})
    model.fit(train, np.random.default_rng(1), reports.append)
    assert reports[-1].values["loss"] < 0.8 * reports[0].values["loss"]
