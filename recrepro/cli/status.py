"""`recrepro status`: how far experiments are."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console
from rich.text import Text

from recrepro.cli.console import make_console
from recrepro.cli.options import (
    format_option,
    some_experiment,
    workspace_option,
)
from recrepro.cli.workspaces import existing, planned_versions
from recrepro.errors import LedgerError, first_line
from recrepro.store.entries import CellWork, Member, Planned
from recrepro.store.leases import Lease
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace
from recrepro.tables.console import plain_table
from recrepro.text.redact import redacted
from recrepro.text.words import count, duration
from recrepro.tracking.client import NoAnswerError
from recrepro.tracking.mirror import MlflowMirror

DisplayState = Literal["done", "running", "dead", "failed", "left"]


STATES: dict[DisplayState, str] = {
    "done": "green",
    "running": "bold",
    "dead": "bold yellow",
    "failed": "bold red",
    "left": "",
}
"""What a cell can be, and how that is shown. Dead: leased to a process that is gone or silent."""


@click.command()
@some_experiment
@workspace_option
@format_option("json")
def status(experiment: Path | None, workspace: Path, form: str) -> None:
    """Say how far an experiment is, or all of a workspace.

    Cells that are done, running (where, since when), failed and left, and what MLflow lacks.
    """
    place, ledger = existing(workspace)
    latest = {planned.name: planned for planned in reversed(planned_versions(ledger, experiment))}
    found: list[ExperimentProgress] = []
    for planned in latest.values():
        silent = next((one.mlflow for one in found if one.silent), None)
        found.append(look(place, ledger, planned, silent))
    if form == "json":
        click.echo(json.dumps(as_json(found), indent=1))
    else:
        show_status(make_console(), found)


@dataclass(frozen=True)
class CellProgress:
    """A cell of an experiment, and how far it is."""

    member: Member
    work: CellWork

    @property
    def name(self) -> str:
        """Its path of titles."""
        return self.member.name.path

    @property
    def state(self) -> DisplayState:
        """What to call it."""
        if self.work.lease is not None:
            return "running" if self.work.lease.alive else "dead"
        return self.work.state if self.work.state in ("done", "failed") else "left"

    @property
    def trials(self) -> int | None:
        """How many its search has; 0 if it is not tuned, None if its time is limited instead."""
        return self.work.identity.budget.trials

    @property
    def stage(self) -> str:
        """What it is at, in words."""
        finished, trials = self.work.finished, self.trials
        of = "" if trials is None else f" of {trials}"
        if self.state == "running":
            tuning = trials is None or finished < trials
            return f"trial {finished + 1}{of}" if tuning else "final fit and test"
        return "" if trials == 0 else f"{finished}{of} trials"

    @property
    def about(self) -> str:
        """Who is at it, or why it is not done."""
        lease = self.work.lease
        if lease is not None:
            again = "; tested again on request" if self.work.state == "done" else ""
            return f"{_whereabouts(lease)}{again}"
        return self.work.reason or ""


@dataclass(frozen=True)
class ExperimentProgress:
    """An experiment in its latest version, or the one asked for.

    Parameters
    ----------
    name : str
        Of the experiment.
    cells : list of CellProgress
        In the order of the file.
    unsent : int or None
        How many ended cells MLflow lacks; None if that could not be found out.
    mlflow : str
        Where MLflow is, or why it could not be asked.
    silent : bool
        Whether that is because its server does not answer.
    """

    name: str
    cells: list[CellProgress]
    unsent: int | None
    mlflow: str
    silent: bool = False

    @property
    def counts(self) -> dict[DisplayState, int]:
        """How many cells are in each state."""
        counted = Counter(cell.state for cell in self.cells)
        return {state: counted[state] for state in STATES}


def look(
    workspace: Workspace, ledger: Ledger, version: Planned, silent: str | None = None
) -> ExperimentProgress:
    """Find out how far an experiment is.

    Parameters
    ----------
    workspace, ledger
        Where it was run.
    version : Planned
        Version of the experiment.
    silent : str, optional
        Why MLflow's server need not be asked: it did not answer when it was.
    """
    members = ledger.members(version.name, version.grid_hash)
    work = ledger.work()
    cells = [CellProgress(member, work[member.cell]) for member in members]
    mirror = MlflowMirror(ledger, workspace, version.name, version.grid_hash, version.source)
    if silent is not None:
        return ExperimentProgress(version.name, cells, None, silent, silent=True)
    try:
        return ExperimentProgress(version.name, cells, mirror.missing(), redacted(mirror.uri))
    except LedgerError:
        raise
    except Exception as error:  # noqa: BLE001 - MLflow raises errors of many libraries
        no_answer = isinstance(error, NoAnswerError)
        return ExperimentProgress(version.name, cells, None, first_line(error), silent=no_answer)


def as_json(found: Sequence[ExperimentProgress]) -> dict[str, Any]:
    """Return it as plain values."""
    return {
        "experiments": [
            {
                "name": one.name,
                "counts": one.counts,
                "mlflow": {"unsent": one.unsent, "where": one.mlflow},
                "cells": [_cell_json(cell) for cell in one.cells],
            }
            for one in found
        ]
    }


def _cell_json(cell: CellProgress) -> dict[str, Any]:
    lease = cell.work.lease
    return {
        "cell": cell.work.cell,
        "titles": cell.member.name.model_dump(),
        "state": cell.state,
        "trials": {"finished": cell.work.finished, "budget": cell.trials},
        "reason": cell.work.reason,
        "lease": lease and {"host": lease.host, "pid": lease.pid, "since": lease.since},
    }


def show_status(console: Console, found: Sequence[ExperimentProgress]) -> None:
    """Print it: counts, and a line for each cell that is not done."""
    for one in found:
        counts = ", ".join(f"{n} {state}" for state, n in one.counts.items() if n)
        title = Text.assemble((one.name, "bold"), f": {count(len(one.cells), 'cell')}, {counts}")
        console.print(title, soft_wrap=True)
        _show_cells(console, [cell for cell in one.cells if cell.state != "done"])
        console.print(
            _mlflow_line(one), style="dim" if one.unsent == 0 else "yellow", soft_wrap=True
        )


def _show_cells(console: Console, cells: Sequence[CellProgress]) -> None:
    if not cells:
        return
    table = plain_table()
    for column in ("", "cell", "progress", ""):
        table.add_column(column, no_wrap=bool(column), overflow="fold")
    for cell in cells:
        state = Text(cell.state, style=STATES[cell.state])
        table.add_row(state, Text(cell.name), Text(cell.stage), Text(cell.about))
    console.print(table)


def _mlflow_line(one: ExperimentProgress) -> str:
    if one.unsent is None:
        return f"MLflow: it is not known what is there. {one.mlflow}"
    if one.unsent:
        return (
            f"MLflow ({one.mlflow}): {count(one.unsent, 'ended cell')} still to be sent; the next "
            "run does, or: recrepro sync"
        )
    return f"MLflow ({one.mlflow}): everything is there"


def _whereabouts(lease: Lease) -> str:
    where = f"process {lease.pid} on {lease.host}"
    if not lease.alive:
        return f"{where} is gone or silent: the next run goes on"
    if lease.since is None:
        return where
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(lease.since))
    return f"{where}, since {began} ({duration(time.time() - lease.since)})"
