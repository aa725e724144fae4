"""What every splitting strategy holds to."""

import json
import os
import subprocess
import sys
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recrepro.data.dataset import Dataset, PublishedSplit
from recrepro.errors import DataError
from recrepro.interactions import Interactions
from recrepro.splits import SPLITS
from recrepro.splits.base import Role
from recrepro.splits.holdout import RandomHoldout
from recrepro.splits.k_fold import KFold
from recrepro.splits.leave_out import LeaveKOut, LeaveOneOut
from recrepro.splits.published import Published
from recrepro.splits.temporal import SlidingWindows, Temporal, TemporalUser
from recrepro.splits.unseen_sessions import UnseenSessions
from recrepro.splits.unseen_users import UnseenUsers

DRAWN = {
    "random-holdout": RandomHoldout(fraction=0.3),
    "random-holdout, all": RandomHoldout(fraction=0.3, over="all"),
    "leave-one-out random": LeaveOneOut(pick="random"),
    "leave-k-out random": LeaveKOut(k=2, pick="random"),
    "k-fold": KFold(folds=3),
    "k-fold, all": KFold(folds=4, over="all"),
    "unseen-users": UnseenUsers(test_users=0.3, validation_users=0.2),
    "unseen-users last": UnseenUsers(test_users=2, validation_users=1, pick="last"),
    "published": Published(),
    "published, leave-one-out": Published(validation="leave-one-out"),
}
"""What is drawn at random."""
EVERY = {
    **DRAWN,
    "leave-one-out last": LeaveOneOut(),
    "published, last": Published(validation="last"),
    "leave-k-out last": LeaveKOut(k=2),
    "temporal": Temporal(fraction=0.3),
    "temporal at": Temporal(at=6),
    "temporal-user": TemporalUser(fraction=0.3),
    "sliding-windows": SlidingWindows(windows=2, fraction=0.25),
    "sliding-windows, length": SlidingWindows(windows=2, length=2),
    "unseen-sessions": UnseenSessions(fraction=0.3),
    "unseen-sessions, length": UnseenSessions(length=2, hidden=2),
    "sliding-windows, train": SlidingWindows(windows=2, fraction=0.25, train_windows=2),
}
LATE = {
    "unseen-sessions, length": UnseenSessions(length=150, hidden=2),
    "temporal at": Temporal(at=600),
    "sliding-windows, length": SlidingWindows(windows=2, length=150),
}
"""Three of them for the times of `busy`."""
FOLDS = [(name, fold) for name, strategy in EVERY.items() for fold in range(strategy.n_folds)]
IN_TIME = [case for case in FOLDS if EVERY[case[0]].order in {"user", "global"}]
ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 9)),
    min_size=8,
    max_size=40,
    unique_by=lambda row: row[:2],
)
COLD = st.sampled_from(["drop", "keep"])
KEPT = {"cold_users": "keep", "cold_items": "keep"}

ALL_FINGERPRINTS = """
import json, sys
from recrepro.data.dataset import Dataset, PublishedSplit
from recrepro.data.synthetic import synthetic
from recrepro.randomness import generator
from recrepro.splits import SPLITS
from recrepro.splits.draw import draw_split

whole = synthetic(60, 40, 700, seed=1)
first = whole.times < 1_600_000_000
published = Dataset("d", whole, PublishedSplit(whole.select(first), whole.select(~first)))
prints = []
for name, options in json.load(sys.stdin):
    splitter = SPLITS.resolve(name)(**options)
    for fold in range(splitter.n_folds):
        dataset = published if name == "published" else Dataset("d", whole)
        drawn = draw_split(dataset, splitter, 3, 5, fold)
        prints.append([name, fold, drawn.facts["fingerprint"]])
print(json.dumps(prints))
"""


def split(strategy, interactions, seed=0, fold=0, validation_seed=99):
    """Split; a data set for `Published` has every third interaction in its test part."""
    third = np.arange(len(interactions)) % 3 == 2
    parts = PublishedSplit(interactions.select(~third), interactions.select(third))
    dataset = Dataset("d", interactions, parts if isinstance(strategy, Published) else None)
    rng, validation_rng = np.random.default_rng(seed), np.random.default_rng(validation_seed)
    return strategy.split(dataset, rng, validation_rng, fold)


def split_if_possible(strategy, interactions, fold=0):
    """Split; data that leave a part empty, or too few users or days, prove nothing."""
    try:
        return split(strategy, interactions, fold=fold)
    except DataError as error:
        expected = ("part of the split is empty", "there are", "no time left", "holds out all")
        assert any(text in str(error) for text in expected)  # noqa: PT017
        assume(False)


def rows(part):
    if part is None:
        return set()
    times = part.times if part.times is not None else part.users * 0
    columns = (part.users, part.items, part.values, times)
    return set(zip(*(c.tolist() for c in columns), strict=True))


def prints(parts):
    made = (parts.train, parts.validation, parts.known, parts.test, parts.test_shown)
    return [part.fingerprint for part in made if part is not None]


def lost(parts, of):
    return sum(n for reason, n in parts.dropped.items() if reason.startswith(of))


def bound_by_user(part, reduce, empty):
    bound = np.full(part.n_users, empty)
    getattr(np, reduce).at(bound, part.users, part.times)
    return bound


def test_every_registered_strategy_is_tested_here():
    assert {type(s) for s in EVERY.values()} == {SPLITS.resolve(n) for n in SPLITS.names()}


def test_messages_call_a_strategy_as_experiments_do():
    assert {SPLITS.resolve(s.called) for s in EVERY.values()} == {type(s) for s in EVERY.values()}


@pytest.mark.parametrize(("name", "fold"), FOLDS)
@given(ROWS, COLD, COLD)
def test_parts_are_disjoint_and_with_what_was_dropped_are_the_whole(
    log, name, fold, made, user, item
):
    whole = log(made)
    strategy = EVERY[name].model_copy(update={"cold_users": user, "cold_items": item})
    parts = split_if_possible(strategy, whole, fold)
    names = ("train", "validation", "validation_shown", "test", "test_shown")
    sets = [rows(getattr(parts, part)) for part in names]
    assert not any(one & other for one, other in combinations(sets, 2))
    train, validation, validation_shown, test, test_shown = sets
    known, hidden = rows(parts.known), rows(parts.hidden)
    assert train | validation | validation_shown <= known
    assert test <= hidden
    assert len(known) == sum(map(len, sets[:3])) + lost(parts, "validation")
    assert len(hidden) == len(test) + lost(parts, "test")
    assert not known & (hidden | test_shown)
    assert known | hidden | test_shown <= rows(whole)
    used = len(known) + len(hidden) + len(test_shown)
    assert used + parts.dropped.get("unused", 0) == len(whole)
    for part in (parts.train, parts.validation, parts.test):
        assert part.user_ids is whole.user_ids
        assert part.item_ids is whole.item_ids


@pytest.mark.parametrize(("name", "fold"), FOLDS)
@given(ROWS)
def test_cold_rows_are_dropped_and_counted_or_kept(log, name, fold, made):
    def by(rule):
        update = {"cold_users": rule, "cold_items": rule}
        return split_if_possible(EVERY[name].model_copy(update=update), log(made), fold)

    kept, dropped = by("keep"), by("drop")
    assert not lost(kept, "test") + lost(kept, "validation")
    for part, fitted, shown in (
        ("test", kept.known, kept.test_shown),
        ("validation", kept.train, kept.validation_shown),
    ):
        items = {item for _, item, *_ in rows(fitted)}
        users = {user for user, *_ in rows(fitted) | rows(shown)}
        held = rows(getattr(kept, part))
        warm = {row for row in held if row[0] in users and row[1] in items}
        cold_users = sum(row[0] not in users for row in held)
        assert rows(getattr(dropped, part)) == warm
        assert dropped.dropped[f"{part}_cold_users"] == cold_users
        assert dropped.dropped[f"{part}_cold_items"] == len(held) - len(warm) - cold_users


@pytest.mark.parametrize(("name", "fold"), IN_TIME)
@given(ROWS, COLD)
def test_nothing_fitted_on_is_later_than_what_is_held_out(log, name, fold, made, cold):
    strategy = EVERY[name].model_copy(update={"cold_users": cold, "cold_items": cold})
    parts = split_if_possible(strategy, log(made), fold)
    for fitted, shown, after in (
        (parts.known, parts.test_shown, parts.hidden),
        (parts.train, parts.validation_shown, parts.validation),
    ):
        latest = bound_by_user(shown if strategy.unseen_users else fitted, "maximum", -1)
        earliest = bound_by_user(after, "minimum", 10)
        assert (latest <= earliest).all()
        if strategy.order == "global":
            assert fitted.times.max(initial=-1) < earliest.min()
    if strategy.order == "global" and len(parts.validation):
        assert parts.validation.times.max() < parts.hidden.times.min()


@pytest.mark.parametrize("name", [n for n, s in EVERY.items() if s.unseen_users])
@given(ROWS)
def test_nobody_is_fitted_on_who_is_to_be_unseen(log, name, made):
    parts = split_if_possible(EVERY[name].model_copy(update=KEPT), log(made))

    def users(*some):
        return {user for part in some for user, *_ in rows(part)}

    assert not users(parts.known) & users(parts.test, parts.test_shown)
    assert not users(parts.train) & users(parts.validation, parts.validation_shown)


@pytest.mark.parametrize("name", EVERY)
@given(ROWS, st.integers(0, 5))
def test_every_interaction_has_one_role_in_every_fold(log, name, made, seed):
    whole, strategy = log(made), EVERY[name]
    for fold in range(strategy.n_folds):
        try:
            roles = strategy.assign(
                whole, np.random.default_rng(seed), np.random.default_rng(seed), fold
            )
        except DataError:
            assume(False)
        assert roles.shape == whole.users.shape
        assert set(roles.tolist()) <= set(Role)


@pytest.mark.parametrize(("name", "fold"), FOLDS)
def test_the_same_seed_gives_the_same_parts(busy, name, fold):
    strategy = (EVERY | LATE)[name]
    assert prints(split(strategy, busy, 3, fold)) == prints(split(strategy, busy, 3, fold))


@pytest.mark.parametrize(("name", "fold"), FOLDS)
def test_the_seed_matters_for_what_is_drawn_and_for_nothing_else(busy, name, fold):
    strategy = (EVERY | LATE)[name]
    one, other = (split(strategy, busy, seed, fold, seed).train.fingerprint for seed in (3, 4))
    assert (one != other) == (name in DRAWN)


@pytest.mark.parametrize("name", EVERY)
def test_another_validation_part_leaves_the_test_part_as_it_was(busy, name):
    strategy = (EVERY | LATE)[name]
    one, other = (split(strategy, busy, 3, validation_seed=seed) for seed in (5, 6))
    assert one.hidden.fingerprint == other.hidden.fingerprint
    assert one.known.fingerprint == other.known.fingerprint
    assert rows(one.test_shown) == rows(other.test_shown)
    second = (RandomHoldout, UnseenUsers, Published)
    random = (isinstance(strategy, second) or "random" in name) and name != "published, last"
    assert (one.validation.fingerprint != other.validation.fingerprint) == random


@pytest.mark.parametrize(("name", "fold"), FOLDS)
@given(ROWS, st.integers(0, 99))
def test_the_order_of_the_input_rows_changes_nothing(name, fold, made, seed):
    frame = pd.DataFrame(made, columns=["user", "item", "time"])
    shuffled = frame.sample(frac=1, random_state=seed)
    before, after = (
        split_if_possible(EVERY[name], Interactions.from_frame(f, time="time"), fold)
        for f in (frame, shuffled)
    )
    assert prints(before) == prints(after)


def test_every_fingerprint_is_the_same_in_another_process():
    strategies = [
        (name, EVERY[shown].model_dump(mode="json"))
        for name in SPLITS.names()
        for shown in EVERY
        if type(EVERY[shown]) is SPLITS.resolve(name) and shown not in LATE
    ]
    made = [
        subprocess.run(
            [sys.executable, "-c", ALL_FINGERPRINTS],
            input=json.dumps(strategies),
            env=os.environ | {"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    one, other = map(json.loads, made)
    assert len(one) > len(strategies)
    assert one == other


@pytest.mark.parametrize(
    "name",
    [
        "random-holdout",
        "leave-one-out last",
        "leave-one-out random",
        "leave-k-out last",
        "temporal-user",
        "published",
    ],
)
@given(ROWS)
def test_a_user_with_one_interaction_keeps_it_in_train(log, name, made):
    parts = split_if_possible(EVERY[name], log(made))
    for user in np.flatnonzero(parts.known.user_counts == 1):
        assert parts.train.user_counts[user] == 1


NEED_TIMES = {name: s for name, s in EVERY.items() if s.order in {"user", "global"}}


@pytest.mark.parametrize("name", NEED_TIMES)
def test_missing_times_are_refused_where_times_decide(log, name):
    data = log([(user, item, 1) for user in range(5) for item in range(3)], times=False)
    with pytest.raises(DataError, match="needs the time of each interaction, and the data set"):
        split(NEED_TIMES[name], data)
    with pytest.raises(DataError, match="needs the time of each interaction"):
        NEED_TIMES[name].check(Dataset("d", data))


@pytest.mark.parametrize("name", sorted(set(NEED_TIMES) - {"temporal at"}))
def test_one_unknown_time_is_refused_where_times_decide(log, name):
    data = log([(user, item, user or None) for user in range(5) for item in range(user + 1)])
    with pytest.raises(DataError, match="but 1 of 15 have none"):
        split(NEED_TIMES[name], data)


@pytest.mark.parametrize("name", sorted(set(EVERY) - set(NEED_TIMES) - {"published, last"}))
def test_others_need_no_times(log, name):
    whole = log(((u, i, 0) for u in range(6) for i in range(6)), times=False)
    assert len(split(EVERY[name], whole).test) >= 1


@pytest.mark.parametrize("at", [-1, 10**6])
def test_an_empty_part_is_refused_by_name(busy, at):
    name = "train" if at < 0 else "test"
    with pytest.raises(DataError, match=f"the {name} part of the split is empty"):
        split(Temporal(at=at), busy)
