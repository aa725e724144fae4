"""What several commands share: arguments, and how they open a workspace."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from recrepro.experiment import Experiment
    from recrepro.ledger import Ledger
    from recrepro.results import Result
    from recrepro.workspace import Workspace

experiment_argument = click.argument("experiment", type=click.Path(path_type=Path))
_workspace = click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    default="recrepro-runs",
    show_default=True,
    envvar="RECREPRO_WORKSPACE",
    show_envvar=True,
    help="Folder that keeps results, splits and the MLflow store.",
)

LEDGER = "recrepro.cli.ledger"
"""Where click keeps the address for the time of a command."""


def _keep_address(context: click.Context, _: click.Parameter, url: str | None) -> None:
    context.meta[LEDGER] = url


_ledger = click.option(
    "--ledger",
    metavar="URL",
    envvar="RECREPRO_LEDGER",
    show_envvar=True,
    expose_value=False,
    callback=_keep_address,
    help="Ledger on PostgreSQL: postgresql://USER@HOST/DATABASE.  [default: in the workspace]",
)
Command = TypeVar("Command", bound=Callable[..., Any])


def workspace_option(command: Command) -> Command:
    """Add --workspace to a command, and --ledger, for which there is `ledger_url`."""
    return _workspace(_ledger(command))


def ledger_url() -> str | None:
    """Return the address of the ledger, if it is not the one in the workspace."""
    url: str | None = click.get_current_context().meta.get(LEDGER)
    return url


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
    """Open a workspace that an earlier run has made, and its ledger: the one door for reading."""
    from recrepro.ledger import Ledger
    from recrepro.workspace import Workspace

    place = Workspace.existing(workspace, ledger_url())
    return place, until_the_end(Ledger.in_workspace(place.root, ledger_url()))


def until_the_end(ledger: "Ledger") -> "Ledger":
    """Close a ledger when the command ends, however it ends."""
    click.get_current_context().call_on_close(ledger.close)
    return ledger
