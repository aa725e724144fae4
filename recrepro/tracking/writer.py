"""Writes a cell to MLflow: a parent run, a child run for each trial, data sets, artifacts."""

import getpass
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from recrepro.charts.files import draw_tuning
from recrepro.compute.failpoints import reach
from recrepro.store.entries import CellStatus, Member
from recrepro.store.ledger import Ledger
from recrepro.store.names import CellName
from recrepro.store.records import Record, Trial
from recrepro.store.workspace import Workspace
from recrepro.tracking.content import (
    StepValue,
    cell_facts,
    curve,
    dataset_inputs,
    json_hash,
    opening_tags,
    record_tags,
    record_values,
    run_name,
    shortened,
    title_tags,
    validation_values,
)
from recrepro.tracking.store import Target

# MLflow takes 1,000 metrics and 100 parameters in a call, and 1,000 things in all.
METRICS_A_CALL = 900
PARAMS_A_CALL = 90
LONGEST_PARAM = 6000
LONGEST_TAG = 8000


class RunWriter:
    """Writes cells of an experiment as runs.

    Parameters
    ----------
    target : Target
        Where to.
    ledger : Ledger
        Has the trials.
    workspace : Workspace
        Has the values of each user.
    name : str
        Of the experiment.
    source : str
        Text of its file.
    """

    def __init__(
        self, target: Target, ledger: Ledger, workspace: Workspace, name: str, source: str
    ) -> None:
        self._target = target
        self._ledger = ledger
        self._workspace = workspace
        self._name = name
        self._source = source

    def write(self, member: Member, status: CellStatus, tags: Mapping[str, str]) -> None:
        """Write an ended cell, its mark last.

        Parameters
        ----------
        member, status
            What the ledger knows of it.
        tags : mapping of str to str
            More tags for the run of the cell.
        """
        client = self._target.client
        facts = cell_facts(member.name, status)
        record = status.record
        start, end = (_ms(record.started_at), _ms(record.ended_at)) if record else (0, 0)
        tags = {
            **title_tags(member.name),
            **tags,
            "recrepro.kind": "cell",
            "recrepro.cell": member.cell,
            "mlflow.source.name": f"recrepro run ({self._name})",
            "mlflow.source.type": "LOCAL",
        }
        if record is None:
            tags["mlflow.note.content"] = f"Failed: {status.reason}"
        else:
            tags |= record_tags(record) | opening_tags(status)
        name = run_name(member.name)
        if self._ledger.has_namesakes(member):
            name = f"{name} · {member.cell[:8]}"
        run_id = self._start(name, tags, start)
        trials = self._ledger.trials(member.cell) if record else []
        params = {} if record is None else record.model.params
        values = [] if record is None else record_values(record)
        self._log(run_id, params | member.name.model_dump(), values, end)
        reach("mlflow-run-started")
        if record is not None:
            client.log_inputs(run_id, dataset_inputs(member.name, record))
            self._write_trials(run_id, member.name, record, trials)
        self._write_artifacts(run_id, facts, record, trials)
        client.set_terminated(run_id, "FINISHED" if record else "FAILED", end or None)
        client.set_tag(run_id, "recrepro.complete", json_hash(facts))
        reach("mlflow-run-marked")

    def _start(self, name: str, tags: Mapping[str, str], start: int) -> str:
        tags = {key: shortened(value, LONGEST_TAG) for key, value in tags.items()}
        run = self._target.client.create_run(
            self._target.experiment_id,
            start_time=start or None,
            tags={**tags, "mlflow.user": _user()},
            run_name=name,
        )
        run_id: str = run.info.run_id
        return run_id

    def _log(
        self, run_id: str, params: Mapping[str, Any], metrics: Sequence[StepValue], at: int
    ) -> None:
        from mlflow.entities import Metric, Param

        pairs = [Param(k, shortened(str(v), LONGEST_PARAM)) for k, v in params.items()]
        # The ledger's time, not now: sending the same again then changes nothing.
        values: list[Metric] = [Metric(name, value, at, step) for name, value, step in metrics]
        calls = max(-(-len(values) // METRICS_A_CALL), -(-len(pairs) // PARAMS_A_CALL))
        for n in range(calls):
            self._target.client.log_batch(
                run_id,
                metrics=values[n * METRICS_A_CALL : (n + 1) * METRICS_A_CALL],
                params=pairs[n * PARAMS_A_CALL : (n + 1) * PARAMS_A_CALL],
            )

    def _write_trials(
        self,
        parent: str,
        name: CellName,
        record: Record,
        trials: list[Trial],
    ) -> None:
        """Write child runs, laid end to end from the start of the cell."""
        start = _ms(record.started_at)
        for trial in trials:
            state = trial.state
            tags = {
                **title_tags(name),
                "recrepro.kind": "trial",
                "recrepro.trial": str(trial.number),
                "mlflow.parentRunId": parent,
            }
            if trial.reason:
                tags["mlflow.note.content"] = f"{state.capitalize()}: {trial.reason}"
            metrics = [
                *validation_values(trial),
                *curve("training", trial.curve, record.metrics),
            ]
            end = start + _ms(trial.seconds)
            run_id = self._start(f"{name.model} · trial {trial.number}", tags, start)
            self._log(run_id, trial.params | name.model_dump(), metrics, end)
            ended = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}[state]
            self._target.client.set_terminated(run_id, ended, end)
            start = end

    def _write_artifacts(
        self,
        run_id: str,
        facts: dict[str, Any],
        record: Record | None,
        trials: list[Trial],
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            _write_json(root / "cell.json", facts)
            (root / "experiment.toml").write_text(self._source, encoding="utf-8")
            if record is not None:
                _write_json(root / "record.json", record.to_json())
                _write_json(root / "audit.json", record.split.audit.to_json())
                per_user = self._workspace.read_blob(record.per_user)
                (root / "per_user.parquet").write_bytes(per_user)
            if record is not None and record.weights:
                weights = self._workspace.read_blob(record.weights)
                (root / "model.npz").write_bytes(weights)
            if record is not None and trials:
                rows = [trial.to_json() for trial in trials]
                _write_json(root / "trials.json", rows)
                rest = ("params", "metrics", "curve")
                flat = [
                    {**t["params"], **t["metrics"], **{k: t[k] for k in t if k not in rest}}
                    for t in rows
                ]
                pd.DataFrame(flat).to_csv(root / "trials.csv", index=False)
                if record.tuning is not None:
                    draw_tuning(rows, record.tuning.metric, root / "tuning.svg")
            self._target.client.log_artifacts(run_id, str(root))


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
