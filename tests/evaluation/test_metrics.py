"""Metric formulas against hand values, scikit-learn and loops over the definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from recrepro.evaluation.definitions import DEFINITIONS, parse_metric
from recrepro.evaluation.metrics import Ranking


def one_list(hits, n_relevant: int, length: int | None = None) -> Ranking:
    length = len(hits) if length is None else length
    return Ranking(np.array([hits], bool), np.array([n_relevant]), np.array([length]))


def value(name: str, ranking: Ranking) -> float:
    (result,) = parse_metric(name)(ranking)
    return float(result)


# Both have hits at ranks 2 and 5 of 10; A has 3 relevant items, B has 30.
HITS = [0, 1, 0, 0, 1, 0, 0, 0, 0, 0]
GOLDEN = {
    "ndcg": (0.4776, 0.2240),
    "ndcg[recsys2019]": (0.4776, 0.1111),
    "recall": (2 / 3, 2 / 30),
    "precision": (0.2, 0.2),
    "precision[recsys2019]": (0.2, 0.2),
    "hit_rate": (1.0, 1.0),
    "hit_rate[recsys2019]": (2.0, 2.0),
    "map": (0.3, 0.09),
    "map[recsys2019]": (0.3, 0.09),
    "mrr": (0.5, 0.5),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_golden_users(name):
    a, b = GOLDEN[name]
    assert value(f"{name}@10", one_list(HITS, 3)) == pytest.approx(a, abs=5e-5)
    assert value(f"{name}@10", one_list(HITS, 30)) == pytest.approx(b, abs=5e-5)


SHORT = {
    "precision": 0.2,  # over the 10 places
    "precision[recsys2019]": 2 / 5,  # over the 5 that are filled
    "map": 0.09,
    "map[recsys2019]": 0.9 / 5,
    "ndcg": 0.2240,
    "ndcg[recsys2019]": 0.1111,
    "recall": 2 / 30,
}


@pytest.mark.parametrize("name", SHORT)
def test_a_list_of_five_at_cutoff_ten(name):
    short = one_list(HITS, 30, length=5)
    assert value(f"{name}@10", short) == pytest.approx(SHORT[name], abs=5e-5)


@given(st.integers(1, 80), st.integers(1, 80))
def test_a_perfect_list_scores_exactly_one(k, n_relevant):
    perfect = one_list([1] * min(k, n_relevant) + [0] * max(0, k - n_relevant), n_relevant)
    for name in ("ndcg", "hit_rate", "map", "map[recsys2019]", "mrr"):
        assert value(f"{name}@{k}", perfect) == 1.0
    assert value(f"recall@{k}", perfect) == min(k, n_relevant) / n_relevant
    assert value(f"precision@{k}", perfect) == min(k, n_relevant) / k
    assert (value(f"ndcg[recsys2019]@{k}", perfect) == 1.0) == (n_relevant <= k)


@pytest.mark.parametrize("name", DEFINITIONS)
@pytest.mark.parametrize("length", [0, 3, 10])
def test_no_hit_scores_zero(name, length):
    assert value(f"{name}@10", one_list([0] * 10, 4, length)) == 0.0


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_hit_below_the_cutoff_does_not_count(name):
    assert value(f"{name}@5", one_list([0] * 5 + [1], 1)) == 0.0
    assert value(f"{name}@6", one_list([0] * 5 + [1], 1)) > 0.0


@pytest.mark.parametrize("k", [1, 3, 10, 40])
def test_ndcg_equals_that_of_scikit_learn(k):
    rng = np.random.default_rng(k)
    relevant = rng.random((30, 40)) < 0.2
    relevant[:, 0] = True
    scores = rng.permuted(np.tile(np.arange(40.0), (30, 1)), axis=1)
    hits = np.take_along_axis(relevant, np.argsort(-scores, axis=1), axis=1)
    ranking = Ranking(hits, relevant.sum(axis=1), np.full(30, 40))
    theirs = [ndcg_score([r], [s], k=k) for r, s in zip(relevant, scores, strict=True)]
    np.testing.assert_allclose(parse_metric(f"ndcg@{k}")(ranking), theirs, rtol=1e-12)


def by_definition(name: str, hits, n_relevant: int, length: int, k: int) -> float:
    """Loop over the ranks, as the formula is written."""
    ranks = [i for i in range(1, min(k, len(hits)) + 1) if hits[i - 1]]
    gain = sum(1 / math.log2(i + 1) for i in ranks)
    precisions = sum(sum(r <= i for r in ranks) / i for i in ranks)
    filled = max(1, min(k, length))

    def best(n: int) -> float:
        return sum(1 / math.log2(i + 1) for i in range(1, n + 1))

    return {
        "ndcg": gain / best(min(k, n_relevant)),
        "ndcg[recsys2019]": gain / best(n_relevant),
        "recall": len(ranks) / n_relevant,
        "precision": len(ranks) / k,
        "precision[recsys2019]": len(ranks) / filled,
        "hit_rate": float(bool(ranks)),
        "hit_rate[recsys2019]": float(len(ranks)),
        "map": precisions / min(k, n_relevant),
        "map[recsys2019]": precisions / min(n_relevant, filled),
        "mrr": 1 / ranks[0] if ranks else 0.0,
    }[name]


@st.composite
def users(draw):
    depth = draw(st.integers(1, 25))
    made = []
    for _ in range(draw(st.integers(1, 5))):
        length = draw(st.integers(0, depth))
        hits = draw(st.lists(st.booleans(), min_size=length, max_size=length))
        n_relevant = draw(st.integers(max(1, sum(hits)), 40))
        made.append((hits + [False] * (depth - length), n_relevant, length))
    return made


@given(users(), st.integers(1, 40))
def test_every_metric_equals_its_definition_for_any_lists_and_cutoff(made, k):
    hits, n_relevant, lengths = (np.array(column) for column in zip(*made, strict=True))
    ranking = Ranking(hits, n_relevant, lengths)
    for name in DEFINITIONS:
        expected = [by_definition(name, *user, k) for user in made]
        np.testing.assert_allclose(parse_metric(f"{name}@{k}")(ranking), expected, rtol=1e-12)


@given(users(), st.integers(1, 40))
def test_a_user_is_worth_the_same_alone_and_among_others(made, k):
    hits, n_relevant, lengths = (np.array(column) for column in zip(*made, strict=True))
    for name in DEFINITIONS:
        metric = parse_metric(f"{name}@{k}")
        together = metric(Ranking(hits, n_relevant, lengths))
        alone = [metric(one_list(*user))[0] for user in made]
        assert together.tolist() == alone
