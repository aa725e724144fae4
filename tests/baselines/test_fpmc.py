"""Factorised personalised Markov chains: steps against dense gradients, samples, what it learns."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.logs import in_time

from recrepro.baselines._sgd_kernels import descend_transitions
from recrepro.baselines.bprmf import BPRMF
from recrepro.baselines.fpmc import FPMC
from recrepro.baselines.markovchain import MarkovChain
from recrepro.errors import ModelError


def tables(seed, n_users=3, n_items=6, n_factors=2):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 1, (n, n_factors)) for n in (n_users, n_items, n_items, n_items)]


def loss_of(made, sample, l2):
    """The loss of one sample with its penalties, by definition."""
    p, q, m, r = made
    u, i, j, basket = sample
    mean = r[basket].mean(axis=0)
    x = p[u] @ (q[i] - q[j]) + mean @ (m[i] - m[j])
    rows = [p[u], q[i], q[j], m[i], m[j], *(r[item] for item in basket)]
    return np.log1p(np.exp(-x)), l2 / 2 * sum((row**2).sum() for row in rows)


def gradients(made, sample, l2, step=1e-6):
    """Central differences of the loss, for each number of each table."""
    found = []
    for table in made:
        slopes = np.zeros_like(table)
        for at in np.ndindex(table.shape):
            values = []
            for sign in (1, -1):
                table[at] += sign * step
                values.append(sum(loss_of(made, sample, l2)))
                table[at] -= sign * step
            slopes[at] = (values[0] - values[1]) / (2 * step)
        found.append(slopes)
    return found


def descend(made, sample, rate, l2):
    u, i, j, basket = sample
    one = (np.array([n], np.int64) for n in (u, i, j))
    bounds = np.array([0], np.int64), np.array([len(basket)], np.int64)
    return descend_transitions(*one, *bounds, np.array(basket, np.int32), rate, l2, *made)


@given(
    st.integers(0, 99),
    st.integers(0, 2),
    st.permutations(range(6)),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.3]),
)
def test_a_step_follows_the_gradient_of_the_loss(seed, u, items, size, l2):
    i, j, *others = items
    sample, rate = (u, i, j, others[:size]), 0.05
    before = tables(seed)
    expected = [
        table - rate * slope
        for table, slope in zip(before, gradients(before, sample, l2), strict=True)
    ]
    made = tables(seed)
    loss = descend(made, sample, rate, l2)
    assert loss == pytest.approx(loss_of(before, sample, l2)[0])
    for table, wanted in zip(made, expected, strict=True):
        np.testing.assert_allclose(table, wanted, atol=1e-6)


def test_worked_step():
    # x = 1 * (1 - 0) + 2 * (1 - 0) = 3, so that the slope is 1 / (1 + e^3) = 0.0474259.
    p, q, m, r = np.array([[1.0]]), np.eye(2)[:, :1], np.eye(2)[:, :1], np.array([[0.0], [2.0]])
    loss = descend([p, q, m, r], (0, 0, 1, [1]), 1.0, 0.0)
    assert loss == pytest.approx(0.0485874, abs=1e-7)
    np.testing.assert_allclose(p, [[1.0474259]], atol=1e-7)
    np.testing.assert_allclose(q, [[1.0474259], [-0.0474259]], atol=1e-7)
    np.testing.assert_allclose(m, [[1.0948518], [-0.0948518]], atol=1e-7)
    np.testing.assert_allclose(r, [[0], [2.0474259]], atol=1e-7)


def test_samples_are_later_items_with_the_basket_before_and_another_item(monkeypatch):
    # Ann has a and b, then c, then d and e; Bob has a only, so there is nothing to learn from him.
    rows = [(0, 0, 1), (0, 1, 1), (0, 2, 5), (0, 3, 9), (0, 4, 9), (1, 0, 3)]
    seen = set()

    def watch(users, preferred, others, first, last, items, *rest):
        for u, i, j, start, end in zip(users, preferred, others, first, last, strict=True):
            seen.add((int(u), int(i), int(j), frozenset(items[start:end].tolist())))
        return 0.0

    monkeypatch.setattr("recrepro.baselines.fpmc.descend_transitions", watch)
    epochs = FPMC(n_factors=2).fit_epochs(in_time(rows, 6, 2), np.random.default_rng(0))
    list(islice(epochs, 400))
    assert {(u, i, before) for u, i, _, before in seen} == {
        (0, 2, frozenset({0, 1})),
        (0, 3, frozenset({2})),
        (0, 4, frozenset({2})),
    }
    drawn = {i: {j for _, other, j, _ in seen if other == i} for i in (2, 3, 4)}
    assert drawn == {2: {0, 1, 3, 4, 5}, 3: {0, 1, 2, 5}, 4: {0, 1, 2, 5}}


def test_the_last_basket_counts_as_a_mean_and_can_be_replaced():
    rows = [(0, 0, 1), (0, 1, 1), (1, 2, 1), (1, 0, 2), (2, 1, 4)]
    log = in_time(rows, 3)
    model = FPMC(n_factors=2, epochs=1).fit(log, np.random.default_rng(0))
    np.testing.assert_allclose(model.latest.toarray(), [[0.5, 0.5, 0], [1, 0, 0], [0, 1, 0]])
    users = np.array([1, 0], np.int32)
    found = model.score(users, log.matrix[users])
    means = model.latest.toarray()[users] @ model.last_factors
    expected = model.user_factors[users] @ model.item_factors.T + means @ model.next_factors.T
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    model.set_histories(in_time([(0, 2, 1), (1, 1, 7), (1, 2, 7)], 3, 3))
    np.testing.assert_allclose(model.latest.toarray(), [[0, 0, 1], [0, 0.5, 0.5], [0, 0, 0]])


def test_it_learns_what_follows_what_for_whom():
    # Kind k is followed by kind k + 1, in the colour that the user likes, three times in four.
    rng, n_kinds, rows, wanted, fooled = np.random.default_rng(3), 9, [], [], []
    for user in range(400):
        liked, kind = user % 2, int(rng.integers(n_kinds))
        for time in range(8):
            colour = liked if rng.random() < 0.75 else 1 - liked
            rows.append((user, 2 * ((kind + time) % n_kinds) + colour, time))
        wanted.append(2 * ((kind + 8) % n_kinds) + liked)
        fooled.append(colour != liked)
    log, wanted, fooled = in_time(rows, 2 * n_kinds), np.array(wanted), np.array(fooled)
    users = np.arange(400, dtype=np.int32)

    def best(model):
        model.fit(log, np.random.default_rng(1))
        return model.score(users, log.matrix).argmax(axis=1)

    chain = best(MarkovChain())
    factors = best(BPRMF(n_factors=16, epochs=60))
    both = best(FPMC(n_factors=16, epochs=200, learning_rate=0.05, l2=0.01))
    assert (both // 2 == wanted // 2).all()  # what comes next ...
    assert (factors // 2 == wanted // 2).mean() < 0.5
    # ... and for whom, where the latest item does not tell the colour.
    assert (both[fooled] == wanted[fooled]).mean() > (chain[fooled] == wanted[fooled]).mean() + 0.3


def test_nothing_follows_where_each_user_has_one_basket_and_times_are_needed():
    log = in_time([(0, 0, 1), (1, 1, 1), (1, 2, 1)], 3)
    model = FPMC(epochs=2).fit(log, np.random.default_rng(0))
    assert np.isfinite(model.score(np.arange(2, dtype=np.int32), log.matrix)).all()
    with pytest.raises(ModelError, match="times"):
        FPMC(epochs=1).fit(replace(log, times=None), np.random.default_rng(0))
