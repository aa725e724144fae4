"""`recrepro run`: from an experiment file to its leaderboard on the screen."""

import contextlib
import os
import sys
from pathlib import Path
from shutil import which

from rich.console import Console
from rich.text import Text

from recrepro import leaderboard
from recrepro.background import BackgroundMirror
from recrepro.errors import RecreproError
from recrepro.experiment import Experiment, load_experiment
from recrepro.grid import Grid
from recrepro.ledger import Ledger
from recrepro.listing import make_console, show_leaderboard
from recrepro.plan import Plan, make_plan
from recrepro.progress import Progress, count
from recrepro.tracking import MlflowMirror
from recrepro.workspace import Workspace


def run_experiment(
    path: Path,
    data_dir: Path | None,
    workspace: Path,
    *,
    jobs: int | None = None,
    threads: int = 1,
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
    jobs : int, optional
        Cells that run side by side; by default as many as the cores allow.
    threads : int
        Threads of the numeric libraries in each cell's process.

    Raises
    ------
    RecreproError
        If the experiment cannot be run, or some cells failed (the others are done).
    KeyboardInterrupt
        After what is done has been kept, and the command to go on printed.
    """
    console = make_console()
    experiment = load_experiment(path)
    plan = make_plan(experiment, path.parent, data_dir, progress=sys.stderr.isatty())
    place = Workspace.create(workspace)
    with contextlib.closing(Ledger.in_workspace(place.root)) as ledger:
        source = path.read_text(encoding="utf-8")
        members = [(cell.member, cell.identity) for cell in plan.cells]
        ledger.plan(path.stem, experiment.grid_hash, source, members)
        mirror = BackgroundMirror(
            MlflowMirror(ledger, place, path.stem, experiment.grid_hash, source)
        )
        mirror.poke()
        progress = _announce(console, plan, ledger, place, path.stem, mirror)
        jobs = jobs or max(1, _cores() // threads)
        grid = Grid(plan, ledger, place, jobs=jobs, threads=threads, observer=progress)
        try:
            with progress:
                grid.run()
        except KeyboardInterrupt:
            _say_how_to_go_on(console, plan, ledger)
            raise
        failed = print_leaderboard(console, experiment, path.stem, ledger)
        _finish_mirror(console, mirror, place, workspace)
    if failed:
        logs = ", ".join(str(place.log(cell)) for cell in failed)
        raise RecreproError(
            f"{len(failed)} of {len(plan.cells)} cells failed (see the notes above). What their "
            f"processes printed: {logs}. Running the same file again retries them."
        )


def print_leaderboard(
    console: Console, experiment: Experiment, name: str, ledger: Ledger
) -> list[str]:
    """Print an experiment's tables; return the keys of the cells that failed."""
    members = leaderboard.members(experiment, name, ledger)
    boards, verdicts = leaderboard.build(experiment, ledger, members)
    show_leaderboard(console, boards, verdicts)
    return [m.cell for m in members if ledger.status(m.cell).state == "failed"]


def _announce(
    console: Console,
    plan: Plan,
    ledger: Ledger,
    place: Workspace,
    name: str,
    mirror: BackgroundMirror,
) -> Progress:
    """Print what is going to be done; return the display that follows it."""
    states = ledger.states()
    left = [cell for cell in plan.cells if states[cell.key] != "done"]
    n_trials = sum(map(plan.n_trials, left))
    console.print(Text.assemble((name, "bold"), ": ", plan.experiment.claim))
    console.print(
        f"{count(len(plan.cells), 'cell')} ({len(plan.cells) - len(left)} done before), "
        f"{count(n_trials, 'trial')} to run, in {place.root}",
        style="dim",
        soft_wrap=True,
    )
    return Progress(
        console,
        cells=plan.cells,
        n_trials=n_trials,
        trials_of=plan.n_trials,
        metric=plan.experiment.selection_metric,
        on_end=mirror.poke,
    )


def _say_how_to_go_on(console: Console, plan: Plan, ledger: Ledger) -> None:
    states = ledger.states()
    done = sum(states[cell.key] == "done" for cell in plan.cells)
    console.print(
        f"\nStopped. {done} of {len(plan.cells)} cells are done and kept, with every finished "
        f"trial of the others. To go on: {' '.join([_program(), *sys.argv[1:]])}",
        soft_wrap=True,
    )


def _finish_mirror(
    console: Console, mirror: BackgroundMirror, place: Workspace, workspace: Path
) -> None:
    """Copy what is left to MLflow, and say where it can be seen or why it could not be copied."""
    if mirror.busy:
        console.print("\nCopying to MLflow (Ctrl-C leaves it to the next run) ...", style="dim")
    mirror.close()
    if mirror.error is None:
        command = f"{_program()} ui --workspace {workspace}"
        console.print(f"\nLook at the runs:  {command}", soft_wrap=True)
        return
    reason = str(mirror.error).strip().partition("\n")[0]
    console.print(
        f"\nMLflow could not be brought up to date: {reason}\nNothing is lost: the results are in "
        "the workspace, and each run of this file tries again. If the workspace's own "
        f"{place.root / 'mlflow.db'} is damaged, delete it: it is made anew.",
        style="yellow",
        soft_wrap=True,
    )


def _program() -> str:
    """Return how this program was called, for commands to be copied from the screen."""
    called = sys.argv[0]
    if Path(called).name != "recrepro" or which("recrepro") == str(Path(called).resolve()):
        return "recrepro"
    return called


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
