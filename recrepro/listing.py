"""What the command line shows as tables: the registries and the leaderboard."""

import ast
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from recrepro.leaderboard import Leaderboard, Verdict
from recrepro.tables import judgements
from recrepro.tables.cells import (
    best_values,
    first_cutoff,
    group_cells,
    heading,
    interval,
    legend,
    marks,
    number,
    verdict_cells,
)
from recrepro.verdict import BoardVerdict

if TYPE_CHECKING:
    from pydantic import BaseModel

    from recrepro.evaluation.evaluator import Evaluation

PIPE_WIDTH = 160
"""Columns of a table that does not go to a terminal."""


class _PlainConsole(Console):
    """Prints what it is given: names such as ``ndcg[recsys2019]`` are no markup."""

    def __init__(self, width: int | None = None) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, width=width)

    def on_broken_pipe(self) -> None:
        """Go on in silence: whoever reads `recrepro run | head` has seen enough, not the run."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_console() -> Console:
    """Return a console on standard output; a pipe or a file gets wide lines."""
    console = _PlainConsole()
    return console if console.is_terminal else _PlainConsole(width=PIPE_WIDTH)


def show(console: Console, kind: str, name: str | None = None) -> None:
    """Print the table of a kind of things, or all there is to know of one of them.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    kind : {"models", "datasets", "filters", "metrics", "splits"}
        Which registry.
    name : str, optional
        One of its names.
    """
    if name is None:
        _TABLES[kind](console)
    else:
        _DETAILS[kind](console, name)


def _show_models(console: Console) -> None:
    from recrepro.runner import MODELS

    rows = [
        (name, first_doc_line(MODELS.resolve_target(name)), MODELS.origin(name).split(" ")[0])
        for name in MODELS.names()
    ]
    _print(console, "Models", ("name", "what it does", "from"), rows)
    for fault in MODELS.faults():
        console.print(fault, style="yellow", soft_wrap=True)
    console.print("Hyperparameters of one: recrepro ls models NAME\n", style="dim")


def _show_model(console: Console, name: str) -> None:
    from recrepro.runner import MODELS
    from recrepro.space import OnlyWhere, declared_space

    model = MODELS.resolve(name)
    console.print(Text(name, style="bold"), f"(version {model.version})\n\n{_doc(model)}\n")
    if model.needs_features:
        console.print(
            f"It needs features of {' and '.join(f'{s}s' for s in model.needs_features)}.\n"
        )
    space = declared_space(model.Config)
    rows = []
    for field, of in model.Config.model_fields.items():
        conditions = [str(mark) for mark in of.metadata if isinstance(mark, OnlyWhere)]
        searched = " ".join([str(space.get(field, "not searched")), *conditions])
        rows.append((field, repr(of.default), searched, of.description or ""))
    if rows:
        _print(console, "Hyperparameters", ("name", "default", "search range", ""), rows)
    else:
        console.print("It has no hyperparameters.")


def _show_splits(console: Console) -> None:
    from recrepro.splits import SPLITS

    rows = [(name, _doc(SPLITS.resolve(name)).splitlines()[0]) for name in SPLITS.names()]
    _print(console, "Splits", ("name", "what it holds out"), rows)
    console.print("Options of one: recrepro ls splits NAME\n", style="dim")


def _show_split(console: Console, name: str) -> None:
    from recrepro.splits import SPLITS

    _show_options(console, name, SPLITS.resolve(name))


def _show_filters(console: Console) -> None:
    from recrepro.data.filters import FILTERS

    rows = [(name, _doc(FILTERS.resolve(name)).splitlines()[0]) for name in FILTERS.names()]
    _print(console, "Filters", ("name", "what it does"), rows)
    console.print("Options of one: recrepro ls filters NAME\n", style="dim")


def _show_filter(console: Console, name: str) -> None:
    from recrepro.data.filters import FILTERS

    _show_options(console, name, FILTERS.resolve(name))


def _show_options(console: Console, name: str, kind: "type[BaseModel]") -> None:
    console.print(Text(name, style="bold"), f"\n\n{_doc(kind)}\n")
    rows = [
        (option, "required" if f.is_required() else repr(f.default), f.description or "")
        for option, f in kind.model_fields.items()
    ]
    _print(console, "Options", ("name", "default", ""), rows)


def _show_metrics(console: Console) -> None:
    from recrepro.evaluation.definitions import DEFINITIONS, KINDS, SYMBOLS

    for kind, title in KINDS.items():
        rows = [(d.pattern, d.formula, d.same_in) for d in DEFINITIONS.values() if d.kind == kind]
        _print(console, title, ("name", "formula", "same formula in"), rows)
    console.print(SYMBOLS, style="dim", soft_wrap=True)
    console.print("All there is to know of one: recrepro ls metrics NAME\n", style="dim")


def _show_metric(console: Console, name: str) -> None:
    from recrepro.evaluation.definitions import SYMBOLS, find_definition

    definition = find_definition(name.partition("@")[0])
    console.print(Text(definition.pattern, style="bold"), f"\n\n{definition.explanation}\n")
    rows = [("formula", definition.formula), ("same in", definition.same_in or "-")]
    _print(console, "Definition", ("", ""), rows)
    console.print(SYMBOLS, "\n", style="dim", soft_wrap=True)


def _show_datasets(console: Console) -> None:
    from recrepro.data.catalogue import DATASETS

    def count(known: int | None) -> str:
        return "?" if known is None else f"{known:,}"

    for family in dict.fromkeys(d.family for d in DATASETS.values()):
        rows = [
            (
                name,
                count(d.users),
                count(d.items),
                f"{d.rows:,} rows" if d.interactions is None and d.rows else count(d.interactions),
                "download" if all(s.url for s in d.sources.values()) else "your copy",
                ", ".join(d.features),
                # Its name says all there is to say of a category.
                "" if name.startswith("amazon-") and d.family.endswith("5-core") else d.title,
            )
            for name, d in DATASETS.items()
            if d.family == family
        ]
        _print(
            console,
            family,
            ("name", "users", "items", "interactions", "from", "features", ""),
            rows,
        )
    console.print(
        "?: not known, and not checked; rows: before repeated pairs become one; your copy: put the "
        "files below --data DIR yourself\nAddresses, checksums and licence of one: recrepro ls "
        "datasets NAME\n",
        style="dim",
        soft_wrap=True,
    )


def _show_dataset(console: Console, name: str) -> None:
    from recrepro.data.catalogue import find_entry

    entry = find_entry(name)
    counts = {"users": entry.users, "items": entry.items, "interactions": entry.interactions}
    counts["rows before repeated pairs become one"] = entry.rows
    known = ", ".join(f"{n:,} {what}" for what, n in counts.items() if n is not None)
    console.print(Text(name, style="bold"), f"\n{entry.title}\n{known or 'counts not known'}\n")
    rows = [
        ("home page", entry.homepage),
        ("licence", entry.licence),
        ("cite", entry.citation),
        ("content", f"sha256:{entry.content}" if entry.content else "no checksum known"),
    ]
    features = {f"{f.side} {name}": f.source for name, f in entry.features.items()}
    for part, source in {**entry.sources, **features}.items():
        rows += [("", ""), (part, " or ".join(source.local) + ", below --data DIR")]
        if source.archives:
            rows.append(("or the archive", ", ".join(source.archives)))
        if not source.url:
            rows.append(("download", "none: get it from the home page and put it there"))
            continue
        rows.append(("download", source.url))
        if source.member:
            rows.append(("what is read of it", source.member))
        unknown = "no checksum known: what came is checked by what it holds"
        rows.append(("checksum", source.checksum or unknown))
        rows.append(("at most", f"{source.limit_mb:,} MB"))
    _print(console, "Source", ("", ""), rows)


_TABLES: dict[str, Callable[[Console], None]] = {
    "models": _show_models,
    "datasets": _show_datasets,
    "filters": _show_filters,
    "metrics": _show_metrics,
    "splits": _show_splits,
}

_DETAILS: dict[str, Callable[[Console, str], None]] = {
    "models": _show_model,
    "datasets": _show_dataset,
    "filters": _show_filter,
    "metrics": _show_metric,
    "splits": _show_split,
}


def plain_table(title: str | None = None) -> Table:
    """Return an empty table in the one style that we print."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )


def _print(
    console: Console, title: str | None, columns: Sequence[str], rows: Iterable[tuple[str, ...]]
) -> None:
    table = plain_table(title)
    table.show_header = any(columns)
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=place == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _doc(thing: Any) -> str:
    return "\n".join(line.strip() for line in (thing.__doc__ or "").strip().splitlines())


def first_doc_line(target: str) -> str:
    """Read the first docstring line of a class without importing its module.

    Importing a neural model would load torch, which a list of names must not need.

    Parameters
    ----------
    target : str
        ``"module:Class"``.
    """
    module, _, name = target.partition(":")
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


def show_values(
    console: Console, evaluation: "Evaluation", notes: Iterable[str], *, sampled: bool
) -> None:
    """Print the values of one evaluation."""
    rows = [(name, f"{value:.6f}") for name, value in evaluation.means.items()]
    title = f"{'Sampled' if sampled else 'Full'} ranking, {len(evaluation.users):,} users"
    title += f" ({evaluation.n_skipped:,} without held-out items are skipped)"
    console.print(f"\n{title}", style="bold", soft_wrap=True)
    _print(console, None, ("metric", "value"), rows)
    for note in notes:
        console.print(f"{note}.", style="dim", soft_wrap=True)


def show_groups(console: Console, boards: Iterable[Leaderboard], by: str) -> None:
    """Print values by group: of users by their activity, or of items by their popularity."""
    for board in boards:
        columns, rows = group_cells(board, by)
        console.print()
        console.print(heading(board), style="bold", soft_wrap=True)
        _print(console, None, ("model", *columns), [(m, *cells) for m, cells in rows.items()])
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
    verdicts: list[Verdict],
    judged: Iterable[BoardVerdict] = (),
) -> None:
    """Print the tables of an experiment."""
    for board in boards:
        console.print()
        for metrics in _columns_that_fit(console, board):
            console.print(_leaderboard_table(board, metrics))
        for note in (*legend(board), *board.notes):
            console.print(note, style="dim", soft_wrap=True)
        for row in board.rows:
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
    for row in board.rows:
        cells = [
            Text.assemble(
                (number(row, m), "bold green" if row.means.get(m) == best.get(m) else ""),
                marks(row, m).ljust(widths[m]),
                (f"\n{interval(row, m)}{' ' * widths[m]}" if m in row.chance else "", "dim"),
            )
            for m in metrics
        ]
        table.add_row(row.model, *cells, row.status, style="" if row.means else "dim")
    return table


def _show_verdicts(console: Console, verdicts: list[Verdict]) -> None:
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
