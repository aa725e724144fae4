"""What every splitting strategy holds to, and what each of them promises."""

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from recrepro.data.dataset import Dataset, PublishedSplit
from recrepro.errors import DataError, UsageError
from recrepro.interactions import UNKNOWN_TIME, Interactions
from recrepro.splits import SPLITS
from recrepro.splits.holdout import RandomHoldout
from recrepro.splits.leave_out import LeaveOneOut
from recrepro.splits.published import Published
from recrepro.splits.temporal import Temporal

DRAWN = {
    "random-holdout": RandomHoldout(fraction=0.3),
    "leave-one-out last": LeaveOneOut(),
    "leave-one-out random": LeaveOneOut(pick="random"),
    "published": Published(),
    "published, leave-one-out": Published(validation="leave-one-out"),
}
EVERY = {**DRAWN, "temporal": Temporal(fraction=0.3), "temporal at": Temporal(at=6)}
BUSY = {**EVERY, "temporal at": Temporal(at=600)}
"""The same for the times of `busy`."""
ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 9)),
    min_size=4,
    max_size=40,
    unique_by=lambda row: row[:2],
)
COLD = st.sampled_from(["drop", "keep"])


def split(strategy, interactions, seed=0):
    """Split; a data set for `Published` has every third interaction in its test part."""
    third = np.arange(len(interactions)) % 3 == 2
    parts = PublishedSplit(interactions.select(~third), interactions.select(third))
    dataset = Dataset("d", interactions, parts if isinstance(strategy, Published) else None)
    return strategy.split(dataset, np.random.default_rng(seed), np.random.default_rng(seed + 99))


def split_if_possible(strategy, interactions):
    try:
        return split(strategy, interactions)
    except DataError as error:
        assert "part of the split is empty" in str(error)  # noqa: PT017
        assume(False)


def rows(part):
    times = part.times if part.times is not None else part.users * 0
    columns = (part.users, part.items, part.values, times)
    return set(zip(*(c.tolist() for c in columns), strict=True))


def prints(parts):
    return [p.fingerprint for p in (parts.train, parts.validation, parts.known, parts.test)]


def test_every_registered_strategy_is_tested_here():
    assert {type(s) for s in EVERY.values()} == {SPLITS.resolve(n) for n in SPLITS.names()}


@pytest.mark.parametrize("name", EVERY)
@given(ROWS, COLD, COLD)
def test_parts_are_disjoint_and_with_what_was_dropped_are_the_whole(log, name, made, user, item):
    whole = log(made)
    strategy = EVERY[name].model_copy(update={"cold_users": user, "cold_items": item})
    parts = split_if_possible(strategy, whole)
    train, validation, known, test = map(
        rows, (parts.train, parts.validation, parts.known, parts.test)
    )
    dropped = {
        part: sum(n for reason, n in parts.dropped.items() if reason.startswith(part))
        for part in ("validation", "test")
    }
    assert not train & validation
    assert not known & test
    assert train | validation <= known
    assert known | test <= rows(whole)
    assert len(train) + len(validation) + dropped["validation"] == len(known)
    assert len(known) + len(test) + dropped["test"] == len(whole)
    for part in (parts.train, parts.validation, parts.test):
        assert part.user_ids is whole.user_ids
        assert part.item_ids is whole.item_ids


@pytest.mark.parametrize("name", EVERY)
@given(ROWS)
def test_cold_rows_are_dropped_and_counted_or_kept(log, name, made):
    def by(rule):
        update = {"cold_users": rule, "cold_items": rule}
        return split_if_possible(EVERY[name].model_copy(update=update), log(made))

    kept, dropped = by("keep"), by("drop")
    assert set(kept.dropped.values()) == {0}
    for part, fitted in (("test", kept.known), ("validation", kept.train)):
        users, items = set(fitted.users.tolist()), set(fitted.items.tolist())
        held = rows(getattr(kept, part))
        warm = {row for row in held if row[0] in users and row[1] in items}
        cold_users = sum(row[0] not in users for row in held)
        assert rows(getattr(dropped, part)) == warm
        assert dropped.dropped[f"{part}_cold_users"] == cold_users
        assert dropped.dropped[f"{part}_cold_items"] == len(held) - len(warm) - cold_users


@pytest.mark.parametrize("name", BUSY)
def test_the_same_seed_gives_the_same_parts(busy, name):
    assert prints(split(BUSY[name], busy, 3)) == prints(split(BUSY[name], busy, 3))


@pytest.mark.parametrize("name", BUSY)
def test_the_seed_matters_for_what_is_drawn_and_for_nothing_else(busy, name):
    train_of = [split(BUSY[name], busy, seed).train.fingerprint for seed in (3, 4)]
    is_drawn = name in DRAWN and name != "leave-one-out last"
    assert (train_of[0] != train_of[1]) == is_drawn


@pytest.mark.parametrize("name", BUSY)
def test_the_order_of_the_input_rows_changes_nothing(busy, name):
    columns = {"user": busy.users, "item": busy.items, "time": busy.times}
    frame = pd.DataFrame(columns)
    shuffled = [
        Interactions.from_frame(frame.sample(frac=1, random_state=s), time="time") for s in (1, 2)
    ]
    before, after = (prints(split(BUSY[name], made)) for made in shuffled)
    assert before == after


@pytest.mark.parametrize(
    "name", ["random-holdout", "leave-one-out last", "leave-one-out random", "published"]
)
@given(ROWS)
def test_a_user_with_one_interaction_keeps_it_in_train(log, name, made):
    parts = split_if_possible(EVERY[name], log(made))
    for user in np.flatnonzero(parts.known.user_counts == 1):
        assert parts.train.user_counts[user] == 1


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=6),
    st.sampled_from(["0.1", "0.2", "0.25", "0.29", "0.5", "0.9"]),
)
@example([50], "0.29")  # 14.499999999999998 in floating point
def test_random_holdout_takes_the_share_of_each_user_half_up_at_least_one_never_all(
    log, counts, fraction
):
    whole = log((user, item, 0) for user, n in enumerate(counts) for item in range(n))
    hidden = RandomHoldout(fraction=float(fraction)).holdout(whole, np.random.default_rng(0))
    expected = [
        min(max(math.floor(n * Fraction(fraction) + Fraction(1, 2)), 1), n - 1) for n in counts
    ]
    assert np.bincount(whole.users[hidden], minlength=len(counts)).tolist() == expected


def test_random_holdout_is_uniform_over_a_users_interactions(log):
    whole = log((0, item, item) for item in range(5))
    draws = Counter(
        int(np.flatnonzero(RandomHoldout().holdout(whole, np.random.default_rng(s)))[0])
        for s in range(1000)
    )
    # Chi-square with 4 degrees of freedom: 18.5 is passed once in a thousand.
    assert sum((draws[i] - 200) ** 2 / 200 for i in range(5)) < 18.5


@given(ROWS)
def test_leave_one_out_hides_a_latest_interaction_of_each_user_who_has_two(log, made):
    whole = log(made)
    hidden = LeaveOneOut().holdout(whole, np.random.default_rng(0))
    for user in np.unique(whole.users):
        own = whole.users == user
        latest = whole.times[own].max()
        assert whole.times[own & hidden].tolist() == [latest] * int(own.sum() >= 2)


def test_leave_one_out_takes_the_second_last_for_validation(log):
    whole = log((user, item, item) for user in range(3) for item in range(4))
    parts = split(LeaveOneOut(cold_items="keep"), whole)
    assert parts.test.times.tolist() == [3] * 3
    assert parts.validation.times.tolist() == [2] * 3


def test_leave_one_out_breaks_ties_in_time_by_seed(log):
    whole = log((0, item, time) for item, time in enumerate([1, 7, 7, 7]))
    hidden = {
        s: int(np.flatnonzero(LeaveOneOut().holdout(whole, np.random.default_rng(s)))[0])
        for s in range(60)
    }
    assert set(hidden.values()) == {1, 2, 3}


@given(ROWS, st.sampled_from(["0.1", "0.3", "0.5", "0.7"]), COLD)
def test_temporal_train_is_never_later_than_what_is_held_out(log, made, fraction, cold):
    strategy = Temporal(fraction=float(fraction), cold_users=cold, cold_items=cold)
    parts = split_if_possible(strategy, log(made))
    assert parts.known.times.max() < parts.test.times.min()
    if len(parts.validation):
        assert parts.train.times.max() < parts.validation.times.min()
        assert parts.validation.times.max() < parts.test.times.min()


@given(st.integers(2, 200), st.sampled_from(["0.1", "0.2", "0.3", "0.5", "0.7", "0.9"]))
def test_temporal_holds_out_its_share_where_no_times_are_equal(log, n, fraction):
    whole = log((0, item, item) for item in range(n))
    hidden = Temporal(fraction=float(fraction)).holdout(whole, np.random.default_rng(0))
    assert hidden.sum() == math.floor(n * Fraction(fraction))


def test_interactions_at_the_very_cut_stay_in_train(log):
    whole = log((0, item, time) for item, time in enumerate([1, 2, 5, 5, 5, 5, 8, 9, 9, 9]))
    hidden = Temporal(fraction=0.7).holdout(whole, np.random.default_rng(0))
    assert whole.times[hidden].tolist() == [8, 9, 9, 9]
    at = Temporal(at=8).holdout(whole, np.random.default_rng(0))
    assert whole.times[at].tolist() == [9, 9, 9]


def test_a_stated_cut_holds_for_the_test_part_and_validation_is_cut_by_fraction(log):
    whole = log((0, item, item) for item in range(20))
    parts = split(Temporal(at=9, fraction=0.2, cold_items="keep"), whole)
    assert parts.test.times.tolist() == list(range(10, 20))
    assert parts.validation.times.tolist() == [8, 9]


def test_unknown_times_count_as_before_a_stated_cut(log):
    whole = log((0, item, None if item < 5 else item) for item in range(20))
    parts = split(Temporal(at=14, fraction=0.2, cold_items="keep"), whole)
    assert parts.test.times.tolist() == [15, 16, 17, 18, 19]
    assert parts.validation.times.tolist() == [12, 13, 14]
    assert (parts.train.times == UNKNOWN_TIME).sum() == 5


@pytest.mark.parametrize("strategy", [Temporal(), LeaveOneOut()], ids=["temporal", "last"])
def test_one_unknown_time_is_refused_where_times_decide(log, strategy):
    with pytest.raises(DataError, match="but 1 of 4 have none"):
        split(strategy, log([(0, 0, 1), (0, 1, None), (1, 0, 2), (1, 1, 3)]))


@pytest.mark.parametrize(
    "strategy", [Temporal(), Temporal(at=1), LeaveOneOut()], ids=["temporal", "at", "last"]
)
def test_missing_times_are_refused_where_times_decide(log, strategy):
    with pytest.raises(DataError, match="needs the time of each interaction"):
        split(strategy, log([(0, 0, 1), (0, 1, 2)], times=False))


@pytest.mark.parametrize("strategy", [RandomHoldout(), LeaveOneOut(pick="random"), Published()])
def test_others_need_no_times(log, strategy):
    whole = log(((u, i, 0) for u in range(3) for i in range(4)), times=False)
    assert len(split(strategy, whole).test) >= 3


def test_published_parts_are_passed_on_as_they_are(busy):
    third = np.arange(len(busy)) % 3 == 2
    published = PublishedSplit(busy.select(~third), busy.select(third))
    seeds = np.random.default_rng(0), np.random.default_rng(1)
    parts = Published().split(Dataset("d", busy, published), *seeds)
    assert parts.known is published.train
    assert rows(parts.test) == rows(published.test)


def test_published_needs_published_parts(busy):
    seeds = np.random.default_rng(0), np.random.default_rng(1)
    with pytest.raises(UsageError, match="'d' has no published split"):
        Published().split(Dataset("d", busy), *seeds)


@pytest.mark.parametrize("at", [-1, 10**6])
def test_an_empty_part_is_refused_by_name(busy, at):
    name = "train" if at < 0 else "test"
    with pytest.raises(DataError, match=f"the {name} part of the split is empty"):
        split(Temporal(at=at), busy)
