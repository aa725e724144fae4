"""Chance of users, seeds and splits: against scipy and statsmodels, and by simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW
from support.simulated import MEAN_FACTOR, Simulation, by_all, by_satterthwaite, by_users

from recrepro.analysis.inference import Estimate, Part, estimate_difference, estimate_mean
from recrepro.analysis.per_user import UserValues


def model(*repeats, deterministic=False):
    """Values of a model: for each repeat, one array of users for each fit."""
    return UserValues(
        {
            f"seed {number}": [pd.DataFrame({"m": fit}) for fit in fits]
            for number, fits in enumerate(repeats, 1)
        },
        deterministic,
    )


def users(seed, n=200):
    return np.random.default_rng(seed).random(n)


def sources(estimate):
    return [part.source for part in estimate.parts]


def test_of_deterministic_models_it_is_the_paired_t_test_of_scipy():
    one, other = users(1), users(2) + 0.05
    pair = (model([values], deterministic=True) for values in (one, other))
    found = estimate_difference(*pair, "m")
    theirs = stats.ttest_rel(one, other)
    assert (found.p, found.degrees) == (pytest.approx(theirs.pvalue), 199)
    assert found.interval == pytest.approx(tuple(theirs.confidence_interval()))
    assert found.error == pytest.approx(found.value / theirs.statistic)
    assert (sources(found), found.seeds_known) == (["users"], True)


def test_seeds_add_the_variance_between_fits_pooled_over_repeats():
    base = users(1)
    first = model([base, base + 0.2], [base, base + 0.1, base + 0.2])
    second = model([base], [base], deterministic=True)
    found = estimate_difference(first, second, "m")
    assert found.value == pytest.approx(0.1)
    # Sums of squares 0.02 and 0.02, of 1 + 2 degrees of freedom; the mean is of 1/2, 1/2 and 1/3.
    seeds = found.parts[1]
    assert (seeds.source, seeds.degrees) == ("seeds", 3)
    assert seeds.variance == pytest.approx(0.04 / 3 * (1 / 2 + 1 / 3) / 4)
    both = estimate_difference(first, first, "m")
    assert [part.variance for part in both.parts[1:]] == pytest.approx([seeds.variance] * 2)


def test_three_repeats_stand_for_the_seeds_if_they_vary_more():
    base, zero = users(1), model(*[[np.zeros(200)]] * 3, deterministic=True)
    shifted = model([base], [base + 0.3], [base + 0.6])
    found = estimate_difference(shifted, zero, "m")
    assert (sources(found), found.seeds_known) == (["users", "repeats"], True)
    assert found.parts[1] == Part("repeats", pytest.approx(0.09 / 3), 2)
    steady = model(*[[base, base + 0.3]] * 3)
    assert sources(estimate_difference(steady, zero, "m")) == ["users", "seeds"]


@pytest.mark.parametrize(
    ("fits", "known"), [([[1]], False), ([[1], [1]], False), ([[1, 1]], True), ([[1]] * 3, True)]
)
def test_the_seed_of_a_model_that_was_fitted_once_is_unknown(fits, known):
    values = model(*[[users(n) for n in numbers] for numbers in fits])
    baseline = model(*[[users(9)]] * len(fits), deterministic=True)
    assert estimate_difference(values, baseline, "m").seeds_known is known
    assert estimate_mean(values, "m").seeds_known is known
    assert estimate_mean(baseline, "m").seeds_known


def test_intervals_p_values_and_degrees_of_freedom_agree():
    parts = (Part("users", 0.02, 300), Part("seeds", 0.01, 2), Part("seeds", 0.03, 4))
    estimate = Estimate(0.4, parts, seeds_known=True)
    assert estimate.half_width(estimate.p) == pytest.approx(0.4)
    low, high = estimate.interval
    assert (high - low) / 2 == pytest.approx(
        stats.t.ppf(0.975, estimate.degrees) * estimate.error, rel=1e-6
    )
    squares = [p.variance * stats.t.ppf(0.975, p.degrees) ** 2 for p in parts]
    assert (high - low) / 2 == pytest.approx(np.sqrt(sum(squares)))
    on_the_edge = Estimate(high - 0.4, parts, seeds_known=True)
    assert on_the_edge.p == pytest.approx(0.05)
    assert Estimate(0.0, parts, seeds_known=True).p == 1


@pytest.mark.parametrize("margin", [0.02, 0.06, 0.15])
def test_equivalence_is_the_two_one_sided_tests_of_statsmodels(margin):
    differences = users(1, 60) - 0.45
    found = estimate_mean(model([differences], deterministic=True), "m")
    theirs = DescrStatsW(differences).ttost_mean(-margin, margin)[0]
    assert found.equivalence(margin) == pytest.approx(theirs)


def test_what_is_detectable_is_found_with_a_power_of_80_percent():
    differences = users(1, 60)
    found = estimate_mean(model([differences], deterministic=True), "m")
    size = TTestPower().solve_power(nobs=60, alpha=0.05, power=0.8)
    assert found.detectable == pytest.approx(size * differences.std(ddof=1), rel=0.01)


@pytest.mark.parametrize("seeds", [1, 3])
def test_counts_of_patterns_say_what_values_of_users_say(seeds):
    simulation = Simulation(users=300, fits=3, spread=0.1, gains=(1.0, 0.4), seeds=seeds)
    counts = simulation.draw(np.random.default_rng(1))
    values = np.repeat(simulation.patterns, counts, axis=0)
    baseline = model([*values[:, :seeds].T], deterministic=seeds == 1)
    from_users = estimate_difference(model([*values[:, seeds:].T]), baseline, "m")
    from_counts = simulation.estimate(counts)
    assert from_users.value == pytest.approx(from_counts.value)
    for one, other in zip(from_users.parts, from_counts.parts, strict=True):
        assert (one.source, one.degrees) == (other.source, other.degrees)
        assert one.variance == pytest.approx(other.variance)
    assert by_all(from_users) == (from_users.p < 0.05)


def is_at_most_5_percent(share, runs):
    """Whether a share of runs is no more than chance above 5 %."""
    found = stats.binomtest(round(share * runs), runs, 0.05, alternative="greater")
    return found.pvalue > 0.01


@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_seeds_do_not_make_differences(spread):
    simulation = Simulation(100_000, 3, spread)
    assert is_at_most_5_percent(simulation.found(1000, 1, by_all), 1000)
    if spread:
        assert simulation.found(300, 1, by_users) > 0.5  # what is found where seeds are ignored


def test_a_lead_that_is_more_than_chance_is_found():
    assert Simulation(100_000, 5, 0.0, lead=0.05).found(200, 1, by_all) > 0.95
    assert Simulation(100_000, 5, 0.04, lead=0.2).found(200, 1, by_all) > 0.95


@pytest.mark.parametrize("spread", [0.0, 0.04])
def test_a_lead_of_the_margin_itself_is_not_called_equivalent(spread):
    simulation = Simulation(1_000_000, 3, spread, lead=0.02)
    margin = 0.02 * simulation.rate * MEAN_FACTOR

    def calls_equivalent(estimate):
        return estimate.equivalence(margin) < 0.05

    assert is_at_most_5_percent(simulation.found(1000, 1, calls_equivalent), 1000)
    if not spread:  # and it can be shown where the lead is well below the margin
        equal = Simulation(1_000_000, 3, 0.0, lead=0.002)
        assert equal.found(200, 1, calls_equivalent) > 0.8


@pytest.mark.nightly  # the whole table of docs/comparing.md
@pytest.mark.parametrize("gains", [(1.0,), (1.0, 0.5)])
@pytest.mark.parametrize("fits", [2, 3, 5])
@pytest.mark.parametrize("n", [500, 6_000, 100_000])
@pytest.mark.parametrize("spread", [0.0, 0.04, 0.1])
def test_seeds_do_not_make_differences_at_any_size(gains, fits, n, spread):
    simulation = Simulation(n, fits, spread, gains)
    assert is_at_most_5_percent(simulation.found(5000, 1, by_all), 5000)


@pytest.mark.nightly  # thousands of samples
@pytest.mark.parametrize("fits", [3, 5])
@pytest.mark.parametrize("n", [500, 6_000, 100_000])
@pytest.mark.parametrize("spread", [0.0, 0.04, 0.1])
def test_seeds_of_both_models_do_not_make_differences(fits, n, spread):
    simulation = Simulation(n, fits, spread, seeds=fits)
    assert is_at_most_5_percent(simulation.found(5000, 1, by_all), 5000)


@pytest.mark.nightly  # why the parts are not pooled
def test_satterthwaites_approximation_finds_more_than_there_is():
    assert Simulation(100_000, 3, 0.1).found(5000, 1, by_satterthwaite) > 0.06


@pytest.mark.nightly  # thousands of samples
@pytest.mark.parametrize("split", [0.0, 0.05, 0.3])
def test_splits_do_not_make_differences(split):
    """Three splits with three fits each; both models have chance of seeds."""
    rng, found, runs = np.random.default_rng(1), 0, 2000
    for _ in range(runs):
        easy = rng.random(400)
        pair = []
        for _ in range(2):
            shifts = rng.normal(0, split, 3)
            fits = [
                [easy + s + rng.normal(0, 0.05) + rng.normal(0, 0.3, 400) for _ in range(3)]
                for s in shifts
            ]
            pair.append(model(*fits))
        found += by_all(estimate_difference(*pair, "m"))
    assert is_at_most_5_percent(found / runs, runs)
