"""Sampled negatives: whom they are for, what they may be, and that they are uniform."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recrepro.data.dataset import Dataset
from recrepro.errors import DataError
from recrepro.splits import draw, negatives
from recrepro.splits.draw import draw_split, split_identity
from recrepro.splits.negatives import counted_held_out, draw_negatives
from recrepro.splits.published import Published
from recrepro.splits.temporal import Temporal

KINDS = st.lists(st.lists(st.sampled_from("k-h-"), min_size=8, max_size=8), min_size=1, max_size=5)
"""Of each user and item: known, held out, or free."""


def parts(log, kinds):
    """Make known and held-out interactions; a last user, who takes all, fixes the labels."""
    kinds = [*kinds, ["k"] * len(kinds[0])]
    marks = np.array(kinds)
    whole = log((u, i, 0) for u, i in np.argwhere(marks != "-").tolist())
    kind = marks[whole.users, whole.items]
    return whole.select(kind == "k"), whole.select(kind == "h"), marks


@given(KINDS, st.integers(1, 5), st.integers(0, 9))
def test_negatives_are_distinct_free_and_as_many_as_asked_for(log, kinds, n, seed):
    known, held, marks = parts(log, kinds)
    evaluated = (marks == "h").any(axis=1)
    free = (marks == "-").sum(axis=1)
    if (free[evaluated] < n).any():
        with pytest.raises(DataError, match=f"has only {free[evaluated].min()} items"):
            draw_negatives(known, held, n, np.random.default_rng(seed))
        return
    drawn = draw_negatives(known, held, n, np.random.default_rng(seed))
    assert drawn.shape == known.shape
    dense = drawn.toarray()
    assert dense.sum(axis=1).tolist() == np.where(evaluated, n, 0).tolist()
    assert drawn.nnz == dense.sum()
    assert (marks[dense] == "-").all()


def test_an_interaction_of_value_zero_is_no_negative(log):
    known, held, _ = parts(log, [list("kkkhhh--")])
    known.values[:] = held.values[:] = 0
    drawn = draw_negatives(known, held, 2, np.random.default_rng(0))
    assert np.flatnonzero(drawn.toarray()[0]).tolist() == [6, 7]


def test_every_free_item_is_as_likely(log):
    known, held, _ = parts(log, [list("-k--h-kk--")])
    counts = sum(
        draw_negatives(known, held, 2, np.random.default_rng(seed)).toarray()[0].astype(int)
        for seed in range(1500)
    )
    free = np.array([0, 2, 3, 5, 8, 9])
    assert counts.sum() == counts[free].sum() == 3000
    # Chi-square with 5 degrees of freedom: 20.5 is passed once in a thousand.
    assert ((counts[free] - 500) ** 2 / 500).sum() < 20.5


def test_the_seed_decides(log):
    known, held, _ = parts(log, [list("kh") + ["-"] * 30] * 5)
    one, same, other = (
        draw_negatives(known, held, 9, np.random.default_rng(seed)).toarray() for seed in (1, 1, 2)
    )
    assert (one == same).all()
    assert (one != other).any()


def test_a_positive_that_was_dropped_as_cold_is_no_negative(log):
    # Item 5 appears after the cut only: dropped from test, yet a positive of users 0 and 1.
    rows = [(u, i, u + 2 * i) for u in range(2) for i in range(4)]
    late = [(0, 4, 0), (1, 4, 1), (0, 5, 90), (1, 5, 91), (0, 3, 92), (1, 2, 93)]
    rows = [r for r in rows if r[:2] not in {(0, 3), (1, 2)}] + late
    parts = Temporal(at=80).split(
        Dataset("toy", log(rows)), np.random.default_rng(1), np.random.default_rng(1)
    )
    assert parts.dropped["test_cold_items"] == 2
    assert sorted(parts.hidden.items.tolist()) == [2, 3, 5, 5]
    with pytest.raises(DataError, match="only 0 items left"):
        draw_split(Dataset("toy", log(rows)), Temporal(at=80), 1, 1)


# Drawn by popularity.


@given(KINDS, st.integers(1, 5), st.integers(0, 9), st.sampled_from([0, 1, 20]))
def test_popular_negatives_are_distinct_free_and_known(log, kinds, n, seed, rounds):
    known, held, marks = parts(log, kinds)
    # The last user has everything, so that an item is known by nobody only if it is left out here.
    known = known.select(known.items != 0)
    drawable = (marks == "-") & (known.item_counts > 0)
    evaluated = (marks == "h").any(axis=1)
    left = drawable.sum(axis=1)
    arguments = (known, held, n, np.random.default_rng(seed), known.item_counts)
    if (left[evaluated] < n).any():
        with pytest.raises(DataError, match=f"has only {left[evaluated].min()} items"):
            draw_negatives(*arguments)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(negatives, "ROUNDS", rounds)
        dense = draw_negatives(*arguments).toarray()
    assert dense.sum(axis=1).tolist() == np.where(evaluated, n, 0).tolist()
    assert not (dense & ~drawable).any()


@pytest.mark.parametrize("rounds", [0, 1, 20])
def test_popular_items_are_drawn_in_proportion_and_without_return(log, monkeypatch, rounds):
    monkeypatch.setattr(negatives, "ROUNDS", rounds)
    # Items 0 to 3 have 1, 2, 3 and 4 users; user 9 has none of them, and one held-out item 4.
    rows = [(u, i, 0) for i in range(4) for u in range(i + 1)] + [(8, 4, 0), (9, 4, 1)]
    whole = log(rows)
    known, held = whole.select(whole.times == 0), whole.select(whole.times == 1)
    weights = np.array([1, 2, 3, 4])
    expected = np.zeros((4, 4))
    for first, second in permutations(range(4), 2):
        rest = weights.sum() - weights[first]
        expected[first, second] = weights[first] / weights.sum() * weights[second] / rest
    expected += expected.T
    drawn = np.zeros((4, 4))
    n_draws = 3000
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        dense = draw_negatives(known, held, 2, rng, known.item_counts).toarray()
        pair = np.flatnonzero(dense[-1])
        drawn[pair[0], pair[1]] += 1
    upper = np.triu_indices(4, 1)
    wanted = expected[upper] * n_draws
    # Chi-square with 5 degrees of freedom: 20.5 is passed once in a thousand.
    assert ((drawn[upper] - wanted) ** 2 / wanted).sum() < 20.5


def test_the_test_part_has_no_say_in_what_is_popular(log):
    # Items 0 to 5 have 134 users each in train, item 6 has one, and 100 users after the cut.
    early = [(u, (u + n) % 6, n) for u in range(201) for n in range(4)] + [(0, 6, 5)]
    late = [(u, 6 if u <= 100 else (u + 4) % 6, 100) for u in range(1, 201)]
    data = Dataset("toy", log(early + late))
    drawn = draw_split(data, Temporal(at=50), 1, 1, sampling="popularity")
    assert drawn.parts.known.item_counts[6] == 1
    # 0.7 are expected; if the 100 counted, 43.
    assert drawn.test_negatives.toarray().sum(axis=0)[6] <= 4


def test_validation_has_no_say_in_what_is_popular_while_tuning(log):
    rows = [(u, u % 4, u) for u in range(40)] + [(u, 4 + u % 4, 50 + u) for u in range(40)]
    rows += [(u, 8, 200 + u) for u in range(20)] + [(39, 8, 60), (39, 9, 500), (38, 0, 501)]
    data = Dataset("toy", log(rows))
    with pytest.MonkeyPatch.context() as patch:
        given_counts = []
        real = draw.draw_negatives

        def spy(*arguments):
            given_counts.append(arguments[4])
            return real(*arguments)

        patch.setattr(draw, "draw_negatives", spy)
        drawn = draw_split(data, Temporal(at=400), 1, 1, sampling="popularity")
    parts = drawn.parts
    assert len(parts.validation)
    assert given_counts[0].tolist() == parts.known.item_counts.tolist()
    assert given_counts[1].tolist() == parts.train.item_counts.tolist()


@pytest.mark.parametrize("splitter", [Temporal(), Published()])
def test_only_the_version_of_splits_by_popularity_is_raised(log, splitter):
    data = Dataset("toy", log([(0, 0, 0)]))
    made = {
        sampling: split_identity("x", data, splitter.called, splitter, 1, 0, 5, sampling)
        for sampling in ("uniform", "popularity")
    }
    assert made["uniform"].version == splitter.version
    assert made["popularity"].version == splitter.version + 1
    assert not any(counted_held_out(one) for one in made.values())
    older = made["popularity"].model_copy(update={"version": splitter.version})
    assert counted_held_out(older)
