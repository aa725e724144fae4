"""Values that others have printed: shown below the models, compared with nothing."""

import csv
import io
import json
from dataclasses import replace

import pytest
import tomli_w
from rich.console import Console
from support.places import GRID

from recrepro.errors import UsageError
from recrepro.report.board import Board
from recrepro.report.board import leaderboard as section
from recrepro.run.resolve import check_names
from recrepro.spec.experiment import Experiment, load_experiment
from recrepro.tables import data, formats, html, latex, markdown
from recrepro.tables.terminal import show_leaderboard

from .conftest import EXPERIMENT

TIGER = {"model": "TIGER", "source": "Rajput 2023, Table 1", "protocol": "seen items are ranked"}
PRINTED = [
    {"model": "small", "metric": "ndcg@10", "value": 0.01, "source": "S"},
    TIGER | {"metric": "ndcg@10", "value": 0.9, "spread": 0.05, "seeds": 5},
    TIGER | {"metric": "recall@5", "value": 0.95},
    {"model": "other", "metric": "ndcg@10", "value": 0.5, "source": "S", "split": "elsewhere"},
]


def experiment(printed):
    return Experiment.model_validate_json(json.dumps(EXPERIMENT | {"printed": printed}))


@pytest.fixture(scope="module")
def shown(results):
    return formats.contents(experiment(PRINTED), results, "knn")


def test_one_row_a_model_and_source_the_best_first(shown):
    (board,), *_ = shown
    tiger, small = board.printed
    assert (tiger.model, tiger.status, tiger.repeats) == ("TIGER", "printed", 5)
    assert tiger.means == {"ndcg@10": 0.9, "recall@5": 0.95}
    assert tiger.spreads == {"ndcg@10": 0.05}
    assert tiger.notes == ("Rajput 2023, Table 1", "seen items are ranked")
    assert small.means == {"ndcg@10": 0.01}


def test_nothing_else_of_a_table_depends_on_them(shown, content):
    (board,), *others = shown
    (plain,), *expected = content
    assert replace(board, printed=()) == plain
    assert others == expected
    before = Experiment.model_validate_json(json.dumps(EXPERIMENT))
    assert experiment(PRINTED).grid_hash == before.grid_hash
    assert experiment([]) == before


def texts(shown):
    console = Console(file=io.StringIO(), width=200)
    show_leaderboard(console, *shown)
    return {
        "terminal": console.file.getvalue(),
        "markdown": markdown.write(*shown),
        "latex": latex.write(*shown),
        "html": html.write(*shown),
        "csv": data.write_csv(*shown),
    }


def test_every_format_shows_them_below_the_models_with_their_source(shown):
    for name, text in texts(shown).items():
        assert text.index("knn") < text.index("TIGER") < text.index("small"), name
        assert "0.9" in text, name
        assert "Rajput 2023, Table 1" in text, name
        assert "printed" in text, name
    rows = list(csv.DictReader(io.StringIO(texts(shown)["csv"])))
    (tiger,) = [r for r in rows if (r["model"], r["metric"]) == ("TIGER", "ndcg@10")]
    assert (tiger["mean"], tiger["std"], tiger["low"], tiger["p_best"]) == ("0.9", "0.05", "", "")
    (board,) = json.loads(data.write_json(*shown))["leaderboards"]
    assert [row["model"] for row in board["printed"]] == ["TIGER", "small"]


def test_the_best_of_a_column_is_a_model_of_the_experiment(shown, results):
    best = shown[0][0].rows[0].model
    lines = [line for line in markdown.write(*shown).splitlines() if "**" in line]
    assert any(line.startswith(f"| {best} ") for line in lines)
    assert not any("TIGER" in line for line in lines)
    assert "textbf" not in next(s for s in latex.write(*shown).splitlines() if "TIGER" in s)
    (table,) = section(Board("b", shown[0][0], results)).items
    strong = {row[0].text: any(cell.strong for cell in row[1:5]) for row in table.rows}
    assert strong[best]
    assert not strong["TIGER"]


def test_a_name_from_elsewhere_is_shown_as_it_is(results, hostile):
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in hostile):
        pytest.skip("an experiment file with control characters is refused when it is read")
    shown = formats.contents(
        experiment([{"model": hostile, "metric": "ndcg@10", "value": 0.9, "source": hostile}]),
        results,
        "knn",
    )
    found = texts(shown)
    assert "<script>" not in found["html"]
    assert "<img" not in found["html"]
    assert "\\input{" not in found["latex"]
    rows = list(csv.DictReader(io.StringIO(found["csv"])))
    assert not any(cell.startswith(("=", "+", "@", "-")) for row in rows for cell in row.values())


@pytest.mark.parametrize(
    ("kind", "wrong"), [("metric", "ndcg@11"), ("dataset", "other"), ("split", "other")]
)
def test_a_value_for_no_table_is_refused(tmp_path, kind, wrong):
    value = {"model": "x", "metric": "ndcg@10", "value": 0.5, "source": "S"} | {kind: wrong}
    file = tmp_path / "e.toml"
    file.write_text(f"{GRID}[[printed]]\n{tomli_w.dumps(value)}")
    with pytest.raises(UsageError, match=f"printed #1: the {kind} '{wrong}' is not in this"):
        check_names(load_experiment(file), file.parent)
