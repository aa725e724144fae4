"""Intervals and tests against scipy, exact enumeration, and what must hold whatever the data."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recrepro.analysis import significance
from recrepro.analysis.significance import (
    bootstrap_means,
    compare,
    holm,
    interval,
    randomisation_test,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_interval_is_that_of_scipy():
    values = rng(1).gamma(1.0, size=200)
    ours = interval(bootstrap_means(values[:, None], 20_000, rng()))
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
    monkeypatch.setattr(significance, "BLOCK_CELLS", 300)
    values = rng(1).random((100, 2))
    one = bootstrap_means(values, 50, rng(3), threads=1)
    assert one.tobytes() == bootstrap_means(values, 50, rng(3), threads=4).tobytes()
    assert one.tobytes() != bootstrap_means(values, 50, rng(4), threads=1).tobytes()


def test_an_interval_holds_the_truth_as_often_as_it_says():
    held = 0
    for seed in range(300):
        values = rng(seed).exponential(size=(80, 1))
        low, high = interval(bootstrap_means(values, 500, rng(seed + 1000)))
        held += bool(low[0] <= 1 <= high[0])
    assert 270 <= held <= 297  # 285 of 300; skewed data lose some


@pytest.mark.parametrize("seed", range(5))
def test_the_p_values_are_those_of_scipy(seed):
    first = rng(seed).random(60)
    second = np.where(rng(seed + 9).random(60) < 0.3, first, rng(seed + 50).random(60) - 0.1)
    found = compare(first, second, rng(), n_resamples=9999)
    assert found.t == pytest.approx(stats.ttest_rel(first, second).pvalue)
    by_scipy = stats.wilcoxon(first, second, zero_method="zsplit", method="asymptotic").pvalue
    assert found.wilcoxon == pytest.approx(by_scipy)
    theirs = stats.permutation_test(
        (first - second,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        n_resamples=9999,
        rng=rng(7),
    ).pvalue
    # scipy doubles the smaller tail, we take both: equal but for chance, some 0.005.
    assert found.randomisation == pytest.approx(theirs, abs=0.02)
    assert found.difference == pytest.approx((first - second).mean())
    assert found.effect == pytest.approx(found.difference / (first - second).std(ddof=1))


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=8).filter(any))
def test_the_randomisation_test_converges_to_all_sign_patterns(differences):
    d = np.array(differences, float)
    sums = [abs(d @ np.array(signs)) for signs in product((-1, 1), repeat=len(d))]
    exact = np.mean([s >= abs(d.sum()) - 1e-9 for s in sums])
    assert randomisation_test(d, 4000, rng()) == pytest.approx(exact, abs=0.04)


def test_no_p_value_is_zero_and_equal_models_do_not_differ():
    better = rng(1).random(500) + 1
    far = compare(better, np.zeros(500), rng(), n_resamples=99)
    assert far.randomisation == 0.01
    assert (far.better, far.worse) == (1.0, 0.0)
    same = compare(better, better, rng(), n_resamples=99)
    assert (same.t, same.wilcoxon, same.randomisation) == (1.0, 1.0, 1.0)
    assert (same.difference, same.low, same.high, same.effect) == (0, 0, 0, 0)


def test_a_constant_difference_has_no_spread():
    found = compare(np.full(20, 0.75), np.full(20, 0.5), rng(), n_resamples=99)
    assert (found.effect, found.t) == (np.inf, 0.0)
    assert (found.low, found.high) == (0.25, 0.25)


def test_swapping_the_models_swaps_the_signs():
    first, second = rng(1).random(50), rng(2).random(50)
    one, other = compare(first, second, rng()), compare(second, first, rng())
    assert one.difference == -other.difference
    assert one.effect == -other.effect
    assert one.t == pytest.approx(other.t)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_holm_of_a_worked_example():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1; none below the one before it.
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([])).tolist() == []
