"""Copies what the ledger holds into MLflow, each cell once.

The copy can be made again at any time and comes out the same: a cell is found by its key, and a
run counts as whole only once it carries the tag ``recrepro.complete``, which is written last.
"""

from typing import TYPE_CHECKING

from filelock import FileLock

from recrepro.ledger import Ledger, Member
from recrepro.tracking_facts import cell_facts, json_hash, place_tag
from recrepro.tracking_runs import RunWriter
from recrepro.tracking_store import (
    CELLS,
    Target,
    connect,
    existing_target,
    set_up_store,
    tracking_uri,
)
from recrepro.workspace import Workspace

if TYPE_CHECKING:
    from mlflow.entities import Run


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
            writer = RunWriter(target, self._ledger, self._workspace, self._name, self._source)
            present: dict[str, list[Run]] = {}
            for run in target.runs(CELLS):
                present.setdefault(run.data.tags["recrepro.cell"], []).append(run)
            members = self._ledger.members(self._name, self._grid_hash)
            members += self._ledger.externals(self._name, self._grid_hash)
            for place, member in enumerate(members):
                copied += self._bring(target, writer, member, present.pop(member.cell, []), place)
            for runs in present.values():
                for run in runs:
                    self._say_place(target, run, None)
        return copied

    def _open(self) -> Target:
        uri = tracking_uri(self._workspace)
        embedded = uri == self._workspace.mlflow_store
        if embedded:
            set_up_store(self._workspace)
        target = existing_target(uri, self._name)
        if target is not None:
            return target
        client = connect(uri)
        place = f"{self._workspace.mlflow_artifacts}/{self._name}" if embedded else None
        made = client.create_experiment(
            self._name,
            artifact_location=place,
            tags={"mlflow.experimentKind": "custom_model_development"},
        )
        return Target(client, made)

    def _bring(
        self, target: Target, writer: RunWriter, member: Member, runs: "list[Run]", place: int
    ) -> bool:
        """See to it that a cell has one run, which is whole; say whether it had to be made."""
        status = self._ledger.status(member.cell)
        if status.state not in ("done", "failed"):
            return False
        mark = json_hash(cell_facts(member.titles, status))
        whole = [run for run in runs if run.data.tags.get("recrepro.complete") == mark]
        keep = _first(whole)
        for run in runs:
            if run is not keep:
                _delete(target, run)
        if keep is not None:
            self._say_place(target, keep, place)
            return False
        writer.write(member, status, {self._place_tag: str(place)})
        # Another workspace may have sent the same cell meanwhile. Each looks after it has put its
        # mark, so that whoever comes last sees both; both keep the same one.
        twins = target.runs(f"{CELLS} AND tags.`recrepro.cell` = '{member.cell}'")
        whole = [run for run in twins if run.data.tags.get("recrepro.complete") == mark]
        for run in whole:
            if run is not _first(whole):
                _delete(target, run)
        return True

    @property
    def _place_tag(self) -> str:
        return place_tag(self._grid_hash)

    def _say_place(self, target: Target, run: "Run", place: int | None) -> None:
        """Write where in this version of the experiment a cell stands; None: it is not in it."""
        here = run.data.tags.get(self._place_tag)
        if place is None and here is not None:
            target.client.delete_tag(run.info.run_id, self._place_tag)
        elif place is not None and here != str(place):
            target.client.set_tag(run.info.run_id, self._place_tag, str(place))


def _first(runs: "list[Run]") -> "Run | None":
    return min(runs, key=lambda run: str(run.info.run_id), default=None)


def _delete(target: Target, run: "Run") -> None:
    run_id = run.info.run_id
    for child in target.runs(f"tags.`mlflow.parentRunId` = '{run_id}'"):
        target.client.delete_run(child.info.run_id)
    target.client.delete_run(run_id)
