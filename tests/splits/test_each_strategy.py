"""What each splitting strategy promises by itself, against a slow and plain reading of it."""

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from recrepro.data.dataset import Dataset, PublishedSplit
from recrepro.errors import DataError, UsageError
from recrepro.interactions import UNKNOWN_TIME
from recrepro.splits.base import Role
from recrepro.splits.holdout import RandomHoldout
from recrepro.splits.k_fold import KFold
from recrepro.splits.leave_out import LeaveKOut, LeaveOneOut
from recrepro.splits.published import Published
from recrepro.splits.temporal import SlidingWindows, Temporal, TemporalUser
from recrepro.splits.unseen_users import UnseenUsers

ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 9)),
    min_size=4,
    max_size=40,
    unique_by=lambda row: row[:2],
)
SHARES = st.sampled_from(["0.1", "0.2", "0.25", "0.29", "0.5", "0.9"])
COUNTS = st.lists(st.integers(1, 60), min_size=1, max_size=6)
KEPT = {"cold_users": "keep", "cold_items": "keep"}


def split(strategy, interactions, fold=0, published=None):
    seeds = np.random.default_rng(0), np.random.default_rng(99)
    return strategy.split(Dataset("d", interactions, published), *seeds, fold)


def roles_of(strategy, whole, fold=0, seed=0):
    return strategy.assign(
        whole, np.random.default_rng(seed), np.random.default_rng(seed + 99), fold
    )


def crowd(log, counts):
    """So many interactions of each user, one after the other in time."""
    return log((user, item, item) for user, n in enumerate(counts) for item in range(n))


def half_up(n, fraction):
    """Round a share of n, a half up; at least one and never all."""
    return min(max(math.floor(n * Fraction(fraction) + Fraction(1, 2)), 1), n - 1)


def rows(part):
    return set(zip(*(c.tolist() for c in (part.users, part.items, part.times)), strict=True))


@given(COUNTS, SHARES)
@example([50], "0.29")  # 14.499999999999998 in floating point
def test_random_holdout_takes_the_share_of_each_user_half_up_at_least_one_never_all(
    log, counts, fraction
):
    whole = crowd(log, counts)
    hidden = RandomHoldout(fraction=float(fraction)).holdout(whole, np.random.default_rng(0))
    expected = [half_up(n, fraction) for n in counts]
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


@given(COUNTS, SHARES)
def test_random_holdout_over_all_takes_the_floor_of_the_share(log, counts, fraction):
    whole = crowd(log, counts)
    strategy = RandomHoldout(fraction=float(fraction), over="all")
    held = strategy.holdout(whole, np.random.default_rng(0))
    assert held.sum() == math.floor(len(whole) * Fraction(fraction))


def test_random_holdout_over_all_may_take_everything_of_a_user(log):
    whole = crowd(log, [2] * 300)
    strategy = RandomHoldout(fraction=0.5, over="all")
    held = strategy.holdout(whole, np.random.default_rng(0))
    taken = Counter(np.bincount(whole.users[held], minlength=300).tolist())
    # Of 300 pairs a quarter is taken whole; 22 would be five standard deviations below.
    assert taken[2] == taken[0] > 75 - 53


@given(ROWS, st.integers(1, 4), st.integers(0, 9))
def test_leave_k_out_takes_the_k_latest_of_each_user_who_has_more(log, made, k, seed):
    whole = log(made)
    held = LeaveKOut(k=k).holdout(whole, np.random.default_rng(seed))
    for user in np.unique(whole.users):
        own = whole.users == user
        expected = sorted(whole.times[own])[-k:] if own.sum() > k else []
        assert sorted(whole.times[own & held]) == expected


@given(ROWS, st.integers(1, 4))
def test_leave_k_out_at_random_takes_k_of_each_user_who_has_more(log, made, k):
    whole = log(made)
    held = LeaveKOut(k=k, pick="random").holdout(whole, np.random.default_rng(0))
    left = np.bincount(whole.users[held], minlength=whole.n_users)
    assert left.tolist() == [k if n > k else 0 for n in whole.user_counts]


def test_leave_k_out_takes_those_before_for_validation(log):
    whole = crowd(log, [5, 3, 2])
    parts = split(LeaveKOut(k=2, **KEPT), whole)
    assert rows(parts.test) == {(0, 3, 3), (0, 4, 4), (1, 1, 1), (1, 2, 2)}
    assert rows(parts.validation) == {(0, 1, 1), (0, 2, 2)}
    assert rows(parts.train) == {(0, 0, 0), (1, 0, 0), (2, 0, 0), (2, 1, 1)}


@given(ROWS, SHARES)
def test_temporal_user_takes_the_latest_share_of_each_user(log, made, fraction):
    whole = log(made)
    held = TemporalUser(fraction=float(fraction)).holdout(whole, np.random.default_rng(0))
    for user in np.unique(whole.users):
        own = whole.users == user
        n = int(own.sum())
        expected = sorted(whole.times[own])[n - half_up(n, fraction) :] if n > 1 else []
        assert sorted(whole.times[own & held]) == expected


def test_temporal_user_cuts_each_user_at_a_moment_of_their_own(log):
    first = [(0, item, item) for item in range(10)]
    second = [(1, item, 100 + item) for item in range(5)]
    parts = split(TemporalUser(fraction=0.2, **KEPT), log(first + second))
    assert rows(parts.test) == {(0, 8, 8), (0, 9, 9), (1, 4, 104)}
    # Of the 8 and 4 that are left: round(1.6) and round(0.8).
    assert rows(parts.validation) == {(0, 6, 6), (0, 7, 7), (1, 3, 103)}


@given(ROWS, st.integers(1, 3), st.sampled_from([None, 2, 3]))
def test_windows_lie_one_after_the_other_and_end_with_the_data(log, made, windows, train_windows):
    whole = log(made)
    strategy = SlidingWindows(windows=windows, fraction=0.2, train_windows=train_windows)
    tested = [roles_of(strategy, whole, fold) == Role.TEST for fold in range(windows)]
    ordered = sorted(whole.times.tolist())

    def cut(from_end):
        """Return the last moment before the last windows, found by counting."""
        before = math.ceil(len(ordered) * (1 - from_end * Fraction("0.2")))
        return ordered[before - 1] if before > 0 else -1

    for fold, mine in enumerate(tested):
        from_end = windows - fold
        times = whole.times
        assert (mine == ((times > cut(from_end)) & (times <= cut(from_end - 1)))).all()
        roles = roles_of(strategy, whole, fold)
        fitted = (roles == Role.TRAIN) | (roles == Role.VALIDATION)
        start = -1 if train_windows is None else cut(from_end + train_windows)
        assert (fitted == ((times > start) & (times <= cut(from_end)))).all()
        is_validation = (times > cut(from_end + 1)) & (times <= cut(from_end))
        assert ((roles == Role.VALIDATION) == is_validation).all()
    assert (sum(tested) <= 1).all()
    assert (sum(tested)[whole.times > cut(windows)] == 1).all()


def test_windows_by_length_are_so_wide(log):
    whole = log((0, item, item) for item in range(40))
    strategy = SlidingWindows(windows=2, length=5, train_windows=3, **KEPT)
    first, second = (split(strategy, whole, fold) for fold in (0, 1))
    assert first.test.times.tolist() == [30, 31, 32, 33, 34]
    assert first.validation.times.tolist() == [25, 26, 27, 28, 29]
    assert first.train.times.tolist() == list(range(15, 25))
    assert second.test.times.tolist() == [35, 36, 37, 38, 39]
    assert second.train.times.tolist() == list(range(20, 30))
    assert first.dropped["unused"] == 15 + 5
    assert second.dropped["unused"] == 20


def test_interactions_at_the_cut_of_a_window_belong_to_what_lies_before(log):
    whole = log((0, item, time) for item, time in enumerate([1, 2, 3, 4, 5, 6, 6, 6, 9, 9]))
    strategy = SlidingWindows(windows=1, fraction=0.3, **KEPT)
    parts = split(strategy, whole)
    assert parts.test.times.tolist() == [9, 9]
    assert parts.validation.times.tolist() == [5, 6, 6, 6]


def test_windows_that_leave_nothing_to_train_on_are_refused(log):
    with pytest.raises(
        ValidationError, match=r"4 windows and one for validation of 0\.2 each leave"
    ):
        SlidingWindows(windows=4, fraction=0.2)
    whole = log((0, item, item) for item in range(10))
    with pytest.raises(DataError, match="before window 1 of 4: the data reach over 9"):
        split(SlidingWindows(windows=4, length=2), whole)


@given(COUNTS, st.integers(3, 6), st.sampled_from(["user", "all"]), st.integers(0, 9))
def test_folds_are_disjoint_together_everything_and_of_equal_size(log, counts, k, over, seed):
    whole = crowd(log, counts)
    strategy = KFold(folds=k, over=over)
    roles = np.array([roles_of(strategy, whole, fold, seed) for fold in range(k)])
    tested = roles == Role.TEST
    assert (tested.sum(axis=0) == 1).all()
    sizes = tested.sum(axis=1)
    assert sizes.max() - sizes.min() <= 1
    assert (np.roll(tested, -1, axis=0) == (roles == Role.VALIDATION)).all()
    if over == "user":
        for user in range(len(counts)):
            sizes = tested[:, whole.users == user].sum(axis=1)
            assert sizes.max() - sizes.min() <= 1


@given(
    st.lists(st.integers(1, 12), min_size=4, max_size=12),
    st.sampled_from(["0.2", "0.5", "0.29"]),
    st.sampled_from(["random", "last"]),
    st.integers(0, 9),
)
def test_unseen_users_show_the_floor_of_their_share_and_hide_the_rest(
    log, counts, fraction, pick, seed
):
    whole = crowd(log, counts)
    strategy = UnseenUsers(test_users=2, validation_users=1, fraction=float(fraction), pick=pick)
    roles = roles_of(strategy, whole, 0, seed)
    sides = {
        "test": (Role.TEST, Role.TEST_SHOWN, 2),
        "validation": (Role.VALIDATION, Role.VALIDATION_SHOWN, 1),
    }
    for hidden_role, shown_role, n_users in sides.values():
        users = np.unique(whole.users[np.isin(roles, (hidden_role, shown_role))])
        assert len(users) == n_users
        for user in users:
            own = whole.users == user
            n = int(own.sum())
            hide = max(math.floor(n * Fraction(fraction)), 1) if n > 1 else 0
            hidden = whole.times[own & (roles == hidden_role)].tolist()
            assert len(hidden) == hide
            assert (own & (roles == shown_role)).sum() == n - hide
            if pick == "last":
                assert hidden == list(range(n - hide, n))


def test_unseen_users_takes_a_share_of_all_users(log):
    whole = crowd(log, [4] * 50)
    roles = roles_of(UnseenUsers(test_users=0.2, validation_users=0.1), whole)
    held = [np.unique(whole.users[roles == role]) for role in (Role.TEST, Role.VALIDATION)]
    assert [len(users) for users in held] == [10, 5]


def test_unseen_users_that_leave_nobody_are_refused(log):
    with pytest.raises(ValidationError, match="leave nobody to train on"):
        UnseenUsers(test_users=0.5, validation_users=0.5)
    with pytest.raises(DataError, match=r"holds out 3 \+ 2 users, and there are 5"):
        split(UnseenUsers(test_users=3, validation_users=2), crowd(log, [4] * 5))


def thirds(log, *, validation):
    """Make a published split of six users; the parts take turns."""
    whole = crowd(log, [9] * 6)
    turn = whole.items % 3
    train, test = whole.select(turn == 0), whole.select(turn == 2)
    middle = whole.select(turn == 1)
    if validation:
        return whole, PublishedSplit(train, test, None, middle)
    return whole, PublishedSplit(train.union(middle), test)


@pytest.mark.parametrize("choice", ["auto", "published"])
def test_a_published_validation_part_is_used(log, choice):
    whole, published = thirds(log, validation=True)
    parts = split(Published(validation=choice), whole, published=published)
    assert rows(parts.train) == rows(published.train)
    assert rows(parts.validation) == rows(published.validation)
    assert rows(parts.known) == rows(published.train) | rows(published.validation)


@pytest.mark.parametrize("has_validation", [True, False])
@pytest.mark.parametrize(
    ("choice", "of_each_user"), [("leave-one-out", 1), ("random-holdout", half_up(6, "0.1"))]
)
def test_validation_is_drawn_from_all_that_is_not_test(log, has_validation, choice, of_each_user):
    whole, published = thirds(log, validation=has_validation)
    parts = split(Published(validation=choice), whole, published=published)
    assert rows(parts.test) == rows(published.test)
    assert rows(parts.known) == rows(whole) - rows(published.test)
    assert parts.validation.user_counts.tolist() == [of_each_user] * 6


def test_validation_is_drawn_where_none_is_published(log):
    whole, published = thirds(log, validation=False)
    parts = split(Published(), whole, published=published)
    assert len(parts.validation) == 6
    with pytest.raises(UsageError, match="has no published validation part"):
        split(Published(validation="published"), whole, published=published)


@given(ROWS, st.booleans(), st.integers(0, 9))
def test_last_holds_out_the_latest_of_each_user_that_is_not_test(log, made, has_validation, seed):
    whole = log(made)
    turn = np.arange(len(whole)) % 3
    train, middle, test = (whole.select(turn == part) for part in range(3))
    published = (
        PublishedSplit(train, test, None, middle)
        if has_validation
        else PublishedSplit(train.union(middle), test)
    )
    drawn = Published(validation="last").split(
        Dataset("d", whole, published), np.random.default_rng(0), np.random.default_rng(seed)
    )
    given_to_learn = rows(whole) - rows(test)
    held = rows(drawn.validation)
    assert held <= given_to_learn
    assert rows(drawn.train) == given_to_learn - held
    of_user = Counter(user for user, _, _ in given_to_learn)
    assert Counter(user for user, _, _ in held) == {user: 1 for user, n in of_user.items() if n > 1}
    for user, _, time in held:
        assert time == max(t for u, _, t in given_to_learn if u == user)


def test_last_leaves_it_to_the_seed_which_of_equally_late_ones_is_held_out(log):
    whole = log((0, item, min(item, 3)) for item in range(7))
    published = PublishedSplit(whole.select(whole.items < 6), whole.select(whole.items == 6))
    held = Counter(
        Published(validation="last")
        .split(Dataset("d", whole, published), None, np.random.default_rng(seed))
        .validation.items.item()
        for seed in range(300)
    )
    assert held.keys() == {3, 4, 5}
    assert min(held.values()) > 60


@pytest.mark.parametrize("known", [0, 7])
def test_last_is_refused_where_the_order_is_not_known(log, known):
    pairs = [(user, item) for user in range(3) for item in range(9)]
    timed = [(u, i, i if at < known else None) for at, (u, i) in enumerate(pairs)]
    whole = log(timed, times=known > 0)
    published = PublishedSplit(whole.select(whole.items < 8), whole.select(whole.items == 8))
    with pytest.raises(DataError, match=rf"{24 - known} of 24 have none in the data set 'd'"):
        split(Published(validation="last"), whole, published=published)
    split(Published(validation="leave-one-out"), whole, published=published)
