"""`recrepro leaderboard`: print the tables of an experiment."""

from pathlib import Path

import click

from recrepro.analysis.leaderboard import build
from recrepro.cli.console import make_console
from recrepro.cli.options import experiment_argument, format_option, mlflow_option, workspace_option
from recrepro.cli.results import results_of
from recrepro.errors import UsageError
from recrepro.spec.experiment import load_experiment
from recrepro.tables import formats
from recrepro.tables.terminal import show_groups, show_leaderboard


@click.command()
@experiment_argument
@workspace_option
@mlflow_option
@format_option(*formats.FORMATS)
@click.option(
    "--reference", help="Mark what differs from this model.  [default: the best on validation]"
)
@click.option(
    "--intervals/--no-intervals",
    default=True,
    show_default=True,
    help="Intervals, tests and verdicts from the values of users.",
)
@click.option(
    "--by",
    type=click.Choice(["activity", "popularity"]),
    help="Show users by their activity, or items by their popularity, instead.",
)
def leaderboard(
    experiment: Path,
    workspace: Path,
    uri: str | None,
    form: str,
    reference: str | None,
    intervals: bool,
    by: str | None,
) -> None:
    """Print the leaderboard of what has been run so far."""
    if by is not None and form != "text":
        raise UsageError("--by goes with text; --format json has the values of all groups.")
    if reference is not None and (by is not None or not intervals):
        raise UsageError("--reference goes with intervals, and not with --by.")
    spec = load_experiment(experiment)
    results = results_of(experiment, spec, workspace, uri)
    if by is not None:
        show_groups(make_console(), build(spec, results)[0], by)
        return
    content = formats.contents(spec, results, reference, intervals=intervals)
    if form == "text":
        show_leaderboard(make_console(), *content)
    else:
        chosen = formats.FORMATS[form]
        click.echo(chosen.write(*content), nl=chosen.newline)
