"""`recrepro report`: write the report of an experiment."""

from pathlib import Path

import click

from recrepro.cli.options import (
    experiment_argument,
    workspace_option,
)
from recrepro.cli.results import results_of
from recrepro.report import write_report
from recrepro.spec.experiment import load_experiment


@click.command()
@experiment_argument
@workspace_option
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write.  [default: report.html]",
)
def report(experiment: Path, workspace: Path, output: Path | None) -> None:
    """Write one web page with everything about an experiment.

    It needs no network.

    \b
    recrepro report my.toml --output my.html

    Verdict, leaderboards, intervals, costs, searches, audits and provenance, from what has been
    run so far.
    """
    spec = load_experiment(experiment)
    results = results_of(experiment, spec, workspace)
    path = output or Path("report.html")
    write_report(spec, results, path, source=experiment.read_text(encoding="utf-8"))
    click.echo(path)
