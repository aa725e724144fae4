import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, random_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.compute import memory  # noqa: E402
from recrepro.compute.checkpoint import Checkpoint  # noqa: E402
from recrepro.errors import ModelError  # noqa: E402
from recrepro.interactions import Interactions  # noqa: E402
from recrepro.neural._autoencoder import (  # noqa: E402
    Layer,
    as_rows,
    normalised,
    row_batches,
)
from recrepro.neural._multinomial import (  # noqa: E402
    multinomial_loss,
    plain_multinomial_loss,
)
from recrepro.neural.multdae import MultDAE  # noqa: E402
from recrepro.neural.multvae import MultVAE  # noqa: E402
from recrepro.neural.recvae import RecVAE  # noqa: E402

seeds = st.integers(0, 2**32 - 1)
SMALL = {"n_factors": 4, "n_hidden": 8, "batch_size": 7, "device": "cpu"}
autoencoders = pytest.mark.parametrize("model", [MultVAE, MultDAE, RecVAE])


def some_rows(rng, n=7, n_items=9, density=0.4):
    rows = random_array(
        (n, n_items), density=density, format="csr", dtype=np.float32, random_state=rng
    )
    rows.data[:] = 1
    return rows


def some_interactions(interactions):
    rng = np.random.default_rng(4)
    matrix = rng.random((30, 12)) < rng.random(12) * 0.7
    matrix[[3, 17]] = False
    matrix[5] = True
    return interactions(matrix)


def dense(sparse):
    return sparse.times(torch.eye(sparse._rows.shape[1]))


def tensor(rng, *shape, scale=1.0):
    values = scale * rng.standard_normal(shape).astype(np.float32)
    return torch.from_numpy(values.astype(np.float32)).requires_grad_()


@given(seeds, st.sampled_from([0.1, 1.0, 30.0]), st.integers(1, 12))
def test_likelihoods_and_their_gradients_are_those_of_a_log_softmax(seed, scale, n_items):
    rng = np.random.default_rng(seed)
    rows = some_rows(rng, n_items=n_items)
    parts = tensor(rng, 7, 3, scale=scale), tensor(rng, 3, n_items), tensor(rng, n_items)
    weights = tensor(rng, 7).detach()
    logits = parts[0] @ parts[1] + parts[2]
    expected = -(torch.from_numpy(rows.toarray()) * logits.log_softmax(dim=1)).sum(dim=1)
    wanted = torch.autograd.grad((expected * weights).sum(), parts, retain_graph=True)
    for found in (multinomial_loss(*parts, rows), plain_multinomial_loss(logits, rows)):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        gradients = torch.autograd.grad((found * weights).sum(), parts, retain_graph=True)
        for got, want in zip(gradients, wanted, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4 * scale)


def test_the_likelihood_of_two_in_three_equally_likely_items():
    rows = csr_array(np.array([[1, 1, 0]], np.float32))
    loss = multinomial_loss(torch.ones(1, 2), torch.zeros(2, 3), torch.zeros(3), rows)
    assert loss.item() == pytest.approx(2.1972246, abs=1e-6)


def test_the_likelihood_of_equally_likely_items_is_a_logarithm_for_each():
    rows = some_rows(np.random.default_rng(1), n=5, n_items=40)
    loss = multinomial_loss(torch.ones(5, 2), torch.zeros(2, 40), torch.zeros(40), rows)
    np.testing.assert_allclose(loss, rows.sum(axis=1) * np.log(40), rtol=1e-6)


def test_logits_far_apart_neither_overflow_nor_vanish():
    rows = csr_array(np.array([[1, 0, 1], [0, 0, 1]], np.float32))
    bias = torch.tensor([-1000.0, 0.0, 1000.0], requires_grad=True)
    hidden = torch.zeros(2, 1, requires_grad=True)
    loss = multinomial_loss(hidden, torch.zeros(1, 3), bias, rows)
    torch.testing.assert_close(loss, torch.tensor([2000.0, 0.0]))
    loss.sum().backward()
    torch.testing.assert_close(bias.grad, torch.tensor([-1.0, 0.0, 1.0]))


def test_what_needs_no_gradient_gets_none():
    rng = np.random.default_rng(2)
    hidden, weight, bias = tensor(rng, 7, 3), tensor(rng, 3, 9), tensor(rng, 9)
    rows = some_rows(rng)
    multinomial_loss(hidden, weight.detach(), bias.detach(), rows).sum().backward()
    assert hidden.grad is not None
    multinomial_loss(hidden.detach(), weight, bias, rows).sum().backward()
    assert weight.grad is not None
    assert bias.grad is not None


def test_likelihoods_have_the_same_bits_for_every_number_of_threads_of_the_loops(monkeypatch):
    rng = np.random.default_rng(3)
    parts = tensor(rng, 70, 5), tensor(rng, 5, 90), tensor(rng, 90)
    rows = some_rows(rng, 70, 90)
    found = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        loss = multinomial_loss(*parts, rows)
        found.append([loss, *torch.autograd.grad(loss.sum(), parts)])
    for others in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], others, strict=True))


@given(seeds)
def test_normalised_rows_have_length_one_whatever_their_values(seed):
    rng = np.random.default_rng(seed)
    rows = some_rows(rng)
    rows.data[:] = rng.uniform(-9, 9, len(rows.data))
    found = dense(normalised(rows))
    lengths = np.diff(rows.indptr) > 0
    np.testing.assert_allclose(found.norm(dim=1), lengths, rtol=1e-6)
    pattern = rows.copy()
    pattern.data[:] = 1
    np.testing.assert_array_equal(found > 0, pattern.toarray() > 0)


def test_dropout_takes_some_of_what_is_stored_and_scales_up_the_rest():
    rows = some_rows(np.random.default_rng(0), 100, 200)
    torch.manual_seed(1)
    whole, found = dense(normalised(rows)), dense(normalised(rows, 0.75))
    kept = found > 0
    torch.testing.assert_close(found[kept], 4 * whole[kept])
    assert kept.sum() / rows.nnz == pytest.approx(0.25, abs=0.02)
    assert not torch.equal(dense(normalised(rows, 0.75)), found)


def test_batches_have_every_user_with_interactions_once(interactions):
    train = some_interactions(interactions)
    users = np.arange(train.n_users, dtype=np.float32)[:, None]
    seen = []
    for starts, items, own in row_batches(train, 7, np.random.default_rng(0), users):
        rows = as_rows(torch.from_numpy(starts), torch.from_numpy(items), train.n_items)
        chosen = own[:, 0].astype(int)
        np.testing.assert_array_equal(rows.toarray(), train.matrix[chosen].toarray())
        assert len(chosen) <= 7
        seen += chosen.tolist()
    assert seen != sorted(seen)
    assert sorted(seen) == np.flatnonzero(train.user_counts).tolist()
    assert len(seen) == train.n_users - 2


def test_first_weights_are_those_of_a_layer_of_torch():
    torch.manual_seed(0)
    layer = Layer(400, 300)
    for parameter in (layer.weight.detach(), layer.bias.detach()):
        assert parameter.min() == pytest.approx(-0.05, rel=0.03)
        assert parameter.max() == pytest.approx(0.05, rel=0.03)
        assert parameter.std() == pytest.approx(0.05 / 3**0.5, rel=0.08)


@autoencoders
def test_whole_epochs_move_every_parameter_and_lower_the_loss(model, interactions):
    train = some_interactions(interactions)
    fitted = model(**SMALL, learning_rate=0.01)
    losses, first = [], None
    for stats in fitted.fit_epochs(train, np.random.default_rng(0)):
        losses.append(stats.values["loss"])
        now = {name: value.clone() for name, value in fitted.network.named_parameters()}
        first = first or now
        if stats.epoch == 12:
            break
    assert losses[-1] < losses[0]
    assert not any(torch.equal(first[name], now[name]) for name in now)


@autoencoders
def test_a_training_that_was_interrupted_ends_with_the_same_bits(model, interactions, tmp_path):
    train = some_interactions(interactions)
    whole = model(**SMALL, epochs=5).fit(train, np.random.default_rng(3))
    part = model(**SMALL, epochs=5)
    part.checkpoint = Checkpoint(tmp_path / "state.npz", seconds=0)
    for stats in part.fit_epochs(train, np.random.default_rng(3)):
        part.keep(now=True)
        if stats.epoch == 2:
            break
    resumed = model(**SMALL, epochs=5)
    resumed.checkpoint = Checkpoint(tmp_path / "state.npz", seconds=0)
    epochs = []
    resumed.fit(train, np.random.default_rng(3), lambda stats: epochs.append(stats.epoch))
    assert epochs == [2, 3, 4, 5]
    for one, other in zip(
        whole.network.state_dict().values(), resumed.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)


@autoencoders
def test_a_user_is_their_history_whatever_its_values(model, interactions):
    train = some_interactions(interactions)
    fitted = model(**SMALL, epochs=2).fit(train, np.random.default_rng(0))
    users = np.array([4, 1000], np.int32)
    histories = train.matrix[[4, 4]]
    histories.data = np.arange(1, len(histories.data) + 1, dtype=np.float32)
    scores = fitted.score(users, histories)
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], fitted.score(users[:1], train.matrix[[4]])[0])


@autoencoders
def test_scores_of_a_history_have_the_same_bits_wherever_it_stands(model, interactions):
    train = some_interactions(interactions)
    fitted = model(**SMALL, epochs=2).fit(train, np.random.default_rng(0))
    expected = fitted.score(np.arange(32, dtype=np.int32), train.matrix[[6] * 32])[0]
    for n in (1, 3, 14, 33, 50):
        scores = fitted.score(np.arange(n, dtype=np.int32), train.matrix[[6] * n])
        assert scores.shape == (n, train.n_items)
        assert (scores == expected).all()


@autoencoders
def test_one_user_with_every_item_and_one_item_are_learned_from(model, interactions):
    for matrix in (np.ones((1, 4)), np.ones((3, 1)), np.ones((1, 1))):
        train = interactions(matrix)
        fitted = model(**SMALL, epochs=2).fit(train, np.random.default_rng(0))
        scores = fitted.score(np.zeros(1, np.int32), train.matrix[[0]])
        assert np.isfinite(scores).all()


@autoencoders
def test_without_interactions_nothing_is_learned(model, interactions):
    train = interactions(np.zeros((3, 4)))
    fitted = model(**SMALL, epochs=1).fit(train, np.random.default_rng(0))
    assert np.isfinite(fitted.score(np.arange(3, dtype=np.int32), train.matrix)).all()


@autoencoders
def test_what_does_not_fit_in_memory_is_refused(model, interactions, monkeypatch):
    train = some_interactions(interactions)
    needed = model(**SMALL).memory_needed(train)
    assert needed > 4 * 4 * (2 * 4 * 12)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    with pytest.raises(ModelError, match="12 items needs about"):
        model(**SMALL).fit(train, np.random.default_rng(0))
    monkeypatch.setattr(memory, "available_bytes", lambda: needed)
    model(**SMALL, epochs=1).fit(train, np.random.default_rng(0))


def test_memory_is_mostly_that_of_tables_of_all_items():
    nothing = np.zeros(0, np.int32)
    labels = np.arange(10_000), np.arange(100_000)
    train = Interactions(nothing, nothing, nothing.astype(np.float32), None, *labels)
    needed = MultVAE().memory_needed(train)
    tables = 4 * 4 * 100_000 * (600 + 600 + 1) + 4 * 500 * 100_000
    assert needed == pytest.approx(tables, rel=0.01)
