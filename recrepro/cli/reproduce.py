"""`recrepro reproduce`: fit a recorded run again and compare."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from recrepro.cli.console import make_console
from recrepro.cli.options import (
    data_option,
    ledger_url,
    run_argument,
    workspace_option,
)
from recrepro.cli.progress import Progress
from recrepro.reproduce.agreement import Agreement, MetricAgreement, compare_results
from recrepro.reproduce.locate import FoundRun, find_run
from recrepro.reproduce.refit import look_up, plan_again, refit
from recrepro.run.events import Event
from recrepro.run.plan import Cell, Plan
from recrepro.spec.identity import differences
from recrepro.store.records import CodeState, Provenance, Record
from recrepro.tables.console import plain_table
from recrepro.text.words import count

STYLES = {"identical": "bold green", "within tolerance": "bold yellow", "different": "bold red"}


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
    """Fit a RUN again and say whether the result is the same.

    Exit code 0 if it is identical or within tolerance, 1 if it is different. RUN is as for
    `recrepro show`. Nothing is written into the workspace.
    """
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


class _Quiet:
    """Watches a single fit, of which there is nothing to say before it ends."""

    def started(self, cell: Cell) -> None:
        """Say nothing."""

    def said(self, cell: Cell, event: Event) -> None:
        """Say nothing."""

    def ended(self, cell: Cell, reason: str | None) -> None:
        """Say nothing."""

    def skipped(self, cell: Cell) -> None:
        """Say nothing."""


def run_again(
    console: Console,
    run: FoundRun,
    *,
    base: Path | None = None,
    data_dir: Path | None = None,
    retune: bool = False,
    threads: int | None = None,
    tolerance: float = 0.001,
) -> Agreement:
    """Refit a recorded cell, compare, and print the verdict.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    run : FoundRun
        The record.
    base, data_dir : Path, optional
        Folders of the experiment's own files, and of local copies of named data sets.
    retune : bool
        Whether to repeat the search too.
    threads : int, optional
        Threads of the numeric libraries; by default as many as recorded.
    tolerance : float
        Up to which difference results are within tolerance.

    Raises
    ------
    RecreproError
        If the data are others, or the cell cannot be run.
    """
    record = run.record
    recorded_users = run.read_per_user()
    threads = threads or record.provenance.threads
    plan, cell = plan_again(run, base, data_dir)
    console.print(
        Text.assemble((cell.name.path, "bold"), f"  cell {record.cell[:12]}"),
        soft_wrap=True,
    )
    what = "with the recorded hyperparameters"
    if retune and plan.n_trials(cell):
        what = f"after {plan.budget(cell)}"
    console.print(
        f"data and split as recorded; fitting {what}, {count(threads, 'thread')} ...",
        style="dim",
        soft_wrap=True,
    )
    if retune:
        with _progress(console, plan, cell) as progress:
            again = refit(plan, cell, record, retune=True, threads=threads, observer=progress)
    else:
        again = refit(plan, cell, record, retune=False, threads=threads, observer=_Quiet())
    agreement = compare_results(
        record, recorded_users, again.record, again.per_user, tolerance, retuned=retune
    )
    show_agreement(console, agreement, tolerance)
    show_surroundings(console, record, again.record)
    return agreement


def _progress(console: Console, plan: Plan, cell: Cell) -> Progress:
    return Progress(
        console,
        cells=[cell],
        n_trials=plan.n_trials(cell),
        trials_of=plan.n_trials,
        metric=plan.experiment.selection_metric,
        on_change=lambda: None,
    )


def show_agreement(console: Console, agreement: Agreement, tolerance: float) -> None:
    """Print each metric, and the verdict."""
    table = plain_table()
    for column in ("metric", "recorded", "now", "difference", "users that differ", "largest"):
        table.add_column(column, justify="left" if column == "metric" else "right", no_wrap=True)
    for metric in agreement.metrics:
        table.add_row(*(Text(cell) for cell in _cells(metric)))
    console.print(table)
    what = count(len(agreement.metrics), "metric")
    what += f" and the values of {count(agreement.users, 'user')}" if agreement.users else ""
    off = any(not metric.within(tolerance) for metric in agreement.metrics)
    said = {
        "identical": f"{what} are equal bit by bit",
        "within tolerance": f"no metric is off by more than {tolerance:g}, on average over users",
        "different": f"some of {what} are off by more than {tolerance:g}"
        if off
        else "not what was recorded, although no metric is off",
    }[agreement.verdict]
    console.print(
        Text.assemble((agreement.verdict, STYLES[agreement.verdict]), f": {said}"), soft_wrap=True
    )
    for note in agreement.notes:
        console.print(f"  {note}", soft_wrap=True)


def _cells(metric: MetricAgreement) -> tuple[str, ...]:
    off = "none" if metric.same else f"{metric.now - metric.recorded:+.2g}"
    users = "-" if metric.users is None else f"{metric.users:,}"
    largest = "-" if metric.largest is None else f"{metric.largest:.2g}"
    return (
        metric.metric,
        f"{metric.recorded:.6f}",
        f"{metric.now:.6f}",
        off,
        users,
        largest,
    )


def show_surroundings(console: Console, record: Record, now: Record) -> None:
    """Print what differs between the identities, and between the environments."""
    recorded, own = record.identity.to_json(), now.identity.to_json()
    rows = [
        (place, look_up(recorded, place), look_up(own, place))
        for place in differences(recorded, own)
    ]
    if record.model.code is not None and now.model.code is not None:
        before, after = record.model.code.repository, now.model.code.repository
        rows += [(f"model's {place}", *pair) for place, *pair in _code_differences(before, after)]
    rows += environment_differences(record.provenance, now.provenance)
    if not rows:
        console.print("environment: the same", style="dim")
        return
    table = plain_table("What differs around it")
    for column in ("", "recorded", "now"):
        table.add_column(column, overflow="fold")
    for place, before, after in rows:
        table.add_row(*(Text(_text(cell)) for cell in (place, before, after)))
    console.print(table)


def environment_differences(one: Provenance, other: Provenance) -> Iterator[tuple[str, Any, Any]]:
    """Yield what differs between two environments: its name, and both values."""
    for place in ("recrepro", "python", "system", "processor", "cores", "threads", "gpus"):
        before, after = getattr(one, place), getattr(other, place)
        if before != after:
            yield place, before, after
    yield from _code_differences(one.code, other.code)
    for name, version in one.packages.items():
        if other.packages.get(name) != version:
            yield name, version, other.packages.get(name, "not there")
    before, after = _pools(one.thread_pools), _pools(other.thread_pools)
    if before != after:
        yield "libraries", before, after


def _code_differences(one: CodeState, other: CodeState) -> Iterator[tuple[str, Any, Any]]:
    for place in ("commit", "dirty", "diff"):
        before, after = getattr(one, place), getattr(other, place)
        if before != after:
            yield place, before, after


def _pools(pools: list[dict[str, Any]]) -> str:
    words = (" ".join(str(fact) for fact in pool.values() if fact is not None) for pool in pools)
    return "; ".join(sorted(words))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
