"""The only importer of mlflow: copies what the ledger holds into MLflow.

The copy can be made again at any time and comes out the same: a cell is found by its key, and a
run counts as whole only once it carries the tag ``recrepro.complete``, which is written last.
"""

import getpass
import hashlib
import json
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pandas as pd
from filelock import FileLock

from recrepro.errors import RecreproError
from recrepro.experiment import canonical_json
from recrepro.ledger import CellStatus, Ledger, Member
from recrepro.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

BATCH = 90
"""Parameters or tags in one call; MLflow takes 100."""


def tracking_uri(workspace: Workspace) -> str:
    """Return ``MLFLOW_TRACKING_URI`` if it is set, else the store embedded in the workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI") or workspace.mlflow_store


def metric_key(name: str) -> str:
    """Write a metric's name with the characters that MLflow allows.

    ``ndcg@10`` becomes ``ndcg_at_10``, ``ndcg[recsys2019]@10`` becomes ``ndcg.recsys2019_at_10``.
    """
    return name.replace("[", ".").replace("]", "").replace("@", "_at_")


def silence_mlflow() -> None:
    """Switch off MLflow's telemetry, chatter and long waits; to be called before its import."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # A server that is down is given up soon: the next run sends what it missed.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


@dataclass(frozen=True)
class _Target:
    """Where an experiment goes in MLflow."""

    client: "MlflowClient"
    experiment_id: str


class MlflowMirror:
    """Keeps the MLflow copy of an experiment's cells up to date.

    Parameters
    ----------
    ledger : Ledger
        What is copied.
    workspace : Workspace
        Holds the blobs, and the embedded store.
    name : str
        Of the experiment, in the ledger and in MLflow.
    grid_hash : str
        Which version of the experiment.
    source : str
        Text of the experiment file; becomes an artifact of each run.
    """

    def __init__(
        self, ledger: Ledger, workspace: Workspace, name: str, grid_hash: str, source: str
    ) -> None:
        self._ledger = ledger
        self._workspace = workspace
        self._name = name
        self._grid_hash = grid_hash
        self._source = source

    def sync(self) -> int:
        """Copy every ended cell that MLflow lacks; return how many were copied."""
        copied = 0
        # One writer at a time: a fresh store must not be set up by two processes at once.
        with FileLock(self._workspace.root / "mlflow.lock"):
            target = self._open()
            present = self._present(target)
            planned = self._ledger.members(self._name, self._grid_hash)
            for member in planned + self._ledger.externals(self._name, self._grid_hash):
                status = self._ledger.status(member.cell)
                marker = _marker(member, status)
                if marker is None or present.get(member.cell, ("", ""))[1] == marker:
                    continue
                if member.cell in present:
                    self._delete(target, present[member.cell][0])
                self._copy(target, member, status, marker)
                copied += 1
        return copied

    def _open(self) -> _Target:
        silence_mlflow()
        from mlflow import MlflowClient

        silence_mlflow()  # importing mlflow sets up its loggers
        uri = tracking_uri(self._workspace)
        client = MlflowClient(tracking_uri=uri)
        known = client.get_experiment_by_name(self._name)
        if known is None:
            embedded = uri == self._workspace.mlflow_store
            place = f"{self._workspace.mlflow_artifacts}/{self._name}" if embedded else None
            made = client.create_experiment(
                self._name,
                artifact_location=place,
                tags={"mlflow.experimentKind": "custom_model_development"},
            )
            return _Target(client, made)
        if known.lifecycle_stage != "active":
            raise RecreproError(
                f"the MLflow experiment {self._name!r} was deleted in MLflow. Restore it there, or "
                "rename the experiment file."
            )
        return _Target(client, known.experiment_id)

    def _present(self, target: _Target) -> dict[str, tuple[str, str]]:
        """Return run id and completeness mark of the cells that MLflow has."""
        found: dict[str, tuple[str, str]] = {}
        token: str | None = None
        while True:
            page = target.client.search_runs(
                [target.experiment_id],
                filter_string="tags.`recrepro.kind` = 'cell'",
                max_results=1000,
                page_token=token,
            )
            for run in page:
                tags = run.data.tags
                mark = tags.get("recrepro.complete", "")
                found[tags["recrepro.cell"]] = (run.info.run_id, mark)
            token = page.token
            if not token:
                return found

    def _delete(self, target: _Target, run_id: str) -> None:
        children = target.client.search_runs(
            [target.experiment_id], filter_string=f"tags.`mlflow.parentRunId` = '{run_id}'"
        )
        for child in children:
            target.client.delete_run(child.info.run_id)
        target.client.delete_run(run_id)

    def _copy(self, target: _Target, member: Member, status: CellStatus, marker: str) -> None:
        record = status.record
        titles = member.titles
        tags = {f"recrepro.{key}": str(value) for key, value in titles.items()}
        tags |= {
            "recrepro.kind": "cell",
            "recrepro.cell": member.cell,
            "mlflow.user": _user(),
            "mlflow.source.name": f"recrepro run ({self._name})",
            "mlflow.source.type": "LOCAL",
        }
        name = f"{titles['model']} · {titles['split']} · {titles['dataset']} · {titles['seed']}"
        params = {key: str(value) for key, value in titles.items()}
        if record is None:
            tags["mlflow.note.content"] = f"Failed: {status.reason}"
            run_id = self._run(target, name, tags, params, {}, (0, 0))
        else:
            tags |= _record_tags(record) | _opening_tags(status)
            params |= {str(k): str(v) for k, v in record["model"]["params"].items()}
            metrics = {metric_key(k): float(v) for k, v in record["metrics"].items()}
            metrics |= {f"{lap}_seconds": t["wall_s"] for lap, t in record["times"].items()}
            if record["tuning"] is not None:
                best = record["tuning"]["best"]["metrics"]
                metrics |= {f"validation.{metric_key(k)}": float(v) for k, v in best.items()}
            times = (_ms(record["started_at"]), _ms(record["ended_at"]))
            run_id = self._run(target, name, tags, params, metrics, times)
            self._log_artifacts(target, run_id, record)
            self._copy_trials(target, run_id, member, titles, times[0])
        target.client.set_tag(run_id, "recrepro.complete", marker)
        ended = _ms(record["ended_at"]) if record else None
        target.client.set_terminated(run_id, "FINISHED" if record else "FAILED", ended)

    def _copy_trials(
        self,
        target: _Target,
        parent: str,
        member: Member,
        titles: dict[str, Any],
        started: int,
    ) -> None:
        for trial in self._ledger.trials(member.cell):
            tags = {f"recrepro.{key}": str(value) for key, value in titles.items()}
            tags |= {
                "recrepro.kind": "trial",
                "recrepro.trial": str(trial["number"]),
                "mlflow.parentRunId": parent,
                "mlflow.user": _user(),
            }
            if trial["reason"]:
                tags["mlflow.note.content"] = f"Failed: {trial['reason']}"
            metrics = {f"validation.{metric_key(k)}": v for k, v in trial["metrics"].items()}
            params = {str(k): str(v) for k, v in trial["params"].items()}
            params |= {key: str(value) for key, value in titles.items()}
            ended = started + _ms(trial["seconds"])
            name = f"{titles['model']} · trial {trial['number']}"
            run_id = self._run(target, name, tags, params, metrics, (started, ended))
            state = "FINISHED" if trial["state"] == "complete" else "FAILED"
            target.client.set_terminated(run_id, state, ended)
            started = ended

    def _run(
        self,
        target: _Target,
        name: str,
        tags: dict[str, str],
        params: dict[str, str],
        metrics: dict[str, float],
        times: tuple[int, int],
    ) -> str:
        from mlflow.entities import Metric, Param

        started, ended = times
        run = target.client.create_run(
            target.experiment_id, start_time=started or None, tags=tags, run_name=name
        )
        run_id: str = run.info.run_id
        # The ledger's time, not now: sending the same again then changes nothing.
        sent = [Metric(key, value, ended, 0) for key, value in metrics.items()]
        pairs = [Param(key, value) for key, value in params.items()]
        for start in range(0, max(len(sent), len(pairs)), BATCH):
            target.client.log_batch(
                run_id,
                metrics=sent[start : start + BATCH],
                params=pairs[start : start + BATCH],
            )
        return run_id

    def _log_artifacts(self, target: _Target, run_id: str, record: dict[str, Any]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "record.json").write_text(json.dumps(record, indent=1))
            (root / "experiment.toml").write_text(self._source, encoding="utf-8")
            per_user = self._workspace.read_blob(record["per_user"])
            (root / "per_user.parquet").write_bytes(per_user)
            trials = self._ledger.trials(record["cell"])
            if trials:
                for trial in trials:
                    trial.pop("curve", None)
                flat = [{**t.pop("params"), **t.pop("metrics"), **t} for t in trials]
                pd.DataFrame(flat).to_csv(root / "trials.csv", index=False)
            target.client.log_artifacts(run_id, str(root))


def runs_pages(workspace: Workspace, server: str) -> dict[str, str]:
    """Return the address of each experiment's page: tested models as charts, without trials."""
    silence_mlflow()
    from mlflow import MlflowClient

    query = urlencode(
        {
            "searchFilter": "tags.`recrepro.kind` = 'cell'",
            "compareRunsMode": "CHART",
            "workflowType": "machine_learning",
        },
        quote_via=quote,
    )
    with FileLock(workspace.root / "mlflow.lock"):
        found = MlflowClient(tracking_uri=tracking_uri(workspace)).search_experiments()
    return {
        e.name: f"{server}/#/experiments/{e.experiment_id}/runs?{query}"
        for e in found
        if e.name != "Default"
    }


def _marker(member: Member, status: CellStatus) -> str | None:
    """Return what a whole copy of a cell carries; None if there is nothing to copy yet."""
    if status.state not in ("done", "failed"):
        return None
    outcome = status.record["result_digest"] if status.record else f"failed: {status.reason}"
    content = canonical_json(
        {"titles": member.titles, "outcome": outcome, "openings": len(status.openings)}
    )
    return hashlib.sha256(content.encode()).hexdigest()


def _record_tags(record: dict[str, Any]) -> dict[str, str]:
    code = record["provenance"]["code"]
    tags = {
        "recrepro.status": record["model"]["status"],
        "recrepro.ranking": "sampled" if record["sampled"] else "full",
        "recrepro.audit": record["split"]["audit"]["verdict"],
        "recrepro.split_fingerprint": record["split"]["fingerprint"],
        "recrepro.data_fingerprint": record["identity"]["data"]["fingerprint"],
        "recrepro.version": record["provenance"]["recrepro"],
    }
    if code["commit"]:
        tags["mlflow.source.git.commit"] = code["commit"]
        tags["mlflow.source.git.dirty"] = str(code["dirty"]).lower()
    return tags


def _opening_tags(status: CellStatus) -> dict[str, str]:
    """Count the openings of the test part, and mark a cell where one was asked for."""
    opened = sum(opening.reason != "refused" for opening in status.openings)
    tags = {"recrepro.test_openings": str(opened)}
    return tags | {"recrepro.reopened": "true"} if status.reopened else tags


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
