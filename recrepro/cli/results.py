"""How commands read the results of an experiment."""

from pathlib import Path

import click

from recrepro.cli.workspaces import existing
from recrepro.spec.experiment import Experiment
from recrepro.store.results import Result, results_in
from recrepro.tracking.reader import results_from_mlflow


def results_of(
    path: Path, experiment: Experiment, workspace: Path, uri: str | None
) -> list[Result]:
    """Return the cells of an experiment, from a workspace or, with an address, from MLflow."""
    if uri is None:
        place, ledger = existing(workspace)
        return results_in(place, ledger, experiment, path.stem)

    found = results_from_mlflow(uri, path.stem, experiment.grid_hash)
    if found.torn:
        click.echo(f"left out, because they are not wholly in MLflow: {found.torn} cells", err=True)
    return found.results
