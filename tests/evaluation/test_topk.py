"""Ranks and ranked lists against a sort of each row by score, then by the user's tie order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_array

from recrepro.evaluation.kernels import UNLISTED, UNRANKED
from recrepro.evaluation.topk import Ranked, Task, rank, tie_keys

TINY = float(np.finfo(np.float32).smallest_subnormal)
HUGE = float(np.finfo(np.float32).max)
AWKWARD = [0.0, -0.0, 1.0, -1.0, 0.5, TINY, -TINY, 2 * TINY, HUGE, -HUGE, -np.inf]
SCORE = st.sampled_from(AWKWARD) | st.floats(
    width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True
)


def mixed(x):
    """Scatter whole numbers below 2^31, with Python's integers."""
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**31
    x ^= x >> 15
    x = x * 0x046CA68B % 2**31
    return x ^ x >> 16


def tie_order(keys, n_items):
    """The places of all items among equal scores of a user."""
    first, second = map(int, keys)
    return [mixed(mixed(item ^ first) ^ second) for item in range(n_items)]


def by_sorting(scores, ties, allowed):
    """The items of each row that may be ranked, best first."""
    lists = []
    for values, may, keys in zip(scores, allowed, ties, strict=True):
        order = np.lexsort((tie_order(keys, len(values)), -values))
        lists.append([j for j in order if may[j] and values[j] != -np.inf])
    return lists


def ranked(scores, ties, *, depth, seen=None, held=None, barred=(), candidates=None):
    nothing = np.zeros(scores.shape, bool)
    task = Task(
        csr_array(nothing if seen is None else seen),
        csr_array(nothing if held is None else held),
        np.array(barred, np.int32),
        None if candidates is None else csr_array(candidates),
        ties,
        depth,
    )
    out = Ranked.empty(task)
    middle = len(scores) // 2
    for first, last in ((0, middle), (middle, len(scores))):
        rank(scores, task, out, first, last)
    return out


@st.composite
def cases(draw):
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 70)))
    few = draw(st.lists(SCORE, min_size=1, max_size=3))
    elements = draw(st.sampled_from([SCORE, st.sampled_from(few)]))  # often many equal scores
    scores = draw(hnp.arrays(np.float32, shape, elements=elements))
    key = st.integers(0, 2**31 - 1)
    ties = np.array(draw(st.lists(st.tuples(key, key), min_size=shape[0], max_size=shape[0])))
    masks = [draw(hnp.arrays(bool, shape)) for _ in range(3)]
    barred = draw(st.lists(st.integers(0, shape[1] - 1), max_size=3, unique=True))
    return scores, ties, *masks, barred


@given(cases(), st.integers(0, 75), st.booleans())
def test_ranks_and_lists_equal_a_sort(case, depth, sampled):
    scores, ties, seen, held, others, barred = case
    candidates = (held | others) if sampled else None
    allowed = ~seen & (candidates if sampled else True)
    allowed[:, barred] = False
    before = scores.tobytes()
    out = ranked(
        scores, ties, depth=depth, seen=seen, held=held, barred=barred,
        candidates=candidates,
    )  # fmt: skip
    expected = by_sorting(scores, ties, allowed)
    assert scores.tobytes() == before
    assert out.lengths.tolist() == [len(line) for line in expected]
    for row, line in enumerate(expected):
        end = [UNLISTED] * (depth - len(line))
        assert out.lists[row].tolist() == line[:depth] + end
    found = iter(out.ranks.tolist())
    for row, item in zip(*np.nonzero(held), strict=True):
        line = expected[row]
        assert next(found) == (line.index(item) + 1 if item in line else UNRANKED)


def only_row(scores, keys, depth):
    out = ranked(np.array([scores], np.float32), np.array([keys]), depth=depth)
    return out.lists[0].tolist()


@given(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)))
def test_both_zeros_are_equal_so_the_tie_order_decides(keys):
    order = tie_order(keys, 3)
    assert only_row([-0.0, 0.0, -0.0], keys, 3) == sorted(range(3), key=order.__getitem__)


@given(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)))
def test_neighbouring_floats_are_told_apart_whatever_the_tie_order(keys):
    above = np.nextafter(np.float32(1), np.float32(2))
    assert only_row([1.0, above, -TINY, 0.0, TINY], keys, 5) == [1, 0, 4, 3, 2]
    above_lowest = np.nextafter(np.float32(-HUGE), np.float32(0))
    assert only_row([-HUGE, above_lowest, 0.0], keys, 3) == [2, 1, 0]


def test_no_two_items_of_a_user_have_the_same_place():
    for keys in tie_keys(3, seed=3):
        assert len(set(tie_order(keys, 20_000))) == 20_000


def test_every_item_comes_first_as_often_and_every_pair_in_both_orders():
    n_users, n_items = 40_000, 12
    out = ranked(np.zeros((n_users, n_items), np.float32), tie_keys(n_users, 5), depth=n_items)
    places = np.argsort(out.lists, axis=1)
    # Counts of users are binomial: four standard deviations, for 12 x 12 and for 66 counts.
    for place in range(n_items):
        share = (places == place).mean(axis=0)
        assert np.abs(share - 1 / n_items).max() < 4 * np.sqrt(1 / n_items / n_users)
    for one in range(n_items):
        for other in range(one):
            share = (places[:, one] < places[:, other]).mean()
            assert abs(share - 0.5) < 4 * np.sqrt(0.25 / n_users)


def test_a_constant_scorer_lands_at_chance_in_a_single_run():
    # Popular items are held out more often, so one order for all users would make the value of a
    # run depend on which items come first: a spread of 0.006 around 0.0067.
    n_users, n_items, seeds = 3000, 1500, range(20)
    rng = np.random.default_rng(1)
    popularity = (1 + np.arange(n_items)) ** -0.9
    targets = rng.choice(n_items, n_users, p=popularity / popularity.sum())
    held = np.zeros((n_users, n_items), bool)
    held[np.arange(n_users), targets] = True
    rates = []
    for seed in seeds:
        out = ranked(np.zeros(held.shape, np.float32), tie_keys(n_users, seed), depth=0, held=held)
        rates.append((out.ranks <= 10).mean())
    chance = 10 / n_items
    spread = np.sqrt(chance * (1 - chance) / n_users)
    assert abs(np.mean(rates) - chance) < 4 * spread / np.sqrt(len(rates))
    assert np.std(rates) < 1.6 * spread


def test_the_order_of_a_user_does_not_depend_on_how_many_others_there_are():
    np.testing.assert_array_equal(tie_keys(5, 1), tie_keys(9, 1)[:5])
    assert (tie_keys(5, 1) != tie_keys(5, 2)).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 16, 39])
def test_a_row_with_nan_or_infinity_is_marked_and_the_others_are_ranked(bad, place):
    scores = np.arange(120, dtype=np.float32).reshape(3, 40)
    scores[1, place] = bad
    out = ranked(scores, tie_keys(3, 0), depth=2)
    assert out.wrong.tolist() == [False, True, False]
    assert out.lists.tolist() == [[39, 38], [UNLISTED] * 2, [39, 38]]


def test_long_lists_of_long_rows_equal_a_sort():
    rng = np.random.default_rng(0)
    for scores in (rng.random((5, 5000)), rng.integers(0, 3, (5, 5000))):
        ties = tie_keys(5, 0)
        scores = scores.astype(np.float32)  # noqa: PLW2901
        out = ranked(scores, ties, depth=1000)
        expected = by_sorting(scores, ties, np.ones(scores.shape, bool))
        assert out.lists.tolist() == [line[:1000] for line in expected]
