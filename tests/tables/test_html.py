"""HTML: an accessible table, and hostile names stay text."""

from html.parser import HTMLParser

import pytest
from support.texts import cleaned

from recrepro.tables import html


class Page(HTMLParser):
    """Tags with their attributes, and the texts by the tag that they stand in."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1], data))


KNOWN = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "div", "table"),
    *("caption", "thead", "tbody", "tr", "th", "td", "strong", "sup", "span", "p", "ul", "li"),
}
ATTRIBUTES = {
    "lang",
    "charset",
    "name",
    "content",
    "class",
    "tabindex",
    "role",
    "scope",
    "aria-label",
}


def test_hostile_names_are_text_and_nothing_else(hostile_content, hostile):
    page = Page(html.write(*hostile_content))
    assert page.open == []
    assert {tag for tag, _ in page.tags} <= KNOWN
    assert {name for _, attributes in page.tags for name in attributes} <= ATTRIBUTES
    assert ("th", cleaned(hostile)) in page.texts
    assert any(cleaned(hostile) in text for tag, text in page.texts if tag == "caption")


def test_tables_have_captions_and_headers_with_a_scope(content):
    page = Page(html.write(*content))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("table") == tags.count("caption") == 2
    scopes = [attributes.get("scope") for tag, attributes in page.tags if tag == "th"]
    assert set(scopes) == {"col", "row"}
    assert scopes.count("row") == 4
    bold = [text for tag, text in page.texts if tag == "strong"]
    assert len(bold) == 2  # ndcg@10 and recall@5
    assert ("sup", "†↓") in page.texts


def test_nothing_is_loaded_from_elsewhere(content):
    source = html.write(*content)
    assert "http" not in source
    assert "<script" not in source


@pytest.mark.parametrize("empty", [([], [], [])])
def test_an_empty_page_is_a_page(empty):
    assert Page(html.write(*empty)).open == []
