"""CoupledCF, and DeepCF, which it is without attributes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import correlate
from scipy.sparse import csr_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.errors import ModelError  # noqa: E402
from recrepro.features import Features, FeatureSet  # noqa: E402
from recrepro.neural._rows import distinct_rows  # noqa: E402
from recrepro.neural.coupledcf import CoupledCF  # noqa: E402
from recrepro.neural.deepcf import DeepCF  # noqa: E402

RNG = np.random.default_rng(5)
SEEN = RNG.random((9, 7)) < 0.5
JOBS, GENRES = RNG.random((9, 3)) < 0.5, RNG.random((7, 4)) < 0.5
GENRES[1], GENRES[6] = GENRES[0], False  # two items alike, one of which nothing is known
SMALL = {"epochs": 3, "batch_size": 8, "learning_rate": 0.01}


@pytest.fixture
def train(interactions):
    return interactions(SEEN)


def known(jobs=JOBS, genres=GENRES):
    sets = (("user", "jobs", jobs), ("item", "genres", genres))
    return Features(
        tuple(
            FeatureSet(
                side,
                name,
                np.arange(len(rows)),
                csr_array(np.asarray(rows, np.float32)),
                np.arange(np.shape(rows)[1]).astype(str),
            )
            for side, name, rows in sets
        )
    )


def fit(train, model=CoupledCF, features=None, **hyperparameters):
    made = model(**{**SMALL, **hyperparameters}).with_features(features or known())
    return made.fit(train, np.random.default_rng(1))


def scores(model, train):
    return model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def parameters(model):
    return {k: v.double().numpy() for k, v in model.network.state_dict().items()}


def dense(values, name, inputs):
    return np.maximum(values[f"{name}.weight"] @ inputs + values[f"{name}.bias"], 0)


def convolved(values, number, channels):
    """Return the channels of a convolution, normalised and rectified, cell by cell in scipy."""
    weight, bias = (values[f"couplings.convolutions.{number}.{x}"] for x in ("weight", "bias"))
    norm = {
        name: values[f"couplings.convolutions.{number + 1}.{name}"]
        for name in ("weight", "bias", "running_mean", "running_var")
    }
    out = []
    for kernels, shift, *numbers in zip(weight, bias, *norm.values(), strict=True):
        cells = sum(correlate(x, k, "valid") for x, k in zip(channels, kernels, strict=True))
        factor, offset, mean, variance = numbers
        out.append((cells + shift - mean) / np.sqrt(variance + 1e-3) * factor + offset)
    return np.maximum(out, 0)


def by_definition(model, user, item):
    values, kind = parameters(model), model.config.couplings
    rows = {"user": JOBS[user].astype(float), "item": GENRES[item].astype(float)}
    left, right = (
        np.maximum(row @ values[f"{side}_attributes.weight"] + values[f"{side}_attributes.bias"], 0)
        for side, row in rows.items()
    )
    outer = np.array([[a * b for b in right] for a in left])
    seen = []
    if kind != "global":
        first = convolved(values, 0, [outer])
        assert first.shape == (8, 6, 6)
        second = convolved(values, 3, first)
        assert second.shape == (8, 4, 4)
        seen.append(second.ravel())
    if kind != "local":
        seen.append(outer.ravel())
    coupled = dense(values, "couplings.joined", np.concatenate(seen))
    product = values["product.users.weight"][user] * values["product.items.weight"][item]
    own = dense(values, "product.layer", product)
    last = dense(values, "last", np.concatenate([coupled, own]))
    return float((values["output.weight"] @ last + values["output.bias"])[0])


@pytest.mark.parametrize(("couplings", "width"), [("both", 192), ("global", 64), ("local", 128)])
def test_scores_are_those_of_the_definition(train, couplings, width):
    fitted = fit(train, couplings=couplings)
    assert fitted.network.couplings.joined.in_features == width  # as in the released code
    wanted = [[by_definition(fitted, u, i) for i in range(7)] for u in range(9)]
    assert np.std(wanted) > 0.01
    np.testing.assert_allclose(scores(fitted, train), wanted, rtol=1e-4, atol=1e-5)


def test_a_score_is_the_item_s_wherever_it_stands_among_candidates(train):
    fitted = fit(train)
    users = np.array([4, 2], np.int32)
    some = np.zeros((2, 7), bool)
    some[:, [6, 1, 3]] = True
    found = fitted.score_candidates(users, train.matrix[users], csr_array(some))
    everything = fitted.score(users, train.matrix[users])
    np.testing.assert_allclose(found[some], everything[some], rtol=1e-5, atol=1e-6)
    alone = fitted.score(users[1:], train.matrix[users[1:]])
    np.testing.assert_array_equal(alone, everything[1:])


def test_without_attributes_couplings_are_the_same_for_all(train):
    nothing = known(np.zeros_like(JOBS), np.zeros_like(GENRES))
    fitted = fit(train, features=nothing)
    users, items = (torch.from_numpy(part.ravel()) for part in np.indices((9, 7)))
    left = fitted.network.user_attributes.of(fitted._users, users * 0)
    right = fitted.network.item_attributes.of(fitted._items, items * 0)
    with torch.inference_mode():
        coupled = fitted.network.couplings(left, right)
    assert (coupled == coupled[0]).all()
    assert len(np.unique(fitted._profiles[0])) == 1


def test_attributes_tell_what_users_without_interactions_like(interactions):
    rng = np.random.default_rng(0)
    users, items = rng.integers(2, size=60), rng.integers(2, size=50)
    liked = users[:, None] == items
    seen = liked & (rng.random(liked.shape) < 0.5)
    seen[:10] = False
    train = interactions(seen)
    features = known(np.eye(2)[users], np.eye(2)[items])
    found = scores(fit(train, features=features, epochs=10, batch_size=64), train)[:10]
    for own, of_user in zip(liked, found, strict=False):
        assert (of_user[own][:, None] > of_user[~own]).mean() > 0.95


def test_deepcf_is_the_definition_without_attributes(train):
    fitted = fit(train, DeepCF)
    values = parameters(fitted)

    def logit(user, item):
        product = values["product.users.weight"][user] * values["product.items.weight"][item]
        last = dense(values, "last", dense(values, "product.layer", product))
        return (values["output.weight"] @ last + values["output.bias"])[0]

    wanted = [[logit(u, i) for i in range(7)] for u in range(9)]
    np.testing.assert_allclose(scores(fitted, train), wanted, rtol=1e-4, atol=1e-6)


def test_it_has_as_many_parameters_as_the_released_code_on_movielens_1m(interactions):
    """Counted layer by layer; the code has a row more a table, since its ids start from 1."""
    train = interactions(np.ones((604, 370)))
    model = CoupledCF().with_features(known(np.ones((604, 30)), np.ones((370, 18))))
    n = sum(part.numel() for part in model.build(train).parameters())
    attributes = 30 * 8 + 8 + 18 * 8 + 8
    convolutions = (9 * 8 + 8) + 2 * 8 + (8 * 9 * 8 + 8) + 2 * 8
    layers = (192 * 16 + 16) + (32 * 32 + 32) + (48 * 64 + 64) + (64 + 1)
    assert n == attributes + convolutions + layers + (604 + 370) * 32


def test_features_of_both_sides_are_needed(train):
    with pytest.raises(ModelError, match="CoupledCF needs features of users"):
        CoupledCF(**SMALL).fit(train, np.random.default_rng(1))


@given(st.integers(0, 2**32 - 1))
def test_distinct_rows_give_back_the_matrix(seed):
    rows = np.random.default_rng(seed).integers(0, 2, size=(12, 3)).astype(np.float32)
    distinct, places = distinct_rows(csr_array(rows))
    np.testing.assert_array_equal(distinct.toarray()[places], rows)
    assert len(np.unique(distinct.toarray(), axis=0)) == distinct.shape[0]
