"""Files as papers publish them, and as sloppy users make them."""

import gzip
import string
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recrepro.data.formats.parse import FORMATS, parse_frame
from recrepro.data.formats.read import (
    guess_format,
    read_frame,
    read_interactions,
    read_negatives,
    read_published,
)
from recrepro.errors import DataError, RecreproError, UnknownName, UsageError
from recrepro.interactions import UNKNOWN_TIME

ROWS = [("1", "10", 5.0, 100.0), ("1", "11", 3.0, 200.0), ("2", "10", 4.5, 300.0)]
CONTENT = {
    "log.csv": "userId,movieId,rating,timestamp\n1,10,5,100\n1,11,3,200\n2,10,4.5,300\n",
    "log.tsv": "User_ID\tItem ID\tRating\tTime\n1\t10\t5\t100\n1\t11\t3\t200\n2\t10\t4.5\t300\n",
    "log.rating": "1\t10\t5\t100\n1\t11\t3\t200\n2\t10\t4.5\t300\n",
    "u.data": "1\t10\t5\t100\n1\t11\t3\t200\n2\t10\t4.5\t300\n",
    "log.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "1\t10\t5\t100\n1\t11\t3\t200\n2\t10\t4.5\t300\n",
    "headerless": "1,10,5,100\n1,11,3,200\n2,10,4.5,300\n",
    "ratings.dat": "1::10::5::100\n1::11::3::200\n2::10::4.5::300\n",
}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


def rows(frame: pd.DataFrame) -> list[tuple]:
    return list(frame.itertuples(index=False, name=None))


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["plain", "bom"])
@pytest.mark.parametrize("end", ["", "\n\n"], ids=["tight", "blank-lines"])
@pytest.mark.parametrize("name", CONTENT)
def test_every_text_format_gives_the_same_rows(tmp_path, name, packed, line_end, start, end):
    content = (start + CONTENT[name] + end).replace("\n", line_end)
    path = write(tmp_path, name + packed, content)
    told = {"ratings.dat": "movielens", "headerless": "csv-no-header"}
    assert rows(read_frame(path, told.get(name))) == ROWS


@pytest.mark.parametrize("n", [2, 3, 4])
def test_a_comma_file_without_a_header_may_lack_ratings_and_times(tmp_path, n):
    fields = [["7", '"a, b"', "2", "9"], ["8", "c", "3", "10"]]
    path = write(tmp_path, "log.csv", "\n".join(",".join(line[:n]) for line in fields))
    frame = read_frame(path, "csv-no-header")
    assert list(frame) == ["user", "item", "value", "time"][:n]
    assert rows(frame) == [("7", "a, b", 2.0, 9.0)[:n], ("8", "c", 3.0, 10.0)[:n]]


@pytest.mark.parametrize(
    ("line", "likely"),
    [
        ("1 2", "ssv"),
        ("1\t2\t3", "ncf"),
        ("1::2::3::4", "movielens"),
        ("1,2", "csv-no-header"),
        ("1 2 3 4 5", "adjacency"),
        ("user,item", "csv"),
        ("user;item", "semicolon"),
    ],
)
def test_where_the_ending_does_not_tell_the_first_line_does(tmp_path, line, likely):
    with pytest.raises(UsageError, match=f'looks like format = "{likely}"'):
        read_frame(write(tmp_path, "log.txt", f"{line}\n{line}\n"))


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_adjacency(tmp_path, line_end, packed):
    path = write(tmp_path, "train.txt" + packed, line_end.join(["0 4 5 ", "", "7\t4", ""]))
    assert rows(read_frame(path, "adjacency")) == [("0", "4"), ("0", "5"), ("7", "4")]


def test_parquet_keeps_integers_and_reads_dates(tmp_path):
    frame = pd.DataFrame(
        {
            "userId": [3, 3],
            "itemId": pd.Categorical(["007", "7"]),
            "rating": np.array([1, 2], np.int8),
            "date": pd.to_datetime(["1970-01-02", None]),
        }
    )
    frame.to_parquet(tmp_path / "log.parquet")
    read = read_interactions(tmp_path / "log.parquet")
    assert read.user_ids.tolist() == [3]
    assert read.item_ids.tolist() == ["007", "7"]
    assert read.times.tolist() == [86_400, UNKNOWN_TIME]
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "log.parquet").read_bytes()[:-9])
    with pytest.raises(DataError, match=r"cut\.parquet is not a whole Parquet.*[^.]\.$"):
        read_frame(tmp_path / "cut.parquet")


ID = st.text(string.ascii_letters + string.digits + "-_.é", min_size=1, max_size=6)


@given(st.lists(st.tuples(ID, ID, st.integers(-9, 9)), min_size=1))
def test_csv_agrees_with_pandas(log):
    frame = pd.DataFrame(log, columns=["user", "item", "value"])
    raw = frame.to_csv(index=False).encode()
    assert rows(parse_frame(raw, "log", "csv")) == [(u, i, float(v)) for u, i, v in log]


@given(st.dictionaries(ID, st.lists(ID, min_size=1), min_size=1))
def test_adjacency_agrees_with_a_loop(lists):
    raw = "\n".join(" ".join([user, *items]) for user, items in lists.items()).encode()
    expected = [(user, item) for user, items in lists.items() for item in items]
    assert rows(parse_frame(raw, "log", "adjacency")) == expected


SLOPPY = st.text('a1,.\t\n\r" :;\x00\x1f\ufeff', max_size=30)


@given(
    st.binary(max_size=40)
    | st.tuples(st.sampled_from(["", "user,item\n"]), SLOPPY).map(
        lambda parts: "".join(parts).encode()
    ),
    st.sampled_from(sorted(FORMATS)),
)
def test_garbage_is_refused_by_our_own_errors_only(raw, fmt):
    with suppress(RecreproError):
        assert list(parse_frame(raw, "log", fmt).columns[:2]) == ["user", "item"]


def test_quotes_blanks_and_leading_zeros(tmp_path):
    path = write(tmp_path, "log.csv", 'user, item ,value\n"007","a, b", 1\n7,NA,2\n')
    assert rows(read_frame(path)) == [("007", "a, b", 1.0), ("7", "NA", 2.0)]
    assert read_interactions(path).user_ids.tolist() == ["007", "7"]


def test_times(tmp_path):
    path = write(
        tmp_path,
        "log.csv",
        "user,item,time\na,1,1970-01-01T00:01:00Z\na,2,\na,3,1970-01-02\na,4,nan\n"
        "a,5,1970-01-01 01:00:00+01:00\n",
    )
    times = read_interactions(path).times
    assert times.tolist() == [60, UNKNOWN_TIME, 86_400, UNKNOWN_TIME, 0]
    path = write(tmp_path, "ncf.rating", "0\t1\t5\t0\n0\t2\t5\t9\n")
    assert read_interactions(path).times.tolist() == [UNKNOWN_TIME, 9]
    path = write(tmp_path, "log.csv", "user,item,time\na,1,yesterday\n")
    with pytest.raises(DataError, match="line 2: the time 'yesterday'"):
        read_frame(path)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "five", "1_0"])
def test_a_value_that_is_no_number_is_named_with_its_line(tmp_path, value):
    path = write(tmp_path, "log.csv", f'user,item,value,x\na,1,1,"y\n z"\n\n\na,2,{value},\n')
    with pytest.raises(DataError, match=rf"log\.csv, line 6: the value .*{value}"):
        read_frame(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("user,item,value\n\na,1,2\nb,1,\nc,1,\n", r"line 4: the value is empty \(2 such rows\)"),
        ("user,item,value\na,1,1e300\n", "line 2: the value '1e[+]300' is too large"),
        ("user,item,time\na,1,1e300\n", "line 2: the time '1e300' is too large"),
        ("user,item\na,1\n ,2\n", r"line 3: the user is empty \(1 such row\)"),
        ("user,item\na,1\nb,\n", "line 3: the item is empty"),
    ],
)
def test_what_is_empty_or_too_large_is_named_with_its_line(tmp_path, content, message):
    with pytest.raises(DataError, match=rf"log\.csv, {message}"):
        read_interactions(write(tmp_path, "log.csv", content))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.csv", "user,item\na,1\n\nb\n", "line 4: .* 1, in the first line 2"),
        ("log.csv", 'user,item\na,1\nb,"2\nc,3\n', "line 4: the item .* spans lines"),
        ("log.csv", 'user,item\n"a\nb",1\nb,1,2\n', "line 4: .* 3, in the first line 2"),
        ("u.data", "1\t2\t3\t4\n1\t2\n", "line 2: .* 2, in the first line 4"),
        (
            "u.data",
            "1,2,3,4\n",
            r"line 1: the number of fields is 1, .*'ncf' .*format = \"csv-no-header\"",
        ),
        ("u.data", "user\titem\trating\ttime\n1\t2\t3\t4\n", "line 1: the value 'rating'"),
        ("log.tsv", "user|item\na|1\n", "line 1: .*tabs .*, not bars"),
        ("log.csv", "x" * 200_000, "line 1: .*limit"),
        ("log.csv", "user,item\n", "header line and no rows"),
        ("log.csv", "", "is empty"),
        ("log.csv", "\ufeff \n\n", "is empty"),
        ("log.csv.gz", "", "is empty"),
        ("log.csv", "user,item\na,1\nJos\u00e9,2\n".encode("latin-1"), "line 3: .*0xe9 .*UTF-8"),
        ("log.csv", "user,item\na,1\n".encode("utf-16"), "line 1: .*UTF-8"),
    ],
)
def test_broken_files_are_refused_with_their_line(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_frame(write(tmp_path, name, content))
    assert str(tmp_path / name) in str(caught.value)


def test_a_user_without_items(tmp_path):
    path = write(tmp_path, "train.txt", "0 1 2\n\n5\n")
    with pytest.raises(DataError, match=r"train\.txt, line 3: the user '5' has no items"):
        read_frame(path, "adjacency")
    assert len(read_frame(path, "adjacency", allow_empty_users=True)) == 2


def test_a_broken_gzip_file(tmp_path):
    whole = gzip.compress(CONTENT["log.csv"].encode())
    for raw in (whole[:-5], whole[:15], b"\x1f\x8b", CONTENT["log.csv"].encode()):
        (tmp_path / "log.csv.gz").write_bytes(raw)
        with pytest.raises(DataError, match=r"log\.csv\.gz is not a whole gzip file"):
            read_frame(tmp_path / "log.csv.gz")
    (tmp_path / "packed.csv").write_bytes(whole)
    assert rows(read_frame(tmp_path / "packed.csv")) == ROWS


def test_a_missing_file_and_a_folder(tmp_path):
    write(tmp_path, "ratings.csv.gz", "x")
    with pytest.raises(UsageError, match=r"is not there\. .*ratings\.csv\.gz"):
        read_frame(tmp_path / "rating.csv")
    with pytest.raises(UsageError, match=r"is a folder, .*holds ratings\.csv\.gz\.$"):
        read_frame(tmp_path)
    (tmp_path / "bare").mkdir()
    with pytest.raises(UsageError, match=r"is a folder, .*it is empty"):
        read_frame(tmp_path / "bare")
    with pytest.raises(UsageError, match="/dev/null is not a regular file"):
        read_frame(Path("/dev/null"), "csv")
    (tmp_path / "link.csv").symlink_to("gone.csv")
    with pytest.raises(UsageError, match=r"link\.csv is a link to gone\.csv, which is not there"):
        read_frame(tmp_path / "link.csv")
    with pytest.raises(UsageError, match="Its folder is not there either"):
        read_frame(tmp_path / "none" / "rating.csv")


def test_the_format_must_be_said_or_told_by_the_ending(tmp_path):
    with pytest.raises(UsageError, match=r"adjacency.*blanks"):
        read_frame(write(tmp_path, "train.txt", "0 1\n"))
    with pytest.raises(UnknownName, match="'adjacency'"):
        read_frame(tmp_path / "train.txt", "adjacent")
    assert guess_format("a/b.PARQUET") == "parquet"
    assert guess_format("b.dat.gz") is None


def test_negatives(tmp_path):
    path = write(tmp_path, "a.negative", "(0,25)\t1064\t174\n\n(u, 3)\t1\n")
    assert rows(read_negatives(path)) == [
        ("0", "25", "1064"),
        ("0", "25", "174"),
        ("u", "3", "1"),
    ]


@pytest.mark.parametrize("line", ["(0,25)", "0,25\t1", "(0)\t1", "(0,25)\t1\t\t2", "(0,25) 1 2"])
def test_malformed_negatives(tmp_path, line):
    path = write(tmp_path, "a.negative.gz", f"(1,2)\t3\n{line}\n")
    with pytest.raises(DataError, match=r"a\.negative\.gz, line 2: .*tabs"):
        read_negatives(path)


def published(folder: Path, train: str, test: str, negatives: str | None = None):
    paths = [write(folder, "train.rating", train), write(folder, "test.rating", test)]
    if negatives is not None:
        paths.append(write(folder, "test.negative", negatives))
    return read_published("mine", *paths)


def test_a_published_split_shares_its_labels(tmp_path):
    data = published(tmp_path, "7\t10\t5\t1\n9\t2\t4\t2\n", "7\t11\t3\t3\n", "(7,11)\t2\t12\t2\n")
    assert data.name == "mine"
    split = data.published
    for part in (split.train, split.test, data.interactions):
        assert part.user_ids.tolist() == [7, 9]
        assert part.item_ids.tolist() == [2, 10, 11, 12]
    assert split.train.matrix.toarray().tolist() == [[0, 5, 0, 0], [4, 0, 0, 0]]
    assert split.test.matrix.toarray().tolist() == [[0, 0, 3, 0], [0, 0, 0, 0]]
    assert data.interactions.times.tolist() == [1, 3, 2]
    # Of the negatives of user 7, item 2 is listed twice.
    assert split.negatives.dtype == np.int32
    assert split.negatives.toarray().tolist() == [[2, 0, 0, 1], [0] * 4]


def test_a_negative_counts_as_often_as_one_test_item_lists_it(tmp_path):
    negatives = "(7,11)\t2\t12\t2\n(7,13)\t2\t2\t2\t12\n(9,10)\t12\n"
    data = published(tmp_path, "7\t10\n9\t2\n", "7\t11\n7\t13\n9\t10\n", negatives)
    # 2, 10, 11, 12, 13: the longest list of one test item counts, not the sum of all lists.
    assert data.published.negatives.toarray().tolist() == [[3, 0, 0, 1, 0], [0, 0, 0, 1, 0]]


def test_one_textual_label_makes_all_of_them_text_in_both_parts(tmp_path):
    data = published(tmp_path, "007\t10\n10\t2\n9\t2\n", "9\t10\n10\t10\n")
    assert data.published.test.user_ids.tolist() == ["007", "10", "9"]
    assert data.published.test.users.tolist() == [1, 2]
    assert data.published.test.item_ids.tolist() == [2, 10]


def test_a_pair_in_both_parts_stays_in_both(tmp_path):
    data = published(tmp_path, "1\t1\t1\n1\t2\t1\n", "1\t1\t5\n")
    assert len(data.published.train) == 2
    assert len(data.published.test) == 1
    assert len(data.interactions) == 2


def test_times_of_one_part_alone_are_dropped(tmp_path):
    data = published(tmp_path, "1\t1\t1\t9\n", "1\t2\t5\n")
    assert data.published.train.times is None


@pytest.mark.parametrize("parts", [("a", "a"), ("a", "b", "a"), ("a", "sub/../a")])
def test_the_files_of_a_published_split_are_different_files(tmp_path, parts):
    (tmp_path / "sub").mkdir()
    for name in parts:
        write(tmp_path, name, "1\t1\n")
    with pytest.raises(UsageError, match=r"must be different files"):
        read_published("mine", *(tmp_path / name for name in parts), format="ncf")


def test_negatives_of_another_test_part_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"\(1,3\).*1 of 2 pairs"):
        published(tmp_path, "1\t1\n2\t1\n", "1\t2\n2\t2\n", "(1,3)\t4\n(2,2)\t4\n")


def test_a_bad_part_is_named(tmp_path):
    with pytest.raises(DataError, match=r"test\.rating, line 2: the item is empty"):
        published(tmp_path, "1\t1\n", "1\t2\n1\t\n")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "fmt", "counts"),
    [
        ("ml-100k/u.data.gz", None, (943, 1_682, 100_000)),
        ("ml-100k/recbole/ml-100k.inter.gz", None, (943, 1_682, 100_000)),
        ("ml-1m/ratings.csv.gz", None, (6_040, 3_706, 1_000_209)),
        ("ml-latest-small/ratings.csv.gz", None, (671, 9_066, 100_004)),
        ("amazon-electronics-m1/train.txt.gz", "adjacency", (1_435, 1_522, 31_887)),
        ("hin-amazon/user_item.dat.gz", "ncf", (6_170, 2_753, 195_791)),
        ("mcrec-yelp/user_business.dat.gz", "ncf", (16_239, 14_284, 198_397)),
        ("hetrec2011-lastfm-2k/user_artists.dat.gz", "tsv", (1_892, 17_632, 92_834)),
    ],
)
def test_real_files_hold_what_their_publishers_say(data_dir, name, fmt, counts):
    read = read_interactions(data_dir / name, fmt)
    assert (*read.shape, len(read)) == counts


@pytest.mark.realdata
def test_real_ratings_follow_the_published_histogram(data_dir):
    read = read_interactions(data_dir / "ml-1m" / "ratings.csv.gz")
    stars = np.unique(read.values, return_counts=True)
    assert dict(zip(*map(np.ndarray.tolist, stars), strict=True)) == {
        1: 56_174,
        2: 107_557,
        3: 261_197,
        4: 348_971,
        5: 226_310,
    }
    assert int((read.times == UNKNOWN_TIME).sum()) == 198_172
