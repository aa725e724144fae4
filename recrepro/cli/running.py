"""Commands that run an experiment, or say what would be run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from recrepro.cli.options import (
    data_option,
    experiment_argument,
    ledger_url,
    until_the_end,
    workspace_option,
)
from recrepro.errors import UsageError

if TYPE_CHECKING:
    from recrepro.ledger import CellState


@click.command()
@experiment_argument
@data_option
@workspace_option
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Models tuned side by side, each in a process of its own.  [default: one a core, or one "
    "a thread of the cluster's workers]",
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
@click.option(
    "--keep-models",
    is_flag=True,
    help="Store what the final models have learned, as arrays; of cells that are run now.",
)
@click.option(
    "--executor",
    type=click.Choice(["local", "dask"]),
    default="local",
    show_default=True,
    help="Where the cells are run: on this machine, or by the workers of a Dask cluster.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    envvar="RECREPRO_SCHEDULER",
    show_envvar=True,
    help="The cluster's scheduler, with --executor dask; tls:// if it is on another machine.",
)
def run(
    experiment: Path,
    data_dir: Path | None,
    workspace: Path,
    jobs: int | None,
    threads: int,
    reopen: tuple[str, ...],
    keep_models: bool,
    executor: str,
    scheduler: str | None,
) -> None:
    """Run what is left of an experiment, then print its leaderboard.

    What is done stays done: run the same file again after an interruption, or after adding a
    model, and only the rest is run.
    """
    from recrepro.running import run_experiment

    if executor == "dask" and scheduler is None:
        raise UsageError(
            "--executor dask needs the address of a scheduler: --scheduler tls://HOST:PORT, or "
            "tcp://127.0.0.1:PORT on this machine. Start one with `dask scheduler`."
        )
    run_experiment(
        experiment,
        data_dir,
        workspace,
        jobs=jobs,
        threads=threads,
        reopen=reopen,
        keep_models=keep_models,
        ledger_url=ledger_url(),
        scheduler=scheduler if executor == "dask" else None,
    )


@click.command()
@experiment_argument
@data_option
@workspace_option
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
    if (url := ledger_url()) or (workspace / "ledger.db").is_file():
        known = until_the_end(Ledger.in_workspace(workspace, url)).states()
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
