"""The training loop, on the real models: every name in the table is tested unasked."""

from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.compute.checkpoint import Checkpoint  # noqa: E402
from recrepro.errors import ModelError  # noqa: E402
from recrepro.features import Features, FeatureSet  # noqa: E402
from recrepro.interactions import Interactions  # noqa: E402
from recrepro.neural import MODELS  # noqa: E402
from recrepro.neural._training import NeuralConfig, NeuralRecommender  # noqa: E402
from recrepro.neural.gmf import GMF  # noqa: E402
from recrepro.registry import Registry  # noqa: E402

REGISTRY = Registry("model", group="recrepro.models")
WORDS = csr_array((np.arange(20)[:, None] * np.arange(1, 8) % 5 < 2).astype(np.float32))
JOBS = csr_array(np.eye(3, dtype=np.float32)[np.arange(30) % 3])
FEATURES = Features(
    (
        FeatureSet("item", "words", np.arange(20), WORDS, np.arange(7)),
        FeatureSet("user", "jobs", np.arange(30), JOBS, np.arange(3)),
    )
)


@pytest.fixture(params=MODELS)
def model(request):
    """Return a model of which the stages before the first epoch are short."""
    found = REGISTRY.resolve(request.param)
    stages = [name for name in found.Config.model_fields if name.endswith("_epochs")]
    short = partial(found, **dict.fromkeys(stages, 2))
    return lambda **settings: short(**settings).with_features(FEATURES)


@pytest.fixture(scope="module")
def train():
    rng = np.random.default_rng(7)
    users, items = np.nonzero(rng.random((30, 20)) < rng.random(20) * 0.6)
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.ones(len(users), np.float32),
        np.arange(len(users), dtype=np.int64),
        np.arange(30),
        np.arange(20),
    )


def epochs(model, train, n, seed=1):
    """Train for n epochs without an end; return what was reported of them."""
    found = []
    for stats in model.fit_epochs(train, np.random.default_rng(seed)):
        found.append(stats)
        model.keep({"seen": stats.epoch}, now=True)
        if stats.epoch == n:
            return found
    return found


def scores(model, train):
    return model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def test_a_training_that_was_interrupted_ends_bit_equal(model, train, tmp_path):
    undisturbed, first, second = model(), model(), model()
    expected = epochs(undisturbed, train, 4)
    first.checkpoint = second.checkpoint = Checkpoint(tmp_path / "fit.npz")
    epochs(first, train, 2)
    reached = []
    for stats in second.fit_epochs(train, np.random.default_rng(1)):
        if not reached:
            assert second.resumed == {"seen": 2}
            np.testing.assert_array_equal(scores(second, train), scores(first, train))
        reached.append(stats)
        if stats.epoch == 4:
            break
    assert reached == expected[1:]
    np.testing.assert_array_equal(scores(second, train), scores(undisturbed, train))


def test_a_checkpoint_of_another_training_is_not_taken(train, tmp_path):
    kept = GMF()
    kept.checkpoint = Checkpoint(tmp_path / "fit.npz")
    epochs(kept, train, 3)
    other_seed, other_config = GMF(), GMF(learning_rate=2e-3)
    for fresh, seed in ((other_seed, 2), (other_config, 1)):
        fresh.checkpoint = kept.checkpoint
        assert next(iter(fresh.fit_epochs(train, np.random.default_rng(seed)))).epoch == 1


def test_a_fit_that_was_finished_is_not_done_again(model, train, tmp_path, monkeypatch):
    first, second = model(epochs=2), model(epochs=2)
    first.checkpoint = second.checkpoint = Checkpoint(tmp_path / "fit.npz")
    first.fit(train, np.random.default_rng(1))
    monkeypatch.setattr(NeuralRecommender, "descend", None)
    second.fit(train, np.random.default_rng(1))
    np.testing.assert_array_equal(scores(second, train), scores(first, train))
    assert second.curve == first.curve
    assert [row["epoch"] for row in first.curve] == [1, 2]


def test_saved_parameters_give_the_same_scores(model, train, tmp_path):
    fitted = model(epochs=2).fit(train, np.random.default_rng(1))
    fitted.save(tmp_path / "weights.npz")
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype.kind in "fiub" for name in stored.files)
    loaded = model(epochs=2).load(tmp_path / "weights.npz", train)
    np.testing.assert_array_equal(scores(loaded, train), scores(fitted, train))


def test_parameters_of_another_shape_are_refused(train, tmp_path):
    GMF(epochs=1).fit(train, np.random.default_rng(1)).save(tmp_path / "weights.npz")
    with pytest.raises(ModelError, match="does not fit GMF with these hyperparameters"):
        GMF(n_factors=8).load(tmp_path / "weights.npz", train)


def test_every_epoch_reports_its_loss(model, train):
    for number, stats in enumerate(epochs(model(), train, 3), start=1):
        assert stats.epoch == number
        assert np.isfinite(stats.values["loss"])


def test_mixed_precision_learns_the_same_to_some_digits_and_keeps_its_parameters(model, train):
    plain, mixed = (model(mixed_precision=on) for on in (False, True))
    losses = [epochs(one, train, 2)[-1].values["loss"] for one in (plain, mixed)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    kinds = {p.dtype for p in mixed.network.parameters() if p.is_floating_point()}
    assert kinds == {torch.float32}
    assert scores(mixed, train).dtype == np.float32


def test_mixed_precision_uses_bfloat16_where_it_multiplies_dense_matrices(train):
    from recrepro.neural.neumf import NeuMF

    plain, mixed = (NeuMF(mixed_precision=on, pretraining=False) for on in (False, True))
    values = [epochs(one, train, 1)[-1].values["loss"] for one in (plain, mixed)]
    # Seven bits of a number less than eight: the loss is close, and another one.
    assert values[0] != values[1]


def test_training_leaves_the_generators_of_others_alone(model, train):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    epochs(model(), train, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_number_of_epochs_changes_no_epoch(model, train):
    short, long = model(epochs=2), model(epochs=50)
    short.fit(train, np.random.default_rng(3))
    epochs(long, train, 2, seed=3)
    np.testing.assert_array_equal(scores(short, train), scores(long, train))


def test_a_diverged_training_says_so(train):
    with pytest.raises(ModelError, match=r"GMF diverged in epoch \d+ .* smaller learning_rate"):
        GMF(optimizer="sgd", learning_rate=1e30, epochs=50).fit(train, np.random.default_rng(1))


def test_a_gpu_that_is_not_there_is_refused(train):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ModelError, match='device = "cuda" was asked for'):
        GMF(device="cuda").fit(train, np.random.default_rng(1))


@pytest.mark.parametrize(
    "optimizer",
    ["adam", "adamw", "sgd", "adagrad", "rmsprop", "rmsprop-tf", "adafactor", "adadelta"],
)
def test_every_optimiser_makes_the_loss_smaller(optimizer, train):
    fast = {"sgd": 10.0, "adafactor": 0.5, "adadelta": 20.0}.get(optimizer, 0.01)
    reports = epochs(GMF(optimizer=optimizer, learning_rate=fast), train, 30)
    assert reports[-1].values["loss"] < 0.95 * reports[0].values["loss"]


def test_a_clipped_gradient_is_no_longer_than_asked_for(train):
    model = GMF(clip_norm=1e-3, optimizer="sgd", learning_rate=1.0)
    next(iter(model.fit_epochs(train, np.random.default_rng(1))))
    parameters = list(model.network.parameters())
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    model.clip(parameters)
    norm = torch.cat([p.grad.flatten() for p in parameters]).norm().item()
    assert norm == pytest.approx(1e-3, rel=1e-3)


def test_hyperparameters_of_the_loop_are_those_of_every_model(model):
    assert isinstance(model().config, NeuralConfig)
