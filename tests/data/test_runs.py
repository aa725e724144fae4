"""Run files: each format gives the same pairs in the same order, and faults are named."""

import gzip

import pandas as pd
import pytest

from recrepro.data.runs import read_run
from recrepro.errors import DataError, UsageError

PAIRS = [("u1", "007", 2.5), ("u1", "b", 1.0), ("u2", "b", -3.0)]


def written(path, content):
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def pairs(frame):
    return list(frame[["user", "item", "score"]].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.csv", "user,item,score\nu1,007,2.5\nu1,b,1\nu2,b,-3\n"),
        ("run.csv.gz", "user,item,score\nu1,007,2.5\nu1,b,1\nu2,b,-3\n"),
        (
            "run.tsv",
            "uid\titem_id\tprediction\tother\nu1\t007\t2.5\tx\nu1\tb\t1\ty\nu2\tb\t-3\tz\n",
        ),
        ("run.trec", "u1 Q0 007 1 2.5 tag\nu1 Q0 b 2 1 tag\nu2 Q0 b 1 -3 tag\n"),
        ("run.txt", "u1\tQ0\t007\t9\t2.5\ttag\nu1  Q0 b 9 1.0 tag\n\nu2 Q0 b 9 -3 tag\n"),
    ],
)
def test_every_format_gives_the_same_pairs(tmp_path, name, content):
    assert pairs(read_run(written(tmp_path / name, content.encode()))) == PAIRS


def test_parquet(tmp_path):
    frame = pd.DataFrame(PAIRS, columns=["user", "item", "score"])
    frame.to_parquet(tmp_path / "run.parquet")
    assert pairs(read_run(tmp_path / "run.parquet")) == PAIRS


def test_ranks_are_scores_the_other_way_round(tmp_path):
    path = written(tmp_path / "run.csv", b"user,item,rank\n1,a,1\n1,b,2\n")
    assert pairs(read_run(path)) == [("1", "a", -1.0), ("1", "b", -2.0)]


def test_a_score_counts_more_than_a_rank_unless_the_rank_is_named(tmp_path):
    path = written(tmp_path / "run.csv", b"user,item,rank,score\n1,a,1,7\n1,b,2,9\n")
    assert pairs(read_run(path)) == [("1", "a", 7.0), ("1", "b", 9.0)]
    by_rank = read_run(path, columns={"rank": "rank"})
    assert pairs(by_rank) == [("1", "a", -1.0), ("1", "b", -2.0)]


def test_columns_can_be_named(tmp_path):
    path = written(tmp_path / "run.csv", b"who,what,how\n1,a,0.5\n")
    found = read_run(path, columns={"user": "who", "item": "what", "score": "how"})
    assert pairs(found) == [("1", "a", 0.5)]


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("run.csv", b"user,item,x\n1,a,1\n", UsageError, "neither a score nor a rank.*'x'"),
        ("run.csv", b"item,score\na,1\n", UsageError, "no column 'user'"),
        (
            "run.csv",
            b"user,item,score\n1,a,1\n1,a,2\n",
            DataError,
            r"once, first \(1, a\)",
        ),
        ("run.csv", b"user,item,score\n1,a,nan\n", DataError, "finite"),
        ("run.trec", b"1 Q0 a 1 high tag\n", DataError, "score in row 1 is 'high'"),
        ("run.trec", b"1 a 1\n", DataError, "3 fields a line; a TREC run has 6"),
        (
            "run.trec",
            b"1 Q0 a 1 2 t\n1 Q0 a 1 2 t more\n",
            DataError,
            "line 2: the number of fields is 7",
        ),
        ("run.trec", b"", DataError, "empty|no TREC run"),
        ("run.dat", b"1 2 3\n", UsageError, "not told by its ending"),
        ("run.inter", b"1 2 3\n", UsageError, "is recbole; it should be one of csv"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, content, error, message):
    with pytest.raises(error, match=message):
        read_run(written(tmp_path / name, content))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"nope\.csv is not there"):
        read_run(tmp_path / "nope.csv")
