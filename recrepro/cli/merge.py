"""`recrepro merge`: take results and trials from another workspace."""

import contextlib
from pathlib import Path

import click
from rich.console import Console

from recrepro.cli.console import make_console
from recrepro.cli.options import ledger_url, workspace_option
from recrepro.errors import RecreproError
from recrepro.store.ledger import Ledger
from recrepro.store.merge import merge as take
from recrepro.store.pack import opened
from recrepro.store.parcel import Merged
from recrepro.store.workspace import Workspace
from recrepro.text.words import count


@click.command()
@click.argument("other", type=click.Path(path_type=Path))
@click.option(
    "--other-ledger",
    metavar="URL",
    help="Ledger of the other workspace, if it is not in its folder.",
)
@workspace_option
def merge(other: Path, other_ledger: str | None, workspace: Path) -> None:
    """Take finished results and trials from OTHER.

    OTHER is a workspace, a file that `recrepro pack` wrote, or a folder of records, such as a
    snapshot. It stays as it is. Everything is checked against its hashes before it is taken.

    \b
    Exit code 0: all was taken, or was here already.
    1: a result or a trial is another one there than here. Ours stays, and tables mark it.
    3: something is damaged, altered or of another version, and was left out.
    """
    with opened(other, other_ledger) as parcel:
        place = Workspace.create(workspace)
        with contextlib.closing(Ledger.in_workspace(place.root, ledger_url())) as ledger:
            merged = take(parcel, ledger, place)
    show_merged(make_console(), merged)
    if merged.refused:
        raise RecreproError(
            f"{len(merged.refused)} of what {other} has was not taken: "
            + "; ".join(merged.refused[:10])
            + ("; ..." if len(merged.refused) > 10 else ".")
        )
    if merged.alarms:
        click.get_current_context().exit(1)


def show_merged(console: Console, merged: Merged) -> None:
    """Print what was taken and what was not."""
    taken = [count(len(merged.cells), "result"), count(merged.trials, "trial")]
    if merged.checkpoints:
        taken.append(count(merged.checkpoints, "checkpoint"))
    console.print(f"Taken: {', '.join(taken)}. Here already: {count(merged.known, 'result')}.")
    for name in merged.busy:
        console.print(
            f"{name} is being run here, so its result was not taken. Merge again when it is done.",
            style="yellow",
            soft_wrap=True,
            markup=False,
        )
    for alarm in merged.alarms:
        console.print(f"Alarm: {alarm}", style="bold red", soft_wrap=True, markup=False)
