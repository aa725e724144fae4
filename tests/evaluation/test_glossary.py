"""The page on metrics is what the code says."""

from pathlib import Path

from recrepro.evaluation.definitions import DEFINITIONS
from recrepro.evaluation.glossary import to_markdown

ROOT = Path(__file__).parents[2]


def test_the_page_in_the_documentation_is_up_to_date():
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert page == to_markdown(), "recrepro ls metrics --format md > docs/metrics.md"


def test_every_definition_has_an_entry_and_no_rst_is_left():
    page = to_markdown()
    assert all(f"### `{d.pattern}`\n" in page for d in DEFINITIONS.values())
    assert ".. math" not in page
