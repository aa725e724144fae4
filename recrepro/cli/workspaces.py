"""How commands open a workspace."""

from pathlib import Path

import click

from recrepro.cli.options import ledger_url
from recrepro.errors import UsageError
from recrepro.spec.experiment import load_experiment
from recrepro.store.entries import Planned
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace


def existing(workspace: Path, *, read_only: bool = True) -> tuple[Workspace, Ledger]:
    """Open a workspace that an earlier run has made, and its ledger: the one door to both.

    Parameters
    ----------
    workspace : Path
        The folder.
    read_only : bool
        Whether nothing is going to be written into the ledger.
    """
    place = Workspace.existing(workspace, ledger_url())
    ledger = Ledger.in_workspace(place.root, ledger_url(), read_only=read_only)
    click.get_current_context().call_on_close(ledger.close)  # however the command ends
    return place, ledger


def planned_versions(ledger: Ledger, experiment: Path | None) -> list[Planned]:
    """Return the version of an experiment that its file has, or all of all, the latest first."""
    planned = ledger.planned()
    if experiment is None:
        return planned

    grid_hash = load_experiment(experiment).grid_hash
    found = [p for p in planned if (p.name, p.grid_hash) == (experiment.stem, grid_hash)]
    if not found:
        raise UsageError(
            f"nothing of {experiment.stem!r}, as the file is now, was run in this workspace. Run "
            f"it: recrepro run {experiment}, or name its workspace with --workspace DIR."
        )
    return found
