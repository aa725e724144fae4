"""Tables in Markdown."""

import re
from collections.abc import Iterable

from recrepro.analysis.leaderboard import ExpectationCheck, Leaderboard, best_values
from recrepro.analysis.verdict import BoardVerdict
from recrepro.tables import verdicts as judgements
from recrepro.tables.cells import heading, interval, legend, marks, number, verdict_cells


def escape(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", " ".join(text.split()))


def markdown_row(cells: Iterable[str]) -> str:
    """Write a row of a table; the cells are Markdown."""
    return f"| {' | '.join(cells)} |"


def write(
    boards: list[Leaderboard], verdicts: list[ExpectationCheck], judged: list[BoardVerdict]
) -> str:
    """Write the tables; the best value of each column is bold."""
    lines: list[str] = []
    for board in boards:
        lines += [f"### {escape(heading(board))}", ""]
        lines.append(markdown_row(map(escape, ["model", *board.metrics, "status", "notes"])))
        lines.append(markdown_row(["---", *["---:"] * len(board.metrics), "---", "---"]))
        for row in board.rows:
            cells = [_value(board, row.model, metric) for metric in board.metrics]
            told = [escape(row.status), escape("; ".join(row.notes))]
            lines.append(markdown_row([escape(row.model), *cells, *told]))
        lines += ["", *(f"{escape(note)}.\n" for note in (*legend(board), *board.notes))]
    written = judgements.lines(judged)
    if written:
        lines += ["### Better than simple baselines?", ""]
        for line in written:
            indented = line.removeprefix("  ")
            lines.append(f"- {escape(line)}" if indented == line else f"  - {escape(indented)}")
        lines += ["", judgements.EXPLANATION, ""]
    if verdicts:
        lines += ["### Expected against got", ""]
        rows = [verdict_cells(one) for one in verdicts]
        lines += [markdown_row(rows[0]), markdown_row(["---"] * len(rows[0]))]
        lines += [markdown_row(map(escape, row.values())) for row in rows]
        lines.append("")
    return "\n".join(lines)


def _value(board: Leaderboard, model: str, metric: str) -> str:
    row = next(row for row in board.rows if row.model == model)
    text = number(row, metric)
    if metric in row.means and row.means[metric] == best_values(board).get(metric):
        text = f"**{text}**"
    return " ".join(filter(None, [text + marks(row, metric), escape(interval(row, metric))]))
