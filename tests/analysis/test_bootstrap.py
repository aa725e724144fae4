"""Intervals of means against scipy, exact enumeration, and by how often they hold the truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recrepro.analysis import bootstrap
from recrepro.analysis.bootstrap import bootstrap_means, mean_intervals, percentile_interval
from recrepro.analysis.per_user import UserValues


def rng(seed=0):
    return np.random.default_rng(seed)


def interval(*fits, **options):
    """Return the interval of a model, from one array of users' values for each fit."""
    frames = [pd.DataFrame({"m": values}) for values in fits]
    values = UserValues({"seed 1": frames}, deterministic=len(fits) == 1)
    return mean_intervals({"a": values}, ["m"], options.get("n_resamples", 9999), 1)["a"]["m"]


def test_the_interval_is_that_of_scipy():
    values = rng(1).gamma(1.0, size=200)
    ours = percentile_interval(bootstrap_means(values[:, None], 20_000, rng()))
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=rng(5)
    ).confidence_interval
    # The deviation of one resampled mean is 0.07, that of an end of the interval some 0.001.
    np.testing.assert_allclose(np.ravel(ours), [theirs.low, theirs.high], atol=0.006)


def test_resampled_means_have_the_mean_and_the_spread_that_theory_gives():
    values = rng(1).random((50, 3)) * [1, 2, 5]
    means = bootstrap_means(values, 20_000, rng())
    spread = values.std(axis=0) / np.sqrt(50)
    np.testing.assert_allclose(means.mean(axis=0), values.mean(axis=0), atol=4 * spread.max() / 141)
    np.testing.assert_allclose(means.std(axis=0), spread, rtol=0.03)


def test_columns_share_their_samples():
    values = rng(1).random((40, 1))
    means = bootstrap_means(np.hstack([values, 2 * values]), 100, rng())
    np.testing.assert_allclose(means[:, 1], 2 * means[:, 0])


def test_equal_seeds_give_equal_means_with_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(bootstrap, "BLOCK_CELLS", 300)
    values = rng(1).random((100, 2))
    one = bootstrap_means(values, 50, rng(3), threads=1)
    assert one.tobytes() == bootstrap_means(values, 50, rng(3), threads=4).tobytes()
    assert one.tobytes() != bootstrap_means(values, 50, rng(4), threads=1).tobytes()


def test_an_interval_holds_the_truth_as_often_as_it_says():
    held = 0
    for seed in range(300):
        values = rng(seed).exponential(size=(80, 1))
        low, high = percentile_interval(bootstrap_means(values, 500, rng(seed + 1000)))
        held += bool(low[0] <= 1 <= high[0])
    assert 270 <= held <= 297  # 285 of 300; skewed data lose some


def test_few_users_with_graded_values_have_the_bca_interval_of_scipy():
    values = np.where(rng(3).random(120) < 0.2, rng(4).random(120), 0.0)
    theirs = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=20_000, rng=rng(5))
    assert interval(values) == pytest.approx(tuple(theirs.confidence_interval), abs=0.002)


@pytest.mark.parametrize(("users", "rate"), [(100, 0.05), (50, 0.1), (299, 0.03), (30, 0.5)])
def test_few_users_with_hits_or_none_have_an_interval_that_holds_the_truth(users, rate):
    likely = [k for k in range(users + 1) if stats.binom.pmf(k, users, rate) > 1e-5]
    held = 0.0
    for k in likely:
        low, high = interval(np.arange(users) < k, n_resamples=9)
        held += stats.binom.pmf(k, users, rate) * (low <= rate <= high)
    assert 0.93 <= held <= 0.975


def test_values_without_spread_have_an_interval_of_one_value():
    assert interval(np.full(20, 0.3)) == (0.3, 0.3)
    low, high = interval(np.zeros(20))
    assert low == pytest.approx(0, abs=1e-12)
    assert high > 0.1  # no hit of 20 users leaves room for 1 in 10


@pytest.mark.parametrize("users", [100, 1000])
def test_the_interval_of_several_fits_covers_their_seeds(users):
    easy = rng(1).random(users)
    alike = interval(easy, easy, easy)
    low, high = interval(easy * 0.8, easy, easy * 1.2)
    mean = easy.mean()
    seeds = stats.t.ppf(0.975, 2) * mean * 0.2 / np.sqrt(3)
    assert mean - low == pytest.approx(np.hypot(mean - alike[0], seeds), rel=0.02)
    assert high - mean == pytest.approx(np.hypot(alike[1] - mean, seeds), rel=0.02)
    assert interval(easy * 0.01, easy * 2)[0] >= 0  # below the least value of a user


@pytest.mark.nightly  # thousands of intervals
@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_the_bca_interval_holds_the_truth_of_ndcg(rate):
    gains, held = 1 / np.log2(np.arange(2, 12)), 0
    for seed in range(2000):
        draws = rng(seed)
        values = (draws.random(100) < rate) * draws.choice(gains, 100)
        low, high = interval(values, n_resamples=2000)
        held += low <= rate * gains.mean() <= high
    assert 0.93 <= held / 2000 <= 0.97
