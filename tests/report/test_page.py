"""The page: what its sections say, that names cannot break out, that equal input is equal bytes."""

import base64
import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from recrepro.errors import RecreproError
from recrepro.report import render, write_report
from recrepro.report.board import Board
from recrepro.report.facts import audit
from recrepro.report.searches import histories, hyperparameters
from recrepro.tables.formats import contents

pytestmark = pytest.mark.slow  # renders pages with thousands of resamples

SOURCE = "claim = '</script><script>alert(1)</script>'"
VOID = {"meta", "input", "br", "link"}


class Page(HTMLParser):
    """Elements, ids and texts; fails where tags are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "script" not in self.open and "style" not in self.open:
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def page(results, make):
    return Page(render(make.experiment(), results, SOURCE))


@pytest.fixture
def board(results, make):
    tables, _, _ = contents(make.experiment(), results)
    return Board("b", tables[0], results)


def cells(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_the_verdict_comes_first_then_tables_provenance_and_downloads(page):
    ids = [attributes["id"] for attributes in page.all("section")]
    assert ids[0] == "verdict"
    parts = ["leaderboard", "intervals", "costs", "ranks", "searches", "hyperparameters"]
    parts += ["audit", "groups"]
    assert [i for i in ids if i.startswith("board-1-")] == [f"board-1-{part}" for part in parts]
    assert ids[-2:] == ["provenance", "downloads"]


def test_headings_are_in_order_and_ids_are_unique(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert sorted(set(ids)) == sorted(ids)
    links = [a["href"] for a in [*page.all("a"), *page.all("use")] if a["href"].startswith("#")]
    assert {link[1:] for link in links} <= set(ids)


def test_every_drawing_is_labelled_and_every_table_has_a_caption_and_scopes(page):
    drawings = page.all("svg")
    assert len(drawings) == 4 + 2 * 3  # intervals, costs, ranks, popularity; searches and epochs
    assert all(d["role"] == "img" and len(d["aria-label"]) > 20 for d in drawings)
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in head for head in page.all("th"))


def test_nothing_is_fetched_and_nothing_inline_is_allowed_but_what_is_hashed(page):
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert not any("style" in attributes for _, attributes in page.elements)
    addresses = [
        v for _, attrs in page.elements for k, v in attrs.items() if k in ("href", "src", "action")
    ]
    assert all(a.startswith(("#", "data:")) for a in addresses)


HOSTILE = '<script>alert(1)</script>"onload="x'


def test_hostile_names_come_out_as_text(results, make):
    spec = make.experiment(
        claim=HOSTILE,
        expected=[
            {
                "model": "ease",
                "metric": "ndcg@10",
                "value": 0.5,
                "tolerance": 1.0,
                "source": HOSTILE,
                "note": HOSTILE,
            }
        ],
    )
    named = make.done(f"$x^2${HOSTILE}", make.values_of("knn"))
    external = make.done("theirs", make.values_of("theirs"), notes=[HOSTILE])
    failed = replace(results[-1].status, reason=HOSTILE)
    hostile = [*results[:3], external, named, replace(results[-1], status=failed)]
    text = render(spec, hostile, SOURCE)
    page = Page(text)
    assert "<script>alert" not in text
    assert len(page.all("script")) == 1
    assert not any("onload" in attributes for _, attributes in page.elements)
    assert page.text.count(HOSTILE) >= 5


def test_equal_input_gives_equal_bytes(results, make):
    assert render(make.experiment(), results, SOURCE) == render(make.experiment(), results, SOURCE)


def test_downloads_hold_what_they_say_and_no_private_folder(page, make):
    files = {
        a["download"]: base64.b64decode(a["href"].partition(",")[2])
        for a in page.all("a")
        if "download" in a
    }
    assert files["experiment.toml"].decode() == SOURCE
    rows = list(csv.DictReader(io.StringIO(files["leaderboard.csv"].decode())))
    found = {row["model"]: row["mean"] for row in rows if row["metric"] == "ndcg@10"}
    assert float(found["ease"]) == make.values_of("ease").mean()
    records = json.loads(files["records.json"])
    assert [r["titles"]["model"] for r in records] == ["knn", "ease", "vae", "theirs", "gone"]
    assert len(records[0]["trials"]) == 4
    assert b"private" not in files["records.json"]


def test_what_is_not_tuned_failed_or_odd_is_marked(page):
    badges = [a for a in page.all("span") if a.get("class", "").startswith("badge")]
    assert badges
    for word in ("audit: suspicious", "external", "failed", "at the edge", "no <i>memory</i>"):
        assert word in page.text


def test_histories_show_the_best_so_far_and_failures(board):
    charts = histories(board).items
    assert [c.title for c in charts] == [
        f"{model}: {what}" for model in ("ease", "vae", "knn") for what in ("search", "epochs")
    ]
    rows = cells(charts[0].table)
    assert [row[2] for row in rows] == ["0.3000", "0.3000", "0.3000", "0.4000"]
    assert rows[1][1] == "-"
    assert "failed: it diverged" in rows[1][5]


def test_a_pruned_trial_is_shown_with_its_value_and_is_never_the_best(board):
    first = board.results[0]
    trials = first.read_trials()
    trials[2] = replace(trials[2], state="pruned", value=0.9, reason="below the median")
    trials[3] = replace(trials[3], stopped=2)
    shown = replace(board, results=[replace(first, read_trials=lambda: trials)])
    chart = histories(shown).items[0]
    rows = cells(chart.table)
    assert [row[2] for row in rows] == ["0.3000", "0.3000", "0.3000", "0.4000"]
    assert rows[2][1] == "0.9000"
    assert "pruned: below the median" in rows[2][5]
    assert "out of time after epoch 2" in rows[3][5]
    assert "2 trials reached up to 0.4000, 1 were pruned, 1 failed" in chart.svg


def test_hyperparameters_say_where_they_are_from(board, make):
    (table,) = hyperparameters(board, make.experiment()).items
    how = {tuple(row[:2]): row[2:] for row in cells(table)}
    assert how["knn", "l2"] == ["1000", "searched", "0.1 to 1000, log"]
    assert how["knn", "shrink"] == ["5", "given", ""]
    assert how["ease", "shrink"] == ["5", "default", ""]
    assert how["ease", "epochs"] == ["2", "best epoch", ""]
    marked = {row[1].text for row in table.rows if row[3].badges}
    assert marked == {"l2"}


def test_the_audit_shows_sizes_findings_and_popularity(board):
    sizes, findings, chart = audit(board).items
    assert cells(sizes)[0][-1] == "3 test cold users"
    assert cells(findings)[0][2:] == ["5", "6", "odd <b>items</b>"]
    assert cells(chart.table)[-1] == ["distance from random", "-", "0.5000", "0.1000"]


def test_fewer_than_six_data_sets_are_not_ranked_and_six_are(make):
    def of(n):
        names = [f"d{k}" for k in range(n)]
        spec = make.experiment(datasets=[{"name": name} for name in names])
        found = [
            make.done(model, make.values_of(model)[k:] + k / 10, dataset=name)
            for k, name in enumerate(names)
            for model in ("knn", "ease")
        ]
        return Page(render(spec, found, SOURCE)).text

    assert "Too few data sets for a test of ranks: 2." in of(2)
    assert "Blocks are the 6 data sets" in of(6)


def test_an_experiment_without_any_result_has_a_page(results, make):
    text = Page(render(make.experiment(), results[-1:], SOURCE)).text
    assert "No model that is judged has a result here" in text
    assert "0 of 1 cells have a result, 1 failed." in text


def test_the_file_is_whole_or_as_it_was(results, tmp_path, make):
    path = tmp_path / "new" / "report.html"
    write_report(make.experiment(), results, path, source=SOURCE)
    assert path.read_text() == render(make.experiment(), results, SOURCE)
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(RecreproError, match="--output"):
        write_report(make.experiment(), results, tmp_path / "folder", source=SOURCE)
    assert len(list(tmp_path.iterdir())) == 2
