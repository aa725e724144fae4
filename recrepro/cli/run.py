"""`recrepro run`: tune and test what is left of an experiment.

Heavy modules are imported inside the command, after the first worker's process was started: both
load at the same time.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import click

from recrepro.cli.options import (
    data_option,
    experiment_argument,
    jobs_option,
    ledger_url,
    memory_option,
    threads_option,
    workspace_option,
)
from recrepro.errors import UsageError
from recrepro.run.executors import end_waiting, start_process


@click.command()
@experiment_argument
@data_option
@workspace_option
@jobs_option
@threads_option
@memory_option
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
    "--dry-run", is_flag=True, help="Say what would be run, as `check` does; write nothing."
)
@click.option(
    "--device",
    metavar="NAME",
    help="Where models that can choose are trained, such as cuda. The experiment's key `device` "
    "gives the default.",
)
@click.option(
    "--executor",
    type=click.Choice(["local", "dask", "inline"]),
    default="local",
    show_default=True,
    help="Where the cells are run: each in a process on this machine, by the workers of a Dask "
    "cluster, or one after another inside this process, for debuggers: not for publication.",
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
    threads: int | Literal["auto"],
    memory: int | None,
    reopen: tuple[str, ...],
    keep_models: bool,
    dry_run: bool,
    device: str | None,
    executor: str,
    scheduler: str | None,
) -> None:
    """Run what is left of an experiment; print its leaderboard.

    What is done stays done: run the same file again after an interruption, or after adding a
    model, and only the rest is run.
    """
    if dry_run:
        if reopen:
            raise UsageError("--dry-run does not go with --reopen: it says what is left to run.")
        if device is not None:
            raise UsageError("--dry-run does not go with --device: write it into the experiment.")
        from recrepro.cli.check import print_check

        print_check(experiment, data_dir, workspace, jobs, threads, memory)
        return
    if executor == "dask" and scheduler is None:
        raise UsageError(
            "--executor dask needs the address of a scheduler: --scheduler tls://HOST:PORT, or "
            "tcp://127.0.0.1:PORT on this machine. Start one with `dask scheduler`."
        )
    if executor == "dask" and (threads == "auto" or memory is not None):
        raise UsageError(
            "--threads auto and --memory divide what this machine has. With --executor dask, give "
            "a number of threads, and each worker its memory: dask worker --resources MEMORY=8e9."
        )
    if executor == "inline" and (jobs is not None or threads != 1 or memory is not None):
        raise UsageError(
            "--jobs, --threads and --memory are for processes, and --executor inline starts none: "
            "leave them out. Set the threads of the libraries before, such as OMP_NUM_THREADS=1."
        )
    with _started_ahead(here=executor == "local", threads=threads) as ready:
        from recrepro.cli.grid import run_experiment

        run_experiment(
            experiment,
            data_dir,
            workspace,
            jobs=jobs,
            threads=threads,
            memory=memory,
            reopen=reopen,
            keep_models=keep_models,
            device=device,
            ledger_url=ledger_url(),
            scheduler=scheduler if executor == "dask" else None,
            inline=executor == "inline",
            ready=ready,
        )


@contextlib.contextmanager
def _started_ahead(
    *, here: bool, threads: int | Literal["auto"]
) -> Iterator[subprocess.Popen[str] | None]:
    """Start the process of the first cell, which loads what it needs while we load ours."""
    if not here or threads == "auto" or ledger_url() is not None:
        yield None
        return
    process = start_process(threads)
    try:
        yield process
    finally:
        if process.returncode is None:  # no grid has taken it, and ended it
            end_waiting(process)
