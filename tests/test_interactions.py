"""The interaction log: one content, one object; refusals; parts that share labels."""

import string
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recrepro import interactions
from recrepro.errors import DataError
from recrepro.interactions import UNKNOWN_TIME, Interactions
from recrepro.labels import as_ids

LABEL = st.text(string.ascii_letters + string.digits + "-_ é", min_size=1, max_size=4)
ROW = st.tuples(
    LABEL | st.integers(0, 9).map(str),
    st.integers(-3, 5).map(str),
    st.integers(-5, 5),
    st.none() | st.integers(-9, 9),
)
LOG = st.lists(ROW, max_size=25)
COLUMNS = ["user", "item", "value", "time"]


def frame_of(log) -> pd.DataFrame:
    return pd.DataFrame(log, columns=COLUMNS).astype({"value": float, "time": float})


def build(log, **options) -> Interactions:
    return Interactions.from_frame(frame_of(log), value="value", time="time", **options)


def content(made: Interactions) -> dict:
    times = made.times if made.times is not None else [None] * len(made)
    return {
        (str(made.user_ids[u]), str(made.item_ids[i])): (float(v), t)
        for u, i, v, t in zip(made.users, made.items, made.values, times, strict=True)
    }


@given(LOG, st.randoms(use_true_random=False))
def test_row_order_does_not_change_the_content(log, random):
    distinct = list({row[:2]: row for row in log}.values())
    shuffled = distinct.copy()
    random.shuffle(shuffled)
    assert build(distinct).fingerprint == build(shuffled).fingerprint


@given(LOG)
def test_ids_round_trip_and_rows_are_sorted(log):
    made = build(log)
    assert set(content(made)) == {(u, i) for u, i, *_ in log}
    for ids, index in ((made.user_ids, made.users), (made.item_ids, made.items)):
        assert (ids[1:] > ids[:-1]).all()
        assert set(index.tolist()) == set(range(len(ids)))
    key = made.users.astype(int) * max(made.n_items, 1) + made.items
    assert (np.diff(key) > 0).all()


@given(LOG, st.sampled_from(["last", "first"]))
def test_repeated_pairs_follow_an_oracle(log, rule):
    frame = frame_of(log)
    ordered = frame.assign(age=frame["time"].fillna(-np.inf)).sort_values("age", kind="stable")
    kept = ordered.drop_duplicates(["user", "item"], keep=rule)
    expected = {
        (u, i): (v, UNKNOWN_TIME if np.isnan(t) else int(t))
        for u, i, v, t in kept[COLUMNS].itertuples(index=False, name=None)
    }
    assert content(build(log, duplicates=rule)) == expected


def test_without_times_the_order_in_the_file_decides():
    frame = frame_of([("a", "1", 1, None), ("a", "1", 2, None)])
    for rule, value in (("first", 1), ("last", 2)):
        made = Interactions.from_frame(frame, value="value", duplicates=rule)
        assert made.values.tolist() == [value]
        assert made.times is None
    with pytest.raises(DataError, match=r"1 \(user, item\) pairs .*\(a, 1\)"):
        Interactions.from_frame(frame, duplicates="error")


@given(LOG)
def test_matrix_and_counts_hold_the_kept_values(log):
    made = build(log)
    assert made.matrix.shape == made.shape == (made.n_users, made.n_items)
    assert made.matrix.sum() == made.values.sum()
    assert made.matrix.has_canonical_format
    for row, column, value in zip(made.users, made.items, made.values, strict=True):
        assert made.matrix[row, column] == value
    assert made.user_counts.sum() == made.item_counts.sum() == len(made)
    assert made.binarised().matrix.sum() == len(made)


@given(LOG, st.data())
def test_select_and_union_take_apart_and_put_together(log, data):
    made = build(log)
    rows = np.array(data.draw(st.lists(st.booleans(), min_size=len(made), max_size=len(made))))
    rows = rows.astype(bool)
    some, others = made.select(rows), made.select(~rows)
    assert some.shape == others.shape == made.shape
    assert some.union(others).fingerprint == made.fingerprint
    assert others.union(some).fingerprint == made.fingerprint
    used = some.without_unused_labels()
    assert content(used) == content(some)
    assert used.n_users == len(np.unique(some.users))
    assert used.n_items == len(np.unique(some.items))


def test_in_a_union_the_other_wins():
    made = build([("a", "1", 1, 1), ("a", "2", 1, 1)])
    other = replace(made.select(np.array([True, False])), values=np.array([5], np.float32))
    assert made.union(other).values.tolist() == [5, 1]
    assert other.union(made).values.tolist() == [1, 1]
    assert replace(made, times=None).union(other).times is None


@given(LOG, st.booleans())
def test_save_and_load(tmp_path_factory, log, timed):
    made = build(log) if timed else replace(build(log), times=None)
    path = tmp_path_factory.mktemp("log") / "log.npz"
    made.save(path)
    loaded = Interactions.load(path)
    assert loaded.fingerprint == made.fingerprint
    assert content(loaded) == content(made)
    assert (loaded.times is None) == (not timed)


@given(LOG.filter(len), st.integers(0, 24), st.sampled_from(["user", "item", "value", "time"]))
def test_every_change_changes_the_fingerprint(log, at, column):
    distinct = list({row[:2]: row for row in log}.values())
    at %= len(distinct)
    change = {"user": "new", "item": "99", "value": 77, "time": 77}
    row = [change[c] if c == column else old for c, old in zip(COLUMNS, distinct[at], strict=True)]
    changed = [*distinct[:at], tuple(row), *distinct[at + 1 :]]
    if len({row[:2] for row in changed}) == len(changed):
        assert (build(distinct).fingerprint == build(changed).fingerprint) == (
            content(build(distinct)) == content(build(changed))
        )
    assert replace(build(log), times=None).fingerprint != build(log).fingerprint


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["7", "10", "-3"], [7, 10, -3]),
        (["007", "7"], ["007", "7"]),
        (["1_0", "1"], ["1_0", "1"]),
        (["+1"], ["+1"]),
        ([" 1"], [" 1"]),
        (["1.0"], ["1.0"]),
        (["9223372036854775808"], ["9223372036854775808"]),
        (np.array([2**63, 1], np.uint64), ["9223372036854775808", "1"]),
        (np.array([2, 1], np.uint8), [2, 1]),
        ([], []),
    ],
)
def test_only_plain_whole_numbers_become_numbers(labels, expected):
    assert as_ids(pd.Series(labels)).tolist() == expected


@given(st.lists(LABEL, unique=True, min_size=1), st.data())
def test_a_part_can_be_built_on_the_labels_of_the_whole(labels, data):
    known = np.unique(as_ids(pd.Series(labels)))
    part = data.draw(st.lists(st.sampled_from(labels)))
    frame = pd.DataFrame({"user": part, "item": part})
    made = Interactions.from_frame(frame, user_ids=known, item_ids=known)
    assert {str(known[u]) for u in made.users} == set(part)
    assert made.user_ids is known


@pytest.mark.parametrize(
    ("known", "label", "shown"),
    [
        ([1, 2], 3, "3"),
        ([1, 2], "x", "'x'"),
        ([1, 2], "01", "'01'"),
        (["01", "2"], "1", "'1'"),
        ([], 1, "1"),
    ],
)
def test_a_label_that_the_whole_lacks_is_refused(known, label, shown):
    ids = np.array(known) if known else np.empty(0, np.int64)
    frame = pd.DataFrame({"user": [label], "item": [1]})
    with pytest.raises(DataError, match=rf"'user' has the unknown label {shown}"):
        Interactions.from_frame(frame, user_ids=ids)


def test_the_same_label_as_text_and_as_number_is_one():
    frame = pd.DataFrame({"user": pd.Series([7, "7"], dtype=object), "item": [1, 2]})
    made = Interactions.from_frame(frame)
    assert made.user_ids.tolist() == [7]
    assert made.users.tolist() == [0, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, "five", None, 1e300])
def test_values_must_be_finite(bad):
    frame = pd.DataFrame({"user": [1, 2], "item": [1, 2], "value": [1, bad]})
    with pytest.raises(DataError, match=r"'value' has 1 values.*row 2"):
        Interactions.from_frame(frame, value="value")


@pytest.mark.parametrize("bad", [np.inf, "five", 1e300])
def test_times_may_be_missing_but_not_wrong(bad):
    frame = pd.DataFrame({"user": [1, 2], "item": [1, 2], "time": [np.nan, bad]})
    with pytest.raises(DataError, match=r"'time' has 1 values.*row 2"):
        Interactions.from_frame(frame, time="time")
    known = Interactions.from_frame(frame.assign(time=[np.nan, 5]), time="time")
    assert known.times.tolist() == [UNKNOWN_TIME, 5]


def test_missing_columns_and_empty_labels():
    frame = pd.DataFrame({"user": [1, None], "item": [1, 2]})
    with pytest.raises(DataError, match="no column 'who'; the columns are 'user', 'item'"):
        Interactions.from_frame(frame, user="who")
    with pytest.raises(DataError, match=r"'user' has 1 empty labels, first in row 2"):
        Interactions.from_frame(frame)


@pytest.mark.parametrize("repeated", [False, True])
def test_building_needs_less_than_three_times_the_columns_given(repeated):
    rng = np.random.default_rng(0)
    n = 1_000_000
    pairs = rng.integers(10**6, size=n) if repeated else rng.permutation(n)
    columns = {"user": pairs // 250, "item": pairs % 250, "value": rng.random(n)}
    frame = pd.DataFrame(columns | {"time": np.floor(rng.random(n) * 1e9)})
    tracemalloc.start()
    try:
        made = Interactions.from_frame(frame, value="value", time="time")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(made) < n) == repeated
    # The frame itself is one of the three.
    assert peak < 2 * 4 * 8 * n


def test_rows_of_the_matrix_end_beyond_32_bits(monkeypatch):
    made = build([("a", "1", 1, 1), ("b", "2", 1, 1)])
    # So many interactions do not fit here: what they give the matrix is looked at instead.
    vars(made)["user_counts"] = np.array([2**30, 2**30 + 5])
    given_parts = []

    def csr_array(parts, shape):
        given_parts.append((parts, shape))
        return SimpleNamespace()

    monkeypatch.setattr(interactions, "csr_array", csr_array)
    assert made.matrix.has_canonical_format
    (((_, _, starts), shape),) = given_parts
    assert starts.tolist() == [0, 2**30, 2**31 + 5]
    assert shape == made.shape


def test_row_ends_that_fit_have_32_bits():
    for counts in ([], [3, 0, 2], [2**31 - 1]):
        starts = interactions.row_starts(np.array(counts, np.int64))
        assert starts.tolist() == [0, *np.cumsum(counts).astype(int).tolist()]
        assert starts.dtype == np.int32
    assert interactions.row_starts(np.array([2**31])).dtype == np.int64


def test_a_sum_of_values_is_finite_or_refused():
    frame = frame_of([("a", "1", 3e38, 1), ("a", "1", 3e38, 2)])
    with pytest.raises(DataError, match="add up to more than"):
        Interactions.from_frame(frame, value="value", duplicates="sum")
    largest = Interactions.from_frame(frame, value="value", duplicates="max").values
    assert largest.tolist() == [np.float32(3e38)]
