"""Mean ranks and pairwise tests, against scipy and statsmodels."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from recrepro.analysis.ranks import not_told_apart, rank_test


@pytest.fixture
def values():
    rng = np.random.default_rng(5)
    shifts = {"a": 0.0, "b": 0.4, "c": 0.05, "d": 0.38}
    return pd.DataFrame({m: np.round(rng.random(80) + s, 1) for m, s in shifts.items()})


def test_mean_ranks_are_those_of_scipy_with_rank_1_for_the_highest(values):
    test = rank_test(values, "wilcoxon")
    truth = np.mean([stats.rankdata(-row) for row in values.to_numpy()], axis=0)
    assert dict(zip(test.models, test.mean_ranks, strict=True)) == pytest.approx(
        dict(zip(values.columns, truth, strict=True))
    )
    assert list(test.mean_ranks) == sorted(test.mean_ranks)
    assert test.blocks == 80


def test_pairs_are_tested_by_wilcoxon_and_corrected_by_holm(values):
    test = rank_test(values, "wilcoxon")
    pairs = list(combinations(values.columns, 2))
    raw = [stats.wilcoxon(values[a], values[b], zero_method="pratt").pvalue for a, b in pairs]
    for (a, b), p in zip(pairs, multipletests(raw, method="holm")[1], strict=True):
        i, j = test.models.index(a), test.models.index(b)
        assert test.p[i, j] == test.p[j, i] == pytest.approx(p)
    friedman = stats.friedmanchisquare(*values.to_numpy().T).pvalue
    assert test.friedman == pytest.approx(friedman)
    assert [{test.models[a], test.models[b]} for a, b in test.groups] == [{"b", "d"}, {"a", "c"}]


@pytest.mark.parametrize("pairs", ["wilcoxon", "nemenyi"])
def test_equal_models_are_one_group(pairs):
    test = rank_test(pd.DataFrame({m: [0.1, 0.2, 0.3] for m in "abc"}), pairs)
    assert (test.friedman, test.mean_ranks, test.groups) == (1.0, (2.0, 2.0, 2.0), ((0, 2),))


def test_bars_join_only_models_of_which_no_two_differ():
    p = np.ones((4, 4))
    p[0, 2] = p[2, 0] = p[0, 3] = p[3, 0] = 0.01
    assert not_told_apart(p) == ((0, 1), (1, 3))


def test_one_model_or_one_block_cannot_be_ranked():
    assert rank_test(pd.DataFrame({"a": [1.0, 2.0]}), "wilcoxon") is None
    assert rank_test(pd.DataFrame({"a": [1.0], "b": [2.0]}), "nemenyi") is None


AUTORANK = (
    (
        """
        .242 .196 .192 .161
        .371 .339 .323 .270
        .120 .087 .082 .044
        .359 .322 .306 .285
        .168 .173 .140 .039
        """,
        (1.2, 1.8, 3.0, 4.0),
        0.0028512084304522568,
        2.0975924614902377,
    ),
    (
        """
        .152 .123 .128 .096 .089
        .157 .152 .112 .126 .093
        .331 .312 .264 .280 .285
        .075 .053 .037 .064 .030
        .282 .254 .224 .206 .177
        .316 .256 .250 .243 .255
        .121 .095 .085 .096 .052
        .123 .039 .079 .057 -.012
        .166 .167 .124 .122 .130
        .283 .252 .222 .230 .193
        .245 .227 .222 .167 .138
        .076 .129 .086 .095 .045
        """,
        (1.3333333333333333, 2.25, 3.4166666666666665, 3.5, 4.5),
        8.3203714315769e-06,
        1.7607556243045581,
    ),
)
"""Values by data set and model, and what autorank 1.3.0 makes of them (nonparametric, descending):
mean ranks, Friedman's p-value, Nemenyi's critical difference."""


@pytest.mark.parametrize(("text", "mean_ranks", "friedman", "critical"), AUTORANK)
def test_over_data_sets_it_is_nemenyis_test_of_autorank(text, mean_ranks, friedman, critical):
    rows = [[float(value) for value in line.split()] for line in text.split("\n") if line.strip()]
    test = rank_test(pd.DataFrame(rows, columns=list("abcde")[: len(rows[0])]), "nemenyi")
    assert test.mean_ranks == pytest.approx(mean_ranks)
    assert test.friedman == pytest.approx(friedman)
    # autorank takes the quantile from a table with three decimals
    assert test.critical_difference == pytest.approx(critical, rel=1e-3)
    ranks = np.array(test.mean_ranks)
    apart = np.abs(np.subtract.outer(ranks, ranks)) > critical
    np.testing.assert_array_equal(test.p < 0.05, apart)
