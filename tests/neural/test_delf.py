"""DELF-MLP and DELF-EF."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural._rows import Rows  # noqa: E402
from recrepro.neural.delf import DELFEF, DELFMLP, PAIRS, Pooling  # noqa: E402

MODELS = pytest.mark.parametrize("model", [DELFMLP, DELFEF])
SMALL = {
    "n_factors": 6,
    "width": 12,
    "attention_width": 5,
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 0.01,
}


def rows_with_gaps(seed=2, shape=(9, 8)):
    """Return interactions of uneven users and items; the last of both have none."""
    rng = np.random.default_rng(seed)
    rows = rng.random(shape) < np.outer(np.linspace(0.1, 0.9, shape[0]), np.linspace(1, 0.2, 8))
    rows[0, 0] = True
    rows[-1], rows[:, -1] = False, False
    return rows


@pytest.fixture
def train(interactions):
    return interactions(rows_with_gaps())


def fit(train, model, **hyperparameters):
    return model(**{**SMALL, **hyperparameters}).fit(train, np.random.default_rng(1))


def scores(model, train):
    return model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def parameters(model):
    return {k: v.double().numpy() for k, v in model.network.state_dict().items()}


def dense(values, name, inputs):
    return values[f"{name}.weight"] @ inputs + values[f"{name}.bias"]


def pooled(values, name, others, power):
    """Return the weighted sum of others' vectors, one after the other."""
    total, weights = np.zeros(SMALL["n_factors"]), 0.0
    for other in others:
        vector = values[f"{name}.table.weight"][other]
        hidden = np.maximum(dense(values, f"{name}.attention.0", vector), 0)
        weight = np.exp(dense(values, f"{name}.attention.2", hidden)[0])
        total, weights = total + weight * vector, weights + weight
    return total / weights**power if weights else total


def by_definition(model, seen, user, item):
    values, power = parameters(model), 0.5 if isinstance(model, DELFMLP) else 1.0
    of_user, of_item = np.flatnonzero(seen[user]), np.flatnonzero(seen[:, item])
    left = values["users.weight"][user], pooled(values, "of_items", of_user, power)
    right = values["items.weight"][item], pooled(values, "of_users", of_item, power)
    outputs = []
    for number, (first, second) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        both = np.concatenate([left[first], right[second]])
        hidden = np.maximum(dense(values, f"towers.{number}.first", both), 0)
        outputs.append(np.maximum(dense(values, f"towers.{number}.last", hidden), 0))
    if isinstance(model, DELFMLP):
        joined = np.concatenate(outputs)
    else:
        a, b = (min(np.sqrt(len(own)) / 2, 1) for own in (of_user, of_item))
        shares = a * b, a * (1 - b), (1 - a) * b, (1 - a) * (1 - b)
        joined = sum(share * output for share, output in zip(shares, outputs, strict=True))
    return dense(values, "output", np.maximum(dense(values, "last", joined), 0))[0]


@MODELS
def test_scores_are_those_of_the_definition(train, model):
    fitted, seen = fit(train, model), rows_with_gaps()
    wanted = [[by_definition(fitted, seen, u, i) for i in range(8)] for u in range(9)]
    assert np.std(wanted) > 0.01
    found = scores(fitted, train)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    users, everything = np.arange(9, dtype=np.int32), csr_array(np.ones((9, 8), bool))
    of_pairs = fitted.score_candidates(users, train.matrix, everything)
    np.testing.assert_allclose(of_pairs, found, rtol=1e-5, atol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_with_equal_weights_a_pool_is_the_mean_or_the_sum_over_a_root(seed):
    rows = (np.random.default_rng(seed).random((5, 6)) < 0.5).astype(np.float32)
    rows[0] = 0
    for power in (1.0, 0.5):
        pooling = Pooling(6, 4, 3, power)
        torch.nn.init.zeros_(pooling.attention[2].weight)
        vectors = pooling.table.weight.detach().numpy()
        found = pooling(Rows(csr_array(rows)), torch.arange(5)).detach().numpy()
        wanted = rows @ vectors / np.maximum(rows.sum(axis=1, keepdims=True), 1) ** power
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
        assert not found[0].any()


def test_fusion_forgets_the_pools_of_who_has_four_interactions(train):
    fitted = fit(train, DELFEF)
    before = scores(fitted, train)
    for pooling in (fitted.network.of_items, fitted.network.of_users):
        torch.nn.init.normal_(pooling.table.weight)
    after = scores(fitted, train)
    many_users, many_items = train.user_counts >= 4, train.item_counts >= 4
    assert 0 < many_users.sum() < 9
    both = np.ix_(many_users, many_items)
    np.testing.assert_array_equal(after[both], before[both])
    moved = after != before
    assert moved[np.ix_(~many_users, train.item_counts > 0)].any()


def test_fusion_gives_items_without_interactions_the_same_score(interactions):
    rows = rows_with_gaps()
    rows[:, -2] = False
    train = interactions(rows)
    found = scores(fit(train, DELFEF), train)
    np.testing.assert_array_equal(found[:, -1], found[:, -2])
    of_mlp = scores(fit(train, DELFMLP), train)
    assert (of_mlp[:, -1] != of_mlp[:, -2]).any()  # it has their own vectors, too


def test_each_number_of_a_gradient_is_cut():
    model = DELFMLP(clip_value=0.1)
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([0.05, -3.0, 0.2])
    model.clip([parameter])
    assert parameter.grad.tolist() == pytest.approx([0.05, -0.1, 0.1])
    parameter.grad = torch.tensor([0.05, -3.0, 0.2])
    DELFMLP(clip_value=0.0).clip([parameter])
    assert parameter.grad.tolist() == pytest.approx([0.05, -3.0, 0.2])


@MODELS
def test_values_of_interactions_are_ignored(interactions, model):
    rows = rows_with_gaps()
    once, often = interactions(rows), interactions(rows * np.arange(1, 9))
    np.testing.assert_array_equal(scores(fit(once, model), once), scores(fit(often, model), often))


@pytest.mark.parametrize(("model", "joined"), [(DELFMLP, 4 * 32), (DELFEF, 32)])
def test_layers_are_as_wide_as_in_the_released_code(train, model, joined):
    network = model().build(train)
    n = sum(part.numel() for part in network.parameters())
    attention = (128 * 64 + 64) + (64 + 1)
    tower = (256 * 64 + 64) + (64 * 32 + 32)
    above = (joined * 64 + 64) + (64 + 1)
    assert len(PAIRS) == 4
    assert n == 2 * (9 + 8) * 128 + 2 * attention + 4 * tower + above
