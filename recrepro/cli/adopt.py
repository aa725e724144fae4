"""`recrepro adopt`: tie a workspace folder to a ledger that does not know it."""

import contextlib
from pathlib import Path

import click

from recrepro.cli.options import ledger_option, ledger_url
from recrepro.store.garbage import unknown_blobs
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace
from recrepro.text.words import count


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@ledger_option
def adopt(folder: Path) -> None:
    """Tie a workspace FOLDER to a ledger that does not know it.

    A workspace and its ledger share an id, and every other command refuses a pair that does not.
    Use this after a ledger was lost for good: a new one is made, and nothing in FOLDER is deleted.
    """
    place = Workspace.create(folder)
    with contextlib.closing(Ledger.in_workspace(place.root, ledger_url(), adopt=True)) as ledger:
        unknown = unknown_blobs(place, ledger)
        click.echo(f"{place.root} and the ledger {ledger.address} belong together now.")
    if unknown:
        click.echo(
            f"The ledger knows nothing of {count(unknown, 'blob')} in the folder. They are kept."
        )
