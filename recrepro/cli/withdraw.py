"""`recrepro withdraw`: take a result out of all tables, for a reason that they give."""

from pathlib import Path

import click

from recrepro.cli.options import run_argument, workspace_option
from recrepro.cli.workspaces import existing
from recrepro.errors import UsageError
from recrepro.reproduce.locate import find_cell


@click.command()
@run_argument
@click.option("--because", required=True, metavar="TEXT", help="The reason, which tables give.")
@workspace_option
def withdraw(run: str, because: str, workspace: Path) -> None:
    """Take the result of a RUN out of all tables, for a reason.

    The record stays, and each table counts the results that were withdrawn. RUN is a cell:
    dataset/split/model/seed N, or 8 or more characters of its key.
    """
    if not because.strip():
        raise UsageError("--because is empty: say why the result is withdrawn.")
    _, ledger = existing(workspace, read_only=False)
    cell = find_cell(run, ledger)
    ledger.withdraw(cell.cell, because.strip())
    click.echo(
        f"{cell.name.path} ({cell.cell[:8]}) is withdrawn: {because.strip()}. Its record stays, "
        "and tables count it."
    )
