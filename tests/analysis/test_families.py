"""Corrections for families of tests: worked examples, exact distributions, simulated tables."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from recrepro.analysis.families import AllPairs, covariance_of_means, holm
from recrepro.analysis.per_user import UserValues


def of_users(*arrays, start=0, deterministic=True):
    """Values of a model, one array of users for each fit."""
    frames = [pd.DataFrame({"m": a}, index=np.arange(start, start + len(a))) for a in arrays]
    return UserValues({"seed 1": frames}, deterministic)


def test_holm_of_a_worked_example():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1; none below the one before it.
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([])).tolist() == []


@pytest.mark.parametrize("k", [1, 2, 7, 30])
def test_holm_is_that_of_statsmodels(k):
    p_values = np.random.default_rng(k).random(k).round(1) * 0.2  # some are equal
    expected = multipletests(p_values, method="holm")[1]
    np.testing.assert_allclose(holm(p_values), expected)


@pytest.mark.parametrize("k", [2, 5, 15])
def test_independent_models_have_the_p_values_of_the_studentised_range(k):
    pairs = AllPairs(np.eye(k) * 0.01, 100_000, np.random.default_rng(1))
    deviates = np.array([1.0, 2.0, 3.0])
    exact = stats.studentized_range.sf(deviates * np.sqrt(2), k, np.inf)
    found = pairs.adjust(2 * stats.norm.sf(deviates))
    np.testing.assert_allclose(found, exact, atol=0.006)


def test_two_models_are_one_pair_and_models_that_are_the_same_count_once():
    p_values = np.array([0.004, 0.03, 0.4, 1.0])
    two = AllPairs(np.array([[1.0, 0.3], [0.3, 2.0]]), 50_000, np.random.default_rng(1))
    np.testing.assert_allclose(two.adjust(p_values), p_values, atol=0.008)
    same = np.array([[1.0, 0.3, 0.3], [0.3, 2.0, 2.0], [0.3, 2.0, 2.0]])
    twice = AllPairs(same, 50_000, np.random.default_rng(1))
    np.testing.assert_allclose(twice.adjust(p_values), p_values, atol=0.008)
    assert AllPairs(np.array([[1.0]]), 9, np.random.default_rng(1)).adjust(np.array([])).size == 0


def test_the_covariance_of_means_is_that_of_shared_users_with_the_seeds_in_the_variance():
    rng = np.random.default_rng(1)
    easy = rng.random(400)
    a, b = easy + rng.random(400), easy + rng.random(400)
    found = covariance_of_means({"a": of_users(a), "b": of_users(b)}, "m")
    np.testing.assert_allclose(found, np.cov(a, b) / 400)
    # Half of the users are shared: cov(mean of 400, mean of 400) = 200 covariances / 400^2.
    moved = covariance_of_means({"a": of_users(a), "b": of_users(b, start=200)}, "m")
    half = np.cov(a[200:], b[:200])[0, 1] * 200 / 400**2
    assert moved[0, 1] == pytest.approx(half)
    fits = of_users(a, a + 0.1, a + 0.2, deterministic=False)
    seeds = covariance_of_means({"a": fits, "b": of_users(b)}, "m") - found
    np.testing.assert_allclose(seeds, [[0.01 / 3, 0], [0, 0]], atol=1e-12)


def best_seems_better(k, rng, users=600):
    """Whether the best of equal models is called better than another, by each correction."""
    ease = rng.gamma(0.5, 0.2, users)
    values = (rng.random((k, users)) < ease).astype(float)
    best = values[values.mean(axis=1).argmax()]
    differences = [best - other for other in values if other is not best and (best != other).any()]
    p_values = np.array([stats.ttest_1samp(d, 0).pvalue for d in differences if d.any()])
    pairs = AllPairs(np.cov(values) / users, 1000, rng)
    return pairs.adjust(p_values).min() < 0.05, holm(p_values).min() < 0.05


@pytest.mark.parametrize(
    ("k", "runs"),
    [(15, 300), *(pytest.param(k, 4000, marks=pytest.mark.nightly) for k in (3, 5, 10, 15))],
)
def test_the_best_of_equal_models_is_seldom_called_better(k, runs):
    rng = np.random.default_rng(k)
    pairs, by_holm = np.sum([best_seems_better(k, rng) for _ in range(runs)], axis=0)
    assert stats.binomtest(int(pairs), runs, 0.05, alternative="greater").pvalue > 0.01
    assert by_holm > pairs  # as it ignores the choice
