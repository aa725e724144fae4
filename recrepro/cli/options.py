"""What several commands share: arguments, and how they open a workspace."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from recrepro.experiment import Experiment
    from recrepro.ledger import Ledger
    from recrepro.results import Result
    from recrepro.workspace import Workspace

experiment_argument = click.argument("experiment", type=click.Path(path_type=Path))
workspace_option = click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    default="recrepro-runs",
    show_default=True,
    envvar="RECREPRO_WORKSPACE",
    show_envvar=True,
    help="Folder that keeps results, splits and the MLflow store.",
)
data_option = click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path),
    envvar="RECREPRO_DATA",
    show_envvar=True,
    help="Folder with local copies of data sets; used before anything is downloaded.",
)
mlflow_option = click.option(
    "--mlflow",
    "uri",
    metavar="URI",
    help="Read the results from this MLflow server or database, not from the workspace.",
)

text_or_json = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to write it.",
)


def results_of(
    path: Path, experiment: "Experiment", workspace: Path, uri: str | None
) -> "list[Result]":
    """Return the cells of an experiment, from a workspace or, with an address, from MLflow."""
    if uri is None:
        from recrepro.results import results_in

        place, ledger = existing(workspace)
        return results_in(place, ledger, experiment, path.stem)
    from recrepro.tracking_results import results_from_mlflow

    found = results_from_mlflow(uri, path.stem, experiment.grid_hash)
    if found.torn:
        click.echo(f"left out, because they are not wholly in MLflow: {found.torn} cells", err=True)
    return found.results


def existing(workspace: Path) -> "tuple[Workspace, Ledger]":
    """Open a workspace that an earlier run has made, and its ledger."""
    from recrepro.ledger import Ledger
    from recrepro.workspace import Workspace

    place = Workspace.existing(workspace)
    return place, until_the_end(Ledger.in_workspace(place.root))


def until_the_end(ledger: "Ledger") -> "Ledger":
    """Close a ledger when the command ends, however it ends."""
    click.get_current_context().call_on_close(ledger.close)
    return ledger
