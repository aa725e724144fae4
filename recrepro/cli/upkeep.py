"""Commands that look after a workspace: how far it is, what MLflow lacks, what can go."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recrepro.cli.options import existing, text_or_json, workspace_option

if TYPE_CHECKING:
    from recrepro.store.entries import Planned
    from recrepro.store.ledger import Ledger

some_experiment = click.argument(
    "experiment", type=click.Path(path_type=Path), required=False, metavar="[EXPERIMENT]"
)


def _versions(ledger: "Ledger", experiment: Path | None) -> "list[Planned]":
    """Return the version of an experiment that its file has, or all of all, the latest first."""
    planned = ledger.planned()
    if experiment is None:
        return planned
    from recrepro.errors import UsageError
    from recrepro.spec.experiment import load_experiment

    grid_hash = load_experiment(experiment).grid_hash
    found = [p for p in planned if (p.name, p.grid_hash) == (experiment.stem, grid_hash)]
    if not found:
        raise UsageError(
            f"nothing of {experiment.stem!r}, as the file is now, was run in this workspace. Run "
            f"it: recrepro run {experiment}, or name its workspace with --workspace DIR."
        )
    return found


@click.command()
@some_experiment
@workspace_option
@text_or_json
def status(experiment: Path | None, workspace: Path, form: str) -> None:
    """Say how far an experiment is, or all of a workspace.

    Cells that are done, running (where, since when), failed and left, and what MLflow lacks.
    """
    from recrepro.cli import status
    from recrepro.cli.console import make_console

    place, ledger = existing(workspace)
    latest = {planned.name: planned for planned in reversed(_versions(ledger, experiment))}
    found = [status.look(place, ledger, planned) for planned in latest.values()]
    if form == "json":
        click.echo(json.dumps(status.as_json(found), indent=1))
    else:
        status.show(make_console(), found)


@click.command()
@some_experiment
@workspace_option
@click.option(
    "--mlflow",
    "uri",
    metavar="URI",
    help="Server or database to send to.  [env var: MLFLOW_TRACKING_URI]",
)
def sync(experiment: Path | None, workspace: Path, uri: str | None) -> None:
    """Send to MLflow what it lacks of an experiment, or of all in a workspace; each run once."""
    from recrepro.cli.console import make_console
    from recrepro.cli.sync import send

    place, ledger = existing(workspace)
    send(make_console(), place, ledger, _versions(ledger, experiment), uri)


@click.command("gc")
@workspace_option
@click.option("--dry-run", is_flag=True, help="List what would be deleted, and delete nothing.")
def collect_garbage(workspace: Path, dry_run: bool) -> None:
    """Delete caches and leftovers of a workspace; results stay as they are.

    Splits that no cell needs any more (they are drawn again on demand), logs and checkpoints of
    done cells, and, when they are a day old, blobs without a record and temporary files. May be
    called beside a run.
    """
    import time

    from recrepro.cli.console import make_console
    from recrepro.cli.gc import show
    from recrepro.store import garbage

    place, ledger = existing(workspace)
    found = garbage.waste(place, ledger, time.time()) if dry_run else garbage.clean(place, ledger)
    kept = garbage.why_blobs_stay(place, ledger)
    show(make_console(), place, found, dry_run=dry_run, blobs_stay=kept)
