"""`recrepro evaluate`: score run files of other programs."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from recrepro.cli.console import make_console
from recrepro.cli.endings import finish_mirror
from recrepro.cli.grid import print_leaderboard
from recrepro.cli.options import (
    data_option,
    ledger_url,
    workspace_option,
)
from recrepro.data.formats.columns import parse_columns
from recrepro.data.runs import read_run
from recrepro.errors import UsageError
from recrepro.run.external import SplitChoice, check_title, evaluate_on_files, score_on_plan
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment
from recrepro.spec.places import located
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace
from recrepro.tables.terminal import show_values
from recrepro.tracking.background import BackgroundMirror
from recrepro.tracking.mirror import MlflowMirror


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
    """Score a RUN file of another program.

    The file has a user, an item, and a score or a rank in each line.

    \b
    recrepro evaluate run.tsv --on my.toml --name theirs
    recrepro evaluate run.trec --train train.tsv --test test.tsv --metric ndcg@10

    On an experiment it goes to the leaderboard, marked as external, and the ledger counts each
    try. Parts to train on: recrepro split.
    """
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
        SplitChoice(**which),
        data_dir,
        workspace,
        file_format=file_format,
        columns=mapping,
        ledger_url=ledger_url(),
    )


def evaluate_on_experiment(
    console: Console,
    run: Path,
    name: str,
    experiment_file: Path,
    choice: SplitChoice,
    data_dir: Path | None,
    workspace: Path,
    *,
    file_format: str | None = None,
    columns: Mapping[str, str] | None = None,
    ledger_url: str | None = None,
) -> None:
    """Score a run file on the test part of an experiment's split; print the leaderboard with it.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    run, name, choice, file_format, columns
        As in `recrepro.run.external.score_on_plan`.
    experiment_file : Path
        The experiment; nothing of it has to be run before.
    data_dir, workspace, ledger_url
        As for `recrepro run`.
    """
    experiment = load_experiment(experiment_file)
    check_title(name, experiment, experiment_file)
    frame = read_run(run, file_format, columns)
    with located(experiment_file, experiment):
        plan = make_plan(experiment, experiment_file.parent, data_dir, progress=False)
    place = Workspace.create(workspace)
    with contextlib.closing(Ledger.in_workspace(place.root, ledger_url)) as ledger:
        record = score_on_plan(plan, ledger, place, frame, run, name, choice)
        source = experiment_file.read_text(encoding="utf-8")
        planned = [(one.member, one.identity) for one in plan.cells]
        ledger.plan(experiment_file.stem, experiment.grid_hash, source, planned)
        ledger.add_external(experiment_file.stem, record)
        copied = MlflowMirror(ledger, place, experiment_file.stem, experiment.grid_hash, source)
        with BackgroundMirror(copied) as mirror:
            mirror.poke()
            print_leaderboard(console, experiment, experiment_file.stem, ledger, place)
            finish_mirror(console, mirror, place, workspace)
