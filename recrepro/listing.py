"""What the command line shows as tables: the registries and the leaderboard."""

import ast
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.table import Table

from recrepro.leaderboard import (
    Leaderboard,
    Verdict,
    best_values,
    heading,
    number,
    verdict_cells,
)


def show(console: Console, kind: str) -> None:
    """Print the table of models, datasets, metrics or splits."""
    _SHOWN[kind](console)


def _show_models(console: Console) -> None:
    from recrepro.runner import MODELS

    rows = []
    for name in MODELS.names():
        summary, options = describe_class(MODELS.resolve_target(name))
        rows.append((name, summary, ", ".join(options), MODELS.origin(name).split(" ")[0]))
    _print(console, "Models", ("name", "what it is", "hyperparameters", "from"), rows)


def _show_splits(console: Console) -> None:
    from recrepro.splits import SPLITS

    rows = []
    for name in SPLITS.names():
        strategy = SPLITS.resolve(name)
        summary = (strategy.__doc__ or "").splitlines()[0]
        options = [f"{n} = {f.default!r}" for n, f in strategy.model_fields.items()]
        rows.append((name, summary, ", ".join(options)))
    _print(console, "Splits", ("name", "what it holds out", "options and defaults"), rows)


def _show_metrics(console: Console) -> None:
    from recrepro.evaluation.definitions import DEFINITIONS

    rows = [(f"{d.id}@k", d.formula, d.same_in) for d in DEFINITIONS.values()]
    _print(console, "Metrics", ("name", "formula, for each user", "same formula in"), rows)
    console.print(
        "h_i: the item at rank i is relevant; R: relevant items of the user; L: length of the "
        "list; k: cutoff\n",
        style="dim",
        highlight=False,
    )


def _show_datasets(console: Console) -> None:
    from recrepro.data.catalogue import DATASETS

    rows = [
        (name, d.title, f"{d.users:,}", f"{d.items:,}", f"{d.interactions:,}", d.licence)
        for name, d in DATASETS.items()
    ]
    columns = ("name", "what it is", "users", "items", "interactions", "licence")
    _print(console, "Datasets", columns, rows)


_SHOWN: dict[str, Callable[[Console], None]] = {
    "models": _show_models,
    "datasets": _show_datasets,
    "metrics": _show_metrics,
    "splits": _show_splits,
}


def _print(
    console: Console, title: str, columns: Iterable[str], rows: Iterable[tuple[str, ...]]
) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=place == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def describe_class(target: str) -> tuple[str, list[str]]:
    """Read a model's first docstring line and its hyperparameters without importing its module.

    Importing a neural model would load torch, which listing must not need.

    Parameters
    ----------
    target : str
        ``"module:Class"``.
    """
    module, _, name = target.partition(":")
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return "", []
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            summary = (ast.get_docstring(node) or "").splitlines()
            fields = [
                statement.target.id
                for inner in node.body
                if isinstance(inner, ast.ClassDef) and inner.name == "Config"
                for statement in inner.body
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
            ]
            return (summary[0] if summary else ""), fields
    return "", []


def show_leaderboard(
    console: Console, boards: Iterable[Leaderboard], verdicts: list[Verdict]
) -> None:
    """Print the tables of an experiment."""
    for board in boards:
        table = Table(
            title=heading(board), title_justify="left", title_style="bold", header_style="bold"
        )
        table.add_column("model", no_wrap=True)
        for metric in board.metrics:
            table.add_column(metric, justify="right", no_wrap=True)
        table.add_column("status")
        if any(row.notes for row in board.rows):
            table.add_column("notes", overflow="fold")
        best = best_values(board)
        for row in board.rows:
            cells = [
                f"[bold green]{number(row, m)}[/]"
                if m in row.means and row.means[m] == best[m]
                else number(row, m)
                for m in board.metrics
            ]
            style = "" if row.means else "dim"
            notes = ["; ".join(row.notes)] if any(r.notes for r in board.rows) else []
            table.add_row(row.model, *cells, row.status, *notes, style=style)
        console.print()
        console.print(table)
    if verdicts:
        _show_verdicts(console, verdicts)


def _show_verdicts(console: Console, verdicts: list[Verdict]) -> None:
    cells = [verdict_cells(v) for v in verdicts]
    # A source shared by all rows is said once, below; a note stands under its row.
    sources = {c["source"] for c in cells}
    columns = [n for n in cells[0] if n not in ("note", "source") and any(c[n] for c in cells)]
    columns += ["source"] if len(sources) > 1 else []
    table = Table(
        title="Expected against got",
        title_justify="left",
        title_style="bold",
        header_style="bold",
    )
    for column in columns:
        text = column in ("model", "metric", "verdict", "source")
        table.add_column(column, justify="left" if text else "right", no_wrap=column != "source")
    styles = {"ok": "green", "off": "bold red", "missing": "yellow"}
    for cell in cells:
        shown = dict(cell)
        shown["verdict"] = f"[{styles[cell['verdict']]}]{cell['verdict']}[/]"
        table.add_row(*(shown[column] for column in columns))
    console.print()
    console.print(table)
    if len(sources) == 1:
        console.print(f"Expected values: {sources.pop()}", style="dim", highlight=False)
    for model, note in dict.fromkeys((c["model"], c["note"]) for c in cells if c["note"]):
        console.print(f"{model}: {note}", style="dim", highlight=False)
    ok = sum(v.verdict == "ok" for v in verdicts)
    console.print(f"{ok} of {len(verdicts)} as expected.", highlight=False)
