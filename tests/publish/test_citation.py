"""Citations, read by other programs: BibTeX, YAML, JSON-LD."""

import json
import re
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recrepro.publish.citation import Citation, bibtex, citation_file, croissant

ABOUT = Citation(
    "quickstart",
    "EASE leads",
    ("Curie, Marie", "Team X"),
    "https://example.org/s",
    "2026-11-25",
    "0.1.0",
    "ab" * 32,
)
SUMS = {"leaderboard.csv": "1" * 64, "records/0123.json": "2" * 64, "experiment.toml": "3" * 64}


def fields(entry):
    """Read an entry as BibTeX does: braces are counted, after a backslash too."""
    kind, key, body = re.fullmatch(r"@(\w+)\{([^,\s]+),\n(.*)\}\n", entry, re.DOTALL).groups()
    assert kind == "misc"
    found, depth, start = {}, 0, None
    for place, character in enumerate(body):
        if character == "{":
            start = place + 1 if depth == 0 else start
            depth += 1
        elif character == "}":
            depth -= 1
            assert depth >= 0
            if depth == 0:
                name = body[: start - 1].rpartition(",\n")[2].partition("=")[0].strip()
                found[name] = body[start:place]
    assert depth == 0
    return key, found


def test_the_entry_names_title_authors_date_and_content_hash():
    key, found = fields(bibtex(ABOUT))
    assert key == "recrepro-quickstart-abababab"
    assert found["title"] == "{Leaderboard of quickstart: EASE leads}"
    assert found["author"] == "Curie, Marie and Team X"
    assert (found["year"], found["month"]) == ("2026", "11")
    assert found["note"].endswith("sha256:" + "ab" * 32)
    assert found["url"] == "https://example.org/s"


def test_authors_and_address_may_be_unknown():
    _, found = fields(bibtex(replace(ABOUT, authors=(), url=None)))
    assert found["author"] == "Anonymous"
    assert "url" not in found
    content = yaml.safe_load(citation_file(replace(ABOUT, authors=(), url=None)))
    assert content["authors"] == [{"name": "Anonymous"}]
    assert "url" not in content


@given(st.text(), st.text())
def test_no_text_breaks_a_citation(name, claim):
    about = replace(ABOUT, name=name, claim=claim)
    key, found = fields(bibtex(about))
    assert re.fullmatch(r"recrepro-[a-z0-9-]+-abababab", key)
    assert list(found) == ["title", "author", "year", "month", "howpublished", "note", "url"]
    content = yaml.safe_load(citation_file(about))
    assert content["title"] == about.title
    assert json.loads(croissant(about, SUMS))["name"] == name


def test_the_citation_file_has_what_its_format_asks_for():
    content = yaml.safe_load(citation_file(ABOUT))
    assert {"cff-version", "message", "title", "authors"} <= content.keys()
    assert content["authors"] == [
        {"family-names": "Curie", "given-names": "Marie"},
        {"name": "Team X"},
    ]
    assert content["date-released"] == "2026-11-25"
    assert content["identifiers"][0]["value"] == "sha256:" + "ab" * 32


def test_croissant_lists_every_file_with_its_hash_and_no_licence():
    content = json.loads(croissant(ABOUT, SUMS))
    assert content["@type"] == "sc:Dataset"
    assert {f["contentUrl"]: f["sha256"] for f in content["distribution"]} == SUMS
    assert "license" not in content
    columns = [f["source"]["extract"]["column"] for f in content["recordSet"][0]["field"]]
    assert columns[:3] == ["dataset", "split", "ranking"]
    terms = set(content["@context"])
    used = {"citeAs", "conformsTo", "recordSet", "field", "source", "extract", "column", "dataType"}
    assert used <= terms


@pytest.mark.parametrize("character", ["\x00", "\ud800", "\u2028", "\x85", "\ufffe"])
def test_what_cannot_be_printed_is_replaced(character):
    about = replace(ABOUT, claim=f"a{character}b")
    assert about.title.endswith("a\ufffdb")
    assert yaml.safe_load(citation_file(about))["title"].endswith("a\ufffdb")
    assert "a?b" in bibtex(about)
