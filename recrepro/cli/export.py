"""`recrepro export`: write a bundle from which others reproduce a run."""

from pathlib import Path

import click

from recrepro.cli.options import (
    ledger_url,
    run_argument,
    workspace_option,
)
from recrepro.reproduce.bundle import write_bundle
from recrepro.reproduce.locate import find_run


@click.command()
@run_argument
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@workspace_option
@click.option(
    "--wheel",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The wheel of recrepro to put in.  [default: built from the checkout]",
)
def export(run: str, folder: Path, workspace: Path, wheel: Path | None) -> None:
    """Write a bundle from which others can reproduce a RUN.

    With the bundle it takes two commands. DIR is made; if it is there, it has to be empty. RUN is
    as for `recrepro show`.
    """
    write_bundle(find_run(run, workspace, ledger_url()), folder, wheel)
    click.echo(f"{folder} is written. Its README.md has the two commands to reproduce the run.")
