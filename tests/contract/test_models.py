"""What every registered model holds to. A new name in a MODELS table is tested here unasked."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.sparse import csr_array

from recrepro.errors import ModelError
from recrepro.features import Features, FeatureSet
from recrepro.interactions import Interactions
from recrepro.model import ModelConfig, Recommender
from recrepro.registry import Registry
from recrepro.space import Choice, contains, declared_space

MODELS = Registry[type[Recommender]]("model", group="recrepro.models")

NOT_PERSONAL = {
    "random": "its scores are noise",
    "toppopular": "it ranks the same items first for everyone",
    "globaleffects": "it ranks the same items first for everyone",
}
"""Models that need not tell one community's items from another's, and why."""

IN_SMALL_WORLDS = {
    "cdl": {"confidence_unseen": 0.3, "pretraining_epochs": 20, "epochs": 20},
    "cmn": {
        "optimizer": "adam",
        "learning_rate": 0.01,
        "l2": 0.001,
        "batch_size": 512,
        "pretraining_epochs": 0,
        "epochs": 25,
    },
    "coupledcf": {"batch_size": 64, "epochs": 40},
    "puresvd": {"n_factors": 2},
    "neumf": {"gmf_epochs": 100, "mlp_epochs": 100, "epochs": 1},
    "sasrec": {"epochs": 40, "learning_rate": 0.003},
    "convncf": {"n_factors": 16, "pretraining_epochs": 100, "epochs": 2},
    "mcrec": {"pretraining_epochs": 20, "epochs": 20},
    "dmf": {"n_negatives": 1, "epochs": 10, "learning_rate": 0.001},
    "ineurec": {"epochs": 40, "learning_rate": 0.002},
    "uneurec": {"epochs": 40, "learning_rate": 0.002},
    "ultragcn": {
        "n_negatives": 20,
        "negative_weight": 20.0,
        "learning_rate": 0.02,
        "epochs": 50,
    },
    "spectralcf": {"learning_rate": 0.01},
}
"""Hyperparameters of models whose defaults are made for more than the two kinds of users below:
as many factors as there are users give back what they were fitted on, and nothing else; an epoch
of neural models has a few steps only here, so that they take more epochs. SASRec, which has 201
by default, is quicker with fewer and longer steps. So are ConvNCF, MCRec, NeuRec
and DMF, which after all its epochs knows by heart that withheld items were drawn as others; as CMN
does, which finds 0.98 to 1 of the items after 25 epochs with each of six seeds, and down to 0.93
after 50. CoupledCF has means and variances of batches that forget as slowly as those of Keras.
The weight that UltraGCN gives to drawn items is made for thousands of items. RMSprop as CMN and
SpectralCF have it makes short steps at first, of which these are too few. CDL has codes that are
all above 0, and with a weight made for many thousands of items every item gets a score near 1."""


@pytest.fixture(params=MODELS.names())
def model(request: pytest.FixtureRequest) -> type[Recommender]:
    if MODELS.resolve_target(request.param).startswith("recrepro.neural."):
        pytest.importorskip("torch", reason="neural models need torch")
    return MODELS.resolve(request.param)


@pytest.fixture
def personal(request: pytest.FixtureRequest, model: type[Recommender]) -> type[Recommender]:
    name = request.node.callspec.params["model"]
    if name in NOT_PERSONAL:
        pytest.skip(f"{name} is exempt: {NOT_PERSONAL[name]}")
    return model


@pytest.fixture
def small_world(request: pytest.FixtureRequest) -> dict[str, object]:
    return IN_SMALL_WORLDS.get(request.node.callspec.params["model"], {})


def interactions(matrix: NDArray[np.float32]) -> Interactions:
    users, items = np.nonzero(matrix)
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        matrix[users, items].astype(np.float32),
        np.arange(len(users), dtype=np.int64),
        np.arange(matrix.shape[0]),
        np.arange(matrix.shape[1]),
    )


def some_interactions(n_users: int = 40, n_items: int = 25) -> Interactions:
    """Make uneven interactions; the last user and the last item have none."""
    rng = np.random.default_rng(7)
    matrix = rng.random((n_users, n_items)) < rng.random(n_items) * 0.6
    matrix[-1] = False
    matrix[:, -1] = False
    return interactions(matrix.astype(np.float32))


def fit(
    model: type[Recommender], train: Interactions, seed: int = 1, known: Features | None = None
) -> Recommender:
    """Fit with the defaults; neural models for three epochs, as nothing has to be learned well."""
    neural = model.__module__.startswith("recrepro.neural.")
    epochs = [n for n in model.Config.model_fields if n == "epochs" or n.endswith("_epochs")]
    made = model(**dict.fromkeys(epochs if neural else (), 3))
    return made.with_features(known or features_of(train)).fit(train, np.random.default_rng(seed))


def learn(
    model: type[Recommender], train: Interactions, small_world: dict, kinds: tuple = (None, None)
) -> Recommender:
    made = model(**small_world).with_features(features_of(train, *kinds))
    return made.fit(train, np.random.default_rng(1))


def features_of(
    train: Interactions,
    users: NDArray[np.int64] | None = None,
    items: NDArray[np.int64] | None = None,
) -> Features:
    """Make features that tell of which of two kinds users and items are, and nothing of use."""
    sets = []
    for side, kinds, ids in (("user", users, train.user_ids), ("item", items, train.item_ids)):
        n = np.arange(len(ids))
        chosen = np.column_stack([n % 2 if kinds is None else kinds, 2 + n % 3])
        ones, rows = np.ones(chosen.size, np.float32), np.repeat(n, 2)
        matrix = csr_array((ones, (rows, chosen.ravel())), shape=(len(ids), 5))
        sets.append(FeatureSet(side, "kinds", ids, matrix, np.arange(5).astype(str)))
    return Features(tuple(sets))


def score_all(fitted: Recommender, train: Interactions) -> NDArray[np.float32]:
    return fitted.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def test_a_withheld_item_of_the_own_colour_outranks_the_other_colour(personal, small_world):
    n = 24
    same_colour = np.add.outer(np.arange(n), np.arange(n)) % 2 == 0
    train = interactions((same_colour & ~np.eye(n, dtype=bool)).astype(np.float32))
    scores = score_all(learn(personal, train, small_world), train)
    for user in range(n):
        assert scores[user, user] > scores[user, ~same_colour[user]].max()


def test_separate_communities_get_their_own_items_first(personal, small_world):
    rng = np.random.default_rng(3)
    own = np.kron(np.eye(2), np.ones((30, 20))).astype(bool)
    train = interactions((own & (rng.random(own.shape) < 0.5)).astype(np.float32))
    kinds = (np.repeat([0, 1], 30), np.repeat([0, 1], 20))
    scores = score_all(learn(personal, train, small_world, kinds), train)
    scores[train.matrix.toarray() > 0] = -np.inf
    first = scores.argmax(axis=1)
    assert own[np.arange(len(own)), first].mean() >= 0.95


def test_scores_are_float32_one_row_a_user_one_column_an_item(model):
    train = some_interactions()
    users = np.array([5, 3, 5], np.int32)
    scores = fit(model, train).score(users, train.matrix[users])
    assert scores.shape == (3, train.n_items)
    assert scores.dtype == np.float32
    # A BLAS may sum a row in another order, depending on its place and its address in memory.
    np.testing.assert_allclose(scores[0], scores[2], rtol=1e-6, atol=1e-7)


def test_candidates_get_the_scores_that_they_have_among_all_items(model):
    train = some_interactions()
    fitted = fit(model, train)
    users = np.arange(train.n_users, dtype=np.int32)
    candidates = csr_array(np.random.default_rng(2).random(train.shape) < 0.2)
    some = fitted.score_candidates(users, train.matrix, candidates)
    assert not (np.isnan(some) | np.isposinf(some)).any()
    at = candidates.nonzero()
    np.testing.assert_allclose(some[at], score_all(fitted, train)[at], rtol=1e-4, atol=1e-6)


def test_the_same_seed_gives_the_same_scores(model):
    train = some_interactions()
    first, second = (score_all(fit(model, train), train) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_second_fit_forgets_the_first(model):
    train = some_interactions()
    twice = fit(model, some_interactions(30, 12))
    twice.with_features(features_of(train)).fit(train, np.random.default_rng(1))
    np.testing.assert_array_equal(score_all(twice, train), score_all(fit(model, train), train))


def test_fit_and_score_change_none_of_their_inputs(model):
    train = some_interactions()
    matrix = train.matrix
    before = [part.copy() for part in (matrix.data, matrix.indices, matrix.indptr)]
    fingerprint = train.fingerprint
    score_all(fit(model, train), train)
    for part, old in zip((matrix.data, matrix.indices, matrix.indptr), before, strict=True):
        np.testing.assert_array_equal(part, old)
    fresh = Interactions(
        train.users, train.items, train.values, train.times, train.user_ids, train.item_ids
    )
    assert fresh.fingerprint == fingerprint


def test_scores_do_not_depend_on_batch_mates(model):
    train = some_interactions()
    fitted = fit(model, train)
    together = score_all(fitted, train)
    for user in range(train.n_users):
        alone = fitted.score(np.array([user], np.int32), train.matrix[[user]])
        np.testing.assert_allclose(alone[0], together[user], rtol=1e-5, atol=1e-6)


def test_scores_are_finite_for_empty_histories_and_items_never_seen(model):
    train = some_interactions()
    fitted = fit(model, train)
    assert np.isfinite(score_all(fitted, train)).all()
    nothing = csr_array((2, train.n_items), dtype=np.float32)
    assert np.isfinite(fitted.score(np.array([0, 1], np.int32), nothing)).all()


def test_inductive_models_score_users_they_were_not_fitted_on(model):
    if not model.inductive:
        pytest.skip(f"{model.__name__} declares that it cannot score unseen users")
    train = some_interactions()
    stranger = np.array([train.n_users + 3], np.int32)
    scores = fit(model, train).score(stranger, train.matrix[[4]])
    assert np.isfinite(scores).all()


def test_deterministic_models_do_not_care_about_the_order_of_the_items(model):
    train = some_interactions()
    scores = score_all(fit(model, train), train)
    if not np.array_equal(scores, score_all(fit(model, train, seed=2), train)):
        pytest.skip(f"{model.__name__} depends on its seed")
    order = np.random.default_rng(5).permutation(train.n_items)
    shuffled = interactions(train.matrix.toarray()[:, order])
    of_users, of_items = features_of(train).sets
    known = Features((of_users, replace(of_items, matrix=csr_array(of_items.matrix[order]))))
    np.testing.assert_allclose(
        score_all(fit(model, shuffled, known=known), shuffled),
        scores[:, order],
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_pickled_model_scores_the_same(model):
    train = some_interactions()
    fitted = fit(model, train)
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(score_all(copy, train), score_all(fitted, train))


def test_a_model_that_is_not_fitted_says_so(model):
    train = some_interactions()
    with pytest.raises(ModelError, match=r"not fitted yet: call fit"):
        score_all(model(), train)


def test_the_config_survives_dumping_and_json(model):
    config = model.Config()
    assert model.Config.model_validate(config.model_dump()) == config
    assert model.Config.model_validate_json(config.model_dump_json()) == config
    assert model.Config.model_validate(json.loads(config.model_dump_json())) == config
    assert model(config).config == model(**config.model_dump()).config


def test_every_hyperparameter_has_a_default_and_says_what_it_is(model):
    assert issubclass(model.Config, ModelConfig)
    for name, field in model.Config.model_fields.items():
        assert not field.is_required(), f"{name} has no default"
        assert field.description, f"{name} has no doc"
        assert "\n" not in field.description.strip(), f"{name}'s doc is more than one line"


def test_every_range_contains_the_default_and_only_valid_values(model):
    for name, space in declared_space(model.Config).items():
        assert contains(space, model.Config.model_fields[name].default), name
        ends = space.options if isinstance(space, Choice) else (space.low, space.high)
        for value in ends:
            assert getattr(model.Config(**{name: value}), name) == value


def test_hyperparameters_that_cannot_be_meant_are_refused(model):
    with pytest.raises(ValidationError):
        model(no_such_hyperparameter=1)
    for name, field in model.Config.model_fields.items():
        bad: list[object] = [object(), "no such value"]
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            bad += [-1e9, -(10**9), float("nan"), float("inf"), True, "1"]
        for value in bad:
            with pytest.raises(ValidationError):
                model(**{name: value})


def test_hyperparameters_cannot_change_after_construction(model):
    for name, field in model.Config.model_fields.items():
        with pytest.raises(ValidationError):
            setattr(model().config, name, field.default)


def test_the_model_declares_version_and_needs(model):
    assert isinstance(model.version, int)
    assert model.version >= 1
    assert isinstance(model.inductive, bool)
    assert isinstance(model.needs_times, bool)
    assert model.__doc__
