from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array
from scipy.stats import chisquare

from recrepro.baselines._sgd_kernels import (
    descend_pairs,
    new_table,
    whole_batches,
)
from recrepro.baselines.bprmf import BPRMF, _draw_pairs
from recrepro.compute.sampling import draw_unseen, unseen_items

UNEVEN = [[1, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0], [0, 0, 1, 0, 0, 1]]


def descend(p, q, triples, optimizer="sgd", batch_size=1, rate=0.1, l2=(0.0, 0.0, 0.0), step=0):
    """Run the kernel in float64; return the loss and the tables."""
    users, preferred, others = np.array(triples, np.int32).T.copy()
    p = new_table(np.array(p, float), optimizer, rate, l2[0])
    q = new_table(np.array(q, float), optimizer, rate, l2[1])
    l2_others = np.full_like(q.l2, l2[2])
    loss = descend_pairs(users, preferred, others, batch_size, step, p, q, l2_others)
    return loss, p.weights, q.weights


def slow_descend(p, q, triples, optimizer, batch_size, rate, l2):
    """Do the same with dense gradients, sample by sample."""
    weights = {"p": np.array(p, float), "q": np.array(q, float)}
    means = {name: np.zeros_like(w) for name, w in weights.items()}
    squares = {name: np.zeros_like(w) for name, w in weights.items()}
    total = 0.0
    for step, start in enumerate(range(0, len(triples), batch_size), 1):
        slopes = {name: np.zeros_like(w) for name, w in weights.items()}
        touched = {"p": set(), "q": set()}
        for u, i, j in triples[start : start + batch_size]:
            p_u, q_i, q_j = weights["p"][u], weights["q"][i], weights["q"][j]
            chance = 1 / (1 + np.exp(-p_u @ (q_i - q_j)))
            total -= np.log(chance)
            slopes["p"][u] += (1 - chance) * (q_i - q_j) - l2[0] * p_u
            slopes["q"][i] += (1 - chance) * p_u - l2[1] * q_i
            slopes["q"][j] += -(1 - chance) * p_u - l2[2] * q_j
            touched["p"].add(u)
            touched["q"].update((i, j))
        for name, rows in touched.items():
            for row in rows:
                g = slopes[name][row] / batch_size
                if optimizer == "adagrad":
                    squares[name][row] += g**2
                    g = g / (np.sqrt(squares[name][row]) + 1e-8)
                if optimizer == "adam":
                    means[name][row] = 0.9 * means[name][row] + 0.1 * g
                    squares[name][row] = 0.999 * squares[name][row] + 0.001 * g**2
                    root = np.sqrt(squares[name][row] / (1 - 0.999**step))
                    g = means[name][row] / (1 - 0.9**step) / (root + 1e-8)
                weights[name][row] += rate * g
    return total, weights["p"], weights["q"]


def some_factors(n_users=4, n_items=6, n_factors=3):
    rng = np.random.default_rng(1)
    return rng.normal(0, 1, (n_users, n_factors)), rng.normal(0, 1, (n_items, n_factors))


def test_worked_step():
    loss, p, q = descend([[1, 0]], [[0, 1], [1, 1]], [(0, 0, 1)])
    assert loss == pytest.approx(1.3132617, abs=1e-7)
    np.testing.assert_allclose(p, [[0.9268941, 0]], atol=1e-7)
    np.testing.assert_allclose(q, [[0.0731059, 1], [0.9268941, 1]], atol=1e-7)


def test_zero_factors_lose_ln_2_a_sample_and_stay():
    loss, p, q = descend(np.zeros((2, 3)), np.zeros((3, 3)), [(0, 0, 1), (1, 2, 0)])
    assert loss == pytest.approx(2 * np.log(2))
    assert not p.any()
    assert not q.any()


def test_the_loss_of_far_apart_scores_neither_overflows_nor_vanishes():
    loss, p, q = descend([[1.0]], [[-1000.0], [1000.0]], [(0, 0, 1)])
    assert loss == pytest.approx(2000)
    assert np.isfinite(p).all()
    assert np.isfinite(q).all()
    loss, _, _ = descend([[1.0]], [[15.0], [-15.0]], [(0, 0, 1)])
    assert loss == pytest.approx(np.exp(-30), rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_step_goes_down_the_slope_that_finite_differences_give(batch_size):
    p, q = some_factors()
    triples = [(0, 1, 2), (3, 2, 1), (0, 4, 1), (2, 1, 5)][:batch_size]
    l2 = (0.03, 0.05, 0.07)

    def objective(p, q):
        total = 0.0
        for u, i, j in triples:
            total += np.log1p(np.exp(-p[u] @ (q[i] - q[j])))
            total += (l2[0] * p[u] @ p[u] + l2[1] * q[i] @ q[i] + l2[2] * q[j] @ q[j]) / 2
        return total

    _, p_after, q_after = descend(p, q, triples, "sgd", batch_size, 1.0, l2)
    for table, after in ((p, p_after), (q, q_after)):
        for index in np.ndindex(table.shape):
            value, h = table[index], 1e-5
            table[index] = value + h
            above = objective(p, q)
            table[index] = value - h
            below = objective(p, q)
            table[index] = value
            slope = (above - below) / (2 * h) / batch_size
            assert after[index] - value == pytest.approx(-slope, abs=1e-8)


def test_each_penalty_pulls_only_what_it_is_for():
    # The score difference is so large that the data pulls at nothing.
    p, q = [[100.0], [5.0]], [[100.0], [-100.0], [7.0]]
    _, p, q = descend(p, q, [(0, 0, 1)], rate=0.1, l2=(0.1, 0.2, 0.3))
    np.testing.assert_allclose(p[:, 0], [100 * (1 - 0.01), 5])
    np.testing.assert_allclose(q[:, 0], [100 * (1 - 0.02), -100 * (1 - 0.03), 7])


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_every_optimizer_does_what_a_slow_rewrite_does(optimizer, batch_size):
    rng = np.random.default_rng(2)
    p, q = some_factors()
    # Items are drawn apart, so within a batch they repeat, also on both sides.
    triples = [
        (int(rng.integers(4)), *map(int, rng.choice(6, 2, replace=False))) for _ in range(48)
    ]
    arguments = (triples, optimizer, batch_size, 0.05, (0.01, 0.02, 0.03))
    expected = slow_descend(p, q, *arguments)
    got = descend(p, q, *arguments)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_adam_corrects_for_the_steps_before():
    p, q = some_factors()
    first, later = (descend(p, q, [(0, 1, 2)], "adam", step=step)[1] - p for step in (0, 1000))
    # From 0 a gradient g makes moments of 0.1 g and 0.001 g^2; t steps divide them by
    # 1 - 0.9^t and 1 - 0.999^t.
    np.testing.assert_allclose(first[0], 0.1 * np.sign(first[0]), rtol=1e-6)
    expected = 0.1 / np.sqrt(0.001 / (1 - 0.999**1001))
    np.testing.assert_allclose(later[0] / first[0], expected, rtol=1e-5)


@given(arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 9))))
def test_ranks_run_through_the_unseen_items_in_order(matrix):
    rows = csr_array(matrix)
    users = np.repeat(np.arange(len(matrix)), (~matrix).sum(axis=1)).astype(np.int32)
    ranks = np.concatenate([np.arange(n) for n in (~matrix).sum(axis=1)])
    found = np.empty(len(users), np.int32)
    unseen_items(users, ranks, rows.indptr, rows.indices, found)
    np.testing.assert_array_equal(found, np.nonzero(~matrix)[1])


def test_others_are_uniform_over_what_a_user_has_not(interactions):
    train = interactions(UNEVEN)
    users = np.full(30_000, 3, np.int32)
    others = draw_unseen(np.random.default_rng(0), users, train.matrix)
    counts = np.bincount(others, minlength=6)
    np.testing.assert_array_equal(counts[[2, 5]], 0)
    assert chisquare(counts[[0, 1, 3, 4]]).pvalue > 0.01


@pytest.mark.parametrize("by_user", [False, True])
def test_samples_follow_the_chosen_distribution(interactions, by_user):
    train = interactions(UNEVEN)
    pool = np.arange(4 if by_user else len(train))
    users, items, others = _draw_pairs(
        np.random.default_rng(0), train, pool, 90_000, by_user=by_user
    )
    seen = train.matrix.toarray() > 0
    assert seen[users, items].all()
    assert not seen[users, others].any()
    chances = seen / seen.sum(axis=1, keepdims=True) / 4 if by_user else seen / seen.sum()
    counts = np.zeros(seen.shape)
    np.add.at(counts, (users, items), 1)
    assert chisquare(counts[seen], 90_000 * chances[seen]).pvalue > 0.01


@pytest.mark.parametrize("sampling", ["interactions", "users"])
def test_users_with_every_item_or_none_are_left_out_and_score_zero(scores, sampling):
    rows = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 1]])
    got = scores(BPRMF(sampling=sampling, epochs=20), rows)
    np.testing.assert_array_equal(got[[0, 2]], 0)
    assert (got[1, [0, 2]] > got[1, [1, 3]].max()).all()


def test_items_without_interactions_score_zero(scores):
    got = scores(BPRMF(epochs=3), [[1, 0, 0, 1], [0, 1, 0, 0]])
    np.testing.assert_array_equal(got[:, 2], 0)
    assert got[:, [0, 1, 3]].all()


@pytest.mark.parametrize("rows", [np.ones((3, 2)), np.zeros((3, 2))])
def test_with_nothing_to_learn_all_scores_are_zero(scores, rows):
    assert not scores(BPRMF(epochs=2), rows).any()


def auc(scores, own):
    pairs = zip(scores, own, strict=True)
    return np.mean([(row[mine][:, None] > row[~mine]).mean() for row, mine in pairs])


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": 0.05},
        {"learning_rate": 0.05, "optimizer": "adagrad", "batch_size": 4},
        {"learning_rate": 0.01, "optimizer": "adam", "batch_size": 8, "sampling": "users"},
    ],
)
def test_two_communities_are_learned_but_not_without_steps(scores, options):
    own = np.kron(np.eye(2), np.ones((20, 15))).astype(bool)
    rows = own & (np.random.default_rng(4).random(own.shape) < 0.6)
    assert auc(scores(BPRMF(epochs=100, **options), rows), own) > 0.95
    still = scores(BPRMF(epochs=100, **{**options, "learning_rate": 1e-9}), rows)
    assert auc(still, own) == pytest.approx(0.5, abs=0.06)


def test_the_loss_starts_near_ln_2_and_falls(interactions):
    own = np.kron(np.eye(2), np.ones((20, 15)))
    epochs = BPRMF(learning_rate=0.05).fit_epochs(interactions(own), np.random.default_rng(0))
    losses = [stats.values["loss"] for stats in islice(epochs, 30)]
    assert losses[0] == pytest.approx(np.log(2), abs=0.05)
    assert losses[-1] < 0.2


def test_epochs_go_on_from_where_they_were(interactions):
    train = interactions(UNEVEN)
    longer = BPRMF(optimizer="adam", batch_size=2)
    epochs = longer.fit_epochs(train, np.random.default_rng(5))
    numbers = [stats.epoch for stats in islice(epochs, 7)]
    assert numbers == [1, 2, 3, 4, 5, 6, 7]
    whole = BPRMF(optimizer="adam", batch_size=2, epochs=7).fit(train, np.random.default_rng(5))
    np.testing.assert_array_equal(longer.user_factors, whole.user_factors)
    np.testing.assert_array_equal(longer.item_factors, whole.item_factors)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
def test_equal_seeds_give_equal_bits_and_other_seeds_others(interactions, optimizer):
    train = interactions(UNEVEN)
    models = [
        BPRMF(optimizer=optimizer, epochs=5).fit(train, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(models[0].item_factors, models[1].item_factors)
    assert (models[0].item_factors != models[2].item_factors).any()


@given(st.integers(0, 10**6), st.integers(1, 2000))
def test_portions_are_whole_batches_and_no_more_than_needed(n_samples, batch_size):
    sizes = list(whole_batches(n_samples, batch_size))
    assert all(size % batch_size == 0 for size in sizes)
    assert 0 <= sum(sizes) - n_samples < batch_size
