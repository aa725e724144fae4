import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn import decomposition
from sklearn.exceptions import ConvergenceWarning

from recrepro.baselines.nmf import NMF
from recrepro.errors import DataError

SOLVERS = [
    {"solver": "multiplicative", "loss": "frobenius"},
    {"solver": "coordinate", "loss": "frobenius"},
    {"loss": "kullback-leibler"},
]
every_way = pytest.mark.parametrize(
    "options", [{**solver, "init": init} for solver in SOLVERS for init in ("random", "nndsvda")]
)


def ratings(n_users=40, n_items=25, density=0.4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(1, 6, (n_users, n_items)) * (rng.random((n_users, n_items)) < density)


@every_way
def test_a_product_of_two_vectors_is_found_again(scores, options):
    rng = np.random.default_rng(0)
    x = np.outer(rng.uniform(1, 2, 12), rng.uniform(1, 2, 9))
    np.testing.assert_allclose(scores(NMF(n_factors=1, **options), x), x, rtol=1e-4)


@every_way
def test_factors_are_not_negative(scores, options):
    model = NMF(n_factors=6, **options)
    got = scores(model, ratings())
    assert (model.user_factors >= 0).all()
    assert (model.item_factors >= 0).all()
    np.testing.assert_allclose(got, model.user_factors @ model.item_factors, rtol=1e-6)


@pytest.mark.parametrize("solver", ["multiplicative", "coordinate"])
def test_users_are_the_best_non_negative_ones_for_the_items(scores, solver):
    x = ratings()
    model = NMF(n_factors=4, solver=solver)
    got = scores(model, x)
    best = np.array([nnls(model.item_factors.T.astype(float), row)[1] for row in x])
    np.testing.assert_allclose(np.linalg.norm(x - got, axis=1), best, rtol=0.02)


def test_kullback_leibler_keeps_the_sum_of_every_user(scores):
    x = ratings()
    got = scores(NMF(n_factors=4, loss="kullback-leibler"), x)
    np.testing.assert_allclose(got.sum(axis=1), x.sum(axis=1), rtol=1e-3)


def test_each_loss_is_lowest_for_the_model_that_minimises_it(scores):
    x = ratings()
    frobenius, leibler = (scores(NMF(n_factors=4, **options), x) for options in SOLVERS[1:])
    assert ((x - frobenius) ** 2).sum() < ((x - leibler) ** 2).sum()

    def divergence(y):
        return (x * np.log(np.where(x, x, 1) / np.maximum(y, 1e-7)) - x + y).sum()

    assert divergence(leibler) < divergence(frobenius)


def test_kullback_leibler_has_multiplicative_updates_only(scores):
    x = ratings()
    one, other = (
        scores(NMF(n_factors=4, loss="kullback-leibler", solver=solver), x)
        for solver in ("multiplicative", "coordinate")
    )
    np.testing.assert_array_equal(one, other)


@every_way
def test_users_and_items_without_interactions_score_zero(scores, options):
    x = ratings()
    x[3], x[:, 5] = 0, 0
    got = scores(NMF(n_factors=4, **options), x)
    assert not got[3].any()
    np.testing.assert_allclose(got[:, 5], 0, atol=1e-6)
    assert got[0].any()


def test_more_factors_than_items_are_as_many_as_items(scores):
    x = ratings(10, 6)
    model = NMF(n_factors=100, init="nndsvda")
    scores(model, x)
    assert model.item_factors.shape == (6, 6)


def test_ending_at_the_last_iteration_is_no_warning(scores):
    x = ratings(60, 60)
    seed = int(np.random.default_rng(0).integers(2**31))
    theirs = decomposition.NMF(40, init="random", max_iter=500, random_state=seed)
    with pytest.warns(ConvergenceWarning):
        theirs.fit(x.astype(np.float32))
    scores(NMF(n_factors=40, solver="coordinate"), x)


def test_negative_values_are_refused(scores):
    with pytest.raises(DataError, match="at least 0"):
        scores(NMF(), [[1, -1], [0, 1]])
