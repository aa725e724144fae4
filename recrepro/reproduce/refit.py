"""Runs a recorded cell again, in a workspace that is thrown away."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recrepro.errors import DataError, RecreproError, UsageError
from recrepro.reproduce.locate import FoundRun
from recrepro.run.coordinator import Grid, Observer
from recrepro.run.executors import LocalProcesses
from recrepro.run.materials import Materials
from recrepro.run.plan import Cell, Plan, make_plan
from recrepro.spec.budget import Budget
from recrepro.spec.canonical import canonical_json
from recrepro.spec.experiment import DatasetSpec, Experiment
from recrepro.spec.explain import explain
from recrepro.spec.identity import differences
from recrepro.spec.shape import misshapen
from recrepro.splits.sealed import StoredSplit
from recrepro.store.ledger import Ledger
from recrepro.store.records import Record, read_trials
from recrepro.store.workspace import Workspace

DECISIVE = ("data", "split", "ranking")
"""Parts of an identity without which there is nothing to compare."""


@dataclass(frozen=True)
class Refit:
    """What came out: the new record, and the values of each user as Parquet."""

    record: Record
    per_user: bytes


def recorded_experiment(record: Record) -> Experiment:
    """Return the one-cell experiment of a record.

    Raises
    ------
    UsageError
        If the record has none, or one that this recrepro does not read.
    """
    if record.experiment is None:
        raise UsageError(
            "this result was scored from a run file of another program: recrepro has no model to "
            "refit. Score the file again with `recrepro evaluate RUN --on EXPERIMENT`."
        )
    if (wrong := misshapen(record.experiment)) is not None:
        location, problem = wrong
        raise UsageError(f"the record's experiment, {'.'.join(map(str, location))}: {problem}")
    try:
        return Experiment.model_validate_json(canonical_json(record.experiment))
    except ValidationError as error:
        raise UsageError(explain(error, Experiment, "the record's experiment")) from error
    except ValueError as error:
        raise UsageError(f"the record's experiment is no experiment: {error}.") from error


def own_files(experiment: Experiment) -> list[str]:
    """Return the names of the files that an experiment reads, relative to its base."""
    listed = experiment.evaluate.item_file
    found = [name for dataset in experiment.datasets for name in dataset.own_files]
    return found if listed is None else [*found, listed]


def base_of(run: FoundRun, base: Path | None) -> Path:
    """Return the folder that a record's file names start from."""
    return base if base is not None else run.folder / (run.record.base or ".")


def plan_again(run: FoundRun, base: Path | None, data_dir: Path | None) -> tuple[Plan, Cell]:
    """Load the data of a recorded cell, and refuse others than were recorded.

    Parameters
    ----------
    run : FoundRun
        The record.
    base : Path, optional
        Folder of the experiment's own files, instead of the recorded one.
    data_dir : Path, optional
        Folder with local copies of named data sets.

    Returns
    -------
    Plan, Cell
        A plan of this cell alone.

    Raises
    ------
    UsageError
        If the record cannot be run again, or its files are not there.
    DataError
        If data, or what decides the split, are not as recorded.
    """
    record = run.record
    experiment = recorded_experiment(record)
    folder = base_of(run, base)
    missing = [name for name in own_files(experiment) if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            f"the run needs files that are not in {folder}: {', '.join(missing)}. Name the folder "
            "that they are in with --base DIR."
        )
    plan = make_plan(experiment, folder, data_dir, progress=False)
    cell = next((c for c in plan.cells if c.name == record.name), None)
    if cell is None:
        raise UsageError(
            f"the record's experiment has no cell {record.name.path}: the record was altered."
        )
    plan = replace(plan, cells=[cell])
    if experiment.tune is not None and experiment.tune.seconds is not None:
        # Another machine, or the same one on another day, would do more or less in that time.
        found = record.tuning
        spent = Budget(1) if found is None else Budget(found.trials, last_epoch=found.stopped)
        plan = replace(plan, repeated=spent)
    recorded, now = record.identity.to_json(), cell.identity.to_json()
    wrong = [place for part in DECISIVE for place in _differing(recorded, now, part)]
    if wrong:
        raise DataError(
            f"these are not the data of the record: {'; '.join(wrong)}. "
            f"{_where_from(experiment.datasets[0])}"
        )
    return plan, cell


def _differing(recorded: Mapping[str, Any], now: Mapping[str, Any], part: str) -> Iterator[str]:
    for place in differences(recorded.get(part), now[part], part):
        if place != "split.data":  # the fingerprint of the data once more
            yield f"{place} was {look_up(recorded, place)}, is {look_up(now, place)}"


def look_up(tree: Any, place: str) -> Any:
    """Return what stands at a place such as ``split.options.k``; None if nothing does."""
    for key in place.split("."):
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def _where_from(dataset: DatasetSpec) -> str:
    if dataset.synthetic is not None:
        return "They are made by recrepro: use the recrepro and the NumPy of the record."
    if dataset.file is not None or dataset.train is not None:
        return "Name the folder of the recorded files with --base DIR."
    return f"Name a folder with the recorded copy of {dataset.name!r} with --data DIR."


def refit(
    plan: Plan,
    cell: Cell,
    record: Record,
    *,
    retune: bool,
    threads: int,
    observer: Observer,
) -> Refit:
    """Fit and test a recorded cell again.

    Parameters
    ----------
    plan, cell
        From `plan_again`.
    record : Record
        The record.
    retune : bool
        Whether to search for hyperparameters again, instead of taking the recorded ones.
    threads : int
        Threads of the numeric libraries.
    observer : Observer
        Is told what happens.

    Raises
    ------
    DataError
        If another split is drawn than was recorded.
    RecreproError
        If the fit fails.
    """
    with tempfile.TemporaryDirectory(prefix="recrepro-") as folder:
        place = Workspace.create(Path(folder))
        with contextlib.closing(Ledger.in_workspace(place.root)) as ledger:
            ledger.plan("reproduce", plan.experiment.grid_hash, "", [(cell.member, cell.identity)])
            _check_split(Materials(plan, place).split(cell), record)
            if not retune and plan.n_trials(cell):
                # Of a search of any length, the best trial is enough: here it is the only one.
                plan = replace(plan, repeated=Budget(1))
                _write_best(ledger, cell.key, record)
            executor = LocalProcesses(place.log, threads)
            Grid(plan, ledger, place, executor, jobs=1, observer=observer).run()
            status = ledger.status(cell.key)
        if status.record is None:
            raise RecreproError(f"the run could not be repeated, it failed: {status.reason}")
        return Refit(status.record, place.read_blob(status.record.per_user))


def _check_split(split: StoredSplit, record: Record) -> None:
    recorded, now = record.split.fingerprint, split.facts["fingerprint"]
    if recorded != now:
        raise DataError(
            f"the same split of the same data is drawn otherwise here: its fingerprint was "
            f"{recorded}, is {now}. Use the recrepro and the NumPy of the record, which "
            "`recrepro show` names."
        )


def _write_best(ledger: Ledger, cell: str, record: Record) -> None:
    """Write the best trial of the recorded search, so that the run goes on to the final fit."""
    if record.tuning is None:
        raise UsageError(
            "the record is of a tuned model and has no best trial: it was altered. With --retune "
            "the search is repeated."
        )
    best = record.tuning.best
    # What the record says of the model counts; `compare_results` tells if its search disagrees.
    final = record.model.params
    params = {name: final.get(name, value) for name, value in best.params.items()}
    epochs = None if best.epochs is None else final.get("epochs", best.epochs)
    told = {"number": 0, "params": params, "state": "complete", "value": best.value}
    (found,) = read_trials([{**told, "epochs": epochs}], "what the record says of its model")
    token = ledger.lease(cell)
    assert token is not None
    ledger.add_trial(cell, token, found)
    ledger.release(cell, token)
