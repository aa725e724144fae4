"""Formats of single publishers, each on a small file of that format."""

import bz2
import gzip
import json
import random
import tracemalloc

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recrepro.data.formats import jsonlines
from recrepro.data.formats.parse import parse_frame
from recrepro.data.formats.read import read_frame
from recrepro.errors import DataError, UsageError


def rows(frame: pd.DataFrame) -> list[tuple]:
    return list(frame.itertuples(index=False, name=None))


def read(content: str, fmt: str, *, empty: bool = False) -> pd.DataFrame:
    return parse_frame(content.encode(), "the log", fmt, allow_empty_users=empty)


def test_citeulike_lines_are_users_from_0_on():
    frame = read("2 7 5\n1 7\n0\n1 3\n", "citeulike", empty=True)
    assert rows(frame) == [("0", "7"), ("0", "5"), ("1", "7"), ("3", "3")]


@given(st.lists(st.lists(st.integers(0, 99).map(str), max_size=4), min_size=1))
def test_citeulike_agrees_with_a_loop(lists):
    content = "".join(" ".join([str(len(items)), *items]) + "\n" for items in lists)
    expected = [(str(user), item) for user, items in enumerate(lists) for item in items]
    assert rows(read(content, "citeulike", empty=True)) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 7\n3 7 8\n", "line 2: it starts with '3' and has 2 items.*'adjacency'"),
        ("1 7\n\n1 8\n", "line 2 is blank"),
        ("1 7\n0\n", "line 2: the user has no items"),
        ("x 7\n", "line 1: it starts with 'x'"),
    ],
)
def test_other_lines_are_not_citeulike(content, message):
    with pytest.raises(DataError, match=message):
        read(content, "citeulike")


def test_a_sequence_gives_places_as_times():
    frame = read("1 30 10 20\n2 10\n1 40\n", "sequence")
    expected = [("1", "30", 0), ("1", "10", 1), ("1", "20", 2), ("2", "10", 0), ("1", "40", 3)]
    assert rows(frame) == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", " \n", " \r\n"])
def test_blanks_between_the_fields(end):
    frame = read(f" 1  10 4.5{end}2\t11 3{end}", "ssv")
    assert rows(frame) == [("1", "10", 4.5), ("2", "11", 3.0)]
    assert rows(read(f"1 10 5 99{end}", "ssv")) == [("1", "10", 5.0, 99.0)]


def test_semicolons_in_latin_1():
    content = (
        '"User-ID";"ISBN";"Book-Rating"\r\n"276725";"034545104X";"0"\r\n"7";"caf\u00e9";"5"\r\n'
    )
    columns = {"item": "ISBN", "value": "Book-Rating"}
    for encoding in ("latin-1", "utf-8"):
        frame = parse_frame(content.encode(encoding), "the log", "semicolon", columns)
        assert rows(frame) == [("276725", "034545104X", 0.0), ("7", "caf\u00e9", 5.0)]


NETFLIX = "1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n7:\n822109,4,1999-11-11\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_netflix_blocks(end):
    frame = read(NETFLIX.replace("\n", end), "netflix")
    seconds = [pd.Timestamp(day).timestamp() for day in ("2005-09-06", "2005-05-13", "1999-11-11")]
    assert rows(frame) == [
        (1488844, 1, 3.0, seconds[0]),
        (822109, 1, 5.0, seconds[1]),
        (822109, 7, 4.0, seconds[2]),
    ]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=30))
def test_netflix_agrees_with_a_loop(blocks):
    content, expected = "", []
    for movie, count in blocks:
        content += f"{movie}:\n"
        for user in range(count):
            content += f"{user},3,2005-01-01\n"
            expected.append((user, movie))
    if not expected:
        with pytest.raises(DataError, match="no rows"):
            read(content, "netflix")
        return
    assert rows(read(content, "netflix")[["user", "item"]]) == expected


def test_netflix_in_several_blocks_of_the_reader():
    users = range(400_000)
    lines = "".join(f"{user},3,2005-01-01\n" for user in users)
    frame = read(f"1:\n{lines}2:\n{lines}", "netflix")
    assert frame["item"].value_counts(sort=False).to_dict() == {1: len(users), 2: len(users)}
    assert (frame["item"].diff() != 0).sum() == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,3,2005-09-06\n1:\n", "line 1: it should be a movie"),
        ("1:\n2,3\n", "line 2 or below: '2,3'"),
        ("1:\n2,3,soon\n", "soon"),
        ("1:\nann,3,2005-09-06\n", "ann"),
        ("1:\n", "no rows"),
    ],
)
def test_other_lines_are_not_netflix(content, message):
    with pytest.raises(DataError, match=message):
        read(content, "netflix")


STEAM = (
    '15,"Skyrim, the game",purchase,1.0,0\n15,"Skyrim, the game",play,273.0,0\n'
    "15,Spore,purchase,1.0,0\n16,Spore,purchase,1.0,0\n16,Spore,play,0.5,0\n"
)


def test_steam_purchases_and_plays():
    bought = [("15", "Skyrim, the game"), ("15", "Spore"), ("16", "Spore")]
    assert rows(read(STEAM, "steam-purchases")) == bought
    played = [("15", "Skyrim, the game", 273.0), ("16", "Spore", 0.5)]
    assert rows(read(STEAM, "steam-plays")) == played
    with pytest.raises(DataError, match="line 5: the value 'long'"):
        read(STEAM.replace("0.5", "long"), "steam-plays")
    with pytest.raises(DataError, match="line 1: 2 fields"):
        read("15,Spore\n", "steam-plays")
    with pytest.raises(DataError, match="no row with 'play'"):
        read("15,Spore,purchase,1.0,0\n", "steam-plays")


REVIEWS = [
    {"reviewerID": "A1", "asin": "0001", "overall": 5.0, "unixReviewTime": 100, "reviewText": "x"},
    {"overall": 3, "verified": True, "style": {"Size:": "L"}, "reviewerID": "A2", "asin": "0002"},
]


def lines(records: list[dict]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_reviews_as_json_lines(tmp_path):
    second = REVIEWS[1] | {"unixReviewTime": 200}
    expected = [("A1", "0001", 5.0, 100.0), ("A2", "0002", 3.0, 200.0)]
    for name, pack in (("r.json.gz", gzip.compress), ("r.jsonl", bytes), ("r.bz2", bz2.compress)):
        path = tmp_path / name
        path.write_bytes(pack(lines([REVIEWS[0], second]).encode()))
        assert rows(read_frame(path, None if "json" in name else "jsonl")) == expected
    frame = parse_frame(
        b'{"who": 3, "what": "x"}\n', "the log", "jsonl", {"user": "who", "item": "what"}
    )
    assert rows(frame) == [(3, "x")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("not json\n", "line 1: .* is not JSON"),
        ("[1, 2]\n", "line 1: a JSON object"),
        (lines(REVIEWS[:1]) + '{"reviewerID": "A2"\n', "not one JSON object a line"),
        (lines([REVIEWS[0], {"reviewerID": "A2", "overall": 1}]), "record 2: the item is empty"),
        (
            lines([REVIEWS[0], REVIEWS[0] | {"overall": "five"}]),
            'record 2: the value "five" is not a',
        ),
    ],
)
def test_other_lines_are_not_json_records(content, message):
    with pytest.raises(DataError, match=message):
        read(content, "jsonl")


def test_records_without_a_user():
    with pytest.raises(UsageError, match="no column 'user'"):
        read('{"a": 1}\n', "jsonl")


def test_cut_packed_records(tmp_path):
    path = tmp_path / "r.json.gz"
    path.write_bytes(gzip.compress(lines(REVIEWS * 1_000).encode())[:-9])
    with pytest.raises(DataError, match=r"r\.json\.gz is not a whole gzip file"):
        read_frame(path)


def test_records_are_read_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonlines, "_BLOCK", 1 << 16)
    records = [
        REVIEWS[0] | {"reviewText": random.Random(at).randbytes(5_000).hex(), "asin": f"{at:04}"}
        for at in range(2_000)
    ]
    path = tmp_path / "r.json.gz"
    raw = lines(records).encode()
    del records
    path.write_bytes(gzip.compress(raw, 1))
    tracemalloc.start()
    frame = read_frame(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert frame["item"].tolist() == [f"{at:04}" for at in range(2_000)]
    assert peak < len(raw) / 4


def test_text_packed_by_bzip2(tmp_path):
    path = tmp_path / "ratings_data.txt.bz2"
    path.write_bytes(bz2.compress(b"1 10 4\n1 11 5\n"))
    assert rows(read_frame(path, "ssv")) == [("1", "10", 4.0), ("1", "11", 5.0)]
    path.write_bytes(bz2.compress(b"1 10 4\n" * 100)[:-5])
    with pytest.raises(DataError, match=r"\.txt\.bz2 is not a whole bzip2 file"):
        read_frame(path, "ssv")


def test_a_field_may_be_missing_from_any_record():
    bare, full = {"user": "a", "item": "i"}, {"user": "b", "item": "i", "rating": 4}
    with pytest.raises(DataError, match="record 1: the value is empty"):
        read(lines([bare | {"rating": None}, full]), "jsonl")
    with pytest.raises(DataError, match="record 2: the value is empty"):
        read(lines([full, bare]), "jsonl")
    frame = read(lines([bare, bare | {"user": "b", "time": 9}]), "jsonl")
    assert frame["time"].isna().tolist() == [True, False]
    assert frame["time"].tolist()[1] == 9


@pytest.mark.parametrize("size", [1, 3, 50])
def test_the_order_of_records_and_blocks_does_not_matter(monkeypatch, size):
    records = [
        {"user": "a", "item": "2021-01-01"},
        {"user": "b", "item": None, "extra": 1},
        {"extra": "x", "item": "7", "user": "c", "time": "2021-01-01"},
        {"user": "d", "item": "8", "time": None},
        {"item": "9", "user": "e", "time": "2021-01-02"},
    ]
    records[1]["item"] = "6"
    monkeypatch.setattr(jsonlines, "_BLOCK", max(map(len, lines(records).split("\n"))) * size)
    expected = {(r["user"], r["item"]): r.get("time") for r in records}
    for order in (records, records[::-1], records[2:] + records[:2]):
        frame = read(lines(order), "jsonl")
        found = {(u, i): None if pd.isna(t) else t for u, i, t in rows(frame)}
        seconds = {k: t and int(pd.Timestamp(t).timestamp()) for k, t in expected.items()}
        assert found == seconds


def test_json_of_another_encoding_gets_the_right_reason():
    record = lines(REVIEWS[:1]).encode()
    assert rows(parse_frame(b"\xef\xbb\xbf" + record, "the log", "jsonl"))[0][0] == "A1"
    bad = record + '{"reviewerID": "Jos\u00e9", "asin": "1"}\n'.encode("latin-1")
    with pytest.raises(DataError, match=r"line 2: the byte 0xe9 is not UTF-8"):
        parse_frame(bad, "the log", "jsonl")


def test_a_line_above_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(jsonlines, "_LONGEST_LINE", 100)
    monkeypatch.setattr(jsonlines, "_FIRST", 10)
    monkeypatch.setattr(jsonlines, "_BLOCK", 100)
    with pytest.raises(DataError, match="line of more than 100 bytes"):
        read(lines([{"user": "a", "item": "b" * 500}] * 2), "jsonl")


@pytest.mark.parametrize("nested", ["[" * 99 + "]" * 99, '{"a":' * 99 + "1" + "}" * 99])
def test_records_that_are_nested_deep_are_refused_before_they_are_read(nested):
    whole = lines(
        [{"user": "a", "item": "b", "x": '[{"[{' * 99}]
    )  # brackets in a text do not count
    assert rows(read(whole, "jsonl")) == [("a", "b")]
    with pytest.raises(DataError, match=r"after line 0, .* nested more than 64 deep"):
        read(whole + f'{{"user": "a", "item": "c", "x": {nested}}}\n', "jsonl")


def test_records_with_fields_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(jsonlines, "_FIRST", 4_000)
    many = {f"k{at}": at for at in range(1_001)}
    with pytest.raises(DataError, match="more than 1,000 different fields"):
        read(lines([{"user": "a", "item": "b", **many}]), "jsonl")
    each = [{"user": "a", "item": "b", name: 1} for name in many]
    with pytest.raises(DataError, match="more than 1,000 different fields"):
        read(lines(each), "jsonl")
