"""Corrected estimates of sampled ranking against enumeration, simulation and the full ranking."""

from itertools import combinations

import numpy as np
import pytest

from recrepro.errors import DataError
from recrepro.evaluation import corrected
from recrepro.evaluation.definitions import DEFINITIONS, parse_metric

NAMES = [d.id for d in DEFINITIONS.values() if d.kind == "corrected"]
PLAIN = {"hit_rate": "hit_rate", "recall": "recall", "ndcg": "ndcg", "mrr": "mrr", "map": "map"}


@pytest.fixture
def sampled(ranking):
    """Users with one held-out item at a sampled rank (0: not ranked) among m negatives."""

    def make(ranks, m, n):
        made = [([0] * (r - 1) + [1] * (r > 0), 1, m + (r > 0)) for r in ranks]
        return ranking(made, n_unsampled=np.full(len(ranks), n))

    return make


@pytest.mark.parametrize("name", [n for n in NAMES if not n.endswith("[bv]")])
def test_nothing_is_corrected_where_every_item_is_sampled(name, sampled):
    """But by BV, which takes less variance for a bias here too."""
    made = sampled(range(1, 21), 19, 20)
    plain = parse_metric(f"{name.partition('[')[0]}@5")(made)
    np.testing.assert_allclose(parse_metric(f"{name}@5")(made), plain, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_an_item_that_is_not_ranked_scores_zero(name, sampled):
    assert parse_metric(f"{name}@5")(sampled([0], 10, 50)).tolist() == [0.0]


@pytest.mark.parametrize("weight", [0.0, 0.1, 0.5])
def test_the_table_solves_the_problem_of_the_paper(weight):
    n, m, k = 9, 4, 4
    # P(s | r) by going through all draws of m from the n - 1 others, r - 1 of them in front.
    chance = np.zeros((n, m + 1))
    for r in range(1, n + 1):
        draws = list(combinations(range(n - 1), m))
        for draw in draws:
            chance[r - 1, sum(item < r - 1 for item in draw)] += 1 / len(draws)
    target = corrected.ndcg_at(np.arange(1.0, n + 1), k)
    table = corrected._table(corrected.ndcg_at, weight, k, m, n)

    def loss(x):
        mean = chance @ x
        return ((mean - target) ** 2).sum() + weight * (chance @ x**2 - mean**2).sum()

    rng = np.random.default_rng(0)
    nearby = [
        table + step * rng.standard_normal(m + 1) for step in (1e-3, 1e-2, 0.1) for _ in range(300)
    ]
    if weight == 0:
        assert (np.diff(table, append=0) <= 1e-12).all()
        nearby = [x for x in nearby if (np.diff(x, append=0) <= 0).all()]
        nearby += [np.maximum(table - step, 0) for step in (1e-3, 1e-2)]
        nearby += [table * (1 + step) for step in (-1e-3, 1e-3)]
    assert min(map(loss, nearby)) > loss(table)


def test_estimates_come_nearer_to_full_ranking_than_sampled_values(sampled):
    rng = np.random.default_rng(1)
    n, m, k, users = 1000, 99, 10, 20_000
    full = np.minimum(1 + rng.geometric(0.01, users), n)
    truth = (full <= k) / np.log2(full + 1)
    ranks = 1 + rng.hypergeometric(full - 1, n - full, m)
    made = sampled(ranks.tolist(), m, n)
    errors = {
        name: abs(parse_metric(f"{name}@{k}")(made).mean() - truth.mean())
        for name in ("ndcg", "ndcg[rank]", "ndcg[cls]", "ndcg[bv]")
    }
    plain = errors.pop("ndcg")
    assert max(errors.values()) < plain / 4
    assert plain > 0.2


def test_two_models_that_sampling_ranks_wrongly_are_put_right(sampled):
    """The paper's example in small: one model is often first, another one always in front."""
    rng = np.random.default_rng(2)
    n, m, users = 2000, 99, 20_000
    spiky = np.where(rng.random(users) < 0.2, 3, 1500)
    steady = np.full(users, 40)
    names = ("hit_rate@10", "hit_rate[cls]@10", "hit_rate[bv]@10")
    values = []
    for full in (spiky, steady):
        ranks = 1 + rng.hypergeometric(full - 1, n - full, m)
        made = sampled(ranks.tolist(), m, n)
        values.append([parse_metric(name)(made).mean() for name in names])
    (plain, *better), (plain_steady, *better_steady) = values
    assert plain < plain_steady  # wrong: full ranking has 0.2 and 0
    assert all(a > b for a, b in zip(better, better_steady, strict=True))


def test_full_ranking_has_nothing_to_correct(ranking):
    with pytest.raises(DataError, match="this ranking is not sampled"):
        parse_metric("ndcg[cls]@10")(ranking([([1], 1, 5)]))


def test_several_held_out_items_are_refused(ranking):
    made = ranking([([1, 1], 2, 5), ([1], 1, 5)], n_unsampled=np.array([9, 9]))
    with pytest.raises(DataError, match="one held-out item, and 1 of 2 have more"):
        parse_metric("ndcg[cls]@10")(made)
