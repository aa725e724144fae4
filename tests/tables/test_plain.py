"""CSV and JSON: every value unrounded, and no formula."""

import csv
import io
import json

import pytest

from recrepro.tables import data as plain


def read(content):
    return list(csv.DictReader(io.StringIO(plain.write_csv(*content), newline="")))


def test_every_value_is_there_unrounded(content, results):
    rows = read(content)
    assert len(rows) == 4 * 4
    row = next(r for r in rows if (r["model"], r["metric"]) == ("net", "ndcg@10"))
    assert float(row["mean"]) == results[2].record.metrics["ndcg@10"]
    assert float(row["low"]) < float(row["mean"]) < float(row["high"])
    assert 0 < float(row["p_best"]) < 0.05
    written = json.loads(plain.write_json(*content))
    board = written["leaderboards"][0]
    assert board["rows"][2]["chance"]["ndcg@10"]["p_best"] == float(row["p_best"])
    assert board["reference"] == "knn"
    (judged,) = written["verdicts"]["boards"][0]["models"]
    assert (judged["model"], judged["outcome"]) == ("net", "not enough evidence")
    assert "has not met the values that its paper prints" in " ".join(judged["missing"])


def test_no_text_is_a_formula_and_no_number_a_text(hostile_content):
    for row in read(hostile_content):
        for column, cell in row.items():
            if column in ("mean", "std", "low", "high", "p_best", "p_reference"):
                assert cell == "" or float(cell) is not None
            else:
                assert not cell.startswith(tuple("=+-@\t\r\n\0"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=1", "\n=1"])
def test_what_a_spreadsheet_would_compute_gets_an_apostrophe(text):
    assert plain.cell_text(text) == "'" + text


@pytest.mark.parametrize("text", ["ease", "", "'quoted", "a=b", "0.5"])
def test_other_texts_stay(text):
    assert plain.cell_text(text) == text


def test_the_json_is_json(hostile_content, hostile):
    content = json.loads(plain.write_json(*hostile_content))
    assert content["leaderboards"][0]["dataset"] == hostile
