"""Ranked lists against a sort of the whole row by (score descending, tie rank)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recrepro.evaluation.topk import UNLISTED, top_k

TINY = float(np.finfo(np.float32).smallest_subnormal)
HUGE = float(np.finfo(np.float32).max)
AWKWARD = [0.0, -0.0, 1.0, -1.0, 0.5, TINY, -TINY, 2 * TINY, HUGE, -HUGE, -np.inf]
SCORE = st.sampled_from(AWKWARD) | st.floats(
    width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True
)


def by_sorting(scores, k, tie_ranks):
    """Sort each whole row."""
    lists = np.full((len(scores), k), UNLISTED)
    for row, (values, ties) in enumerate(zip(scores, tie_ranks, strict=True)):
        order = [j for j in np.lexsort((ties, -values)) if values[j] != -np.inf][:k]
        lists[row, : len(order)] = order
    return lists


@st.composite
def cases(draw):
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 12)))
    scores = draw(hnp.arrays(np.float32, shape, elements=SCORE))
    k = draw(st.integers(1, 15))
    order = st.permutations(range(shape[1]))
    ties = np.array([draw(order) for _ in range(shape[0])], np.int32)
    return scores, k, ties


@given(cases())
def test_equals_a_sort_by_score_and_tie_rank(case):
    scores, k, ties = case
    np.testing.assert_array_equal(top_k(scores, k, ties), by_sorting(scores, k, ties))


@given(cases())
def test_one_tie_order_serves_all_rows(case):
    scores, k, ties = case
    same = np.tile(ties[0], (len(scores), 1))
    np.testing.assert_array_equal(top_k(scores, k, ties[0]), top_k(scores, k, same))


@given(cases())
def test_the_scores_are_left_alone(case):
    scores, k, ties = case
    before = scores.tobytes()
    top_k(scores, k, ties)
    assert scores.tobytes() == before


def test_both_zeros_are_equal_so_the_tie_rank_decides():
    scores = np.array([[-0.0, 0.0, -0.0]], np.float32)
    assert top_k(scores, 3, np.array([2, 1, 0], np.int32)).tolist() == [[2, 1, 0]]


def test_neighbouring_floats_are_told_apart_whatever_the_tie_rank():
    one = np.float32(1)
    scores = np.array([[one, np.nextafter(one, np.float32(2)), -TINY, 0.0, TINY]], np.float32)
    assert top_k(scores, 5, np.arange(5, dtype=np.int32)).tolist() == [[1, 0, 4, 3, 2]]


def test_large_tie_ranks_do_not_reach_into_the_score():
    largest = np.iinfo(np.int32).max
    scores = np.array([[-HUGE, np.nextafter(np.float32(-HUGE), np.float32(0)), 0.0]], np.float32)
    ties = np.array([0, largest, largest - 1], np.int32)
    assert top_k(scores, 3, ties).tolist() == [[2, 1, 0]]


@pytest.mark.parametrize("k", [1, 2, 5])
def test_minus_infinity_is_never_listed(k):
    scores = np.array([[-np.inf, 1, -np.inf], [-np.inf] * 3], np.float32)
    expected = [[1] + [UNLISTED] * (k - 1), [UNLISTED] * k]
    assert top_k(scores, k, np.arange(3, dtype=np.int32)).tolist() == expected
