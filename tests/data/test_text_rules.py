"""One set of rules for every text file: line ends, quotes, blanks, encodings, numbers, labels."""

import json

import numpy as np
import pandas as pd
import pytest

from recrepro.data.formats.parse import parse_frame
from recrepro.data.formats.read import parse_negatives
from recrepro.data.formats.side import Columns, Lists, Pairs
from recrepro.data.load import load_dataset, load_features, match_features
from recrepro.data.runs import read_run
from recrepro.errors import DataError
from recrepro.run.protocol import read_labels
from recrepro.spec.experiment import DatasetSpec

ENDS = pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])


def pairs(text, fmt):
    frame = parse_frame(text.encode(), "the log", fmt, allow_empty_users=True)
    return list(zip(frame["user"].astype(str), frame["item"].astype(str), strict=True))


LOGS = {
    "csv": "user,item\na,x\nb,y\n",
    "tsv": "user\titem\na\tx\nb\ty\n",
    "semicolon": "user;item\na;x\nb;y\n",
    "recbole": "user_id:token\titem_id:token\na\tx\nb\ty\n",
    "ncf": "a\tx\nb\ty\n",
    "csv-no-header": "a,x\nb,y\n",
    "ssv": "a x\nb  y\n",
    "movielens": "a::x\nb::y\n",
    "adjacency": "a x\nb y\n",
    "sequence": "a x\nb y\n",
    "jsonl": '{"user": "a", "item": "x"}\n{"user": "b", "item": "y"}\n',
    "steam-purchases": "a,x,purchase,1,0\nb,y,purchase,1,0\n",
    "yoochoose-clicks": "a,2014-04-07T10:51:09.277Z,x,0\nb,2014-04-07T10:51:09.278Z,y,S\n",
    "diginetica-views": (
        "sessionId;userId;itemId;timeframe;eventdate\na;NA;x;7;2016-05-09\nb;1;y;8;2016-05-09\n"
    ),
}


@ENDS
@pytest.mark.parametrize("fmt", LOGS)
def test_lines_of_interactions_end_in_any_way(fmt, end):
    assert pairs(LOGS[fmt].replace("\n", end), fmt) == [("a", "x"), ("b", "y")]


@ENDS
def test_lines_of_other_formats_end_in_any_way(end, tmp_path):
    assert pairs("1 7\n2 7 8\n".replace("\n", end), "citeulike") == [
        ("0", "7"), ("1", "7"), ("1", "8")
    ]  # fmt: skip
    netflix = "1:\n5,3,2005-01-01\n2:\n6,3,2005-01-01\n".replace("\n", end)
    assert pairs(netflix, "netflix") == [("5", "1"), ("6", "2")]
    negatives = parse_negatives("(a,x)\ty\n(b,y)\tx\n".replace("\n", end).encode(), "negatives")
    assert negatives["user"].tolist() == ["a", "b"]
    side = Columns(header=True).read("item,kind\nx,red\ny,blue\n".replace("\n", end).encode(), "f")
    assert side.ids.tolist() == ["x", "y"]
    assert Lists().read("1 0\n1 1\n".replace("\n", end).encode(), "f").matrix.shape == (2, 2)
    (tmp_path / "items").write_bytes("x\ny\n".replace("\n", end).encode())
    assert read_labels(tmp_path / "items") == ["x", "y"]
    for name, text in (("r.csv", "user,item,score\na,x,1\nb,y,2\n"), ("r.run", "a Q x 1 2 t\n")):
        (tmp_path / name).write_bytes(text.replace("\n", end).encode())
        assert read_run(tmp_path / name)["item"].tolist() == ["x", "y"][: text.count("\n") - 1 or 1]


@pytest.mark.parametrize("size", [10, 300_000, 3_000_000])
def test_line_breaks_in_quotes_are_no_rows_wherever_a_block_ends(size):
    # Arrow reads blocks of a megabyte; a field may lie across two of them, or hold several.
    review = '"it is\n""good"",\nreally\n' + "1,2,3\n" * (size // 6) + '"'
    rows = "".join(f"u{n},{review},i{n},5\n" for n in range(9))
    frame = parse_frame(f"user,text,item,rating\n{rows}".encode(), "the log", "csv")
    assert frame["user"].tolist() == [f"u{n}" for n in range(9)]
    assert frame["item"].tolist() == [f"i{n}" for n in range(9)]


def test_a_header_may_span_lines():
    text = '"the\nreview",user,item\n"a\nb",u,i\nc,v,j\n'
    assert pairs(text, "csv") == [("u", "i"), ("v", "j")]
    with pytest.raises(DataError, match="line 6: the value 'x' is not"):
        parse_frame(b'"the\nrating","a\nb",user,item,value\n1,2,u,i,3\n\n1,2,u,j,x\n', "l", "csv")


NBSP = "\u00a0"


def test_a_no_break_space_is_part_of_a_label():
    for fmt in ("adjacency", "sequence", "ssv"):
        assert pairs(f"a{NBSP}b x{NBSP}y\n", fmt) == [(f"a{NBSP}b", f"x{NBSP}y")]
    # Around a label it is a blank, as it is in all other formats.
    for text, fmt in (
        (f"{NBSP}a x{NBSP}\n", "adjacency"),
        (f"user,item\n{NBSP}a,x{NBSP}\n", "csv"),
    ):
        assert pairs(text, fmt) == [("a", "x")]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "item,price\nx,1\ny,$2\n",
            {"numeric": ("price",)},
            r"line 3: the price '\$2' is not a fin",
        ),
        ("item,price\nx,inf\n", {"numeric": ("price",)}, "line 2: the price 'inf'"),
        ("item,price\nx,nan\n", {"numeric": ("price",)}, "line 2: the price 'nan'"),
        (
            "item,price\nx,1e39\n",
            {"numeric": ("price",)},
            "line 2: the price '1e[+]39' is too large",
        ),
        ('item,price\nx,"1,000"\n', {"numeric": ("price",)}, "line 2: the price '1,000'"),
        ("item,kind\nx,Ring, The\n", {}, "line 2: the number of fields is 3, in the first line 2"),
        ("item,kind\nx\n", {}, "line 2: the number of fields is 1"),
        ("item,kind\n,red\n", {}, "line 2: the label is empty"),
        ('item,kind\n"x\ny",red\n', {}, "spans lines"),
        ("item,kind\n x,red\nx ,blue\n", {}, "a label has two lines: x"),
        ("item,kind\n", {}, "header line and no rows"),
        ("\n", {}, "is empty"),
    ],
)
def test_what_a_side_file_holds_wrongly_is_named(text, options, message):
    with pytest.raises(DataError, match=message) as caught:
        Columns(header=True, **options).read(text.encode(), "side.csv")
    assert "side.csv" in str(caught.value)


@pytest.mark.parametrize("layout", [Columns(header=True), Pairs(header=True, delimiter=",")])
def test_encodings_of_side_files_get_their_reason(layout):
    text = "item,kind\nx,Caf\u00e9\n"
    assert layout.read(b"\xef\xbb\xbf" + text.encode(), "side").ids.tolist() == ["x"]
    with pytest.raises(DataError, match="side, line 2: the byte 0xe9 is not UTF-8 text"):
        layout.read(text.encode("latin-1"), "side")


def test_an_empty_number_is_nothing_and_blanks_do_not_count():
    read = Columns(header=True, numeric=("price",), absent="-").read(
        b"item , price, kind\n x , 1.5 , red | blue \n y,, -\nz,-,red\n", "side.csv"
    )
    assert read.ids.tolist() == ["x", "y", "z"]
    assert read.columns.tolist() == ["kind=blue", "kind=red", "price"]
    np.testing.assert_array_equal(read.matrix.toarray(), [[1, 1, 1.5], [0, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,red,1\ny,red,\n", "line 2: the third column 'nothing' is not"),
        ("x,red,1\ny,red,inf\n", "line 2: the third column 'inf'"),
        ("x,red\n,red\n", "line 2: the label is empty"),
        ("x,red\ny,\n", "line 2: the label is empty"),
        ("x,red,1\ny,red\n", "line 2: the number of fields is 2"),
    ],
)
def test_pairs_follow_the_same_rules(text, message):
    with pytest.raises(DataError, match=message):
        Pairs(delimiter=",").read(text.encode(), "side.csv")
    read = Pairs(delimiter=",").read(b" x , red , 2\nx,red,3\n", "side.csv")
    assert (read.ids.tolist(), read.matrix.toarray().tolist()) == (["x"], [[3]])


@pytest.mark.parametrize("entry", ["0:inf", "0:nan", "x:1", "0", "0:1:2", "\u0663:1"])
def test_counts_of_lists_are_finite_numbers(entry):
    with pytest.raises(DataError, match=r"line 2: .* is no number:count"):
        Lists(counted=True).read(f"1 0:3\n1 {entry}\n".encode(), "mult.dat")


def test_a_side_file_of_other_labels_is_refused(tmp_path):
    (tmp_path / "log.csv").write_text("user,item\na,1\nb,2\n")
    for name, labels in (("right", " 1 ,2"), ("some", "2,9"), ("other", "movie-1,movie-2")):
        rows = "".join(
            f"{label},red\n" for label in labels.split(",", 1 if name == "right" else -1)
        )
        (tmp_path / f"{name}.csv").write_text("item,kind\n" + rows)

    def matched(name):
        features = [{"side": "item", "name": "f", "file": f"{name}.csv"}]
        text = json.dumps({"name": "d", "file": "log.csv", "features": features})
        spec = DatasetSpec.model_validate_json(text)
        data = load_dataset(spec, tmp_path).interactions
        return match_features(spec, load_features(spec, tmp_path), data, tmp_path).matrix("item")

    assert matched("right").toarray().tolist() == [[1], [1]]
    assert matched("some").toarray().tolist() == [[0], [1]]
    with pytest.raises(
        DataError, match=r"other\.csv: none of its 2 labels is an item of 'd'.*movie"
    ):
        matched("other")


def test_quotes_in_a_trec_run_are_letters(tmp_path):
    (tmp_path / "r.trec").write_text('u Q0 "a 1 3 t\nu Q0 b" 2 2 t\n')
    assert read_run(tmp_path / "r.trec")["item"].tolist() == ['"a', 'b"']


def test_a_list_of_items_of_another_encoding_gets_the_right_reason(tmp_path):
    (tmp_path / "items").write_bytes(b"\xef\xbb\xbfx\ny\n")
    assert read_labels(tmp_path / "items") == ["x", "y"]
    (tmp_path / "items").write_bytes("x\ncaf\u00e9\n".encode("latin-1"))
    with pytest.raises(DataError, match="line 2: the byte 0xe9 is not UTF-8"):
        read_labels(tmp_path / "items")


def test_a_run_file_is_read_by_the_same_rules(tmp_path):
    path = tmp_path / "r.csv"
    path.write_bytes(f'\ufeffuser, item ,"score"\n a ,{NBSP}x,1\n'.encode())
    assert read_run(path).to_numpy().tolist() == [["a", "x", 1.0]]
    pd.testing.assert_frame_equal(read_run(path), read_run(path, "csv"))
