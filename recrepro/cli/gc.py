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

    Splits that no cell needs any more (they are drawn again on demand), logs and checkpoints of
    done cells, and, when they are a day old, blobs without a record and temporary files. May be
    called beside a run.
    """
    place, ledger = existing(workspace, read_only=dry_run)
    found = garbage.waste(place, ledger, time.time()) if dry_run else garbage.clean(place, ledger)
    kept = garbage.why_blobs_stay(place, ledger)
    show_waste(make_console(), place, found, dry_run=dry_run, blobs_stay=kept)


def show_waste(
    console: Console,
    workspace: Workspace,
    found: Sequence[Waste],
    *,
    dry_run: bool,
    blobs_stay: str | None,
) -> None:
    """Print what was deleted by kind, or each thing that would be, and why blobs stay."""
    if dry_run:
        for one in found:
            where = one.path.relative_to(workspace.root)
            console.print(f"{size(one.n_bytes):>12}  {one.kind:<10}  {where}", soft_wrap=True)
    for kind, meaning in KINDS.items():
        of_kind = [one.n_bytes for one in found if one.kind == kind]
        if of_kind:
            line = f"{count(len(of_kind), kind)}, {size(sum(of_kind))}: {meaning}"
            console.print(line, style="dim", soft_wrap=True)
    if blobs_stay is not None:
        console.print(blobs_stay, soft_wrap=True)
    total = size(sum(one.n_bytes for one in found))
    console.print(f"{'Would free' if dry_run else 'Freed'} {total}. Results are not touched.")
