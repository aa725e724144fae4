"""Commands on the record of a run: look at it, repeat it, hand it on."""

from pathlib import Path

import click

from recrepro.cli.options import data_option, ledger_url, workspace_option

run_argument = click.argument("run")


@click.command()
@run_argument
@workspace_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: the whole record.",
)
def show(run: str, workspace: Path, form: str) -> None:
    """Print what is recorded of a RUN: what was run, what came out, where it was made.

    \b
    RUN is a record file (record.json), an MLflow run id, or a cell:
    dataset/split/model/seed N, or 8 or more characters of its key
    """
    import json

    from recrepro.cli.console import make_console
    from recrepro.cli.show import show_record
    from recrepro.reproduce.locate import find_run

    record = find_run(run, workspace, ledger_url()).record
    if form == "json":
        click.echo(json.dumps(record, indent=1))
    else:
        show_record(make_console(), record)


@click.command()
@run_argument
@data_option
@workspace_option
@click.option(
    "--base",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the experiment's own files.  [default: as recorded]",
)
@click.option("--retune", is_flag=True, help="Repeat the search for hyperparameters too.")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads of the numeric libraries.  [default: as recorded]",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.001,
    show_default=True,
    help="Up to which difference the verdict is `within tolerance`; relative above 1.",
)
def reproduce(
    run: str,
    data_dir: Path | None,
    workspace: Path,
    base: Path | None,
    retune: bool,
    threads: int | None,
    tolerance: float,
) -> int:
    """Fit a recorded RUN again and say whether the result is the same.

    Exit code 0 if it is identical or within tolerance, 1 if it is different. RUN is as for
    `recrepro show`. Nothing is written into the workspace.
    """
    from recrepro.cli.console import make_console
    from recrepro.cli.reproduce import reproduce as run_again
    from recrepro.reproduce.locate import find_run

    agreement = run_again(
        make_console(),
        find_run(run, workspace, ledger_url()),
        base=base,
        data_dir=data_dir,
        retune=retune,
        threads=threads,
        tolerance=tolerance,
    )
    return int(agreement.verdict == "different")


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
    """Write a small bundle of a RUN, from which others reproduce it with two commands.

    DIR is made; if it is there, it has to be empty. RUN is as for `recrepro show`.
    """
    from recrepro.reproduce.bundle import write_bundle
    from recrepro.reproduce.locate import find_run

    write_bundle(find_run(run, workspace, ledger_url()), folder, wheel)
    click.echo(f"{folder} is written. Its README.md has the two commands to reproduce the run.")
