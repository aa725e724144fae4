"""Markdown, read by another program."""

from markdown_it import MarkdownIt
from support.texts import cleaned

from recrepro.tables import formats, markdown


def read(source):
    """Return tag and text of everything that a Markdown reader sees."""
    tokens = MarkdownIt("commonmark").enable("table").parse(source)
    kinds = {token.type for token in tokens}
    children = [child for token in tokens for child in token.children or []]
    texts = [
        "".join(child.content for child in token.children if child.type in ("text", "text_special"))
        for token in tokens
        if token.type == "inline"
    ]
    return kinds, {child.type for child in children}, texts


def test_the_best_is_bold_and_every_row_is_whole(content):
    source = markdown.write(*content)
    assert "| ease | **" in source
    rows = [line for line in source.split("\n") if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows[:6]} == {len("abcd") + 4}
    assert "a \\| b" in source
    _, inline, texts = read(source)
    assert inline <= {"text", "text_special", "strong_open", "strong_close", "softbreak"}
    assert "ease" in texts


def test_hostile_names_are_text(hostile_content, hostile):
    kinds, inline, texts = read(markdown.write(*hostile_content))
    assert "html_block" not in kinds
    assert not inline & {"html_inline", "link_open", "image", "code_inline", "em_open"}
    assert " ".join(cleaned(hostile).split()) in texts


def test_without_results_there_is_a_heading(experiment):
    boards, expected, judged = formats.contents(experiment, [])
    assert (boards, expected, judged) == ([], [], [])
    assert markdown.write(boards, expected, judged) == ""
