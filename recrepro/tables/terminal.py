"""Leaderboards on the screen."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from recrepro.analysis.leaderboard import ExpectationCheck, Leaderboard, best_values
from recrepro.analysis.verdict import BoardVerdict
from recrepro.tables import verdicts as judgements
from recrepro.tables.cells import (
    first_cutoff,
    group_cells,
    heading,
    interval,
    is_best,
    legend,
    marks,
    number,
    status_text,
    verdict_cells,
)
from recrepro.tables.console import plain_table, print_table

if TYPE_CHECKING:
    from recrepro.evaluation.rankings import Evaluation


def show_values(
    console: Console, evaluation: "Evaluation", notes: Iterable[str], *, sampled: bool
) -> None:
    """Print the values of one evaluation."""
    rows = [(name, f"{value:.6f}") for name, value in evaluation.means.items()]
    title = f"{'Sampled' if sampled else 'Full'} ranking, {len(evaluation.users):,} users"
    title += f" ({evaluation.n_skipped:,} without held-out items are skipped)"
    console.print(f"\n{title}", style="bold", soft_wrap=True)
    print_table(console, None, ("metric", "value"), rows)
    for note in notes:
        console.print(f"{note}.", style="dim", soft_wrap=True)


def show_groups(console: Console, boards: Iterable[Leaderboard], by: str) -> None:
    """Print values by group: of users by their activity, or of items by their popularity."""
    for board in boards:
        columns, rows = group_cells(board, by)
        console.print()
        console.print(heading(board), style="bold", soft_wrap=True)
        print_table(console, None, ("model", *columns), [(m, *cells) for m, cells in rows.items()])
        cutoff = first_cutoff(board).removeprefix("@")
        if by == "activity":
            note = f"{board.metrics[0]} of users, by the interactions in their history."
        else:
            note = (
                f"Share of held-out interactions that lists of {cutoff} find. Head: fewer than 20 "
                "% of the items have more train interactions."
            )
        console.print(note, style="dim", soft_wrap=True)


def show_leaderboard(
    console: Console,
    boards: Iterable[Leaderboard],
    verdicts: list[ExpectationCheck],
    judged: Iterable[BoardVerdict] = (),
) -> None:
    """Print the tables of an experiment."""
    for board in boards:
        console.print()
        for metrics in _columns_that_fit(console, board):
            console.print(_leaderboard_table(board, metrics))
        for note in (*legend(board), *board.notes):
            console.print(note, style="dim", soft_wrap=True)
        for row in board.shown:
            for note in row.notes:
                console.print(f"{row.model}: {note}", style="dim", soft_wrap=True)
    written = judgements.lines(judged)
    if written:
        console.print("\n" + "\n".join(written), soft_wrap=True)
        console.print(judgements.EXPLANATION, style="dim", soft_wrap=True)
    if verdicts:
        console.print()
        _show_verdicts(console, verdicts)


def _columns_that_fit(console: Console, board: Leaderboard) -> Iterable[tuple[str, ...]]:
    """Divide the metrics into tables that are not wider than the screen."""
    left = board.metrics
    while left:
        n = len(left)
        while n > 1 and _width(console, _leaderboard_table(board, left[:n])) > console.width:
            n -= 1
        yield left[:n]
        left = left[n:]


def _width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def _leaderboard_table(board: Leaderboard, metrics: tuple[str, ...]) -> Table:
    best = best_values(board)
    table = plain_table(heading(board))
    table.add_column("model", no_wrap=True)
    for metric in metrics:
        table.add_column(metric.replace("@", "\n@"), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    widths = {m: max((len(marks(row, m)) for row in board.rows), default=0) for m in metrics}
    for row in board.shown:
        cells = [
            Text.assemble(
                (number(row, m), "bold green" if is_best(row, m, best) else ""),
                marks(row, m).ljust(widths[m]),
                (f"\n{interval(row, m)}{' ' * widths[m]}" if m in row.chance else "", "dim"),
            )
            for m in metrics
        ]
        table.add_row(row.model, *cells, status_text(row), style="" if row.means else "dim")
    return table


def _show_verdicts(console: Console, verdicts: list[ExpectationCheck]) -> None:
    cells = [verdict_cells(v) for v in verdicts]
    sources = list(dict.fromkeys(c["source"] for c in cells))
    columns = [n for n in cells[0] if n not in ("note", "source") and any(c[n] for c in cells)]
    table = plain_table("Expected against got")
    for column in columns:
        left = column in ("model", "metric", "verdict")
        table.add_column(column, justify="left" if left else "right", no_wrap=True)
    table.add_column("source", justify="right", no_wrap=True)
    styles = {"ok": "green", "off": "bold red", "missing": "yellow"}
    for cell in cells:
        style = styles[cell["verdict"]]
        shown = [Text(cell[c], style=style if c == "verdict" else "") for c in columns]
        table.add_row(*shown, Text(f"[{sources.index(cell['source']) + 1}]"))
    console.print(table)
    for place, source in enumerate(sources, start=1):
        console.print(f"[{place}] {source}", style="dim", soft_wrap=True)
    for model, note in dict.fromkeys((c["model"], c["note"]) for c in cells if c["note"]):
        console.print(f"{model}: {note}", style="dim", soft_wrap=True)
    ok = sum(v.verdict == "ok" for v in verdicts)
    console.print(f"{ok} of {len(verdicts)} as expected.")
