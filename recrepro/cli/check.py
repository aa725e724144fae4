"""`recrepro check`: check an experiment and estimate its cost."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console
from rich.text import Text

from recrepro.cli.console import make_console
from recrepro.cli.options import (
    data_option,
    experiment_argument,
    format_option,
    jobs_option,
    memory_option,
    threads_option,
    workspace_option,
)
from recrepro.cli.workspaces import existing
from recrepro.compute.threads import share_cores
from recrepro.data.formats.times import NAMES
from recrepro.data.load import unavailable
from recrepro.errors import NothingRun, RecreproError
from recrepro.run.costs import CellCost, Costs, estimate
from recrepro.run.notes import placed_notes
from recrepro.run.plan import make_plan
from recrepro.run.resolve import check_names
from recrepro.run.titles import short_titles
from recrepro.spec.budget import how
from recrepro.spec.experiment import load_experiment
from recrepro.spec.places import located
from recrepro.store.ledger import Ledger
from recrepro.tables.console import plain_table
from recrepro.text.words import count, duration, size

RULE = (
    "Time: trials x the median of the model's trials in this workspace, plus the final fit; from "
    "other data in proportion to the interactions in train."
)


UNKNOWN = "Where it is unknown, --time tries the model on a sample of train and validation."


@click.command()
@experiment_argument
@data_option
@workspace_option
@jobs_option
@threads_option
@memory_option
@click.option(
    "--time",
    "time_trials",
    is_flag=True,
    help="Time a trial on a sample of train and validation, of models that were never run here.",
)
@format_option("json")
def check(
    experiment: Path,
    data_dir: Path | None,
    workspace: Path,
    jobs: int | None,
    threads: int | Literal["auto"],
    memory: int | None,
    time_trials: bool,
    form: str,
) -> None:
    """Check an experiment without running it; estimate its cost.

    Names, values, data, splits; cells, trials, time, memory, disk, and what cannot be run. Nothing
    is downloaded: of a data set that is not here, only the name is checked.
    """
    print_check(
        experiment, data_dir, workspace, jobs, threads, memory, form, time_trials=time_trials
    )


def print_check(
    experiment: Path,
    data_dir: Path | None,
    workspace: Path,
    jobs: int | None,
    threads: int | Literal["auto"],
    memory: int | None,
    form: str = "text",
    *,
    time_trials: bool = False,
) -> None:
    """Check an experiment and print what it takes, for `check` and `run --dry-run`.

    Raises
    ------
    RecreproError
        If some of it cannot be run.
    """
    ledger: Ledger | None = None
    with suppress(NothingRun):
        _, ledger = existing(workspace)
    found = check_experiment(
        experiment,
        data_dir,
        workspace,
        ledger,
        jobs=jobs,
        threads=threads,
        memory=memory,
        time_trials=time_trials,
    )
    if form == "json":
        click.echo(json.dumps(as_json(found), indent=1))
    else:
        show_check(make_console(), found)
    require_runnable(found)


@dataclass(frozen=True)
class CheckReport:
    """The budget, data sets that are not here and why; costs, notes and units of time."""

    name: str
    budget: str | None
    absent: dict[str, str]
    costs: Costs | None
    notes: tuple[str, ...] = ()
    time_units: dict[str, str] = field(default_factory=dict)


def check_experiment(
    path: Path,
    data_dir: Path | None,
    workspace: Path,
    ledger: Ledger | None,
    *,
    jobs: int | None = None,
    threads: int | Literal["auto"] = 1,
    memory: int | None = None,
    time_trials: bool = False,
) -> CheckReport:
    """Check an experiment and estimate what it takes; writes and downloads nothing.

    Parameters
    ----------
    path, data_dir, workspace, jobs, threads, memory
        As for a run.
    ledger : Ledger, optional
        That of the workspace, if it is there.
    time_trials : bool
        Whether to time a trial on a sample where nothing is known of a model.

    Raises
    ------
    UsageError
        If something in the file cannot be meant.
    """
    spec = load_experiment(path)
    with located(path, spec):
        check_names(spec, path.parent)
        absent = {d.name: why for d in spec.datasets if (why := unavailable(d, data_dir))}
    budget = None
    if spec.tune is not None:
        text = how(spec.tune.budget(searched=True), spec.tune.model_dump())
        budget = f"{text}, on validation {spec.selection_metric}"
    here = spec.without_datasets(list(absent))
    if here is None:
        return CheckReport(path.stem, budget, absent, None)
    with located(path, spec):
        plan = make_plan(here, path.parent, data_dir, progress=False)
    jobs, threads = share_cores(jobs, threads)
    costs = estimate(
        plan,
        workspace,
        ledger,
        jobs=jobs,
        threads=threads,
        memory=memory,
        time_trials=time_trials,
    )
    units = {
        name: NAMES[dataset.time_unit]
        for name, dataset in plan.datasets.items()
        if dataset.interactions.times is not None
    }
    return CheckReport(path.stem, budget, absent, costs, placed_notes(path, spec, plan), units)


def as_json(found: CheckReport) -> dict[str, Any]:
    """Return it as plain values."""
    costs = found.costs
    if costs is None:
        return {"experiment": found.name, "budget": found.budget, "absent": found.absent}
    return {
        "experiment": found.name,
        "budget": found.budget,
        "absent": found.absent,
        "problems": costs.problems,
        "notes": list(found.notes),
        "time_units": found.time_units,
        "splits": [
            {"name": s.name, "interactions": s.sizes, "audit": s.audit, "disk_bytes": s.disk}
            for s in costs.splits
        ],
        "cells": [
            {
                "cell": c.cell.key,
                "titles": c.cell.name.model_dump(),
                "state": c.state,
                "trials": c.trials,
                "seconds": c.seconds,
                "seconds_from": c.source or None,
                "memory_bytes": c.memory,
                "disk_bytes": c.disk,
                "problem": c.problem or None,
            }
            for c in costs.cells
        ],
        "total": {
            "cells_left": len(costs.left),
            "trials": costs.trials,
            "jobs": costs.jobs,
            "threads": costs.threads,
            "seconds": costs.seconds,
            "cells_of_unknown_time": costs.unknown,
            "memory_bytes": costs.peak_memory,
            "memory_budget_bytes": costs.memory,
            "memory_available_bytes": costs.available,
            "disk_bytes": costs.disk,
            "disk_free_bytes": costs.free_disk,
        },
    }


def show_check(console: Console, found: CheckReport) -> None:
    """Print it."""
    if found.budget is not None:
        console.print(f"budget: {found.budget}", soft_wrap=True)
    for name, why in found.absent.items():
        console.print(f"{name}: {why}", soft_wrap=True)
    costs = found.costs
    if costs is None:
        console.print("Every name and value is valid; the cells are known once the data is here.")
        return
    for name, unit in found.time_units.items():
        console.print(f"{name}: times are read as {unit}", soft_wrap=True)
    for split in costs.splits:
        sizes = ", ".join(f"{n:,} {part}" for part, n in split.sizes.items())
        console.print(f"{split.name}: {sizes} interactions; audit: {split.audit}", soft_wrap=True)
    _show_cells(console, costs)
    _show_total(console, costs)
    for note in found.notes:
        console.print(note, style="yellow", soft_wrap=True)


def require_runnable(found: CheckReport) -> None:
    """Say what cannot be run.

    Raises
    ------
    RecreproError
        If there is something; data that are not here are no fault.
    """
    if found.costs is not None and found.costs.problems:
        raise RecreproError(f"some of it cannot be run: {'; '.join(found.costs.problems)}")


def _show_cells(console: Console, costs: Costs) -> None:
    names = short_titles([cost.cell for cost in costs.cells])
    table = plain_table()
    for column in ("cell", "state", "trials", "time", "memory", "time is from"):
        right = column in ("trials", "time", "memory")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for cost in costs.cells:
        cells = (names[cost.cell.key], *_texts(cost))
        table.add_row(*map(Text, cells), style="dim" if cost.state == "done" else "")
    console.print(table)


def _texts(cost: CellCost) -> tuple[str, ...]:
    if cost.state == "done":
        return (cost.state, "", "", "", "")
    time = "unknown" if cost.seconds is None else duration(cost.seconds)
    trials = {0: "one fit", None: "by time"}.get(cost.trials, str(cost.trials))
    if cost.problem:
        return ("cannot run", trials, "", size(cost.memory), "")
    return (cost.state, trials, time, size(cost.memory), cost.source)


def _searches(costs: Costs) -> str:
    if costs.trials:
        return f" with {count(costs.trials, 'trial')}"
    by_time = any(cost.trials is None for cost in costs.left)
    return " with searches that end by time" if by_time else " without a search"


def _show_total(console: Console, costs: Costs) -> None:
    left = costs.left
    blocked = sum(bool(cost.problem) for cost in costs.cells)
    parts = [count(len(costs.cells), "cell")]
    if left or not blocked:
        parts.append(f"{len(left)} to run{_searches(costs) if left else ''}")
    if blocked:
        parts.append(f"{blocked} that cannot be run")
    console.print(f"{', '.join(parts)}.")
    if not left:
        return
    time = f"about {duration(costs.seconds)}"
    if costs.unknown:
        time = f"{time} and {count(costs.unknown, 'cell')} of which it is not known"
        time = "unknown" if costs.unknown == len(left) else time
    side = f"{count(costs.jobs, 'job')} of {count(costs.threads, 'thread')}"
    console.print(f"time    {time}, with {side}", soft_wrap=True)
    console.print(
        f"memory  up to {size(costs.peak_memory)} at once; cells start as long as "
        f"{size(costs.memory)} hold them, {size(costs.available)} are available",
        soft_wrap=True,
    )
    console.print(
        f"disk    about {size(costs.disk)}, {size(costs.free_disk)} are free",
        soft_wrap=True,
    )
    note = f"{RULE} {UNKNOWN}" if costs.unknown else RULE
    console.print(note, style="dim", soft_wrap=True)
    for cost in left:
        if costs.memory < cost.memory <= costs.available:
            console.print(
                f"{cost.cell.name.model} on {cost.cell.name.dataset} needs more than cells may "
                "need together: it runs alone.",
                style="yellow",
                soft_wrap=True,
            )
