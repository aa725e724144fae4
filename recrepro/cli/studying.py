"""The command that answers for a whole study of papers."""

from pathlib import Path

import click

from recrepro.cli.options import data_option, jobs_option, ledger_url, workspace_option


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@data_option
@workspace_option
@jobs_option
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True),
    help="How long to run.  [default: until all is done; with --quick 0.45]",
)
@click.option("--quick", is_flag=True, help="500 users, seconds for each model, one seed; marked.")
@click.option("--only", multiple=True, metavar="PAPER", help="Run this paper's experiments only.")
@click.option(
    "--records",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the record of each experiment.  [default: WORKSPACE/study/records]",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page of verdicts.  [default: WORKSPACE/study/verdicts.md]",
)
def study(
    file: Path,
    data_dir: Path | None,
    workspace: Path,
    jobs: int | None,
    hours: float | None,
    quick: bool,  # click gives it by name
    only: tuple[str, ...],
    records: Path | None,
    page: Path | None,
) -> None:
    """Run the experiments of a study of papers, and write the page of verdicts.

    Each paper's method as it was published, and tuned beside simple baselines with equal budgets.
    What is done is not done again: run the same command until all of it is. Nothing is downloaded.
    """
    from recrepro.cli.study import Options, run_study

    folder = workspace / "study"
    run_study(
        file,
        Options(
            workspace,
            records or folder / ("records-quick" if quick else "records"),
            page or folder / ("verdicts-quick.md" if quick else "verdicts.md"),
            data_dir,
            hours,
            quick,
            only,
            jobs,
            ledger_url(),
        ),
    )
