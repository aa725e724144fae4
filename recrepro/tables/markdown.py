"""Tables in Markdown."""

import re
from collections.abc import Container, Iterable, Sequence

from recrepro.analysis.leaderboard import ExpectationCheck, Leaderboard, Row, best_values
from recrepro.analysis.verdict import BoardVerdict
from recrepro.tables import verdicts as judgements
from recrepro.tables.cells import (
    heading,
    interval,
    is_best,
    legend,
    marks,
    number,
    status_text,
    verdict_cells,
)
from recrepro.text.clean import one_line


def escape(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*\[\]<>|&~])", r"\\\1", one_line(text))


def code(text: str) -> str:
    """Return a name set as code; one with other characters than names have is set as text."""
    return f"`{text}`" if re.fullmatch(r"[\w@.,+/()\[\] -]+", text) else escape(text)


def table(
    columns: Sequence[str], rows: Iterable[Iterable[str]], *, right: Container[int] = ()
) -> list[str]:
    """Return the lines of a table.

    Parameters
    ----------
    columns : sequence of str
        Heads, in Markdown.
    rows : iterable of iterable of str
        Cells, in Markdown.
    right : container of int
        Places of the columns that are set to the right.
    """
    rule = ["---:" if place in right else "---" for place in range(len(columns))]
    return [f"| {' | '.join(cells)} |" for cells in (columns, rule, *rows)]


def write(
    boards: list[Leaderboard], verdicts: list[ExpectationCheck], judged: list[BoardVerdict]
) -> str:
    """Write the tables; the best value of each column is bold."""
    lines: list[str] = []
    for board in boards:
        best = best_values(board)
        columns = [escape(name) for name in ("model", *board.metrics, "status", "notes")]
        rows = [
            [
                escape(row.model),
                *(_value(row, metric, best) for metric in board.metrics),
                *(escape(status_text(row)), escape("; ".join(row.notes))),
            ]
            for row in board.shown
        ]
        lines += [f"### {escape(heading(board))}", ""]
        lines += table(columns, rows, right=range(1, 1 + len(board.metrics)))
        lines += ["", *(f"{escape(note)}.\n" for note in (*legend(board), *board.notes))]
    written = judgements.lines(judged)
    if written:
        lines += ["### Better than baselines?", ""]
        for line in written:
            indented = line.removeprefix("  ")
            lines.append(f"- {escape(line)}" if indented == line else f"  - {escape(indented)}")
        lines += ["", judgements.EXPLANATION, ""]
    if verdicts:
        cells = [verdict_cells(one) for one in verdicts]
        escaped = (map(escape, row.values()) for row in cells)
        lines += ["### Expected against got", "", *table(list(cells[0]), escaped), ""]
    return "\n".join(lines)


def _value(row: Row, metric: str, best: dict[str, float]) -> str:
    text = number(row, metric)
    if is_best(row, metric, best):
        text = f"**{text}**"
    return " ".join(filter(None, [text + marks(row, metric), escape(interval(row, metric))]))
