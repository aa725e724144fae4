"""`recrepro pack`: write what is unfinished to one file."""

from pathlib import Path

import click

from recrepro.cli.options import workspace_option
from recrepro.cli.workspaces import existing
from recrepro.store.pack import pack as write_file
from recrepro.text.words import count, size


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@workspace_option
def pack(file: Path, workspace: Path) -> None:
    """Write what is unfinished in a workspace to one FILE.

    It has the cells that are left, their trials, the openings of the test part and the newest
    checkpoint of each. `recrepro merge FILE` takes it into another workspace, which goes on from
    there. Results are not in it: merge the workspace itself, or a snapshot (recrepro cite).
    """
    place, ledger = existing(workspace)
    packed = write_file(ledger, place, file)
    click.echo(
        f"{file} ({size(file.stat().st_size)}) has {count(packed.cells, 'unfinished cell')}, "
        f"{count(packed.trials, 'trial')} and {count(packed.checkpoints, 'checkpoint')}. To go on "
        f"elsewhere: recrepro merge {file.name}"
    )
