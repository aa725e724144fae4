"""Sessions: files of shops, and users cut where nothing happens for a while."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recrepro.data.catalogue.load import load_named
from recrepro.data.formats.parse import parse_frame
from recrepro.data.formats.times import settle_times, time_unit_of
from recrepro.data.load import load_dataset
from recrepro.data.sessions import cut_sessions
from recrepro.errors import DataError, UsageError
from recrepro.spec.experiment import DatasetSpec

CLICKS = """1,2014-04-07T10:51:09.277Z,214536502,0
1,2014-04-07T10:54:09.868Z,214536500,S
2,2014-04-07T13:56:37.614Z,214662742,0
"""
MADE_UP = {"users": 1, "items": 1, "interactions": 1}
VIEWS = """sessionId;userId;itemId;timeframe;eventdate
1;NA;81766;526309;2016-05-09
1;NA;31331;1031018;2016-05-09
2;7;31331;0;2016-05-10
"""


def read(text, fmt):
    frame = parse_frame(text.encode(), "the log", fmt)
    settle_times([frame])
    return frame


def test_clicks_of_yoochoose():
    frame = read(CLICKS, "yoochoose-clicks")
    assert frame["user"].tolist() == ["1", "1", "2"]
    assert frame["item"].tolist() == ["214536502", "214536500", "214662742"]
    expected = pd.to_datetime([line.split(",")[1] for line in CLICKS.splitlines()])
    assert time_unit_of(frame) == "ms"
    assert frame["time"].tolist() == [t.value // 10**6 for t in expected]


def test_views_of_diginetica():
    frame = read(VIEWS, "diginetica-views")
    assert frame["user"].tolist() == ["1", "1", "2"]
    assert frame["item"].tolist() == ["81766", "31331", "31331"]
    first, second = (int(pd.Timestamp(f"2016-05-{d}").timestamp() * 1000) for d in ("09", "10"))
    assert time_unit_of(frame) == "ms"
    assert frame["time"].tolist() == [first + 526309, first + 1031018, second]
    assert "value" not in frame


@pytest.mark.parametrize(
    ("text", "fmt", "message"),
    [
        ("1,2014-04-07T10:51:09Z,3\n", "yoochoose-clicks", "line 1: 3 fields where the format"),
        ("session;item\n1;2\n", "diginetica-views", "has the columns sessionId, itemId"),
    ],
)
def test_other_files_are_not_theirs(text, fmt, message):
    with pytest.raises(DataError, match=message):
        read(text, fmt)


def by_loop(rows, gap):
    """The session of each (user, time), by a walk through each user's sorted times."""
    found = {}
    for user in {user for user, _ in rows}:
        times = sorted(time for other, time in rows if other == user)
        number = {times[0]: 1}
        for before, after in pairwise(times):
            number[after] = number[before] + (after - before > gap)
        found |= {(user, time): f"{user}/{n}" for time, n in number.items()}
    return [found[row] for row in rows]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), min_size=1, max_size=30),
    st.integers(1, 20),
)
def test_a_session_ends_where_nothing_happens_for_longer_than_the_gap(rows, gap):
    frame = pd.DataFrame(rows, columns=["user", "time"]).assign(item="x")
    assert cut_sessions(frame, gap)["user"].tolist() == by_loop(rows, gap)
    assert frame["user"].tolist() == [user for user, _ in rows]  # not changed


def test_the_gap_is_in_seconds_whatever_the_unit_of_the_times(tmp_path):
    (tmp_path / "log.csv").write_text(
        "user,item,time\na,x,1600000000000\na,y,1600000001000\na,x,1600000003000\n"
    )
    spec = DatasetSpec(name="log", file="log.csv", session_gap=1.5)
    dataset = load_dataset(spec, tmp_path)
    assert dataset.time_unit == dataset.interactions.time_unit == "ms"
    assert dataset.interactions.user_ids.tolist() == ["a/1", "a/2"]
    assert len(dataset.interactions) == 3  # x is in both sessions
    assert {"step": "sessions", "gap_s": 1.5, "on": "all"} in dataset.preprocessing
    whole = load_dataset(DatasetSpec(name="log", file="log.csv"), tmp_path)
    assert len(whole.interactions) == 2


def test_sessions_need_times(tmp_path):
    (tmp_path / "log.csv").write_text("user,item\na,x\n")
    with pytest.raises(UsageError, match="'session_gap' needs the time of each interaction"):
        load_dataset(DatasetSpec(name="log", file="log.csv", session_gap=60.0), tmp_path)
    (tmp_path / "log.csv").write_text("user,item,time\na,x,1\na,y,\n")
    with pytest.raises(UsageError, match="1 of 2 have none"):
        load_dataset(DatasetSpec(name="log", file="log.csv", session_gap=60.0), tmp_path)


def test_published_parts_and_made_up_data_are_not_cut():
    for source in ({"train": "a", "test": "b"}, {"synthetic": MADE_UP}):
        with pytest.raises(ValueError, match="session"):
            DatasetSpec.model_validate({"name": "x", "session_gap": 60.0, **source})
    with pytest.raises(UsageError, match="is a published split"):
        load_named("movielens-1m-ncf", session_gap=60.0)


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("yoochoose-clicks", "yoochoose/yoochoose-clicks.dat", CLICKS),
        ("diginetica-views", "diginetica/train-item-views.csv", VIEWS),
    ],
)
def test_the_catalogue_reads_files_of_shops(tmp_path, name, file, text):
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_text(text)
    found = load_named(name, tmp_path).interactions
    assert found.user_ids.tolist() == [1, 2]
    assert np.diff(found.matrix.indptr).tolist() == [2, 1]


def test_retailrockets_events_are_checked_against_what_is_known_of_them(tmp_path):
    (tmp_path / "retailrocket").mkdir()
    header = "timestamp,visitorid,event,itemid,transactionid\n"
    rows = "1433221332117,257597,view,355908,\n1433224214164,992329,transaction,248676,4000\n"
    (tmp_path / "retailrocket/events.csv").write_text(header + rows)
    with pytest.raises(DataError, match=r"1,407,580|1407580|2,756,101"):
        load_named("retailrocket-events", tmp_path)
