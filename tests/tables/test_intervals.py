"""Intervals and marks: the same as `recrepro compare`, and as scipy gives."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from support.results import make_result

from recrepro.analysis.comparison import compare_models
from recrepro.analysis.intervals import with_chance
from recrepro.analysis.leaderboard import build
from recrepro.analysis.per_user import by_model
from recrepro.analysis.significance import PairedTests
from recrepro.errors import UnknownName
from recrepro.tables import formats
from recrepro.tables.cells import interval, legend, marks


def chances(content, metric):
    return {row.model: row.chance.get(metric) for row in content[0][0].rows}


def test_intervals_and_p_values_are_those_of_compare(content, results):
    (board,) = compare_models(results, "ndcg@10", "knn")
    for model in board.models:
        mine = chances(content, "ndcg@10")[model.model]
        assert (mine.low, mine.high) == pytest.approx((model.low, model.high), abs=1e-12)
        assert mine.p_reference == model.corrected.get("t")


def test_the_best_of_a_column_is_the_best_on_test_and_p_values_say_so(content, results):
    values = by_model(result for result in results if result.record)
    tests = PairedTests(values, 10_000, 0)
    for metric in ("ndcg@10", "recall@5"):
        found = tests.compare(values, "ease", metric, best_on_test=True)
        for model, chance in chances(content, metric).items():
            if chance is not None:
                assert chance.p_best == found[model].corrected.get("t")


def test_intervals_are_those_of_scipy_within_the_error_of_resampling(content, results):
    values = results[0].per_user()["ndcg@10"].to_numpy()
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    mine = chances(content, "ndcg@10")["ease"]
    assert (mine.low, mine.high) == pytest.approx(theirs, abs=0.01)


def test_p_values_against_the_reference_are_those_of_scipy_corrected_by_holm(content, results):
    ease, knn, net = (result.per_user()["ndcg@10"] for result in results[:3])
    larger, smaller = (stats.ttest_rel(other, knn).pvalue for other in (ease, net))
    assert smaller < larger
    found = chances(content, "ndcg@10")
    assert found["knn"].p_reference is None
    assert found["net"].p_reference == pytest.approx(2 * smaller)
    assert found["ease"].p_reference == pytest.approx(larger)


def test_marks_say_what_differs(content):
    rows = {row.model: row for row in content[0][0].rows}
    assert marks(rows["ease"], "recall@5") == "↑"  # better than the reference by the same for all
    assert marks(rows["knn"], "recall@5") == "†"
    assert marks(rows["net"], "recall@5") == "†↓"
    assert interval(rows["lost"], "recall@5") == marks(rows["lost"], "recall@5") == ""
    assert "higher or lower than knn" in legend(content[0][0])[-1]


def test_no_model_is_best_where_more_is_not_better_and_one_value_for_all_has_no_interval(content):
    assert chances(content, "novelty@10")["net"].p_best is None
    assert chances(content, "novelty@10")["net"].p_reference is not None
    assert chances(content, "coverage@10")["net"] is None


def test_a_model_without_a_common_seed_is_not_tested(experiment, results):
    values = {"ndcg@10": [0.1] * 50, "recall@5": [0.1] * 50}
    changes = {"metrics": {"novelty@10": 1.0, "coverage@10": 1.0}}
    other = make_result("net", values, seed=2, changes=changes)
    found = [*results[:2], other]
    (board,) = with_chance(build(experiment, found)[0], found)
    rows = {row.model: row for row in board.rows}
    assert rows["net"].chance["ndcg@10"].p_best is None
    assert rows["net"].chance["ndcg@10"].low == pytest.approx(0.1)
    assert set(rows["net"].chance) == {"ndcg@10", "recall@5"}


def test_an_unknown_reference_is_refused(experiment, results):
    with pytest.raises(UnknownName, match="Did you mean 'ease'"):
        formats.contents(experiment, results, "eaze")


def test_without_intervals_no_values_of_users_are_read(experiment, results):
    def gone():
        raise AssertionError

    blind = [replace(result, read_per_user=gone) for result in results]
    boards, expected, judged = formats.contents(experiment, blind, intervals=False)
    assert (judged, boards[0].rows[0].chance, len(expected)) == ([], {}, 1)
    assert legend(boards[0]) == []
