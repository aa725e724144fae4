"""Filters and rules for duplicates, each against a slow and plain reading of it."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recrepro.data.dataset import Dataset
from recrepro.data.filters import (
    FILTERS,
    ItemCount,
    KCore,
    MinValue,
    SampleUsers,
    TimeWindow,
    UserCount,
    make_filter,
)
from recrepro.data.load import load_dataset
from recrepro.errors import UsageError
from recrepro.interactions import UNKNOWN_TIME, Interactions
from recrepro.spec.experiment import DatasetSpec, FilterSpec
from recrepro.splits.leave_out import LeaveOneOut
from recrepro.splits.temporal import Temporal

PAIRS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=45, unique=True
)
CORE = st.integers(1, 4)


def made(pairs, values=None, times=None):
    frame = pd.DataFrame(pairs, columns=["user", "item"])
    frame["value"] = values if values is not None else 1.0
    frame["time"] = times if times is not None else 0
    return Interactions.from_frame(frame, value="value", time="time")


def kept(step, interactions):
    """Return the labels of the pairs that stay."""
    left = interactions.select(step.keep(interactions))
    users, items = left.user_ids[left.users], left.item_ids[left.items]
    return set(zip(users.tolist(), items.tolist(), strict=True))


def drop(pairs, place, least):
    counts = Counter(pair[place] for pair in pairs)
    return {pair for pair in pairs if counts[pair[place]] >= least}


def peel(pairs, users, items):
    """Take away one user or item after the other, until none is below its bound."""
    left = set(pairs)
    while True:
        counts = [Counter(pair[place] for pair in left) for place in (0, 1)]
        below = [(0, u) for u, n in counts[0].items() if n < users]
        below += [(1, i) for i, n in counts[1].items() if n < items]
        if not below:
            return left
        place, label = below[-1]
        left = {pair for pair in left if pair[place] != label}


def test_every_registered_filter_is_tested_here():
    assert {FILTERS.resolve(name) for name in FILTERS.names()} == {
        ItemCount,
        KCore,
        MinValue,
        SampleUsers,
        TimeWindow,
        UserCount,
    }


@given(PAIRS, CORE, CORE)
def test_the_core_is_what_peeling_one_by_one_leaves(pairs, users, items):
    core = kept(KCore(users=users, items=items), made(pairs))
    assert core == peel(pairs, users, items)


@given(PAIRS, CORE, CORE)
def test_the_core_has_a_core_of_all_of_it(pairs, users, items):
    step, whole = KCore(users=users, items=items), made(pairs)
    assert step.keep(whole.select(step.keep(whole))).all()


@given(PAIRS, CORE, CORE, st.integers(1, 3), st.sampled_from(["users", "items"]))
def test_a_pass_drops_one_kind_and_then_the_other(pairs, users, items, passes, first):
    expected = set(pairs)
    for _ in range(passes):
        for place in (0, 1) if first == "users" else (1, 0):
            expected = drop(expected, place, (users, items)[place])
    step = KCore(users=users, items=items, passes=passes, first=first)
    assert kept(step, made(pairs)) == expected


def test_a_single_pass_is_not_the_core():
    # Item 9 goes for want of users, and then user 1 has too few items; so the pass leaves them.
    pairs = [(0, 7), (0, 8), (1, 8), (1, 9), (2, 7), (2, 8)]
    step = {"users": 2, "items": 2}
    assert kept(KCore(**step, passes=1), made(pairs)) == set(pairs) - {(1, 9)}
    assert kept(KCore(**step), made(pairs)) == set(pairs) - {(1, 9), (1, 8)}


@pytest.mark.parametrize(("kind", "place"), [(UserCount, 0), (ItemCount, 1)])
@given(PAIRS, st.integers(1, 4), st.integers(0, 4))
def test_counts_are_those_before_anything_goes(kind, place, pairs, least, more):
    counts = Counter(pair[place] for pair in pairs)
    expected = {p for p in pairs if least <= counts[p[place]] <= least + more}
    step = kind(at_least=least, at_most=least + more)
    assert kept(step, made(pairs)) == expected


@given(PAIRS, st.integers(1, 8), st.integers(0, 9))
def test_a_number_of_users_is_drawn_with_all_they_have(pairs, n, seed):
    users = {user for user, _ in pairs}
    left = kept(SampleUsers(users=n, seed=seed), made(pairs))
    drawn = {user for user, _ in left}
    assert len(drawn) == min(n, len(users))
    assert left == {pair for pair in pairs if pair[0] in drawn}


def test_a_share_of_users_is_drawn_by_the_seed():
    whole = made([(user, item) for user in range(100) for item in range(2)])
    one, same, other = (kept(SampleUsers(users=0.3, seed=s), whole) for s in (1, 1, 2))
    assert len({user for user, _ in one}) == 30
    assert one == same != other


@given(st.lists(st.integers(1, 10), min_size=1, max_size=20), st.integers(1, 10))
def test_a_least_value_stays(values, least):
    pairs = [(0, at) for at in range(len(values))]
    expected = {pair for pair, value in zip(pairs, values, strict=True) if value >= least}
    assert kept(MinValue(value=least), made(pairs, values)) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"start": 3}, {3, 4, 5}),
        ({"end": 3}, {1, 2, 3}),
        ({"start": 2, "end": 4}, {2, 3, 4}),
    ],
)
def test_a_window_of_time_has_both_its_ends(options, expected):
    pairs = [(0, at) for at in range(6)]
    whole = made(pairs, times=[None, 1, 2, 3, 4, 5])
    assert (whole.times == UNKNOWN_TIME).sum() == 1
    assert {item for _, item in kept(TimeWindow(**options), whole)} == expected


def test_a_window_of_time_needs_times():
    whole = Interactions.from_frame(pd.DataFrame({"user": [1], "item": [1]}))
    with pytest.raises(UsageError, match="'time-window' needs the time of each interaction"):
        TimeWindow(start=1).keep(whole)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("min-value", {}, "value"),
        ("time-window", {}, "give 'start', 'end' or both"),
        ("time-window", {"start": 3, "end": 2}, "'start' = 3 lies after 'end' = 2"),
        ("user-count", {}, "give 'at_least'"),
        ("item-count", {"at_least": 3, "at_most": 2}, "'at_most' = 2 is below 'at_least' = 3"),
        ("k-core", {"users": 0}, "users"),
        ("k-core", {"least": 5}, "least"),
        ("sample-users", {"users": 1.5}, "users"),
        ("k-cores", {}, "k-core"),
    ],
)
def test_wrong_options_are_named_with_their_place(name, options, message):
    with pytest.raises(UsageError, match=message) as raised:
        make_filter(FilterSpec(name=name, **options), "data set 'd'")
    assert name in str(raised.value)


def written(tmp_path, rows, **spec):
    lines = [",".join(map(str, row)) for row in rows]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,value,time", *lines]))
    made = DatasetSpec.model_validate_json(json.dumps({"name": "d", "file": "log.csv"} | spec))
    return load_dataset(made, tmp_path)


def test_filters_run_in_the_order_of_the_file_and_are_recorded(tmp_path):
    rows = [(0, 0, 5, 1), (0, 1, 5, 1), (1, 0, 1, 1), (1, 1, 5, 1), (2, 1, 5, 1)]
    values, users = {"name": "min-value", "value": 4}, {"name": "user-count", "at_least": 2}
    one = written(tmp_path, rows, filters=[values, users])
    other = written(tmp_path, rows, filters=[users, values])
    assert len(one.interactions) == 2
    assert len(other.interactions) == 3
    assert one.preprocessing == (
        {"step": "duplicates", "rule": "last", "on": "all"},
        {"step": "min-value", "value": 4, "on": "all", "learns": False, "removed": 1},
        {
            "step": "user-count",
            "at_least": 2,
            "at_most": None,
            "on": "all",
            "learns": True,
            "removed": 2,
        },
        {"step": "values", "rule": "binary", "on": "all"},
    )


def test_a_filter_on_train_leaves_the_test_part_alone(tmp_path):
    rows = [(user, item, item + 1, item) for user in range(4) for item in range(6)]
    least = {"name": "min-value", "value": 2, "on": "train"}
    dataset = written(tmp_path, rows, filters=[least], values="keep")
    assert len(dataset.interactions) == len(rows)
    seeds = np.random.default_rng(0), np.random.default_rng(1)
    strategy = Temporal(fraction=0.5, cold_items="keep")
    plain = strategy.split(Dataset("d", dataset.interactions), *seeds)
    parts = strategy.split(dataset, *seeds)
    assert parts.test.fingerprint == plain.test.fingerprint
    assert plain.known.values.min() == 1
    assert parts.train.values.min() == parts.known.values.min() == 2
    assert parts.dropped["train_filters"] == 4
    assert [step["on"] for step in dataset.preprocessing] == ["all", "train", "all"]


def test_who_is_filtered_from_train_is_cold(tmp_path):
    rows = [(0, item, 1, item) for item in range(3)]
    rows += [(user, item, 1, item) for user in (1, 2) for item in range(8)]
    active = {"name": "user-count", "at_least": 4, "on": "train"}
    dataset = written(tmp_path, rows, filters=[active])
    seeds = np.random.default_rng(0), np.random.default_rng(1)
    parts = LeaveOneOut(cold_items="keep").split(dataset, *seeds)
    assert parts.dropped["test_cold_users"] == 1
    assert set(parts.test.users.tolist()) == {1, 2}


def test_labels_of_what_is_filtered_are_gone(tmp_path):
    rows = [(0, 0, 5, 1), (0, 1, 1, 1), (1, 0, 1, 1)]
    dataset = written(tmp_path, rows, filters=[{"name": "min-value", "value": 2}])
    assert dataset.interactions.shape == (1, 1)


ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 9), st.integers(0, 3)),
    min_size=1,
    max_size=25,
)


@pytest.mark.parametrize("rule", ["last", "first", "max", "sum"])
@given(ROWS)
def test_duplicates_are_what_pandas_makes_of_them(rule, rows):
    frame = pd.DataFrame(rows, columns=["user", "item", "value", "time"])
    log = Interactions.from_frame(frame, value="value", time="time", duplicates=rule)
    in_time = frame.sort_values("time", kind="stable").groupby(["user", "item"])
    expected = in_time.first() if rule == "first" else in_time.last()
    if rule in ("max", "sum"):
        expected["value"] = in_time["value"].agg(rule)
    pairs = zip(log.user_ids[log.users], log.item_ids[log.items], strict=True)
    assert list(pairs) == expected.index.tolist()
    assert log.values.tolist() == expected["value"].tolist()
    assert log.times.tolist() == expected["time"].tolist()


@given(ROWS)
def test_without_times_the_place_in_the_file_decides(rows):
    frame = pd.DataFrame(rows, columns=["user", "item", "value", "time"])
    for rule in ("first", "last"):
        log = Interactions.from_frame(frame, value="value", duplicates=rule)
        expected = frame.groupby(["user", "item"])["value"].agg(rule)
        assert log.values.tolist() == expected.tolist()
