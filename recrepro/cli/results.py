"""How commands read the results of an experiment, and what they say of inline ones."""

from pathlib import Path

import click
from rich.console import Console

from recrepro.analysis.leaderboard import build
from recrepro.cli.workspaces import existing
from recrepro.run.plan import Plan
from recrepro.spec.experiment import Experiment
from recrepro.store.ledger import Ledger
from recrepro.store.results import Result, result_of, results_in
from recrepro.store.workspace import Workspace
from recrepro.tables.terminal import show_leaderboard
from recrepro.text.words import count
from recrepro.tracking.reader import results_from_mlflow


def say_left_out(inline: int) -> None:
    """Say on standard error how many cells have inline numbers only, if any."""
    if inline:
        click.echo(
            f"left out, because they were run inline, which is not for publication: "
            f"{count(inline, 'cell')}. Run the experiment without --executor inline.",
            err=True,
        )


def results_of(
    path: Path, experiment: Experiment, workspace: Path, uri: str | None = None
) -> list[Result]:
    """Return the cells of an experiment, from a workspace or, with an address, from MLflow."""
    if uri is None:
        place, ledger = existing(workspace)
        results = results_in(place, ledger, experiment, path.stem)
        say_left_out(sum(not r.record and r.status.inline > 0 for r in results))
        return results

    found = results_from_mlflow(uri, path.stem, experiment.grid_hash)
    if found.torn:
        click.echo(f"left out, because they are not wholly in MLflow: {found.torn} cells", err=True)
    return found.results


def print_inline(console: Console, plan: Plan, ledger: Ledger, workspace: Workspace) -> None:
    """Print the numbers of inline cells, without verdicts or published values beside them."""
    results = [result_of(workspace, ledger, cell.member) for cell in plan.cells]
    show_leaderboard(console, build(plan.experiment, results)[0], [])
    console.print(
        "\nInline numbers are not for publication: the models ran in the process that holds the "
        "keys of the test parts. Without --executor inline the cells are run anew.",
        style="yellow",
        soft_wrap=True,
    )
