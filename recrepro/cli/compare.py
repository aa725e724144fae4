"""`recrepro compare`: intervals of models, and paired tests against one of them."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console, JustifyMethod
from rich.text import Text

from recrepro.analysis.comparison import ComparedBoard, compare_models
from recrepro.analysis.significance import TESTS
from recrepro.cli.console import make_console
from recrepro.cli.options import experiment_argument, format_option, mlflow_option, workspace_option
from recrepro.cli.results import results_of
from recrepro.spec.experiment import load_experiment
from recrepro.tables import markdown
from recrepro.tables.cells import p_text
from recrepro.tables.console import plain_table
from recrepro.tables.verdicts import plain_boards
from recrepro.text.words import count

COLUMNS = (
    *("model", "mean", "95 % interval", "difference", "95 % interval", "detectable", "effect"),
    *("better / worse", "p (t)", "p (Wilcoxon)", "p (randomisation)"),
)


@click.command()
@experiment_argument
@workspace_option
@mlflow_option
@click.option("--metric", help="What to compare.  [default: the one that was tuned for]")
@click.option("--reference", help="Compare with this model.  [default: the best on validation]")
@format_option("md", "json")
def compare(
    experiment: Path,
    workspace: Path,
    uri: str | None,
    metric: str | None,
    reference: str | None,
    form: str,
) -> None:
    """Test whether the models of an experiment differ.

    It prints intervals, paired tests and effect sizes.
    """
    spec = load_experiment(experiment)
    boards = compare_models(
        results_of(experiment, spec, workspace, uri), metric or spec.selection_metric, reference
    )
    if form == "text":
        show_comparison(make_console(), boards)
    else:
        click.echo(to_json(boards) if form == "json" else to_markdown(boards))


def _cells(board: ComparedBoard) -> Iterator[tuple[str, ...]]:
    for row in board.models:
        spread = "" if row.spread is None else f" ± {row.spread:.4f}"
        own = (row.model, f"{row.mean:.4f}{spread}", f"{row.low:.4f} to {row.high:.4f}")
        other = row.comparison
        if other is None:
            what = "reference" if row.model == board.reference else "no users in common"
            yield (*own, what, *[""] * 7)
            continue
        yield (
            *own,
            f"{other.difference:+.4f}",
            f"{other.low:+.4f} to {other.high:+.4f}",
            "-" if math.isnan(seen := other.estimate.detectable) else f"{seen:.4f}",
            f"{other.effect:+.2f}",
            f"{other.better:.0%} / {other.worse:.0%}",
            *(p_text(row.corrected[test]) for test in TESTS),
        )


def _heading(board: ComparedBoard) -> str:
    ranking = "sampled ranking" if board.sampled else "full ranking"
    place = f"{board.dataset} · {board.split} ({ranking})"
    return f"{place}: {board.metric}, compared with {board.reference}"


EXPLANATION = (
    "Intervals and p (t) account for the choice of users; for seeds of the fit where there are "
    "several fits; for splits where there are three or more seeds or folds. p (Wilcoxon) and "
    "p (randomisation) account for users only. Detectable: difference that is found with a power "
    "of 80 %. Effect: mean difference over its standard deviation over users. P-values are paired "
    "and two-sided. Each table is a family of its own."
)


def _notes(board: ComparedBoard) -> list[str]:
    """Say how p-values are corrected, and of which models the chance of the seed is unknown."""
    compared = sum(row.comparison is not None for row in board.models)
    holm = f"P-values are corrected by Holm for {count(compared, 'comparison')} with"
    notes = [
        {
            "name": f"{holm} {board.reference}.",
            "validation": f"{holm} {board.reference}, which is the best on validation.",
            "test": "No model was tuned, so that the reference is the best on test: p-values are "
            f"corrected for all pairs of the {len(board.models)} models.",
        }[board.chosen_by]
    ]
    once = [row.model for row in board.models if not row.seeds_known]
    if once:
        notes.append(
            f"Fitted once, with an unknown chance of the seed that is left out: {', '.join(once)}."
        )
    return notes


def show_comparison(console: Console, boards: list[ComparedBoard]) -> None:
    """Print the tables."""
    for board in boards:
        table = plain_table(_heading(board))
        for place, column in enumerate(COLUMNS):
            column = re.sub(r" (?=\(|interval|/)", "\n", column)  # noqa: PLW2901 - heads of two lines
            justify: JustifyMethod = "left" if place == 0 else "right"
            table.add_column(column, justify=justify, no_wrap=place == 0, overflow="fold")
        for cells in _cells(board):
            table.add_row(*(Text(cell) for cell in cells))
        console.print()
        console.print(table)
        for note in _notes(board):
            console.print(Text(note), style="dim", soft_wrap=True)
    console.print(EXPLANATION, style="dim", soft_wrap=True)


def to_markdown(boards: list[ComparedBoard]) -> str:
    """Write the tables in Markdown."""
    lines = []
    for board in boards:
        table = markdown.table(COLUMNS, _cells(board), right=range(1, len(COLUMNS)))
        notes = [markdown.escape(note) for note in _notes(board)]
        lines += [f"### {_heading(board)}", "", *table, "", *notes, ""]
    return "\n".join([*lines, EXPLANATION])


def to_json(boards: list[ComparedBoard]) -> str:
    """Write everything, unrounded; what is infinite or not a number is null."""
    return json.dumps(plain_boards(boards), indent=1, allow_nan=False)
