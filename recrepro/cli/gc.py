"""`recrepro gc`: what is deleted, in words."""

from collections.abc import Sequence

from rich.console import Console

from recrepro.compute.memory import in_words
from recrepro.store.garbage import KINDS, Waste
from recrepro.store.workspace import Workspace
from recrepro.tables.words import count


def show(
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
            console.print(f"{in_words(one.n_bytes):>12}  {one.kind:<10}  {where}", soft_wrap=True)
    for kind, meaning in KINDS.items():
        of_kind = [one.n_bytes for one in found if one.kind == kind]
        if of_kind:
            line = f"{count(len(of_kind), kind)}, {in_words(sum(of_kind))}: {meaning}"
            console.print(line, style="dim", soft_wrap=True)
    if blobs_stay is not None:
        console.print(blobs_stay, soft_wrap=True)
    total = in_words(sum(one.n_bytes for one in found))
    console.print(f"{'Would free' if dry_run else 'Freed'} {total}. Results are not touched.")
