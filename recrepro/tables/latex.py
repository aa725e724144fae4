"""Tables for papers: LaTeX with booktabs."""

import re

from recrepro.analysis.leaderboard import ExpectationCheck, Leaderboard, Row, best_values
from recrepro.analysis.verdict import BoardVerdict
from recrepro.tables import verdicts as judgements
from recrepro.tables.cells import (
    footnotes,
    heading,
    interval,
    is_best,
    legend,
    marks,
    number,
    verdict_cells,
)
from recrepro.text.clean import one_line

PREAMBLE = r"""% Needs \usepackage{booktabs}.
% Names in other scripts than Latin need LuaLaTeX or XeLaTeX.
"""

# Brackets and stars are arguments where they follow \\; < > | are other glyphs in old fonts.
ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "{}$&#_%"},
    **{character: f"{{{character}}}" for character in '[]*"'},
    "·": r"\textperiodcentered{}",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "\N{REPLACEMENT CHARACTER}": "?",  # few fonts have it
}


def escape(text: str) -> str:
    """Return a text that LaTeX sets as it is, on one line."""
    escaped = "".join(ESCAPES.get(character, character) for character in one_line(text))
    return re.sub(r"([-'`?!])(?=[-'`])", r"\1{}", escaped)  # -- and the like are one glyph


def write(
    boards: list[Leaderboard], verdicts: list[ExpectationCheck], judged: list[BoardVerdict]
) -> str:
    """Write one table for each leaderboard, then the verdicts, then expected against got.

    The best value of each column is bold; what a reader has to know stands below the table.
    """
    tables = [_board(board) for board in boards]
    lines = judgements.lines(judged)
    if lines:
        paragraphs = (rf"\noindent {escape(line)}\par" for line in [*lines, judgements.EXPLANATION])
        tables.append("\n".join(paragraphs) + "\n")
    if verdicts:
        tables.append(_expected(verdicts))
    return "\n".join([PREAMBLE, *tables])


def _board(board: Leaderboard) -> str:
    places, texts = footnotes(board)
    best = best_values(board)
    rows = []
    for row in board.shown:
        letters = _superscript(",".join(map(_letter, places[row.model])))
        rows.append(
            [escape(row.model) + letters, *(_value(row, metric, best) for metric in board.metrics)]
        )
        if row.chance:
            between = [escape(interval(row, metric)) for metric in board.metrics]
            rows.append(["", *(f"{{\\scriptsize {text}}}" if text else "" for text in between)])
    below = [f"{_superscript(_letter(n))} {escape(text)}." for n, text in enumerate(texts)]
    below += [f"{escape(note)}." for note in (*legend(board), *board.notes)]
    columns = ["model", *map(escape, board.metrics)]
    return _table(escape(heading(board)), "l" + "r" * len(board.metrics), columns, rows, below)


def _value(row: Row, metric: str, best: dict[str, float]) -> str:
    text = escape(number(row, metric))
    if is_best(row, metric, best):
        text = rf"\textbf{{{text}}}"
    return text + _superscript("".join(ESCAPES[mark].strip("$") for mark in marks(row, metric)))


def _expected(verdicts: list[ExpectationCheck]) -> str:
    """Write expected against got; sources and notes stand below."""
    rows = [verdict_cells(one) for one in verdicts]
    texts = list(dict.fromkeys(". ".join(filter(None, (r["source"], r["note"]))) for r in rows))
    columns = [name for name in rows[0] if name not in ("source", "note")]
    cells = []
    for row in rows:
        text = ". ".join(filter(None, (row["source"], row["note"])))
        first, *rest = (escape(row[name]) for name in columns)
        cells.append([first + _superscript(_letter(texts.index(text))), *rest])
    below = [f"{_superscript(_letter(n))} {escape(text)}." for n, text in enumerate(texts)]
    kinds = "ll" + "r" * (len(columns) - 3) + "l"
    return _table("Expected against got", kinds, list(map(escape, columns)), cells, below)


def _table(
    caption: str, columns: str, heads: list[str], rows: list[list[str]], below: list[str]
) -> str:
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if below:
        lines += [r"", r"\smallskip", r"{\footnotesize\raggedright", *(f"{t}\\par" for t in below)]
        lines.append("}")
    return "\n".join([*lines, r"\end{table}", ""])


def _superscript(text: str) -> str:
    return f"$^{{{text}}}$" if text else ""


def _letter(number_: int) -> str:
    """Return a, b, ... z, aa, ab, ..."""
    first, last = divmod(number_, 26)
    letter = chr(ord("a") + last)
    return (_letter(first - 1) if first else "") + letter
