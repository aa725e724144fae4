"""Which column is what, and the kinds of columns that can be used."""

import io

import numpy as np
import pandas as pd
import pytest

from recrepro.data.formats.parse import parse_frame
from recrepro.data.formats.read import build_interactions
from recrepro.errors import DataError, UnknownName, UsageError


def read(content: str, fmt: str = "csv", **columns: str) -> pd.DataFrame:
    return parse_frame(content.encode(), "the log", fmt, columns)


def read_parquet(**columns) -> pd.DataFrame:
    raw = io.BytesIO()
    pd.DataFrame({"user": [1, 2], "item": [1, 2]} | columns).to_parquet(raw)
    return parse_frame(raw.getvalue(), "the log", "parquet")


def rows(frame: pd.DataFrame) -> list[tuple]:
    return list(frame.itertuples(index=False, name=None))


def test_columns_can_be_mapped_and_others_are_left_out():
    content = "who,what,note,when,rating\nann,tea,x,5,2\n"
    named = {"user": "who", "item": "what", "time": "when"}
    assert rows(read(content, **named)) == [("ann", "tea", 2.0, 5.0)]
    with pytest.raises(UsageError, match=r"the log has no column 'wat'.*mean 'what'") as caught:
        read(content, **named | {"item": "wat"})
    assert "Say which" not in str(caught.value)
    with pytest.raises(UsageError, match=r"no column 'user'; .*'who', 'what'.*Say which"):
        read(content)
    with pytest.raises(UnknownName, match=r"'tim'.*'time'"):
        read(content, tim="when")


@pytest.mark.parametrize(
    ("fmt", "content", "message"),
    [
        ("csv", "1,2\n3,4\n", r"has no header line.*'1,2'.*format = \"csv-no-header\""),
        ("csv", "u1,i1\nu2,i2\n", r"no column 'user'.*If line 1 is data.*\"csv-no-header\""),
        ("csv", "a,b,c,d,e\n1,2,3,4,5\n", r"no column 'user'.*\{ user = '\.\.\.' \}\.$"),
        ("tsv", "33\t49\t4\t1546216571\n", r"has no header line.*format = \"ncf\""),
        ("csv", "33\t49\t4\n", r'line 1: .*not tabs.*format = "ncf"'),
        ("csv", "33 49\n", r'line 1: .*not blanks.*format = "ssv"'),
        ("csv", "33 49 5 7 8\n", r'line 1: .*not blanks.*format = "adjacency"'),
        ("csv", "33;49\n", r'not semicolons.*format = "semicolon".*header line above.*user;item'),
        ("csv", "1,2,1546216571\n", r"third field looks like a time.*'user,item,time'"),
        ("csv", "1,2,3,4,5\n", r"has no header line.*Put a header line above"),
        ("csv", "user\titem\na\t1\n", r'line 1: .*not tabs.*format = "tsv"'),
        ("tsv", "user,item\na,1\n", r'line 1: .*not commas.*format = "csv"'),
        ("recbole", "user:token,item:token\na,1\n", r'not commas.*format = "csv"'),
        ("csv", "1::10::5\n", r'not \'::\'.*format = "movielens"'),
        ("csv", "\nuser;item\na;1\n", r'line 2: .*not semicolons.*format = "semicolon"'),
        ("csv", "uid,item_id,user_id\n1,2,3\n", r"both 'uid' and 'user_id' could be the user"),
        ("csv", "user,Item,item\n1,2,3\n", r"columns = \{ item = 'Item' \}"),
        ("csv", "user,item,date,time,timestamp\n1,2,3,4,5\n", "'date', 'time' and 'timestamp'"),
    ],
)
def test_what_the_experiment_file_can_cure_is_a_usage_error(fmt, content, message):
    with pytest.raises(UsageError, match=rf"^the log.*{message}"):
        read(content, fmt)


def test_naming_a_column_settles_which_is_meant():
    content = "uid,item_id,user_id,x,x\n1,2,3,4,5\n"
    assert rows(read(content, user="user_id")) == [("3", "2")]
    assert rows(read(content, value="uid")) == [("3", "2", 1.0)]


@pytest.mark.parametrize("named", [{}, {"item": "item"}])
def test_two_columns_of_one_name(named):
    with pytest.raises(DataError, match="the log has 2 columns that are called 'item'"):
        read("user,item,item\n1,2,3\n", **named)


def test_a_column_has_one_role():
    content = "user,item,value\n1,2,3\n"
    with pytest.raises(UsageError, match="'user' both the user and the item"):
        read(content, user="user", item="user")
    with pytest.raises(UsageError, match="no column 'item', as 'columns' uses 'item' for"):
        read(content, user="item")
    assert rows(read(content, time="value")) == [("1", "2", 3.0)]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["1038", "5", "yesterday"], "line 4: the time 'yesterday' is not a finite number, as"),
        (["1038", "yesterday"], "line 3: the time 'yesterday' is not a finite number, as"),
        (["5", "6", "2024-05-31"], "line 4: the time '2024-05-31' is not a finite number, as"),
        (["2024-05-31", "2024-06-01", "1038"], "line 4: the time '1038' is not a date, as"),
        (["1038-01-01", "2024-06-01", "then"], "line 4: the time 'then' is not a date, as"),
        (["then", "once", "5"], "line 2: the time 'then' is not a finite number or a date"),
    ],
)
def test_times_are_all_numbers_or_all_dates(times, message):
    content = "user,item,time\n" + "".join(f"a,{i},{time}\n" for i, time in enumerate(times))
    with pytest.raises(DataError, match=message):
        read(content)


def test_whole_floats_in_parquet_are_whole_numbers():
    frame = read_parquet(user=[5.0, 7.0], item=[5.5, 7.0])
    assert rows(frame) == [(5, 5.5), (7, 7.0)]
    assert frame["user"].dtype == np.int64
    assert build_interactions(frame, "log").user_ids.tolist() == [5, 7]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user": [[1], [2]]}, "column for the user holds list<.*text or numbers"),
        ({"item": [{"a": 1}, {"a": 2}]}, "column for the item holds struct<.*columns = { item"),
        ({"item": [b"a", b"b"]}, "column for the item holds binary"),
        ({"value": pd.to_datetime(["2024-01-01"] * 2)}, "column for the value holds timestamp"),
        ({"value": [[1], [2]]}, "column for the value holds list<"),
        ({"time": pd.to_timedelta([1, 2], "s")}, "column for the time holds duration"),
        ({"user": [1.0, np.nan]}, "row 2: the user is empty"),
        ({"user": [None, "a"]}, "row 1: the user is empty"),
        ({"value": [None, None]}, r"row 1: the value is empty \(2 such"),
        ({"user": [], "item": []}, "has no rows"),
    ],
)
def test_columns_of_parquet_that_cannot_be_used(columns, message):
    with pytest.raises(DataError, match=rf"^the log.*{message}"):
        read_parquet(**columns)


def test_a_time_of_parquet_far_beyond_the_calendar_is_read():
    far = np.array([0, 10**15], "datetime64[s]")
    assert read_parquet(time=far)["time"].tolist() == [0, 10**15]


@pytest.mark.parametrize("fmt", ["ncf", "movielens", "ssv", "adjacency", "citeulike", "netflix"])
def test_columns_by_name_need_a_format_with_names(fmt):
    with pytest.raises(UsageError, match=rf"user = 'who' .*{fmt!r}.* have none.*Take 'columns'"):
        read("1\t2\n", fmt, user="who")
