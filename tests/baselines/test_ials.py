from itertools import islice

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_array, csr_matrix

from recrepro.baselines._als import gram, single_blas_thread, solve
from recrepro.baselines.ials import IALS
from recrepro.errors import DataError, ModelError
from recrepro.interactions import Interactions


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Steps as small as these take longer in several threads."""
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")


def ratings(n_users=30, n_items=20, density=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(1, 6, (n_users, n_items)) * (rng.random((n_users, n_items)) < density)


def with_items(model, items):
    """Give a model item factors instead of learned ones."""
    model.item_factors = np.asarray(items, np.float32)
    model.item_gram = gram(model.item_factors)
    return model


def score_rows(model, rows):
    matrix = csr_array(np.asarray(rows, np.float32))
    return model.score(np.arange(matrix.shape[0], dtype=np.int32), matrix)


def confidences(x, config):
    values = x if config.confidence == "linear" else np.log(1 + x / config.epsilon)
    return 1 + config.alpha * values


def by_the_paper(c, p, others, l2):
    """One side's factors, row by row: the formula of the paper as it stands there."""
    found = np.zeros((len(c), others.shape[1]))
    for row in np.flatnonzero(p.any(axis=1)):
        a = others.T @ np.diag(c[row]) @ others + l2 * np.eye(others.shape[1])
        found[row] = np.linalg.solve(a, others.T @ np.diag(c[row]) @ p[row])
    return found


def loss(c, p, users, items, l2):
    return (c * (p - users @ items.T) ** 2).sum() + l2 * ((users**2).sum() + (items**2).sum())


def test_worked_user_factors():
    model = with_items(IALS(n_factors=2, alpha=2.0, l2=0.1), [[1, 0], [0, 1], [1, 1]])
    x = 0.588235
    np.testing.assert_allclose(score_rows(model, [[1, 1, 0]]), [[x, x, 2 * x]], atol=1e-6)


@pytest.mark.parametrize("confidence", ["linear", "log"])
def test_a_fit_follows_the_formulas_of_the_paper(scores, confidence):
    x = ratings()
    model = IALS(n_factors=4, confidence=confidence, alpha=3.0, epsilon=0.5, l2=0.01, epochs=3)
    got = scores(model, x)
    c, p = confidences(x, model.config), x > 0
    items = np.random.default_rng(0).random((x.shape[1], 4), np.float32) / 2.0
    for _ in range(3):
        users = by_the_paper(c, p, items, 0.01)
        items = by_the_paper(c.T, p.T, users, 0.01)
    np.testing.assert_allclose(model.item_factors, items, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(got, by_the_paper(c, p, items, 0.01) @ items.T, atol=1e-4)


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_item_factors_are_those_of_implicit(interactions, solver):
    train = interactions(ratings(60, 40))
    model = IALS(n_factors=8, alpha=2.0, l2=0.01, epochs=4, solver=solver)
    model.fit(train, np.random.default_rng(3))
    with single_blas_thread():  # it warns otherwise
        theirs = AlternatingLeastSquares(
            factors=8, regularization=0.01, iterations=4, use_cg=solver == "cg", num_threads=1
        )
        start = np.random.default_rng(3).random((40, 8), np.float32) / np.float32(8**0.5)
        theirs.item_factors, theirs.user_factors = start, np.zeros((60, 8), np.float32)
        matrix = csr_matrix(train.matrix)
        matrix.data = 1 + 2 * matrix.data
        theirs.fit(matrix, show_progress=False)
    np.testing.assert_allclose(model.item_factors, theirs.item_factors, rtol=1e-3, atol=1e-4)


def test_conjugate_gradients_end_where_exact_steps_do(scores):
    x = ratings(60, 40)
    exact, approximate = (
        scores(IALS(n_factors=3, alpha=1.0, l2=0.01, epochs=300, solver=solver), x)
        for solver in ("cholesky", "cg")
    )
    np.testing.assert_allclose(approximate, exact, atol=1e-3)


def test_the_loss_never_rises(interactions):
    train = interactions(ratings())
    model = IALS(n_factors=5, alpha=2.0, l2=0.01)
    x = train.matrix.toarray()
    c, p = confidences(x, model.config), x > 0
    losses = []
    for _ in islice(model.fit_epochs(train, np.random.default_rng(0)), 20):
        users = by_the_paper(c, p, model.item_factors.astype(float), 0.01)
        losses.append(loss(c, p, users, model.item_factors, 0.01))
    assert losses[-1] < 0.95 * losses[0]
    assert (np.diff(losses) <= 1e-6 * losses[0]).all()


def test_every_row_solves_its_normal_equations():
    rng = np.random.default_rng(1)
    # One row has more entries than fit into a batch of the kernel.
    filled = rng.random((40, 700)) < np.append(0.9, np.full(39, 0.05))[:, None]
    c = np.where(filled, 1 + 40 * rng.random(filled.shape), 1).astype(np.float32)
    items = rng.normal(size=(700, 16)).astype(np.float32)
    l2 = rng.uniform(0.01, 1, 40)
    rows = csr_array(np.where(filled, c, 0))
    found = solve(rows, items, gram(items), l2, counted=1.0).astype(float)
    wide = items.astype(float)
    for row in range(40):
        right = wide.T @ (c[row] * filled[row])
        left = wide.T @ (c[row] * (wide @ found[row])) + l2[row] * found[row]
        assert np.abs(left - right).max() < 1e-5 * np.abs(right).max()


def test_without_confidence_it_is_a_truncated_singular_value_decomposition(scores):
    x = ratings(25, 15) > 0
    got = scores(IALS(n_factors=2, alpha=0.0, l2=1e-5, epochs=100), x)
    u, s, vt = np.linalg.svd(x.astype(float))
    np.testing.assert_allclose(got, (u[:, :2] * s[:2]) @ vt[:2], atol=1e-3)


def test_with_all_factors_and_all_confidence_what_was_observed_gets_one(scores):
    x = ratings(12, 8) > 0
    got = scores(IALS(n_factors=8, alpha=1e5, l2=1e-5, epochs=20), x)
    np.testing.assert_allclose(got[x], 1, atol=1e-3)


def test_users_and_items_without_interactions_score_zero(scores):
    x = ratings()
    x[3], x[:, 5] = 0, 0
    got = scores(IALS(n_factors=4, epochs=3), x)
    assert not got[3].any()
    assert not got[:, 5].any()
    assert got[0].any()


@pytest.mark.parametrize("confidence", ["linear", "log"])
def test_stored_zeros_are_no_interactions(scores, interactions, confidence):
    x = ratings()
    users, items = np.indices(x.shape).reshape(2, -1).astype(np.int32)
    values = x.ravel().astype(np.float32)
    padded = Interactions(users, items, values, None, np.arange(30), np.arange(20))
    model = IALS(n_factors=4, confidence=confidence, epochs=3)
    model.fit(padded, np.random.default_rng(0))
    got = model.score(np.arange(30, dtype=np.int32), padded.matrix)
    assert padded.matrix.nnz == x.size
    np.testing.assert_array_equal(got, scores(IALS(**model.config.model_dump()), x))


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_the_number_of_threads_changes_nothing(scores, monkeypatch, solver):
    x = ratings(200, 90)
    found = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        found.append(scores(IALS(n_factors=8, epochs=3, solver=solver), x))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_what_float32_cannot_solve_is_solved_in_float64():
    rng = np.random.default_rng(0)
    items = (100 * rng.normal(size=(3, 20))).astype(np.float32)
    whole, l2 = gram(items), np.full(4, 1e-5)
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.cholesky((whole + 1e-5 * np.eye(20)).astype(np.float32))
    x = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]])
    found = solve(csr_array(np.where(x, 3.0, 0)), items, whole, l2, counted=1.0)
    np.testing.assert_allclose(found @ items.T, x, atol=1e-3)


def test_equations_without_a_solution_say_what_to_do(interactions):
    x = interactions(1e6 * np.ones((2, 2)))
    with pytest.raises(ModelError, match=r"no stable solution with a penalty of 1e-30. Raise l2"):
        IALS(n_factors=40, l2=1e-30).fit(x, np.random.default_rng(0))


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_a_new_user_scores_like_an_old_one_with_the_same_history(interactions, solver):
    train = interactions(ratings())
    model = IALS(n_factors=4, epochs=2, solver=solver).fit(train, np.random.default_rng(0))
    old = model.score(np.array([7], np.int32), train.matrix[[7]])
    new = model.score(np.array([99], np.int32), train.matrix[[7]])
    np.testing.assert_array_equal(old, new)


def test_negative_values_are_refused(scores):
    with pytest.raises(DataError, match="at least 0"):
        scores(IALS(), [[1, -1], [0, 1]])
