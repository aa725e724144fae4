"""What CVAE and CDL do alike, and the stages that come before their epochs."""

import numpy as np
import pytest
from scipy.sparse import csr_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.compute import memory  # noqa: E402
from recrepro.compute.checkpoint import Checkpoint  # noqa: E402
from recrepro.errors import ModelError  # noqa: E402
from recrepro.features import Features, FeatureSet  # noqa: E402
from recrepro.neural._stages import (  # noqa: E402
    Denoising,
    Stage,
    encoded,
    row_numbers,
    tied_layer,
)
from recrepro.neural.cdl import CDL  # noqa: E402
from recrepro.neural.cvae import CVAE  # noqa: E402

both = pytest.mark.parametrize("model", [CVAE, CDL])
SMALL = {"n_factors": 4, "n_hidden": 8, "batch_size": 16, "device": "cpu"}
SHORT = {**SMALL, "pretraining_epochs": 3, "epochs": 2}
N_ITEMS, N_WORDS = 60, 40


def words(seed=0, n_items=N_ITEMS):
    """Make counts of words of two subjects: even items have the first half of the words."""
    rng = np.random.default_rng(seed)
    own = np.add.outer(np.arange(n_items) % 2, np.arange(N_WORDS) // (N_WORDS // 2)) % 2 == 0
    return csr_array(rng.poisson(np.where(own, 0.5, 0.02)).astype(np.float32))


def features(counts):
    rows, columns = counts.shape
    one = FeatureSet("item", "words", np.arange(rows), counts, np.arange(columns))
    return Features((one,))


@pytest.fixture
def train(interactions):
    """Make interactions of users with one subject; the last items and the last user have none."""
    rng = np.random.default_rng(1)
    own = np.add.outer(np.arange(20), np.arange(N_ITEMS)) % 2 == 0
    matrix = own & (rng.random(own.shape) < 0.3)
    matrix[-1], matrix[:, 40:] = False, False
    return interactions(matrix)


def fit(model, train, counts=None, **settings):
    made = model(**{**SHORT, **settings}).with_features(
        features(words() if counts is None else counts)
    )
    return made.fit(train, np.random.default_rng(0))


def scores(model, train):
    return model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


@both
def test_items_that_nobody_knows_are_ranked_by_their_words(model, train):
    quick = {"optimizer": "adam", "learning_rate": 0.01} if model is CDL else {}
    fitted = fit(model, train, pretraining_epochs=60, confidence_unseen=0.3, **quick)
    found = scores(fitted, train)[:-1, 40:]
    own = np.add.outer(np.arange(19), np.arange(40, N_ITEMS)) % 2 == 0
    means = [(row[mine].mean(), row[~mine].mean()) for row, mine in zip(found, own, strict=True)]
    assert all(mine > others for mine, others in means)


@both
def test_scores_are_products_of_the_vectors_and_zero_without_interactions(model, train):
    fitted = fit(model, train, **({"final_sweeps": 1} if model is CDL else {}))
    network = fitted.network
    expected = network.users.numpy() @ network.items.numpy().T
    np.testing.assert_allclose(scores(fitted, train), expected, rtol=1e-4, atol=1e-6)
    assert not scores(fitted, train)[-1].any()


@both
def test_vectors_are_those_of_a_sweep_from_the_codes_of_the_network(model, train):
    counts = words()
    made = model(**SHORT, n_sweeps=1).with_features(features(counts))
    stages = made.fit_epochs(train, np.random.default_rng(0))
    next(stages)
    before = made.network.items.numpy().copy()
    next(stages)
    _, codes = made.vectors_and_means()
    users, items = made.squares.sweep(before, codes)
    np.testing.assert_allclose(made.network.users.numpy(), users, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(made.network.items.numpy(), items, rtol=1e-6, atol=1e-9)


@both
def test_items_are_their_codes_with_a_heavy_prior(model, train):
    fitted = fit(model, train, l2_item=1e9)
    _, codes = fitted.vectors_and_means()
    np.testing.assert_allclose(fitted.network.items.numpy(), codes, atol=1e-6)


@both
def test_a_training_that_was_interrupted_before_its_epochs_ends_with_the_same_bits(
    model, train, tmp_path, monkeypatch
):
    whole = fit(model, train)
    part = model(**SHORT).with_features(features(words()))
    part.checkpoint = Checkpoint(tmp_path / "fit.npz", seconds=0)
    epochs = []

    def stop(self, *arguments):
        epochs.append(1)
        if len(epochs) == 5:  # in the second stage
            raise KeyboardInterrupt
        return descend(self, *arguments)

    descend = Stage.descend
    monkeypatch.setattr(Stage, "descend", stop)
    with pytest.raises(KeyboardInterrupt):
        part.fit(train, np.random.default_rng(0))
    resumed = model(**SHORT).with_features(features(words()))
    resumed.checkpoint = Checkpoint(tmp_path / "fit.npz", seconds=0)
    resumed.fit(train, np.random.default_rng(0))
    stages = 4 if model is CVAE else 2
    last = resumed.config.vae_epochs if model is CVAE else 3
    assert len(epochs) == 5 + 3 * (stages - 1) + last - 4
    np.testing.assert_array_equal(scores(resumed, train), scores(whole, train))


@both
def test_a_checkpoint_of_other_content_is_not_taken(model, train, tmp_path):
    first = model(**SHORT).with_features(features(words(0)))
    other = model(**SHORT).with_features(features(words(1)))
    first.checkpoint = other.checkpoint = Checkpoint(tmp_path / "fit.npz", seconds=0)
    first.fit(train, np.random.default_rng(0))
    other.fit(train, np.random.default_rng(0))
    np.testing.assert_array_equal(scores(other, train), scores(fit(model, train, words(1)), train))


@both
def test_content_stays_sparse_and_is_what_memory_is_needed_for(model, train, monkeypatch):
    made = model(**SMALL).with_features(features(words()))
    needed = made.memory_needed(train)
    assert needed >= 4 * 5 * 8 * N_WORDS
    with monkeypatch.context() as patch:
        patch.setattr(memory, "available_bytes", lambda: needed - 1)
        with pytest.raises(ModelError, match="content of 60 items needs about"):
            made.fit(train, np.random.default_rng(0))
    wide = csr_array((np.ones(2, np.float32), ([0, 59], [0, 99_999])), shape=(N_ITEMS, 100_000))
    made.with_features(features(wide))
    assert made.memory_needed(train) == pytest.approx(4 * 1e5 * (5 * 8 + 2 * 16), rel=0.01)
    assert isinstance(fit(model, train).content, csr_array)


@both
def test_layers_learn_from_a_share_of_the_items_first(model, train):
    made = model(**SMALL, pretraining_share=0.3).with_features(features(words()))
    made.network = made.build(train)
    rng = np.random.default_rng(0)
    one, other = made.content_before(rng), made.content_before(rng)
    assert one.shape == other.shape == (18, N_WORDS)
    assert (one != other).nnz


@both
def test_content_that_is_missing_or_of_other_items_is_asked_for(model, train):
    with pytest.raises(ModelError, match="needs features of items"):
        model(**SHORT).fit(train, np.random.default_rng(0))
    with pytest.raises(ModelError, match="features of 59 items, and is fitted on 60"):
        fit(model, train, words(n_items=59))


@both
def test_stages_can_be_left_out(model, train):
    none = {"pretraining_epochs": 0, **({"vae_epochs": 0} if model is CVAE else {})}
    assert np.isfinite(scores(fit(model, train, **none), train)).all()


def test_a_layer_learns_to_undo_a_mask_better_than_frequencies_do():
    content = scaled_words()
    torch.manual_seed(0)
    part = Denoising(tied_layer(N_WORDS, 8), torch.zeros(N_WORDS), mask=0.3)
    stage = Stage(part, content, part.loss, epochs=80, batch_size=16, learning_rate=0.01)
    (last,) = fit_stage(stage)
    share = content.mean(axis=0)
    entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share)).sum()
    assert last < 0.9 * entropy


def test_the_hidden_units_of_a_layer_are_sigmoids_of_sparse_or_dense_rows():
    content = scaled_words()
    torch.manual_seed(0)
    layer = tied_layer(N_WORDS, 5)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    assert abs(weight).max() <= (6 / 45) ** 0.5
    assert not bias.any()
    expected = 1 / (1 + np.exp(-(content.toarray() @ weight + bias)))
    for some in (content, content.toarray()):
        np.testing.assert_allclose(encoded(layer, some), expected, rtol=1e-5)


def test_the_term_of_sparsity_adds_hidden_units_to_their_gradient():
    content = scaled_words()
    found = []
    for sparsity in (0.0, 0.1):
        torch.manual_seed(0)
        layer = tied_layer(N_WORDS, 5)
        part = Denoising(layer, torch.zeros(N_WORDS), mask=0.0, sparsity=sparsity)
        part.loss(content).backward()
        found.append([p.grad.numpy() for p in (layer.weight, layer.bias, part.bias)])
    hidden = encoded(layer, content)
    expected = content.T @ hidden, hidden.sum(axis=0), np.zeros(N_WORDS)
    for plain, added, want in zip(*found, expected, strict=True):
        np.testing.assert_allclose(added - plain, 0.1 * want / N_ITEMS, rtol=1e-3, atol=1e-6)


def test_rows_are_taken_once_or_drawn_anew_for_every_whole_batch():
    rng = np.random.default_rng(0)
    once = [numbers for (numbers,) in row_numbers(50, 16, rng, draws=False)]
    assert sorted(np.concatenate(once)) == list(range(50))
    assert [len(numbers) for numbers in once] == [16, 16, 16, 2]
    drawn = [numbers for (numbers,) in row_numbers(50, 16, rng, draws=True)]
    assert [len(set(numbers)) for numbers in drawn] == [16, 16, 16]
    assert len(set(np.concatenate(drawn))) < 48
    assert [len(numbers) for (numbers,) in row_numbers(5, 16, rng, draws=True)] == [5]


def scaled_words():
    counts = words()
    counts.data[:] = 1
    return counts


def fit_stage(stage):
    """Fit a stage that needs no interactions, and return its last loss."""

    class Nothing:
        fingerprint = ""

    stage.fit(Nothing(), np.random.default_rng(0))
    return [stage.curve[-1]["loss"]]
