"""The command line. Heavy imports are inside the commands: `recrepro --help` loads click only."""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recrepro import __version__
from recrepro.errors import RecreproError

if TYPE_CHECKING:
    from recrepro.ledger import CellState, Ledger
    from recrepro.workspace import Workspace

EXIT_FAILURE = 3
KINDS = ("models", "datasets", "filters", "metrics", "splits")
EXIT_INTERRUPTED = 130

_experiment = click.argument("experiment", type=click.Path(path_type=Path))
_workspace = click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    default="recrepro-runs",
    show_default=True,
    envvar="RECREPRO_WORKSPACE",
    show_envvar=True,
    help="Folder that keeps results, splits and the MLflow store.",
)
_data = click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path),
    envvar="RECREPRO_DATA",
    show_envvar=True,
    help="Folder with local copies of data sets; used before anything is downloaded.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="recrepro")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(*, debug: bool) -> None:
    """Ask whether a recommender is really better than well-tuned simple ones.

    \b
    recrepro run experiments/quickstart.toml      tune and test a grid of models
    recrepro leaderboard experiments/quickstart.toml
    recrepro ui                                   look at the runs in MLflow
    """
    del debug  # read by `main`, which is what meets the errors


@cli.command()
@_experiment
@_data
@_workspace
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Models tuned side by side, each in a process of its own.  [default: one a core]",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads of the numeric libraries in each process.",
)
@click.option(
    "--reopen",
    multiple=True,
    metavar="NAME",
    help="Test cells again that have a result; every table says so. A model, a cell as the "
    "progress lines name it, or 8 or more characters of its key.",
)
def run(
    experiment: Path,
    data_dir: Path | None,
    workspace: Path,
    jobs: int | None,
    threads: int,
    reopen: tuple[str, ...],
) -> None:
    """Run what is left of an experiment, then print its leaderboard.

    What is done stays done: run the same file again after an interruption, or after adding a
    model, and only the rest is run.
    """
    from recrepro.running import run_experiment

    run_experiment(experiment, data_dir, workspace, jobs=jobs, threads=threads, reopen=reopen)


@cli.command()
@_experiment
@_data
@_workspace
def check(experiment: Path, data_dir: Path | None, workspace: Path) -> None:
    """Check an experiment without running it: names, values, data, cells.

    Nothing is downloaded: of a data set that is not here, only the name is checked.
    """
    from recrepro.data.source import unavailable
    from recrepro.experiment import load_experiment
    from recrepro.ledger import Ledger
    from recrepro.listing import make_console
    from recrepro.memory import in_words
    from recrepro.plan import check_names, make_plan
    from recrepro.progress import count, short_titles

    console = make_console()
    spec = load_experiment(experiment)
    check_names(spec)
    absent = [(d, why) for d in spec.datasets if (why := unavailable(d, data_dir))]
    for dataset, why in absent:
        console.print(f"{dataset.name}: {why}", soft_wrap=True)
    here = spec.without_datasets([d.name for d, _ in absent])
    if here is None:
        console.print("Every name and value is valid; the cells are known once the data is here.")
        return
    plan = make_plan(here, experiment.parent, data_dir, progress=False)
    known: dict[str, CellState] = {}
    if (workspace / "ledger.db").is_file():
        known = _until_the_end(Ledger.in_workspace(workspace)).states()
    for name, drawn in plan.draw_splits():
        parts = {"train": drawn.parts.train, "validation": drawn.parts.validation}
        parts["test"] = drawn.parts.test
        sizes = ", ".join(f"{len(part):,} {title}" for title, part in parts.items())
        console.print(f"{name}: {sizes} interactions; audit: {drawn.audit.line}", soft_wrap=True)
    names = short_titles(plan.cells)
    for cell in plan.cells:
        state = known.get(cell.key, "to run")
        trials = plan.n_trials(cell)
        work = count(trials, "trial") if trials else "one fit"
        needed = plan.memory_needed(cell)
        memory = f", about {in_words(needed)} of memory" if needed else ""
        console.print(f"{names[cell.key]}  {work}, {state}{memory}", soft_wrap=True)
    left = [c for c in plan.cells if known.get(c.key) != "done"]
    console.print(
        f"The experiment is valid: {count(len(plan.cells), 'cell')}, {len(left)} to run with "
        f"{count(sum(map(plan.n_trials, left)), 'trial')}."
    )


@cli.command()
@click.argument("experiment", type=click.Path(path_type=Path), required=False)
@_data
@click.option("--train", type=click.Path(path_type=Path), help="Train part, in a file.")
@click.option("--test", type=click.Path(path_type=Path), help="Test part.")
@click.option("--validation", type=click.Path(path_type=Path), help="Validation part.")
@click.option("--negatives", type=click.Path(path_type=Path), help="Sampled negatives.")
@click.option("--file-format", help="Of these files, where their ending does not tell it.")
@click.option(
    "--column", "columns", multiple=True, help="A column of these files, such as user=buyer."
)
@click.option(
    "--order",
    type=click.Choice(["none", "user", "global"]),
    help="What these files promise about time.  [default: what they look like]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md", "json"]),
    default="text",
    show_default=True,
    help="How to write it.",
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw popularity of train, test and a random test part (.svg, .png, .pdf).",
)
def audit(
    experiment: Path | None,
    data_dir: Path | None,
    form: str,
    picture: Path | None,
    columns: tuple[str, ...],
    **files: Any,
) -> None:
    """Audit the splits of an experiment, or one that lies in files, for leakage.

    \b
    recrepro audit experiments/quickstart.toml
    recrepro audit --train train.tsv --test test.tsv --picture audit.svg

    The verdict is clean, suspicious or leaking; exit code 1 if it is leaking.
    """
    from recrepro import auditing
    from recrepro.data.columns import parse_columns
    from recrepro.errors import UsageError
    from recrepro.listing import make_console
    from recrepro.plots import check_picture, draw_popularity

    if picture is not None:
        check_picture(picture)
    given = sorted(name for name, value in files.items() if value is not None)
    if experiment is not None and (given or columns):
        raise UsageError(
            f"give an experiment, or the files of a split, not both: got {experiment} and "
            f"{', '.join(given) or 'columns'}."
        )
    if experiment is not None:
        audits, absent = auditing.audit_experiment(experiment, data_dir)
        for name in absent:
            click.echo(f"not audited: {name}", err=True)
    elif files["train"] is not None and files["test"] is not None:
        mapping = parse_columns(columns, ("user", "item", "value", "time"))
        audits = auditing.audit_files(**files, columns=mapping)
    else:
        raise UsageError("say what to audit: an experiment file, or --train FILE and --test FILE.")
    if form == "text":
        auditing.show(make_console(), audits)
    else:
        click.echo(auditing.to_json(audits) if form == "json" else auditing.to_markdown(audits))
    if picture is not None:
        draw_popularity(audits, picture)
        click.echo(f"Drawn: {picture}", err=True)
    click.get_current_context().exit(1 if auditing.worst(audits) == "leaking" else 0)


@cli.command()
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
@_data
@_workspace
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
    from recrepro import evaluating
    from recrepro.data.columns import parse_columns
    from recrepro.errors import UsageError
    from recrepro.listing import make_console, show_values

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
        scored = evaluating.evaluate_on_files(
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
    evaluating.evaluate_on_experiment(
        make_console(),
        run,
        title,
        experiment,
        evaluating.Choice(**which),
        data_dir,
        workspace,
        file_format=file_format,
        columns=mapping,
    )


@cli.command(name="ls")
@click.argument("what", type=click.Choice(KINDS), required=False)
@click.argument("name", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md"]),
    default="text",
    help="md: the page of all metrics, for `ls metrics`.",
)
def list_(what: str | None, name: str | None, form: str) -> None:
    """List what an experiment can name, or show all there is to know of one NAME.

    \b
    recrepro ls                  models, datasets, filters, metrics and splits
    recrepro ls models           one of the lists
    recrepro ls models ease      hyperparameters, defaults and search ranges of one model
    """
    from recrepro.errors import UsageError
    from recrepro.listing import make_console, show

    if form == "md":
        if what != "metrics" or name:
            raise UsageError("--format md is for `recrepro ls metrics`, without a name.")
        from recrepro.evaluation.glossary import to_markdown

        click.echo(to_markdown(), nl=False)
        return
    console = make_console()
    for kind in [what] if what else KINDS:
        show(console, kind, name)


@cli.command()
@_experiment
@_workspace
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md", "csv", "json"]),
    default="text",
    show_default=True,
    help="How to write it.",
)
@click.option(
    "--by",
    type=click.Choice(["activity", "popularity"]),
    help="Show users by their activity, or items by their popularity, instead.",
)
def leaderboard(experiment: Path, workspace: Path, form: str, by: str | None) -> None:
    """Print an experiment's leaderboard from what has been run so far."""
    from recrepro import leaderboard as tables
    from recrepro.errors import UsageError
    from recrepro.experiment import load_experiment
    from recrepro.listing import make_console, show_groups
    from recrepro.results import results_in
    from recrepro.running import print_leaderboard

    if by is not None and form != "text":
        raise UsageError("--by goes with text; --format json has the values of all groups.")

    spec = load_experiment(experiment)
    place, ledger = _existing(workspace)
    if form == "text" and by is None:
        print_leaderboard(make_console(), spec, experiment.stem, ledger, place)
        return
    boards, verdicts = tables.build(spec, results_in(place, ledger, spec, experiment.stem))
    if by is not None:
        show_groups(make_console(), boards, by)
    elif form == "md":
        click.echo(tables.to_markdown(boards, verdicts))
    elif form == "csv":
        click.echo(tables.to_csv(boards), nl=False)
    else:
        click.echo(tables.to_json(boards, verdicts))


@cli.command()
@_experiment
@_workspace
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
    experiment: Path, workspace: Path, metric: str | None, reference: str | None, form: str
) -> None:
    """Test whether an experiment's models differ: intervals, paired tests, effect sizes."""
    from recrepro import comparing
    from recrepro.experiment import load_experiment
    from recrepro.listing import make_console
    from recrepro.results import results_in

    spec = load_experiment(experiment)
    place, ledger = _existing(workspace)
    boards = comparing.compare_models(
        results_in(place, ledger, spec, experiment.stem),
        metric or spec.selection_metric,
        reference,
    )
    if form == "text":
        comparing.show(make_console(), boards)
    else:
        click.echo(comparing.to_json(boards) if form == "json" else comparing.to_markdown(boards))


@cli.command()
@_experiment
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@_data
def split(experiment: Path, folder: Path, data_dir: Path | None) -> None:
    """Write what models may see of an experiment's splits to FOLDER, for other programs.

    \b
    train.tsv        what to fit on while tuning
    validation.tsv   what to tune on
    known.tsv        what to fit the final model on
    users.tsv        whom to recommend for
    validation_shown.tsv, test_shown.tsv
                     unseen users only: what the model is shown of those it is judged by

    The test part is not written. Score what comes of it with recrepro evaluate.
    """
    from recrepro.evaluating import write_parts

    for place in write_parts(experiment, folder, data_dir):
        click.echo(place)


@cli.command()
@_workspace
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
def ui(workspace: Path, port: int) -> None:
    """Open the MLflow UI on the runs of a workspace, on this machine only."""
    from recrepro.interrupts import run_in_foreground
    from recrepro.tracking import runs_pages, tracking_uri
    from recrepro.workspace import Workspace

    place = Workspace.existing(workspace)
    uri = tracking_uri(place)
    remote = uri.startswith(("http://", "https://"))
    server = uri.rstrip("/") if remote else f"http://127.0.0.1:{port}"
    what = f"On the server {uri}" if remote else "Starting MLflow here (Ctrl-C ends it)"
    click.echo(f"{what}. The runs of")
    try:
        pages = runs_pages(place, server)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise RecreproError(f"MLflow at {uri} cannot be read: {reason}") from error
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


def _existing(workspace: Path) -> "tuple[Workspace, Ledger]":
    from recrepro.ledger import Ledger
    from recrepro.workspace import Workspace

    place = Workspace.existing(workspace)
    return place, _until_the_end(Ledger.in_workspace(place.root))


def _until_the_end(ledger: "Ledger") -> "Ledger":
    """Close a ledger when the command ends, however it ends."""
    click.get_current_context().call_on_close(ledger.close)
    return ledger


def main() -> None:
    """Run the command line; every error becomes one message and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows ASCII only
    debug = "--debug" in sys.argv[1:]
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    try:
        code = cli.main(arguments, prog_name="recrepro", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # `recrepro ls | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        click.echo(f"error: {_message(error)}", err=True)
        sys.exit(error.exit_code if isinstance(error, RecreproError) else EXIT_FAILURE)


def _message(error: Exception) -> str:
    if isinstance(error, RecreproError):
        return str(error)
    if isinstance(error, OSError) or type(error).__module__.startswith("sqlalchemy"):
        what = str(error).splitlines()[0]
        return (
            f"{what}. Results that were committed are kept; free space or mend the folder, then "
            "run the same command again."
        )
    return (
        f"{type(error).__name__}: {error}. This is a fault of recrepro: please report it with "
        "what `recrepro --debug …` shows."
    )


if __name__ == "__main__":
    main()
