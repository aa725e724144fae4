"""Times are whole numbers of one unit: nothing is cut, nothing passes through a float."""

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recrepro.data.formats.parse import parse_frame
from recrepro.data.formats.read import build_interactions, read_published
from recrepro.data.formats.times import settle_times, time_unit_of
from recrepro.data.load import load_dataset
from recrepro.errors import DataError, UsageError
from recrepro.interactions import UNITS, UNKNOWN_TIME, Interactions
from recrepro.spec.experiment import DatasetSpec


def read(times, name="log.csv"):
    """Times and unit of a file with one user and an item a row."""
    if name.endswith("csv"):
        text = "user,item,time\n" + "".join(f"u,{n},{t}\n" for n, t in enumerate(times))
        frame = parse_frame(text.encode(), name, "csv")
    else:
        rows = [{"user": "u", "item": n} | t for n, t in enumerate(times)]
        frame = parse_frame("\n".join(map(json.dumps, rows)).encode(), name, "jsonl")
    made = build_interactions(frame, name)
    order = np.argsort(made.item_ids.astype(int))
    return made.times[order].tolist(), time_unit_of(frame)


@pytest.mark.parametrize(
    ("times", "expected", "unit"),
    [
        (["1600000007", "1600000003"], [1600000007, 1600000003], "s"),
        (["1600000007.0", "1.6e9", "+5"], [1600000007, 1600000000, 5], "s"),
        (["1600000000.9", "1600000000.25", ""], [1600000000900, 1600000000250, UNKNOWN_TIME], "ms"),
        (["1600000000.0000001", "7"], [1600000000000000100, 7 * 10**9], "ns"),
        (["1600000000123", "1600000000124"], [1600000000123, 1600000000124], "ms"),
        (["1600000000123.5", "1600000000123"], [1600000000123500, 1600000000123000], "us"),
        (["1600000000000000001", "1600000000000000002", "nan"], None, "ns"),
        (["2020-05-01T10:00:00.001Z", "2020-05-01"], [1588327200001, 1588291200000], "ms"),
        (['"2020-05-01T10:00:00,000001+02:00"', "1677-01-01"], None, "us"),
        (["2020-05-01 10:00:00.000000007", "2020-05-01 10:00:00"], None, "ns"),
        (["2020-05-01T100000.500Z", "2020-05-01 10:00:00.000"], None, "ms"),
        (["2020-05-01", "1969-12-31T23:59:59.250"], [1588291200000, -750], "ms"),
        (["2020-05-01T10:00:00.000Z", "2020-05-01T10:00:01.000Z"], [1588327200, 1588327201], "s"),
    ],
)
def test_times_of_text_are_exact(times, expected, unit):
    found = read(times)
    assert found[1] == unit
    if expected is not None:
        assert found[0] == expected
    else:
        assert len(set(found[0])) == len(times)


@given(st.lists(st.integers(0, 10**6 - 1), min_size=2, max_size=8, unique=True), st.booleans())
def test_moments_agree_with_python(fractions, dated):
    start = datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC)
    moments = [start + timedelta(microseconds=n) for n in fractions]
    exact = [
        Fraction((m - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1), 10**6)
        for m in moments
    ]
    texts = [
        m.isoformat() if dated else f"{int(e)}.{int(e % 1 * 10**6):06}"
        for m, e in zip(moments, exact, strict=True)
    ]
    times, unit = read(texts)
    assert [Fraction(t, 1000 ** UNITS.index(unit)) for t in times] == exact


@pytest.mark.parametrize(
    ("times", "expected", "unit"),
    [
        ([{}, {"time": 1600000001}], [UNKNOWN_TIME, 1600000001], "s"),
        ([{"time": None}, {"time": 1600000000.5}], [UNKNOWN_TIME, 1600000000500], "ms"),
        ([{"time": 1600000000000000001}, {"time": 1600000000000000003}], None, "ns"),
        ([{"time": "2020-05-01T10:00:00.5Z"}, {}], [1588327200500, UNKNOWN_TIME], "ms"),
    ],
)
def test_times_of_json_are_exact(times, expected, unit):
    found = read(times, "log.jsonl")
    assert found[1] == unit
    assert found[0] == (expected or [t["time"] for t in times])


@pytest.mark.parametrize(
    ("column", "expected", "unit"),
    [
        (pd.array([1600000000000000001, None], "Int64"), [1600000000000000001, UNKNOWN_TIME], "ns"),
        (np.array([1600000000.25, np.nan]), [1600000000250, UNKNOWN_TIME], "ms"),
        (np.array([1600000000.1, 0.3]), [1600000000100, 300], "ms"),
        (pd.to_datetime(["2020-05-01", "2020-05-02"]).as_unit("ns"), [1588291200, 1588377600], "s"),
        (pd.to_datetime(["2020-05-01 00:00:00.004", None]), [1588291200004, UNKNOWN_TIME], "ms"),
        (pd.to_datetime(["2020-05-01T02:00:00.5+02:00"] * 2), [1588291200500] * 2, "ms"),
    ],
)
def test_times_of_parquet_are_exact(tmp_path, column, expected, unit):
    path = tmp_path / "log.parquet"
    pd.DataFrame({"user": [1, 1], "item": [1, 2], "time": column}).to_parquet(path)
    frame = parse_frame(path.read_bytes(), "log", "parquet")
    assert build_interactions(frame, "log").times.tolist() == expected
    assert time_unit_of(frame) == unit


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["0.1234567891", "0.1234567892"], "less than a nanosecond"),
        (["4611686018427387904000", "1"], "too large"),
        (["4000000000000000000", "0.5"], "both do not fit"),
        (["2020-05-01T10:00:00.1234567891"], "finer than a nanosecond"),
        (["2020-05-01", "soon"], "line 3: the time 'soon' is not a date"),
        (["12", "0x1F", "13"], "line 3: the time '0x1F' is not a finite number"),
        (["0x10", "0X11"], "line 2: the time '0x10' is not a finite number or a date"),
    ],
)
def test_times_that_would_be_cut_are_refused(times, message):
    with pytest.raises(DataError, match=message):
        read(times)


def test_decimals_of_a_float_that_mean_nothing_do_no_harm():
    assert read(["0.30000000000000004", "0.7"]) == ([300000000, 700000000], "ns")


def dataset(folder, text, **keys):
    (folder / "log.csv").write_text(text)
    return load_dataset(DatasetSpec(name="mine", file="log.csv", **keys), folder)


def test_a_stated_unit_is_recorded_and_seconds_are_not(tmp_path):
    text = "user,item,time\na,x,5\nb,y,6\n"
    plain, seconds = dataset(tmp_path, text), dataset(tmp_path, text, time_unit="s")
    millis = dataset(tmp_path, text, time_unit="ms")
    assert plain.preprocessing == seconds.preprocessing
    assert {"step": "times", "unit": "ms", "on": "all"} in millis.preprocessing
    assert plain.interactions.fingerprint == millis.interactions.fingerprint
    assert millis.interactions.times.tolist() == [5, 6]
    with pytest.raises(UsageError, match="there is none"):
        dataset(tmp_path, "user,item\na,x\n", time_unit="ms")
    with pytest.raises(UsageError, match="these are dates"):
        dataset(tmp_path, "user,item,time\na,x,2020-01-01\n", time_unit="ms")


def test_whole_seconds_keep_their_fingerprint_and_steps(tmp_path):
    # Computed with the version before times below a second were read.
    text = "user,item,time\na,x,1600000000\nb,y,1600000001\nc,x,\n"
    dates = text.replace("1600000000", "2020-09-13T12:26:40Z").replace(
        "1600000001", "2020-09-13T14:26:41+02:00"
    )
    for one in (text, dates, text.replace("000000,", "000000.0,")):
        made = dataset(tmp_path, one)
        assert made.interactions.fingerprint == FINGERPRINT
        assert [step["step"] for step in made.preprocessing] == ["duplicates", "values"]


FINGERPRINT = "9775d388a418f5ff5814238a33f79cde3488c7948bb4779df3615bbc349616c4"


def test_parts_get_the_unit_of_the_finest(tmp_path):
    for name, times in (("a", ["1970-01-02", "1970-01-03"]), ("b", ["1970-01-04T00:00:00.5"])):
        rows = "".join(f"u,{name}{n},{t}\n" for n, t in enumerate(times))
        (tmp_path / f"{name}.csv").write_text("user,item,time\n" + rows)
    made = read_published("mine", tmp_path / "a.csv", tmp_path / "b.csv")
    assert made.time_unit == "ms"
    assert made.published.train.times.tolist() == [86_400_000, 172_800_000]
    assert made.published.test.times.tolist() == [259_200_500]


def test_the_unit_of_parts_is_found_for_all_together():
    early = parse_frame(b"user,item,time\na,x,500\n", "a", "csv")
    late = parse_frame(b"user,item,time\na,y,1600000000123.5\n", "b", "csv")
    assert settle_times([early, late]) == "us"
    assert early["time"].tolist() == [500_000]
    assert late["time"].tolist() == [1600000000123500]


@pytest.mark.parametrize(
    "column",
    [
        pd.array([1600000000000000001, None], object),
        ["1600000000000000001", None],
        pd.array([1600000000000000001, None], "Int64"),
    ],
)
def test_a_frame_of_ones_own_keeps_whole_times(column):
    frame = pd.DataFrame({"user": [1, 2], "item": [1, 2], "time": column})
    made = Interactions.from_frame(frame, time="time")
    assert made.times.tolist() == [1600000000000000001, UNKNOWN_TIME]


def test_a_frame_of_ones_own_must_not_have_fractions():
    frame = pd.DataFrame({"user": [1, 2], "item": [1, 2], "time": [1.0, 1.5]})
    with pytest.raises(DataError, match=r"1 times that are no whole numbers, first 1\.5 in row 2"):
        Interactions.from_frame(frame, time="time")


def test_moments_in_a_frame_keep_their_unit():
    moments = pd.to_datetime(pd.Series(["2020-05-01 00:00:00.000000001", None])).dt.as_unit("ns")
    frame = pd.DataFrame({"user": [1, 2], "item": [1, 2], "time": moments})
    made = Interactions.from_frame(frame, time="time")
    assert made.times.tolist() == [1588291200000000001, UNKNOWN_TIME]
