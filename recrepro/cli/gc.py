"""`recrepro gc`: delete caches and leftovers."""

import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from recrepro.cli.console import make_console
from recrepro.cli.options import workspace_option
from recrepro.cli.workspaces import existing
from recrepro.store import garbage
from recrepro.store.garbage import KINDS, Waste
from recrepro.store.workspace import Workspace
from recrepro.text.words import count, size


@click.command("gc")
@workspace_option
@click.option("--dry-run", is_flag=True, help="List what would be deleted, and delete nothing.")
def collect_garbage(workspace: Path, dry_run: bool) -> None:
    """Delete caches and leftovers of a workspace, but no results.

    Deletes splits that no cell needs any more (they are drawn again on demand), logs and
    checkpoints of done cells, and temporary files that are a day old. Blobs without a record go to
    the folder trash, and are deleted a week later. May be called beside a run.
    """
    place, ledger = existing(workspace, read_only=dry_run)
    found = garbage.waste(place, ledger, time.time()) if dry_run else garbage.clean(place, ledger)
    unknown = garbage.unknown_blobs(place, ledger)
    show_waste(make_console(), place, found, dry_run=dry_run, unknown_blobs=unknown)


def show_waste(
    console: Console,
    workspace: Workspace,
    found: Sequence[Waste],
    *,
    dry_run: bool,
    unknown_blobs: int,
) -> None:
    """Print what was deleted by kind, or each thing that would be, and what is kept."""
    if dry_run:
        for one in found:
            where = one.path.relative_to(workspace.root)
            console.print(f"{size(one.n_bytes):>12}  {one.kind:<10}  {where}", soft_wrap=True)
    for kind, meaning in KINDS.items():
        of_kind = [one.n_bytes for one in found if one.kind == kind]
        if of_kind:
            line = f"{count(len(of_kind), kind)}, {size(sum(of_kind))}: {meaning}"
            console.print(line, style="dim", soft_wrap=True)
    if unknown_blobs:
        console.print(
            f"{count(unknown_blobs, 'blob')} of unknown origin: kept, because this ledger does not "
            "say who wrote them. If an older copy of the ledger was put back, they may be results.",
            soft_wrap=True,
        )
    total = size(sum(one.freed for one in found))
    console.print(f"{'Would free' if dry_run else 'Freed'} {total}. Results are not touched.")
