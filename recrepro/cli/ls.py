"""`recrepro ls`: list what an experiment can name.

Each list imports only what it shows: the names of the models need no numeric library.
"""

import ast
import inspect
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from recrepro.cli.console import make_console
from recrepro.errors import UsageError
from recrepro.tables.console import print_table
from recrepro.text.formulas import formulas_as_text
from recrepro.text.toml import in_toml

if TYPE_CHECKING:
    from pydantic import BaseModel

KINDS = ("models", "datasets", "filters", "metrics", "splits")


@click.command(name="ls")
@click.argument("what", type=click.Choice(KINDS), required=False)
@click.argument("name", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md"]),
    default="text",
    help="md: the page of all metrics, for `ls metrics`.",
)
def list_(what: str | None, name: str | None, form: str) -> None:
    """List what an experiment can name, or describe one NAME.

    \b
    recrepro ls                  models, datasets, filters, metrics and splits
    recrepro ls models           one of the lists
    recrepro ls models ease      hyperparameters, defaults and search ranges of one model
    """
    if form == "md":
        if what != "metrics" or name:
            raise UsageError("--format md is for `recrepro ls metrics`, without a name.")

        from recrepro.evaluation.glossary import to_markdown

        click.echo(to_markdown(), nl=False)
        return
    console = make_console()
    for kind in [what] if what else KINDS:
        show_names(console, kind, name)


def show_names(console: Console, kind: str, name: str | None = None) -> None:
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
    from recrepro.models import MODELS

    rows = [
        (name, first_doc_line(MODELS.resolve_target(name)), MODELS.origin(name).split(" ")[0])
        for name in MODELS.names()
    ]
    print_table(console, "Models", ("name", "what it does", "from"), rows)
    for fault in MODELS.faults():
        console.print(fault, style="yellow", soft_wrap=True)
    console.print("Hyperparameters of one: recrepro ls models NAME\n", style="dim")


def _show_model(console: Console, name: str) -> None:
    from recrepro.models import MODELS
    from recrepro.space import OnlyWhere, as_written, declared_space

    model = MODELS.resolve(name)
    console.print(Text(name, style="bold"), f"(version {model.version})\n\n{_doc(model)}\n")
    if model.needs_features:
        console.print(
            f"It needs features of {' and '.join(f'{s}s' for s in model.needs_features)}.\n"
        )
    declared = declared_space(model.Config)
    space = {field: in_toml(as_written(ends)) for field, ends in declared.items()}
    rows = []
    for field, of in model.Config.model_fields.items():
        conditions = [str(mark) for mark in of.metadata if isinstance(mark, OnlyWhere)]
        searched = " ".join([space.get(field, "not searched"), *conditions])
        rows.append((field, in_toml(of.default), searched, of.description or ""))
    if not rows:
        console.print("It has no hyperparameters.")
        return
    print_table(console, "Hyperparameters", ("name", "default", "search range", ""), rows)
    if space:
        field, ends = next(iter(space.items()))
        console.print(
            f"To search another range, write in the experiment: search = {{ {field} = {ends} }}",
            style="dim",
            soft_wrap=True,
        )


def _show_splits(console: Console) -> None:
    from recrepro.splits import SPLITS

    rows = [(name, _doc(SPLITS.resolve(name)).splitlines()[0]) for name in SPLITS.names()]
    print_table(console, "Splits", ("name", "what it holds out"), rows)
    console.print("Options of one: recrepro ls splits NAME\n", style="dim")


def _show_split(console: Console, name: str) -> None:
    from recrepro.splits import SPLITS

    _show_options(console, name, SPLITS.resolve(name))


def _show_filters(console: Console) -> None:
    from recrepro.data.filters import FILTERS

    rows = [(name, _doc(FILTERS.resolve(name)).splitlines()[0]) for name in FILTERS.names()]
    print_table(console, "Filters", ("name", "what it does"), rows)
    console.print("Options of one: recrepro ls filters NAME\n", style="dim")


def _show_filter(console: Console, name: str) -> None:
    from recrepro.data.filters import FILTERS

    _show_options(console, name, FILTERS.resolve(name))


def _show_options(console: Console, name: str, kind: "type[BaseModel]") -> None:
    console.print(Text(name, style="bold"), f"\n\n{_doc(kind)}\n")
    rows = [
        (option, "required" if f.is_required() else in_toml(f.default), f.description or "")
        for option, f in kind.model_fields.items()
    ]
    print_table(console, "Options", ("name", "default", ""), rows)


def _show_metrics(console: Console) -> None:
    from recrepro.evaluation.definitions import DEFINITIONS, SYMBOLS
    from recrepro.evaluation.definitions import KINDS as METRIC_KINDS

    for kind, title in METRIC_KINDS.items():
        rows = [(d.pattern, d.formula, d.same_in) for d in DEFINITIONS.values() if d.kind == kind]
        print_table(console, title, ("name", "formula", "same formula in"), rows)
    console.print(SYMBOLS, style="dim", soft_wrap=True)
    console.print("All there is to know of one: recrepro ls metrics NAME\n", style="dim")


def _show_metric(console: Console, name: str) -> None:
    from recrepro.evaluation.definitions import SYMBOLS, find_definition

    definition = find_definition(name.partition("@")[0])
    console.print(Text(definition.pattern, style="bold"), f"\n\n{definition.explanation}\n")
    rows = [("formula", definition.formula), ("same in", definition.same_in or "-")]
    print_table(console, "Definition", ("", ""), rows)
    console.print(SYMBOLS, "\n", style="dim", soft_wrap=True)


def _show_datasets(console: Console) -> None:
    from recrepro.data.catalogue import DATASETS

    def shown_count(known: int | None) -> str:
        return "?" if known is None else f"{known:,}"

    for family in dict.fromkeys(d.family for d in DATASETS.values()):
        rows = [
            (
                name,
                shown_count(d.users),
                shown_count(d.items),
                f"{d.rows:,} rows"
                if d.interactions is None and d.rows
                else shown_count(d.interactions),
                "download" if all(s.url for s in d.sources.values()) else "your copy",
                ", ".join(d.features),
                # Its name says all there is to say of a category.
                "" if name.startswith("amazon-") and d.family.endswith("5-core") else d.title,
            )
            for name, d in DATASETS.items()
            if d.family == family
        ]
        print_table(
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
    print_table(console, "Source", ("", ""), rows)


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


def _doc(thing: Any) -> str:
    return formulas_as_text(inspect.cleandoc(thing.__doc__ or ""))


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
