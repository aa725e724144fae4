"""`recrepro sensitivity`: how much of a table is decided by its protocol."""

import contextlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from recrepro.analysis.sensitivity import Variant, VariantRow, compared, variants
from recrepro.cli.console import make_console
from recrepro.cli.grid import run_experiment
from recrepro.cli.options import (
    data_option,
    experiment_argument,
    format_option,
    jobs_option,
    ledger_url,
    workspace_option,
)
from recrepro.cli.results import results_of
from recrepro.spec.experiment import Experiment, load_experiment
from recrepro.store.results import Result
from recrepro.tables import markdown
from recrepro.tables.console import plain_table
from recrepro.text.words import count

NOTE = (
    "Each variant fits and tests the tuned models again. Nothing is searched, so that a model was "
    "tuned for another protocol than that of its row. better, worse: p < 0.05 after Holm's "
    "correction; open: neither. This is no verdict, which needs more than p-values."
)


@click.command()
@experiment_argument
@data_option
@workspace_option
@jobs_option
@format_option("md", "json")
def sensitivity(
    experiment: Path, data_dir: Path | None, workspace: Path, jobs: int | None, form: str
) -> None:
    """Test tuned models again under other protocols.

    The experiment has to be run before: what its searches have found is kept. The variants are run
    in the same workspace; what is done of them is not done again.
    """
    spec = load_experiment(experiment)
    results = results_of(experiment, spec, workspace)
    found = variants(spec, results)
    folder = workspace / "sensitivity"
    tables: dict[tuple[str, str], dict[str, list[Result]]] = {}
    for result in results:
        place = (result.name.dataset, result.name.split)
        tables.setdefault(place, {"as it is": []})["as it is"].append(result)
    # Standard output has nothing but the table, if a program is going to read it.
    progress = sys.stdout if form == "text" else sys.stderr
    for variant in found:
        with contextlib.redirect_stdout(progress):
            done = list(_run(variant, experiment, folder, data_dir, workspace, jobs))
        tables[variant.dataset, variant.split][variant.change] = done
    shown = {place: compared(spec, *place, rows) for place, rows in tables.items()}
    if form == "json":
        click.echo(to_json(spec, shown))
    elif form == "md":
        click.echo(to_markdown(spec, shown), nl=False)
    else:
        _show(spec, shown)


def _run(
    variant: Variant,
    path: Path,
    folder: Path,
    data_dir: Path | None,
    workspace: Path,
    jobs: int | None,
) -> Iterable[Result]:
    """Run a variant, and return its results."""
    for one in variant.experiments:
        file = folder / f"{path.stem}-{one.grid_hash[:12]}.toml"
        one.write(file)
        run_experiment(
            file, data_dir, workspace, base=path.parent, jobs=jobs, ledger_url=ledger_url()
        )
        yield from results_of(file, one, workspace)


def _cells(row: VariantRow, first: VariantRow) -> list[str]:
    same = "" if row.winner == first.winner else " (another)"
    judged = [
        f"{model} {sign} ({row.differences[model].difference:+.4f})"
        + ("" if first.signs.get(model) in (None, sign) else " (another)")
        for model, sign in row.signs.items()
    ]
    return [
        row.change,
        f"{row.winner}{same}",
        f"{row.value:.4f}",
        f"{row.users:,}",
        "; ".join(judged),
    ]


def _heads(metric: str, rows: Sequence[VariantRow]) -> list[str]:
    heads = ["variant", "winner", metric, "users", "judged models"]
    return heads if any(row.signs for row in rows) else heads[:-1]


def summary(rows: Sequence[VariantRow]) -> str:
    """Say in how many variants the winner, and what is shown of judged models, changes."""
    first, *others = rows
    winners = sum(row.winner != first.winner for row in others)
    text = f"The winner is another one in {winners} of {count(len(others), 'variant')}"
    if first.signs:
        signs = sum(row.signs != first.signs for row in others)
        text += f"; what is shown of the judged models is other than before in {signs}"
    return f"{text}."


Shown = dict[tuple[str, str], list[VariantRow]]


def _show(spec: Experiment, shown: Shown) -> None:
    console = make_console()
    for (dataset, split), rows in shown.items():
        heads = _heads(spec.selection_metric, rows)
        table = plain_table(f"{dataset} · {split}: how much the protocol decides")
        for head in heads:
            right = head in (spec.selection_metric, "users")
            table.add_column(head, justify="right" if right else "left")
        for row in rows:
            table.add_row(*_cells(row, rows[0])[: len(heads)])
        console.print()
        console.print(table)
        console.print(summary(rows), soft_wrap=True)
    console.print(NOTE, style="dim", soft_wrap=True)


def to_markdown(spec: Experiment, shown: Shown) -> str:
    """Write the tables in Markdown."""
    lines: list[str] = []
    for (dataset, split), rows in shown.items():
        heads = _heads(spec.selection_metric, rows)
        cells = ([markdown.escape(c) for c in _cells(row, rows[0])[: len(heads)]] for row in rows)
        lines += [f"### {markdown.escape(f'{dataset} · {split}')}", ""]
        lines += [*markdown.table([markdown.escape(h) for h in heads], cells, right={2, 3}), ""]
        lines += [summary(rows), ""]
    return "\n".join([*lines, NOTE, ""])


def to_json(spec: Experiment, shown: Shown) -> str:
    """Write everything unrounded."""
    tables = [
        {
            "dataset": dataset,
            "split": split,
            "metric": spec.selection_metric,
            "rows": [
                {
                    "change": row.change,
                    "winner": row.winner,
                    "value": row.value,
                    "users": row.users,
                    "judged": [
                        {"model": model, "sign": row.signs[model], **asdict(found)}
                        for model, found in row.differences.items()
                    ],
                }
                for row in rows
            ],
        }
        for (dataset, split), rows in shown.items()
    ]
    return json.dumps({"tables": tables}, indent=1)
