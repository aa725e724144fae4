"""Metrics of lists against loops over their formulas, scipy, and values of plain cases."""

import math
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse import csr_array

from recrepro.evaluation import beyond_accuracy
from recrepro.evaluation.definitions import DEFINITIONS, parse_metric
from recrepro.evaluation.items import CandidateItems

N_ITEMS = 8
NAMES = [d.id for d in DEFINITIONS.values() if d.kind == "lists"]


@pytest.fixture(scope="module")
def of(ranking, interactions):
    """The value of a metric for lists of items, on a catalogue."""

    def value(name, lists, k, train=None, features=None, recommendable=None):
        train = interactions(np.eye(3, N_ITEMS) if train is None else train)
        allowed = np.ones(train.n_items, bool) if recommendable is None else recommendable
        catalogue = CandidateItems(train, allowed, features)
        longest = max(map(len, lists), default=0)
        table = np.array([[*line, *[-1] * (max(longest, k) - len(line))] for line in lists])
        made = ranking([([], 1, len(line)) for line in lists], catalogue=catalogue, lists=table)
        return parse_metric(f"{name}@{k}")(made)

    return value


@st.composite
def worlds(draw):
    lists = draw(
        st.lists(
            st.lists(st.integers(0, N_ITEMS - 1), max_size=6, unique=True), min_size=2, max_size=6
        )
    )
    train = np.array(
        draw(
            st.lists(
                st.lists(st.integers(0, 1), min_size=N_ITEMS, max_size=N_ITEMS),
                min_size=1,
                max_size=6,
            )
        )
    )
    return lists, train, draw(st.integers(1, 7))


def cosine(a, b):
    length = math.sqrt((a @ a) * (b @ b))
    return a @ b / length if length else 0.0


def by_definition(name, lists, train, k):
    cut = [line[:k] for line in lists]
    counts = [sum(i in line for line in cut) for i in range(N_ITEMS)]
    shares = np.array(counts) / max(sum(counts), 1)
    popularity = train.sum(axis=0)
    n_users = max(int((train.sum(axis=1) > 0).sum()), 1)
    head = [sum(popularity > popularity[i]) < 0.2 * N_ITEMS for i in range(N_ITEMS)]

    def per_list(worth):
        return [sum(worth(i) for i in line) / max(len(line), 1) for line in cut]

    def distance(line):
        pairs = list(combinations(line, 2))
        apart = [1 - cosine(train[:, i].astype(float), train[:, j].astype(float)) for i, j in pairs]
        return sum(apart) / len(pairs) if pairs else 0.0

    pairs = list(permutations(cut, 2))
    ascending = np.sort(shares)
    return {
        "coverage": lambda: sum(n > 0 for n in counts) / N_ITEMS,
        "gini": lambda: (
            np.abs(shares[:, None] - shares).sum() / (2 * N_ITEMS) if any(counts) else 0
        ),
        "gini[recsys2019]": lambda: sum(
            2 * (N_ITEMS + 1 - rank) / (N_ITEMS + 1) * p for rank, p in enumerate(ascending, 1)
        ),
        "entropy": lambda: stats.entropy(counts, base=2) if any(counts) else 0.0,
        "herfindahl": lambda: 1 - sum(p * p for p in shares),
        "mil": lambda: 1 - sum(len({*a} & {*b}) / k for a, b in pairs) / len(pairs),
        "ild": lambda: [distance(line) for line in cut],
        "novelty": lambda: per_list(lambda i: -math.log2(max(popularity[i], 1) / n_users)),
        "novelty[recsys2019]": lambda: [
            sum(-math.log2(popularity[i] / popularity.sum()) for i in line if popularity[i])
            / N_ITEMS
            for line in cut
        ],
        "arp": lambda: per_list(lambda i: popularity[i]),
        "arp[recsys2019]": lambda: per_list(lambda i: popularity[i] / max(popularity.max(), 1)),
        "aplt": lambda: per_list(lambda i: not head[i]),
    }[name]()


@pytest.mark.parametrize("name", [n for n in NAMES if n != "ild[features]"])
@given(world=worlds())
def test_every_metric_equals_its_definition(of, name, world):
    lists, train, k = world
    expected = by_definition(name, lists, train, k)
    np.testing.assert_allclose(of(name, lists, k, train), expected, rtol=1e-9, atol=1e-9)


@given(worlds(), st.integers(1, 30))
def test_the_block_size_of_pairwise_distances_changes_nothing(of, world, entries):
    lists, train, k = world
    whole = of("ild", lists, k, train)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beyond_accuracy, "BLOCK_ENTRIES", entries)
        np.testing.assert_allclose(of("ild", lists, k, train), whole, atol=1e-12)


def test_one_list_for_everybody_and_a_list_of_their_own_for_each(of):
    alike, apart = [[0, 1]] * 4, [[0, 1], [2, 3], [4, 5], [6, 7]]
    both = {name: (of(name, alike, 2), of(name, apart, 2)) for name in NAMES[:6]}
    assert both["coverage"] == (0.25, 1.0)
    assert both["gini"] == pytest.approx((0.75, 0.0))
    assert both["gini[recsys2019]"] == pytest.approx((2 * (2 + 1) / 9 / 2, 1.0))
    assert both["entropy"] == pytest.approx((1.0, 3.0))
    assert both["herfindahl"] == pytest.approx((1 / 2, 7 / 8))
    assert both["mil"] == pytest.approx((0.0, 1.0))


def test_the_study_links_mil_and_herfindahl(of):
    """1 - MIL = k x (1 - Herfindahl) for many users with full lists, as its tables have it."""
    rng = np.random.default_rng(0)
    lists = [rng.permutation(N_ITEMS)[:3].tolist() for _ in range(4000)]
    k = 3
    assert 1 - of("mil", lists, k) == pytest.approx(
        N_ITEMS / N_ITEMS * k * (1 - of("herfindahl", lists, k)), abs=0.001
    )


def test_features_decide_how_unlike_items_are(of):
    features = csr_array(np.array([[1, 0], [2, 0], [0, 3], [0, 0], [1, 1]] + [[0, 0]] * 3, float))
    values = of("ild[features]", [[0, 1], [0, 2], [0, 3], [0, 4], [0, 1, 2]], 3, features=features)
    np.testing.assert_allclose(values, [0, 1, 1, 1 - 1 / math.sqrt(2), 2 / 3], atol=1e-12)


def test_items_that_may_not_be_recommended_do_not_count_as_not_covered(of):
    allowed = np.arange(N_ITEMS) < 4
    assert of("coverage", [[0], [1]], 1, recommendable=allowed) == 0.5
    assert of("gini", [[0], [1], [2], [3]], 1, recommendable=allowed) == 0.0


def test_items_of_equal_popularity_are_all_in_the_head_or_all_in_the_tail(of):
    train = np.zeros((4, 10))
    train[:, :3], train[0, 3:] = 1, 1
    lists = [[i] for i in range(10)]
    # The three most popular: a fifth of ten would end among them.
    assert of("aplt", lists, 1, train).tolist() == [0] * 3 + [1] * 7
