"""Paired tests against scipy, exact enumeration, and what must hold whatever the data."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recrepro.analysis import significance
from recrepro.analysis.per_user import UserValues
from recrepro.analysis.significance import randomisation_test, wilcoxon_test


def rng(seed=0):
    return np.random.default_rng(seed)


def compare(first, second, generator, **options):
    """Compare two deterministic models by arrays of their users' values."""
    one, other = (
        UserValues({"seed 1": [pd.DataFrame({"m": values})]}, deterministic=True)
        for values in (first, second)
    )
    return significance.compare(one, other, "m", generator, **options)


@pytest.mark.parametrize("seed", range(5))
def test_the_p_values_are_those_of_scipy(seed):
    first = rng(seed).random(60)
    second = np.where(rng(seed + 9).random(60) < 0.3, first, rng(seed + 50).random(60) - 0.1)
    found = compare(first, second, rng(), n_resamples=9999)
    assert found.t == pytest.approx(stats.ttest_rel(first, second).pvalue)
    by_scipy = stats.wilcoxon(first, second, zero_method="pratt", method="asymptotic").pvalue
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


@pytest.mark.parametrize("n", [1, 2, 20, 5000])
def test_equal_differences_leave_the_t_test_the_p_value_of_the_randomisation_test(n):
    found = compare(np.full(n, 0.75), np.full(n, 0.5), rng(), n_resamples=99)
    assert found.effect == np.inf
    assert found.t == found.randomisation >= 0.01
    assert 0 < found.wilcoxon <= 1
    exact = 2.0 ** (1 - n)  # all signs alike
    if n < 20:  # scipy takes a normal approximation for more users with ties
        assert found.wilcoxon == pytest.approx(exact)
    assert found.randomisation == pytest.approx(max(exact, 0.01), abs=0.15)


def test_one_user_says_nothing_of_others_and_equal_differences_have_an_interval_of_one_value():
    one = compare(np.array([0.75]), np.array([0.5]), rng(), n_resamples=99)
    assert (one.low, one.high) == (-np.inf, np.inf)
    assert np.isnan(one.estimate.detectable)
    all_alike = compare(np.full(20, 0.75), np.full(20, 0.5), rng(), n_resamples=99)
    assert (all_alike.low, all_alike.high) == (0.25, 0.25)


def test_no_p_value_is_zero_however_many_users_agree():
    better = rng(1).random(20_000) + 5
    found = compare(better, np.zeros(20_000), rng(), n_resamples=9)
    assert 0 < found.t < 1e-200
    assert 0 < found.wilcoxon < 1e-200


def hits(seed, rates, users=600):
    """Whether each of two models has a hit for each user, whom it is easier or harder to please."""
    draws = rng(seed)
    ease = draws.gamma(1.0, size=users)
    return [draws.random(users) < np.minimum(rate * ease, 1) for rate in rates]


def test_wilcoxons_test_tells_models_apart_where_nine_users_in_ten_have_no_hit():
    def found(rates):
        pairs = (hits(seed, rates) for seed in range(400))
        return sum(wilcoxon_test(one * 1.0 - other * 1.0) < 0.05 for one, other in pairs)

    assert stats.binomtest(found((0.06, 0.06)), 400, 0.05, alternative="greater").pvalue > 0.01
    assert found((0.06, 0.09)) > 0.4 * 400  # zeros that were split found none of them


def test_swapping_the_models_swaps_the_signs():
    first, second = rng(1).random(50), rng(2).random(50)
    one, other = compare(first, second, rng()), compare(second, first, rng())
    assert one.difference == -other.difference
    assert one.effect == -other.effect
    assert one.t == pytest.approx(other.t)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
