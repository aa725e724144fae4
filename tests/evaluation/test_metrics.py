"""Accuracy metrics against hand values, scikit-learn, trec_eval and loops over the definition."""

import math
from fractions import Fraction

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import AP, RR, P, R, Rprec, Success, nDCG
from sklearn.metrics import ndcg_score, roc_auc_score

from recrepro.evaluation.definitions import DEFINITIONS, parse_metric
from recrepro.evaluation.metrics import Hits, Ranking

ACCURACY = [d.id for d in DEFINITIONS.values() if d.kind == "accuracy"]


def title(name, k):
    return f"{name}@{k}" if DEFINITIONS[name].cut else name


def values(name, made, k=10):
    """The values of all users; one that is for all of them together counts as each one's."""
    got = parse_metric(title(name, k))(made)
    return np.full(made.n_users, got) if isinstance(got, float) else got


@pytest.fixture(scope="session")
def graded():
    """Rank one user's held-out items: rank and value of the hits, values of those not found."""

    def rank(hits, missed):
        n, ranks = len(hits), np.array([rank for rank, _ in hits])
        grades = np.array([value for _, value in hits], float)
        hit = Hits(np.zeros(n, int), ranks, np.arange(1, n + 1), grades)
        whole = np.sort(np.append(grades, missed))[::-1]
        return Ranking(hit, np.array([len(whole)]), np.array([100]), whole)

    return rank


@pytest.fixture
def value(ranking):
    """The value of a single user."""

    def of(name, hits, n_relevant, n_ranked=None, k=10):
        made = ranking([(hits, n_relevant, len(hits) if n_ranked is None else n_ranked)])
        return float(values(name, made, k)[0])

    return of


# Both have hits at ranks 2 and 5 of 10; A has 3 relevant items, B has 30. What several libraries
# give for the same two lists.
HITS = [0, 1, 0, 0, 1, 0, 0, 0, 0, 0]
RBP = 0.2 * (0.8 + 0.8**4)
GOLDEN = {
    "ndcg": (0.4776, 0.2240),
    "ndcg[recsys2019]": (0.4776, 0.1111),
    "ndcg[rectools]": (0.2240, 0.2240),
    "ndcg[daisyrec]": (0.6241, 0.6241),
    "ndcg[lenskit]": (0.5438, 0.2723),
    "ndcg[linear]": (0.4776, 0.2240),
    "ndcg[exponential]": (0.4776, 0.2240),
    "recall": (2 / 3, 2 / 30),
    "recall[capped]": (2 / 3, 0.2),
    "precision": (0.2, 0.2),
    "precision[recsys2019]": (0.2, 0.2),
    "f1": (4 / 13, 4 / 40),
    "f1[recsys2019]": (4 / 13, 4 / 40),
    "hit_rate": (1.0, 1.0),
    "hit_rate[recsys2019]": (2.0, 2.0),
    "map": (0.3, 0.09),
    "map[recsys2019]": (0.3, 0.09),
    "map[irspack]": (0.3, 0.03),
    "map[daisyrec]": (0.45, 0.45),
    "map[cornac]": (0.3, 0.03),
    "mrr": (0.5, 0.5),
    "arhr": (0.7, 0.7),
    "rbp": (RBP, RBP),
    "rbp[lenskit]": (0.15 * (0.85 + 0.85**4), 0.15 * (0.85 + 0.85**4)),
    "r_precision": (1 / 3, 2 / 30),
    # Of 8 others, 7 and 5 lie behind the hits; the relevant items without a rank win nothing.
    "auc": ((7 + 5) / 24, (7 + 5) / 240),
}


@pytest.mark.parametrize("name", ACCURACY)
def test_golden_users(name, value):
    a, b = GOLDEN[name]
    assert value(name, HITS, 3) == pytest.approx(a, abs=5e-5)
    assert value(name, HITS, 30) == pytest.approx(b, abs=5e-5)


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
def test_a_list_of_five_at_cutoff_ten(name, value):
    assert value(name, HITS, 30, n_ranked=5) == pytest.approx(SHORT[name], abs=5e-5)


@given(st.integers(1, 80), st.integers(1, 80))
def test_a_perfect_list_scores_exactly_one(ranking, k, n_relevant):
    made = ranking([([1] * n_relevant + [0] * 40, n_relevant, n_relevant + 40)])
    always = ["ndcg", "ndcg[lenskit]", "ndcg[linear]", "ndcg[exponential]", "ndcg[daisyrec]"]
    always += ["recall[capped]", "hit_rate", "map", "map[recsys2019]", "map[daisyrec]", "mrr"]
    always += ["r_precision", "auc", "map[cornac]"]
    for name in always:
        assert values(name, made, k)[0] == 1.0
    assert values("recall", made, k)[0] == min(k, n_relevant) / n_relevant
    assert values("precision", made, k)[0] == min(k, n_relevant) / k
    assert (values("ndcg[recsys2019]", made, k)[0] == 1.0) == (n_relevant <= k)
    assert (values("ndcg[rectools]", made, k)[0] == 1.0) == (n_relevant >= k)


@pytest.mark.parametrize("name", ACCURACY)
@pytest.mark.parametrize("length", [0, 3, 10])
def test_no_hit_scores_zero(name, length, value):
    expected = 0.5 if name == "auc" and length == 0 else 0.0  # nothing to compare with
    assert value(name, [0] * length, 4) == expected


@pytest.mark.parametrize("name", [n for n in ACCURACY if DEFINITIONS[n].cut])
def test_a_hit_below_the_cutoff_does_not_count(name, value):
    assert value(name, [0] * 5 + [1], 1, k=5) == 0.0
    assert value(name, [0] * 5 + [1], 1, k=6) > 0.0


def by_definition(name, hits, n_relevant, n_ranked, k):
    """Loop over the ranks, as the formula is written."""
    every = [i for i in range(1, len(hits) + 1) if hits[i - 1]]
    ranks = [i for i in every if i <= k]
    gain = sum(1 / math.log2(i + 1) for i in ranks)

    def precisions(of):
        return sum(sum(r <= i for r in of) / i for i in of)

    filled = max(1, min(k, n_ranked))
    precision, recall = len(ranks) / filled, len(ranks) / n_relevant

    def best(n):
        return sum(1 / math.log2(i + 1) for i in range(1, n + 1))

    flat = [1 / math.log2(max(i, 2)) for i in range(1, max(k, n_relevant) + 1)]
    others = [i for i in range(1, n_ranked + 1) if i not in every]
    won = sum(o > r for r in every for o in others)
    return {
        "ndcg": gain / best(min(k, n_relevant)),
        "ndcg[recsys2019]": gain / best(n_relevant),
        "ndcg[rectools]": gain / best(k),
        "ndcg[daisyrec]": gain / best(len(ranks)) if ranks else 0.0,
        "ndcg[lenskit]": sum(flat[i - 1] for i in ranks) / sum(flat[: min(k, n_relevant)]),
        "ndcg[linear]": gain / best(min(k, n_relevant)),
        "ndcg[exponential]": gain / best(min(k, n_relevant)),
        "recall": recall,
        "recall[capped]": len(ranks) / min(k, n_relevant),
        "precision": len(ranks) / k,
        "precision[recsys2019]": precision,
        "f1": 2 / (k / len(ranks) + n_relevant / len(ranks)) if ranks else 0.0,
        "f1[recsys2019]": 2 * precision * recall / (precision + recall) if ranks else 0.0,
        "hit_rate": float(bool(ranks)),
        "hit_rate[recsys2019]": float(len(ranks)),
        "map": precisions(ranks) / min(k, n_relevant),
        "map[recsys2019]": precisions(ranks) / min(n_relevant, filled),
        "map[irspack]": precisions(ranks) / n_relevant,
        "map[daisyrec]": precisions(ranks) / len(ranks) if ranks else 0.0,
        "map[cornac]": precisions(every) / n_relevant,
        "mrr": 1 / ranks[0] if ranks else 0.0,
        "arhr": sum(1 / i for i in ranks),
        "rbp": sum(0.2 * 0.8 ** (i - 1) for i in ranks),
        "rbp[lenskit]": sum(0.15 * 0.85 ** (i - 1) for i in ranks),
        "r_precision": sum(i <= n_relevant for i in every) / n_relevant,
        "auc": won / (n_relevant * len(others)) if others else 0.5,
    }[name]


@st.composite
def users(draw):
    made = []
    for _ in range(draw(st.integers(1, 5))):
        hits = draw(st.lists(st.booleans(), max_size=25))
        made.append((hits, draw(st.integers(max(1, sum(hits)), 40)), len(hits)))
    return made


@given(users(), st.integers(1, 40))
def test_every_metric_equals_its_definition_for_any_lists_and_cutoff(ranking, made, k):
    whole = ranking(made)
    for name in ACCURACY:
        expected = [by_definition(name, *user, k) for user in made]
        if name == "f1[recsys2019]":  # of the means over users
            p, r = (values(n, whole, k).mean() for n in ("precision[recsys2019]", "recall"))
            expected = [2 * p * r / (p + r) if p + r else 0.0] * len(made)
        np.testing.assert_allclose(values(name, whole, k), expected, rtol=1e-12, atol=1e-15)


@given(users(), st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_a_user_is_worth_the_same_alone_and_among_others_in_any_order_of_cutoffs(
    ranking, made, cutoffs
):
    together = ranking(made)
    for k in cutoffs:
        for name in set(ACCURACY) - {"f1[recsys2019]"}:
            alone = [values(name, ranking([user]), k)[0] for user in made]
            assert values(name, together, k).tolist() == alone


# Values of interactions.


@given(
    st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=12), min_size=1, max_size=4),
    st.integers(1, 12),
)
def test_graded_gains_equal_those_of_scikit_learn(ranking, grades, k):
    # Every item is relevant here, with its grade; the list is the order of the columns.
    made = ranking([([g + 1 for g in row], len(row), len(row)) for row in grades])
    scores = [list(range(len(row), 0, -1)) for row in grades]
    for name, gain in (
        ("ndcg[linear]", lambda g: np.array(g) + 1.0),
        ("ndcg[exponential]", lambda g: 2.0 ** (np.array(g) + 1) - 1),
    ):
        theirs = [
            ndcg_score([gain(row)], [order], k=k) for row, order in zip(grades, scores, strict=True)
        ]
        np.testing.assert_allclose(values(name, made, k), theirs, rtol=1e-12)


# Other libraries.


@pytest.fixture(scope="module")
def random_lists():
    """Relevance and order of 40 users over 60 items, all ranked, no ties."""
    rng = np.random.default_rng(5)
    relevant = rng.random((40, 60)) < rng.uniform(0.02, 0.5, (40, 1))
    relevant[:, 0] = True
    scores = rng.permuted(np.tile(np.arange(60.0), (40, 1)), axis=1)
    return relevant, scores


@pytest.fixture(scope="module")
def of_random_lists(random_lists, ranking):
    relevant, scores = random_lists
    hits = np.take_along_axis(relevant, np.argsort(-scores, axis=1), axis=1)
    return ranking([(row.astype(int).tolist(), int(row.sum()), 60) for row in hits])


@pytest.mark.parametrize("k", [1, 3, 10, 60])
def test_ndcg_equals_that_of_scikit_learn(k, random_lists, of_random_lists):
    theirs = [ndcg_score([r], [s], k=k) for r, s in zip(*random_lists, strict=True)]
    np.testing.assert_allclose(values("ndcg", of_random_lists, k), theirs, rtol=1e-12)


def test_auc_equals_that_of_scikit_learn(random_lists, of_random_lists):
    theirs = [roc_auc_score(r, s) for r, s in zip(*random_lists, strict=True)]
    np.testing.assert_allclose(values("auc", of_random_lists), theirs, rtol=1e-12)


def by_trec_eval(random_lists, measure):
    relevant, scores = random_lists
    qrels = [
        ir_measures.Qrel(f"{u:02}", f"i{i}", 1) for u, i in zip(*np.nonzero(relevant), strict=True)
    ]
    run = [ir_measures.ScoredDoc(f"{u:02}", f"i{i}", s) for (u, i), s in np.ndenumerate(scores)]
    found = {m.query_id: m.value for m in ir_measures.iter_calc([measure], qrels, run)}
    return [found[f"{u:02}"] for u in range(len(relevant))]


@pytest.mark.parametrize("k", [1, 5, 20])
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("ndcg", lambda k: nDCG @ k),
        ("ndcg[linear]", lambda k: nDCG @ k),
        ("recall", lambda k: R @ k),
        ("precision", lambda k: P @ k),
        ("hit_rate", lambda k: Success @ k),
        ("map[irspack]", lambda k: AP @ k),
        ("map[cornac]", lambda _: AP),
        ("mrr", lambda k: RR @ k),
        ("r_precision", lambda _: Rprec),
    ],
)
def test_agrees_with_trec_eval(name, theirs, k, random_lists, of_random_lists):
    expected = by_trec_eval(random_lists, theirs(k))
    # pytrec_eval hands on what it has in full precision; ir_measures adds nothing.
    np.testing.assert_allclose(values(name, of_random_lists, k), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "theirs", "relation"),
    [
        # trec_eval divides by R even where the list is too short to hold R items.
        ("map", AP @ 5, np.greater),
        # The ideal list of the study is not cut.
        ("ndcg[recsys2019]", nDCG @ 5, np.less),
        ("ndcg[rectools]", nDCG @ 5, np.less),
        ("ndcg[daisyrec]", nDCG @ 5, np.greater),
        ("recall[capped]", R @ 5, np.greater),
    ],
)
def test_disagrees_with_trec_eval_in_one_direction_and_somewhere(
    name, theirs, relation, random_lists, of_random_lists
):
    ours, expected = values(name, of_random_lists, 5), by_trec_eval(random_lists, theirs)
    differ = ~np.isclose(ours, expected, rtol=1e-6)
    assert differ.any()
    assert relation(ours[differ], np.array(expected)[differ]).all()


@pytest.mark.parametrize("largest", [30, 1_000, 1_024, 20_000, 3e38])
def test_exponential_gains_of_counts_agree_with_exact_arithmetic(graded, largest):
    # Hits at ranks 2 and 3; the largest of three relevant items is at rank 3.
    rest = [1.0, 5.0]
    made = graded([(2, rest[1]), (3, float(largest))], rest[:1])
    got = float(values("ndcg[exponential]", made)[0])
    if largest <= 20_000:
        gain = [Fraction(2 ** int(v) - 1) for v in (largest, *rest[::-1])]
        weight = [Fraction(1 / math.log2(rank + 1)) for rank in (1, 2, 3)]
        ideal = sum(g * w for g, w in zip(gain, weight, strict=True))
        exact = float((gain[1] * weight[1] + gain[0] * weight[2]) / ideal)
    else:
        exact = 0.5
    assert got == pytest.approx(exact, rel=1e-12)
    assert 0 < float(values("ndcg[linear]", made)[0]) < 1


@given(st.lists(st.floats(-5, 2.0**126, width=32), min_size=1, max_size=6), st.integers(1, 4))
def test_graded_metrics_are_finite_and_at_most_1(graded, grades, first):
    made = graded([(first + n, v) for n, v in enumerate(grades[::2])], grades[1::2])
    for name in ("ndcg[linear]", "ndcg[exponential]"):
        assert 0 <= float(values(name, made)[0]) <= 1 + 1e-9


def test_values_below_0_count_as_0(graded):
    made = graded([(1, 5.0)], [-3.0])
    lost = graded([(2, -5.0), (3, -2.0)], [])
    for name in ("ndcg[linear]", "ndcg[exponential]"):
        assert values(name, made).tolist() == [1]
        assert values(name, lost).tolist() == [0]
