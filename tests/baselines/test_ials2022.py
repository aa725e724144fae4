from itertools import islice

import numpy as np
import pytest
from scipy.sparse import csr_array

from recrepro.baselines._als import gram
from recrepro.baselines.ials import IALS
from recrepro.baselines.ials2022 import IALS2022
from recrepro.errors import DataError
from recrepro.interactions import Interactions


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Steps as small as these take longer in several threads."""
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")


def likes(n_users=30, n_items=20, density=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n_users, n_items)) < density


def with_items(model, items):
    """Give a model item factors instead of learned ones."""
    model.item_factors = np.asarray(items, np.float32)
    model.item_gram = gram(model.item_factors)
    return model


def score_rows(model, rows):
    matrix = csr_array(np.asarray(rows, np.float32))
    return model.score(np.arange(matrix.shape[0], dtype=np.int32), matrix)


def penalties(x, config):
    weight, exponent = config.unobserved_weight, config.frequency_scaling
    return config.l2 * (x.sum(axis=1) + weight * x.shape[1]) ** exponent


def by_the_paper(x, others, config):
    """One side's factors, row by row: the formula of the paper as it stands there."""
    found = np.zeros((len(x), others.shape[1]))
    for row, l2 in enumerate(penalties(x, config)):
        chosen = others[x[row]]
        a = chosen.T @ chosen + config.unobserved_weight * others.T @ others
        found[row] = np.linalg.solve(a + l2 * np.eye(others.shape[1]), chosen.sum(axis=0))
    return found


def loss(x, users, items, config):
    predicted = users @ items.T
    return (
        ((predicted - 1)[x] ** 2).sum()
        + config.unobserved_weight * (predicted**2).sum()
        + penalties(x, config) @ (users**2).sum(axis=1)
        + penalties(x.T, config) @ (items**2).sum(axis=1)
    )


def test_worked_user_factors_and_those_of_hu_et_al():
    items = np.array([[1, 0], [0, 1], [1, 1]])
    options = {"unobserved_weight": 0.5, "l2": 0.1, "frequency_scaling": 0.0}
    ours = score_rows(with_items(IALS2022(n_factors=2, **options), items), [[1, 1, 0]])
    x = 0.384615
    np.testing.assert_allclose(ours, [[x, x, 2 * x]], atol=1e-6)
    theirs = score_rows(
        with_items(IALS(n_factors=2, alpha=2.0, l2=0.3), 1.5**0.5 * items), [[1, 1, 0]]
    )
    x = 1.5**0.5 * 0.471056
    np.testing.assert_allclose(theirs, [[x, x, 2 * x]], atol=1e-6)


@pytest.mark.parametrize("frequency_scaling", [0.0, 0.5, 1.0])
def test_a_fit_follows_the_formulas_of_the_paper(scores, frequency_scaling):
    x = likes()
    model = IALS2022(
        n_factors=4,
        unobserved_weight=0.2,
        l2=0.05,
        frequency_scaling=frequency_scaling,
        epochs=3,
    )
    got = scores(model, x)
    items = np.random.default_rng(0).normal(0, 0.1 / 2, (x.shape[1], 4))
    for _ in range(3):
        users = by_the_paper(x, items, model.config)
        items = by_the_paper(x.T, users, model.config)
    np.testing.assert_allclose(model.item_factors, items, rtol=1e-3, atol=1e-5)
    expected = by_the_paper(x, items, model.config) @ items.T
    np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize(("weight", "l2"), [(0.3, 0.5), (1.0, 0.2), (0.05, 0.05)])
def test_with_one_penalty_for_all_it_ends_where_hu_et_al_do(scores, weight, l2):
    x = likes()
    ours = scores(
        IALS2022(n_factors=20, unobserved_weight=weight, l2=l2, frequency_scaling=0.0, epochs=400),
        x,
    )
    theirs = IALS(n_factors=20, alpha=1 / weight, l2=l2 * (1 + weight) / weight, epochs=400)
    np.testing.assert_allclose((1 + weight) * ours, scores(theirs, x), atol=1e-3)


def test_the_loss_never_rises(interactions):
    x = likes()
    model = IALS2022(n_factors=5, l2=0.01)
    losses = []
    for _ in islice(model.fit_epochs(interactions(x), np.random.default_rng(0)), 20):
        users = by_the_paper(x, model.item_factors.astype(float), model.config)
        losses.append(loss(x, users, model.item_factors, model.config))
    assert losses[-1] < 0.95 * losses[0]
    assert (np.diff(losses) <= 1e-6 * losses[0]).all()


def test_an_active_user_is_held_back_more(scores):
    items = np.eye(6)
    model = with_items(IALS2022(n_factors=6, unobserved_weight=0.1, l2=0.1), items)
    got = score_rows(model, [[1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0]])
    penalties = 0.1 * (np.array([1, 4]) + 0.1 * 6)
    np.testing.assert_allclose(got[:, 0], 1 / (1 + 0.1 + penalties), rtol=1e-6)


def test_values_do_not_matter_but_zeros_are_no_interactions(scores, interactions):
    x = likes()
    users, items = np.indices(x.shape).reshape(2, -1).astype(np.int32)
    values = (3 * x).ravel().astype(np.float32)
    padded = Interactions(users, items, values, None, np.arange(30), np.arange(20))
    model = IALS2022(n_factors=4, epochs=3).fit(padded, np.random.default_rng(0))
    got = model.score(np.arange(30, dtype=np.int32), padded.matrix)
    np.testing.assert_array_equal(got, scores(IALS2022(n_factors=4, epochs=3), x))


def test_users_and_items_without_interactions_score_zero(scores):
    x = likes()
    x[3], x[:, 5] = False, False
    got = scores(IALS2022(n_factors=4, epochs=3), x)
    assert not got[3].any()
    assert not got[:, 5].any()
    assert got[0].any()


def test_the_number_of_threads_changes_nothing(scores, monkeypatch):
    x = likes(200, 90)
    found = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        found.append(scores(IALS2022(n_factors=8, epochs=3), x))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_negative_values_are_refused(scores):
    with pytest.raises(DataError, match="at least 0"):
        scores(IALS2022(), [[1, -1], [0, 1]])
