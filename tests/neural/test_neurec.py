"""U-NeuRec and I-NeuRec, and the order of the cells they learn from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural import _cells  # noqa: E402
from recrepro.neural._cells import cells_in_batches, scrambled  # noqa: E402
from recrepro.neural.neurec import INeuRec, UNeuRec  # noqa: E402

SEEN = np.random.default_rng(3).random((14, 10)) < 0.3
SMALL = {"n_hidden": 6, "n_factors": 4, "batch_size": 20, "learning_rate": 0.01, "epochs": 2}
BOTH = pytest.mark.parametrize("model", [UNeuRec, INeuRec])


@pytest.fixture
def train(interactions):
    return interactions(SEEN)


def scores(model, train):
    return model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def built(model, train, **hyperparameters):
    """Return a model with its first parameters."""
    found = model(**{**SMALL, **hyperparameters})
    torch.manual_seed(0)
    found.network = found.build(train)
    return found


def losses(model, train):
    rng = np.random.default_rng(1)
    batches = [[torch.from_numpy(part) for part in batch] for batch in model.batches(train, rng)]
    return batches, [model.loss(*batch) for batch in batches]


@BOTH
def test_codes_lie_between_0_and_1(model, train):
    found = built(model, train)
    codes = found.network.encode(found._rows.all)
    assert codes.shape == (len(found._rows.matrix.indptr) - 1, 4)
    assert ((codes > 0) & (codes < 1)).all()


@BOTH
def test_with_a_table_of_zeros_the_loss_is_the_number_of_interactions(model, train):
    found = built(model, train, l2=0.0)
    torch.nn.init.zeros_(found.network.table.weight)
    batches, found_losses = losses(found, train)
    for (_, labels, _), loss in zip(batches, found_losses, strict=True):
        assert loss.item() == labels.sum().item()
    assert sum(loss.item() for loss in found_losses) == SEEN.sum()


def test_with_the_same_code_for_all_the_optimum_is_the_popularity_of_each_item(train):
    model = built(UNeuRec, train, l2=0.0)
    network = model.network
    for parameter in network.layers.parameters():
        torch.nn.init.zeros_(parameter)
    code = network.encode(model._rows.all)[0].detach()
    popularity = torch.from_numpy(SEEN.mean(axis=0, dtype=np.float32))
    with torch.no_grad():
        network.table.weight.copy_(torch.outer(popularity, code) / (code @ code))
    np.testing.assert_allclose(scores(model, train), SEEN.mean(axis=0)[None].repeat(14, 0), 1e-5)
    total = torch.stack(losses(model, train)[1]).sum()
    (gradient,) = torch.autograd.grad(total, network.table.weight)
    np.testing.assert_allclose(gradient, 0, atol=1e-5)


@pytest.mark.parametrize("sampling", ["cells", "rows"])
def test_without_the_penalty_items_are_encoded_as_users_of_the_transpose(
    sampling, train, interactions
):
    settings = {**SMALL, "l2": 0.0, "sampling": sampling}
    of_items = INeuRec(**settings).fit(train, np.random.default_rng(1))
    transposed = interactions(SEEN.T)
    of_users = UNeuRec(**settings).fit(transposed, np.random.default_rng(1))
    np.testing.assert_allclose(
        scores(of_items, train), scores(of_users, transposed).T, rtol=1e-5, atol=1e-7
    )


def test_the_penalties_are_half_squares_and_plain_norms_of_all_but_biases(train):
    for model, expected in ((UNeuRec, lambda w: (w**2).sum() / 2), (INeuRec, np.linalg.norm)):
        found = built(model, train, dropout=0.0, l2=0.1)
        weights = [p.detach().numpy() for p in found.network.parameters() if p.ndim == 2]
        assert len(weights) == 6
        assert found.penalty().item() == pytest.approx(sum(map(expected, weights)), rel=1e-5)
        batch = losses(found, train)[0][0]
        penalised = found.loss(*batch).item()
        found.config = model.Config(**SMALL, dropout=0.0, l2=0.0)
        plain = found.loss(*batch).item()
        assert penalised - plain == pytest.approx(0.1 * found.penalty().item(), rel=1e-4)


def test_a_plain_norm_pulls_every_matrix_with_the_same_force(train):
    found = built(INeuRec, train)
    torch.nn.init.zeros_(found.network.layers[1].weight)
    weights = [p for p in found.network.parameters() if p.ndim == 2]
    forces = [g.norm().item() for g in torch.autograd.grad(found.penalty(), weights)]
    assert forces == pytest.approx([1, 0, 1, 1, 1, 1])


@BOTH
def test_whole_rows_have_the_gradient_of_cells_in_expectation(model, train):
    gradients = []
    for sampling, batch_size in (("cells", 20), ("rows", 20)):
        found = built(model, train, l2=0.0, dropout=0.0, sampling=sampling, batch_size=batch_size)
        parameters = list(found.network.parameters())
        mean = torch.stack(losses(found, train)[1]).mean()
        gradients.append(torch.autograd.grad(mean, parameters))
    for cells, rows in zip(*gradients, strict=True):
        torch.testing.assert_close(rows, cells, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("batch_size", "n_rows"), [(20, 2), (29, 2), (3, 1), (10**6, 14)])
def test_as_many_whole_rows_as_fill_a_batch_and_one_at_least(train, batch_size, n_rows):
    model = built(UNeuRec, train, sampling="rows", batch_size=batch_size)
    batches = list(model.batches(train, np.random.default_rng(1)))
    assert {len(rows) for rows, _ in batches} == {n_rows}
    for rows, labels in batches:
        np.testing.assert_array_equal(labels, SEEN[rows])
    np.testing.assert_array_equal(np.sort(np.concatenate([rows for rows, _ in batches])), range(14))


@BOTH
def test_values_are_ignored(model, train, interactions):
    rated = interactions(SEEN * 5)
    ones, fives = (model(**SMALL).fit(data, np.random.default_rng(1)) for data in (train, rated))
    np.testing.assert_array_equal(scores(ones, train), scores(fives, rated))


@BOTH
def test_dropout_acts_in_training_only(model, train):
    found = built(model, train, dropout=0.5)
    batches, _ = losses(found, train)
    torch.manual_seed(1)
    first, second = (found.loss(*batches[0]).item() for _ in range(2))
    assert first != second
    found.network.eval()
    np.testing.assert_array_equal(scores(found, train), scores(found, train))


def test_u_neurec_scores_a_history_whoever_has_it(train):
    model = UNeuRec(**SMALL).fit(train, np.random.default_rng(1))
    stranger = model.score(np.array([99], np.int32), train.matrix[[4]])
    np.testing.assert_allclose(stranger, scores(model, train)[[4]], rtol=1e-5)


@BOTH
def test_first_numbers_are_those_of_the_paper(model, train):
    found = built(model, train, n_hidden=300, n_factors=50)
    layers = found.network.layers
    n_in = found._rows.matrix.shape[1]
    shapes = [tuple(layer.weight.shape) for layer in layers]
    assert shapes == [(n_in, 300), (300, 300), (300, 300), (300, 300), (300, 50)]
    for layer in layers:
        assert layer.weight.std().item() == pytest.approx(1, abs=0.05)
        assert layer.bias.std().item() == pytest.approx(1, abs=0.3)
    assert found.network.table.weight.shape == (n_in, 50)
    assert found.network.table.weight.std().item() == pytest.approx(0.005, rel=0.15)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 30), st.booleans())
def test_an_epoch_has_every_cell_once_in_full_batches(n_rows, n_columns, batch_size, listed):
    rng = np.random.default_rng(n_rows * n_columns + batch_size)
    seen = rng.random((n_rows, n_columns)) < 0.4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_cells, "LISTED_AT_MOST", 81 if listed else 0)
        batches = list(cells_in_batches(csr_array(seen.astype(np.float32)), batch_size, rng))
    n = n_rows * n_columns
    sizes = [len(rows) for rows, _, _ in batches]
    assert sizes == ([batch_size] * (n // batch_size) or [n])
    rows, labels, columns = map(np.concatenate, zip(*batches, strict=True))
    assert len(np.unique(rows * n_columns + columns)) == len(rows)
    np.testing.assert_array_equal(labels, seen[rows, columns])
    assert labels.dtype == np.float32


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_scrambling_is_a_permutation(n_rows, n_columns, seed):
    keys = np.random.default_rng(seed).integers(2**63, size=(4, 2), dtype=np.uint64)
    n = n_rows * n_columns
    found = scrambled(np.arange(n), n_rows, n_columns, keys)
    np.testing.assert_array_equal(np.sort(found), np.arange(n))


def test_scrambled_neighbours_are_as_far_apart_as_random_ones():
    n_rows, n_columns = 400, 300
    first, second = (
        scrambled(np.arange(n_rows * n_columns), n_rows, n_columns, keys)
        for keys in np.random.default_rng(1).integers(2**63, size=(2, 4, 2), dtype=np.uint64)
    )
    for found in (first, second):
        rows, columns = np.divmod(found, n_columns)
        assert (rows[1:] == rows[:-1]).mean() == pytest.approx(1 / n_rows, rel=0.15)
        assert (columns[1:] == columns[:-1]).mean() == pytest.approx(1 / n_columns, rel=0.15)
        assert np.abs(np.corrcoef(found, np.arange(len(found)))[0, 1]) < 0.01
    assert np.abs(np.corrcoef(first, second)[0, 1]) < 0.01
