"""From an experiment file to its leaderboard on the screen."""

import contextlib
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from recrepro.analysis import leaderboard
from recrepro.analysis.verdict import BoardVerdict, judge, may_be_judged
from recrepro.cli.console import make_console
from recrepro.cli.endings import finish_mirror, say_how_to_go_on
from recrepro.cli.output import open_terminal
from recrepro.cli.progress import Progress
from recrepro.cli.results import print_inline
from recrepro.compute.memory import available_bytes
from recrepro.compute.threads import cores, share_cores
from recrepro.errors import RecreproError, UsageError
from recrepro.run.admission import MemoryBudget, default_budget, expected_memory
from recrepro.run.coordinator import Grid
from recrepro.run.dask_executor import DaskCluster, check_address
from recrepro.run.executors import Executor, LocalProcesses
from recrepro.run.inline import Inline, as_inline
from recrepro.run.notes import placed_notes
from recrepro.run.plan import Cell, Plan, make_plan, one_a_search
from recrepro.run.titles import cells_to_reopen
from recrepro.spec.budget import Budget, in_all
from recrepro.spec.experiment import Experiment, load_experiment
from recrepro.spec.places import located
from recrepro.store.address import LedgerAddress, address_of_file
from recrepro.store.entries import CellWork
from recrepro.store.ledger import Ledger
from recrepro.store.results import results_in
from recrepro.store.schema import CellState
from recrepro.store.workspace import Workspace
from recrepro.tables.terminal import show_leaderboard
from recrepro.text.words import count, size
from recrepro.tracking.background import BackgroundMirror
from recrepro.tracking.mirror import MlflowMirror


def run_experiment(
    path: Path,
    data_dir: Path | None,
    workspace: Path,
    *,
    base: Path | None = None,
    jobs: int | None = None,
    threads: int | Literal["auto"] = 1,
    memory: int | None = None,
    reopen: Iterable[str] = (),
    keep_models: bool = False,
    device: str | None = None,
    ledger_url: str | None = None,
    scheduler: str | None = None,
    inline: bool = False,
    ready: subprocess.Popen[str] | None = None,
) -> None:
    """Run what is left of an experiment and print its leaderboard.

    Parameters
    ----------
    path : Path
        The experiment file.
    data_dir : Path, optional
        Folder with local copies of named data sets.
    workspace : Path
        Folder that keeps the results; made if it is not there.
    base : Path, optional
        Folder that file names in the experiment start from; by default that of the file.
    jobs : int, optional
        Cells that run side by side; by default as many as the cores, or the workers, allow.
    threads : int or "auto"
        Threads of the numeric libraries in each cell's process; or the cores divided by the jobs.
    memory : int, optional
        Bytes that the cells which run side by side may need together; by default a share of what
        is available.
    reopen : iterable of str
        Names of done cells that are tested again, see `cells_to_reopen`.
    keep_models : bool
        Whether to store what the final models have learned, of the cells that are run.
    device : str, optional
        Where models that can choose are trained, in place of the experiment's key.
    ledger_url : str, optional
        Address of the ledger, if it is not in the workspace.
    scheduler : str, optional
        Address of a Dask scheduler whose workers run the cells.
    inline : bool
        Whether the cells run in this process, and nothing of them is published.
    ready : subprocess.Popen, optional
        A worker's process that was started ahead.

    Raises
    ------
    RecreproError
        If the experiment cannot be run, or some cells failed (the others are done).
    KeyboardInterrupt
        After what is done has been kept, and the command to go on printed.
    """
    console = make_console()
    if scheduler is not None:
        _check_cluster(scheduler, ledger_url or address_of_file(workspace / "ledger.db"))
    experiment, plan = _read(console, path, base or path.parent, data_dir, device)
    place = Workspace.create(workspace)
    source = path.read_text(encoding="utf-8")
    with (
        contextlib.closing(Ledger.in_workspace(place.root, ledger_url)) as ledger,
        BackgroundMirror(
            MlflowMirror(ledger, place, path.stem, experiment.grid_hash, source)
        ) as mirror,
    ):
        executor: Executor | None = None
        n_threads = 1 if threads == "auto" else threads
        if scheduler is not None:
            executor = _cluster(console, scheduler, place, n_threads)
        members = [(cell.member, cell.identity) for cell in plan.cells]
        ledger.plan(path.stem, experiment.grid_hash, source, members)
        if inline:
            plan = as_inline(plan)
            ledger.add_unlisted({cell.key: cell.identity for cell in plan.cells})
            executor = Inline(ledger.address.secrets)
        again = cells_to_reopen(reopen, plan.cells, ledger.states())
        copy = None if inline else mirror
        progress = _announce(console, plan, ledger, place, path.stem, copy, again)
        budget = None
        if executor is None:
            jobs, n_threads = share_cores(jobs, threads)
            total = default_budget(available_bytes()) if memory is None else memory
            budget = MemoryBudget(total, expected_memory(plan, ledger.records()))
            _warn(console, plan, ledger, budget, jobs * n_threads)
            executor = LocalProcesses(place.log, n_threads, ledger.address.secrets, ready)
        grid = Grid(
            plan,
            ledger,
            place,
            executor,
            jobs=jobs,
            observer=progress,
            reopen=again,
            keep_models=keep_models,
            memory=budget,
        )
        try:
            with progress, open_terminal() if inline else contextlib.nullcontext():
                grid.run()
        except KeyboardInterrupt:
            say_how_to_go_on(console, plan, ledger)
            raise
        if inline:
            print_inline(console, plan, ledger, place)
            failed = grid.failed
        else:
            failed = print_leaderboard(console, experiment, path.stem, ledger, place)
            failed = list(dict.fromkeys([*failed, *grid.failed]))
            finish_mirror(console, mirror, place, workspace)
    if failed:
        logs = ", ".join(str(place.log(cell)) for cell in failed)
        printed = "" if inline else f" What their processes printed: {logs}."
        raise RecreproError(
            f"{len(failed)} of {len(plan.cells)} cells failed (see the notes above).{printed} "
            "Running the same file again retries them."
        )


def _read(
    console: Console, path: Path, base: Path, data_dir: Path | None, device: str | None
) -> tuple[Experiment, Plan]:
    """Read an experiment, load its data, and print what is odd about it."""
    experiment = load_experiment(path)
    if device is not None:
        experiment = experiment.model_copy(update={"device": device})
    with located(path, experiment), open_terminal():  # for the bar of a download
        plan = make_plan(experiment, base, data_dir, progress=sys.stderr.isatty())
    for note in placed_notes(path, experiment, plan):
        console.print(note, style="yellow", soft_wrap=True)
    return experiment, plan


def _warn(console: Console, plan: Plan, ledger: Ledger, budget: MemoryBudget, threads: int) -> None:
    """Say what will be slow, or tight."""
    states = ledger.states()
    large = [c for c in plan.cells if budget.needs[c.key] > budget.total and not _done(c, states)]
    for cell in {(cell.name.model, cell.name.dataset): cell for cell in large}.values():
        console.print(
            f"{cell.name.model} on {cell.name.dataset} needs about "
            f"{size(budget.needs[cell.key])} of memory, more than the "
            f"{size(budget.total)} that cells may need together: it runs alone.",
            style="yellow",
            soft_wrap=True,
        )
    if threads > cores():
        console.print(
            f"{threads} threads in all share {count(cores(), 'core')}: fewer --jobs or --threads "
            "are faster.",
            style="yellow",
            soft_wrap=True,
        )


def _check_cluster(scheduler: str, ledger_url: str) -> None:
    """Refuse, before any work, a cluster that must not or cannot be used."""
    try:
        check_address(scheduler, LedgerAddress(ledger_url))
    except ImportError as error:
        raise UsageError(
            f"--executor dask needs Dask, which cannot be loaded: {error}. Install it: pip install "
            "'recrepro[cluster]'."
        ) from error


def _cluster(console: Console, scheduler: str, place: Workspace, threads: int) -> DaskCluster:
    cluster = DaskCluster(scheduler, place, threads)
    there = f"places for {count(cluster.places, 'cell')} at a time"
    if not cluster.places:
        there = "no workers yet; cells start when some have come (dask worker ...)"
    console.print(f"Dask cluster {scheduler}: {there}", style="dim", soft_wrap=True)
    return cluster


def _done(cell: Cell, states: Mapping[str, CellState]) -> bool:
    return states[cell.key] == "done"


def print_leaderboard(
    console: Console, experiment: Experiment, name: str, ledger: Ledger, workspace: Workspace
) -> list[str]:
    """Print an experiment's tables and verdicts; return the keys of the cells that failed."""
    results = results_in(workspace, ledger, experiment, name)
    judged: list[BoardVerdict] = []
    problem = ""
    if may_be_judged(experiment.selection_metric):
        try:
            judged = judge(results, experiment)
        except RecreproError as error:  # of one lost blob, the tables know nothing
            problem = f"\nNo verdicts: {error}"
    show_leaderboard(console, *leaderboard.build(experiment, results), judged)
    if problem:
        console.print(problem, style="yellow", soft_wrap=True)
    return [r.status.cell for r in results if r.status.state == "failed"]


def _announce(
    console: Console,
    plan: Plan,
    ledger: Ledger,
    place: Workspace,
    name: str,
    mirror: BackgroundMirror | None,
    again: list[str],
) -> Progress:
    """Print what is going to be done; return the display that follows it.

    Without a mirror the cells run inline.
    """
    states, work = ledger.states(), ledger.work()
    left = [cell for cell in plan.cells if not _done(cell, states)]
    reopened = [cell for cell in plan.cells if cell.key in again]
    console.print(Text.assemble((name, "bold"), ": ", plan.experiment.claim))
    console.print(
        f"{count(len(plan.cells), 'cell')} ({len(plan.cells) - len(left)} done before), "
        f"{in_all([_unspent(plan.budget(cell), work[cell.key]) for cell in one_a_search(left)])} "
        f"to run, in "
        f"{place.root}",
        style="dim",
        soft_wrap=True,
    )
    if reopened:
        console.print(
            f"{count(len(reopened), 'cell')} tested again on request; every table will say so.",
            style="yellow",
            soft_wrap=True,
        )
    return Progress(
        console,
        cells=plan.cells,
        # The trials of a reopened cell are there already: they count as done when it starts.
        n_trials=plan.n_trials(*left, *reopened),
        trials_of=plan.n_trials,
        metric=plan.experiment.selection_metric,
        # Not before a cell runs: loading MLflow would keep it waiting.
        on_change=mirror.poke if mirror else lambda: None,
        live=mirror is not None,
    )


def _unspent(budget: Budget, work: CellWork) -> Budget:
    """Return what is left of a budget after the trials that exist; seconds are left as they are."""
    if budget.trials is None or work.state == "failed":
        return budget
    return replace(budget, trials=max(0, budget.trials - work.finished))
