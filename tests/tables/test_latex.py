"""LaTeX: it compiles where a TeX is installed, and hostile names are set as they are."""

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.texts import cleaned

from recrepro.tables import latex

TEX = next(filter(shutil.which, ("tectonic", "pdflatex", "lualatex", "xelatex")), None)
COMMANDS = {
    "textbackslash": "\\",
    "textasciitilde": "~",
    "textasciicircum": "^",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textperiodcentered": "·",
    "pm": "±",
    "dagger": "†",
    "uparrow": "↑",
    "downarrow": "↓",
}
TOKEN = re.compile(r"\\([a-zA-Z]+)\s*(?:\{\})?|\\([{}$&#_%])|([{}$])|([#%&_^~\\])|([^\\])")


def shown(source):
    """Read what LaTeX would print: a small reader of the few commands that names need."""
    text, depth = "", 0
    for command, escaped, grouping, forbidden, plain in TOKEN.findall(source):
        assert not forbidden, f"{forbidden!r} is not escaped in {source!r}"
        if grouping:
            depth += {"{": 1, "}": -1, "$": 0}[grouping]
            assert depth >= 0
        else:
            text += COMMANDS[command] if command else escaped or plain
    assert depth == 0
    return text


def normal(text):
    return " ".join(cleaned(text, "?").replace("\ufffd", "?").split())


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\\{}$&#^_%~[]*<>|-'`?\n\""))))
def test_any_text_is_set_as_it_is(text):
    assert shown(latex.escape(text)) == normal(text)
    assert re.search(r"--|''|``|[?!]`", latex.escape(text)) is None  # would be one glyph


def tables_of(source):
    for kinds, body in re.findall(
        r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", source, re.DOTALL
    ):
        lines = [line for line in body.split("\n") if line.endswith(r" \\")]
        yield len(kinds), [re.split(r"(?<!\\)&", line.removesuffix(r" \\")) for line in lines]


def check(source):
    """Compile, or else read as far as one can without a TeX."""
    if TEX is None:
        depth = 0
        for brace in re.findall(r"(?<!\\)(?:\\\\)*([{}])", source):
            depth += 1 if brace == "{" else -1
            assert depth >= 0
        assert depth == 0
        begun, ended = (re.findall(rf"\\{w}\{{(\w+)\}}", source) for w in ("begin", "end"))
        assert sorted(begun) == sorted(ended)
        for columns, rows in tables_of(source):
            assert {len(row) for row in rows} == {columns}
            assert not any(row[0].lstrip().startswith(("[", "*")) for row in rows)
        return
    document = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    command = [TEX, "-"] if TEX == "tectonic" else [TEX, "-halt-on-error", "-no-shell-escape"]
    done = subprocess.run(
        command,
        input=document + source + "\n\\end{document}\n",
        encoding="utf-8",
        errors="replace",  # of its log, where TeX writes in the encoding of its fonts
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_tables_compile(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check(latex.write(*content))


def test_hostile_names_compile_and_are_shown(hostile_content, hostile, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = latex.write(*hostile_content)
    check(source)
    (_, rows), _ = tables_of(source)
    names = [re.sub(r"\$\^.*\$$", "", row[0].strip()) for row in rows]
    assert normal(hostile) in [shown(name) for name in names if name]


def test_the_best_is_bold_and_marks_are_explained_below(content):
    source = latex.write(*content)
    (_, rows), (_, expected) = tables_of(source)
    by_name = {row[0].strip(): row for row in rows}
    assert "\\textbf{" in by_name["ease"][1]
    assert "$^{\\dagger" in by_name["net$^{a}$"][2]
    assert by_name["lost$^{b,c}$"][1].strip() == "-"
    assert "$^{a}$ judged.\\par" in source
    assert "$^{b}$ failed.\\par" in source
    assert "repeats failed: out of memory.\\par" in source
    assert expected[1][0].startswith("ease$^{a}$")
    assert r"$^{a}$ a \textbar{} b." in source


@pytest.mark.parametrize(("place", "letter"), [(0, "a"), (25, "z"), (26, "aa"), (53, "bb")])
def test_letters_go_on_after_z(place, letter):
    assert latex._letter(place) == letter
