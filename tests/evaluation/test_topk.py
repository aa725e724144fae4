"""Ranks and ranked lists against a sort of the whole row by (score descending, tie rank)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_array

from recrepro.evaluation.kernels import UNLISTED, UNRANKED
from recrepro.evaluation.topk import Ranked, Task, TieOrder, rank

TINY = float(np.finfo(np.float32).smallest_subnormal)
HUGE = float(np.finfo(np.float32).max)
AWKWARD = [0.0, -0.0, 1.0, -1.0, 0.5, TINY, -TINY, 2 * TINY, HUGE, -HUGE, -np.inf]
SCORE = st.sampled_from(AWKWARD) | st.floats(
    width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True
)


def by_sorting(scores, ties, allowed):
    """The items of each row that may be ranked, best first."""
    lists = []
    for values, may in zip(scores, allowed, strict=True):
        order = np.lexsort((ties.ranks, -values))
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
    ties = TieOrder(np.array(draw(st.permutations(range(shape[1])))))
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


def only_row(scores, order, depth):
    out = ranked(np.array([scores], np.float32), TieOrder(np.array(order)), depth=depth)
    return out.lists[0].tolist()


def test_both_zeros_are_equal_so_the_tie_order_decides():
    assert only_row([-0.0, 0.0, -0.0], [2, 1, 0], 3) == [2, 1, 0]


def test_neighbouring_floats_are_told_apart_whatever_the_tie_order():
    above = np.nextafter(np.float32(1), np.float32(2))
    assert only_row([1.0, above, -TINY, 0.0, TINY], range(5), 5) == [1, 0, 4, 3, 2]
    above_lowest = np.nextafter(np.float32(-HUGE), np.float32(0))
    assert only_row([-HUGE, above_lowest, 0.0], [0, 2, 1], 3) == [2, 1, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 16, 39])
def test_a_row_with_nan_or_infinity_is_marked_and_the_others_are_ranked(bad, place):
    scores = np.arange(120, dtype=np.float32).reshape(3, 40)
    scores[1, place] = bad
    out = ranked(scores, TieOrder(np.arange(40)), depth=2)
    assert out.wrong.tolist() == [False, True, False]
    assert out.lists.tolist() == [[39, 38], [UNLISTED] * 2, [39, 38]]


def test_long_lists_of_long_rows_equal_a_sort():
    rng = np.random.default_rng(0)
    for scores in (rng.random((5, 5000)), rng.integers(0, 3, (5, 5000))):
        ties = TieOrder(rng.permutation(5000))
        scores = scores.astype(np.float32)  # noqa: PLW2901
        out = ranked(scores, ties, depth=1000)
        expected = by_sorting(scores, ties, np.ones(scores.shape, bool))
        assert out.lists.tolist() == [line[:1000] for line in expected]
