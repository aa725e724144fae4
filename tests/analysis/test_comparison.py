"""`recrepro compare`: the values of users that runs have kept, paired and tested."""

import json

import numpy as np
import pytest
from scipy import stats
from support.results import make_result

from recrepro.analysis.comparison import compare_models
from recrepro.cli.compare import to_json, to_markdown
from recrepro.errors import UnknownName, UsageError


class Stored:
    """Results of given values: by model and seed, a value for each user."""

    def __init__(self, values):
        self.results = [
            make_result(
                model,
                {"user": list(of_users), "ndcg@10": list(of_users.values())},
                seed=seed,
                changes={"metrics": {"coverage@10": 0.1}, "sampled": True},
            )
            for (model, seed), of_users in values.items()
        ]

    def compare(self, metric="ndcg@10", **options):
        return compare_models(self.results, metric, n_resamples=999, **options)


def users(seed, n=40, shift=0.0):
    values = np.random.default_rng(seed).random(n) + shift
    return dict(zip(range(n), values.tolist(), strict=True))


def test_models_are_compared_with_the_best_on_the_same_users():
    a, b, c = users(1, shift=0.3), users(2), users(3)
    (board,) = Stored({("a", 1): a, ("b", 1): b, ("c", 1): c}).compare()
    assert board.reference == board.models[0].model == "a"
    rows = {row.model: row for row in board.models}
    first, second = np.array(list(b.values())), np.array(list(a.values()))
    assert rows["b"].comparison.t == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert rows["b"].comparison.difference == pytest.approx((first - second).mean())
    assert rows["a"].comparison is None
    assert rows["a"].low < rows["a"].mean < rows["a"].high
    raw = sorted(rows[m].comparison.t for m in "bc")
    assert min(rows[m].corrected["t"] for m in "bc") == pytest.approx(2 * raw[0])


def test_users_are_averaged_over_seeds_and_matched_by_label():
    one, two = {"x": 0.2, "y": 0.4, "z": 0.9}, {"y": 0.8, "x": 0.0}
    stored = Stored(
        {
            ("a", 1): one,
            ("a", 2): two,
            ("b", 1): {"z": 0.5, "x": 0.1, "y": 0.1},
            ("b", 2): {"x": 0.1, "y": 0.2},
        }
    )
    (board,) = stored.compare()
    a, b = board.models
    assert (a.model, a.users, a.repeats) == ("a", 3, 2)
    assert a.mean == pytest.approx((0.1 + 0.6 + 0.9) / 3)
    assert a.spread == pytest.approx(np.std([0.5, 0.4], ddof=1))
    assert b.comparison.difference == pytest.approx(((0.1 - 0.1) + (0.15 - 0.6) + (0.5 - 0.9)) / 3)


def test_a_model_with_other_seeds_is_compared_on_those_it_shares():
    stored = Stored(
        {("a", 1): users(1), ("a", 2): users(2), ("b", 2): users(3), ("c", 3): users(4)}
    )
    (board,) = stored.compare(reference="a")
    rows = {row.model: row for row in board.models}
    difference = np.mean(list(users(3).values())) - np.mean(list(users(2).values()))
    assert rows["b"].comparison.difference == pytest.approx(difference)
    assert rows["c"].comparison is None
    assert "no users in common" in to_markdown([board])
    assert to_markdown([board]).startswith("### toy · s (sampled ranking): ndcg@10")


def test_an_unknown_reference_or_metric_is_refused():
    stored = Stored({("ease", 1): users(1)})
    with pytest.raises(UnknownName, match="Did you mean 'ease'"):
        stored.compare(reference="eaze")
    with pytest.raises(UnknownName, match=r"unknown metric 'ndcg@20'.*ndcg@10"):
        stored.compare("ndcg@20")
    with pytest.raises(UsageError, match="one value for all users together"):
        stored.compare("coverage@10")


def test_equal_seeds_give_equal_tables_and_all_of_it_is_in_the_json():
    stored = Stored({("a", 1): users(1), ("b", 1): users(2), ("same", 1): users(1)})
    boards = stored.compare(reference="a")
    assert to_json(boards) == to_json(stored.compare(reference="a"))
    (content,) = json.loads(to_json(boards))
    rows = {row["model"]: row for row in content["models"]}
    assert (content["reference"], rows["a"]["comparison"]) == ("a", None)
    assert rows["same"]["comparison"]["difference"] == 0
    assert rows["same"]["corrected"] == {"t": 1.0, "wilcoxon": 1.0, "randomisation": 1.0}
