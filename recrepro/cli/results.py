"""Commands that show what was run."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from recrepro.cli.options import (
    data_option,
    experiment_argument,
    ledger_url,
    mlflow_option,
    results_of,
    workspace_option,
)
from recrepro.errors import RecreproError


@click.command()
@experiment_argument
@workspace_option
@mlflow_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md", "csv", "tex", "html", "json"]),
    default="text",
    show_default=True,
    help="How to write it.",
)
@click.option("--reference", help="Mark what differs from this model, beside the best.")
@click.option(
    "--intervals/--no-intervals",
    default=True,
    show_default=True,
    help="Intervals, tests and verdicts from the values of users.",
)
@click.option(
    "--by",
    type=click.Choice(["activity", "popularity"]),
    help="Show users by their activity, or items by their popularity, instead.",
)
def leaderboard(
    experiment: Path,
    workspace: Path,
    uri: str | None,
    form: str,
    reference: str | None,
    intervals: bool,
    by: str | None,
) -> None:
    """Print an experiment's leaderboard from what has been run so far."""
    from recrepro import tables
    from recrepro.analysis.leaderboard import build
    from recrepro.cli.console import make_console
    from recrepro.errors import UsageError
    from recrepro.spec.experiment import load_experiment
    from recrepro.tables.terminal import show_groups, show_leaderboard

    if by is not None and form != "text":
        raise UsageError("--by goes with text; --format json has the values of all groups.")
    if reference is not None and (by is not None or not intervals):
        raise UsageError("--reference goes with intervals, and not with --by.")
    spec = load_experiment(experiment)
    results = results_of(experiment, spec, workspace, uri)
    if by is not None:
        show_groups(make_console(), build(spec, results)[0], by)
        return
    content = tables.contents(spec, results, reference, intervals=intervals)
    if form == "text":
        show_leaderboard(make_console(), *content)
    else:
        click.echo(tables.FORMATS[form](*content), nl=form not in ("csv", "html"))


@click.command()
@experiment_argument
@workspace_option
@mlflow_option
@click.option("--metric", help="What to compare.  [default: the one that was tuned for]")
@click.option("--reference", help="Compare with this model.  [default: the best of each table]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md", "json"]),
    default="text",
    show_default=True,
    help="How to write it.",
)
def compare(
    experiment: Path,
    workspace: Path,
    uri: str | None,
    metric: str | None,
    reference: str | None,
    form: str,
) -> None:
    """Test whether an experiment's models differ: intervals, paired tests, effect sizes."""
    from recrepro.analysis.comparison import compare_models
    from recrepro.cli import compare as comparing
    from recrepro.cli.console import make_console
    from recrepro.spec.experiment import load_experiment

    spec = load_experiment(experiment)
    boards = compare_models(
        results_of(experiment, spec, workspace, uri),
        metric or spec.selection_metric,
        reference,
    )
    if form == "text":
        comparing.show(make_console(), boards)
    else:
        click.echo(comparing.to_json(boards) if form == "json" else comparing.to_markdown(boards))


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--on", "experiment", type=click.Path(path_type=Path), help="Experiment to score it on."
)
@click.option("--name", help="What tables call it.  [default: the file's name]")
@click.option("--dataset", help="Which data set of the experiment, if it has several.")
@click.option("--split", help="Which split.")
@click.option("--seed", type=int, help="Which seed.")
@click.option("--fold", type=int, help="Which fold, from 1.")
@click.option("--train", type=click.Path(path_type=Path), help="Instead: train part, in a file.")
@click.option("--test", type=click.Path(path_type=Path), help="Test part.")
@click.option("--validation", type=click.Path(path_type=Path), help="Validation part.")
@click.option("--negatives", type=click.Path(path_type=Path), help="Sampled negatives.")
@click.option("--parts-format", help="Of the parts, where their ending does not tell it.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="What to measure, with --train and --test.  [default: ndcg@10, recall@10]",
)
@click.option("--file-format", help="Of the run file: csv, tsv, parquet or trec.")
@click.option(
    "--column", "columns", multiple=True, help="A column of these files, such as score=prediction."
)
@data_option
@workspace_option
def evaluate(
    run: Path,
    experiment: Path | None,
    name: str | None,
    data_dir: Path | None,
    workspace: Path,
    metrics: tuple[str, ...],
    file_format: str | None,
    columns: tuple[str, ...],
    **given: Any,
) -> None:
    """Score a RUN file of another program: user, item, and score or rank.

    \b
    recrepro evaluate run.tsv --on my.toml --name theirs
    recrepro evaluate run.trec --train train.tsv --test test.tsv --metric ndcg@10

    On an experiment it goes to the leaderboard, marked as external, and the ledger counts each
    try. Parts to train on: recrepro split.
    """
    from recrepro.cli.console import make_console
    from recrepro.cli.evaluate import evaluate_on_experiment
    from recrepro.data.formats.columns import parse_columns
    from recrepro.errors import UsageError
    from recrepro.run.external import Choice, evaluate_on_files
    from recrepro.tables.terminal import show_values

    mapping = parse_columns(columns, ("user", "item", "score", "rank", "value", "time"))
    which = {key: given.pop(key) for key in ("dataset", "split", "seed", "fold")}
    parts_format = given.pop("parts_format")
    if (experiment is None) == (given["train"] is None or given["test"] is None):
        raise UsageError(
            "say what to score it on: --on EXPERIMENT, or --train FILE and --test FILE."
        )
    if experiment is None:
        if name is not None or any(value is not None for value in which.values()):
            raise UsageError("--name, --dataset, --split, --seed and --fold go with --on.")
        scored = evaluate_on_files(
            run,
            metrics=metrics or ("ndcg@10", "recall@10"),
            file_format=parts_format,
            run_format=file_format,
            columns=mapping,
            **given,
        )
        show_values(make_console(), scored.evaluation, scored.notes, sampled=scored.sampled)
        return
    if metrics or any(value is not None for value in given.values()):
        raise UsageError("with --on, metrics and parts are those of the experiment.")
    title = name or run.name.partition(".")[0].lower()
    evaluate_on_experiment(
        make_console(),
        run,
        title,
        experiment,
        Choice(**which),
        data_dir,
        workspace,
        file_format=file_format,
        columns=mapping,
        ledger_url=ledger_url(),
    )


@click.command()
@workspace_option
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
def ui(workspace: Path, port: int) -> None:
    """Open the MLflow UI on the runs of a workspace, on this machine only."""
    from recrepro.cli.ui import run_in_foreground
    from recrepro.store.workspace import Workspace
    from recrepro.tracking.store import is_server, printable, runs_pages, tracking_uri

    place = Workspace.existing(workspace, ledger_url())
    uri = tracking_uri(place)
    remote = is_server(uri)
    server = uri.rstrip("/") if remote else f"http://127.0.0.1:{port}"
    what = f"On the server {printable(uri)}" if remote else "Starting MLflow here (Ctrl-C ends it)"
    click.echo(f"{what}. The runs of")
    try:
        pages = runs_pages(place, server)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise RecreproError(f"MLflow at {printable(uri)} cannot be read: {reason}") from error
    for name, page in pages.items():
        click.echo(f"  {name}\n    {page}")
    if remote:
        return
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri]
    code = run_in_foreground(command)
    if code != 0:
        raise RecreproError(
            f"the MLflow server ended with exit code {code}. Is port {port} taken? Try --port."
        )
