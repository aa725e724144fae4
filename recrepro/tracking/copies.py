"""The copies of cells that MLflow has, and which of them are whole."""

import contextlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from recrepro.store.entries import CellStatus, Member
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace
from recrepro.tracking.client import on_this_machine
from recrepro.tracking.content import cell_facts, json_hash

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

OF_EVERY_CELL = frozenset({"cell.json", "experiment.toml"})
OF_RECORD = frozenset({"record.json", "audit.json", "per_user.parquet"})
OF_WEIGHTS = frozenset({"model.npz"})
OF_TRIALS = frozenset({"trials.json", "trials.csv"})

SEARCH = """
SELECT cell.value, runs.run_uuid, mark.value, runs.artifact_uri
FROM runs
JOIN experiments USING (experiment_id)
JOIN tags AS kind ON kind.run_uuid = runs.run_uuid AND kind.key = 'recrepro.kind'
JOIN tags AS cell ON cell.run_uuid = runs.run_uuid AND cell.key = 'recrepro.cell'
JOIN tags AS mark ON mark.run_uuid = runs.run_uuid AND mark.key = 'recrepro.complete'
WHERE experiments.name = ? AND kind.value = 'cell' AND runs.lifecycle_stage = 'active'
"""
"""Finds the marked runs of cells in the tables of MLflow 2 and 3."""


@dataclass(frozen=True)
class Copy:
    """A run of a cell in MLflow.

    Parameters
    ----------
    run_id : str
        Its id there.
    mark : str
        Hash of what was copied, written last; empty if it is not there.
    artifacts : str
        Address of the folder with its files.
    """

    run_id: str
    mark: str
    artifacts: str


def copy_of(run: "Run") -> Copy:
    """Return what is needed of a run to say whether it is a whole copy."""
    mark = run.data.tags.get("recrepro.complete", "")
    return Copy(run.info.run_id, mark, run.info.artifact_uri or "")


def copies_in_store(path: Path, name: str) -> dict[str, list[Copy]] | None:
    """Read the marked copies from an embedded store, without MLflow.

    Parameters
    ----------
    path : Path
        The SQLite file.
    name : str
        Name of the experiment.

    Returns
    -------
    dict of str to list of Copy, or None
        By cell; None if the file is not as expected or the experiment was deleted: MLflow then says
        what is wrong.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            stages = "SELECT lifecycle_stage FROM experiments WHERE name = ?"
            if ("deleted",) in database.execute(stages, (name,)).fetchall():
                return None
            found: dict[str, list[Copy]] = {}
            for cell, *copy in database.execute(SEARCH, (name,)):
                found.setdefault(cell, []).append(Copy(*copy))
            return found
    except sqlite3.Error:
        return None


class WholeCopies:
    """Tells copies that are whole from those that are not.

    A whole copy carries the mark of what the ledger has of its cell, and has its files. The files
    are listed once for each run, however often it is asked.

    Parameters
    ----------
    ledger : Ledger
        What is copied.
    workspace : Workspace
        Has the embedded store.
    uri : str
        Address of the copies.
    """

    def __init__(self, ledger: Ledger, workspace: Workspace, uri: str) -> None:
        self._ledger = ledger
        self._workspace = workspace
        self._uri = uri
        self._seen: set[str] = set()

    def of(
        self,
        member: Member,
        status: CellStatus,
        copies: Iterable[Copy],
        client: "MlflowClient | None" = None,
    ) -> list[str]:
        """Return the ids of the whole ones among the copies of a cell.

        Parameters
        ----------
        member, status
            What the ledger has of it.
        copies : iterable of Copy
            Those that there are.
        client : MlflowClient, optional
            Asked for files that are in no folder of this machine.
        """
        mark = mark_of(member, status)
        marked = [copy for copy in copies if copy.mark == mark]
        return [copy.run_id for copy in marked if self._has_files(copy, status, client)]

    def _has_files(self, copy: Copy, status: CellStatus, client: "MlflowClient | None") -> bool:
        if copy.run_id not in self._seen:
            names = self._names(copy, client)
            if names is not None and self._lacking(names, status):
                return False
            self._seen.add(copy.run_id)
        return True

    def _lacking(self, names: set[str], status: CellStatus) -> bool:
        """Say whether files of a cell are missing among those that its copy has."""
        record = status.record
        if record is None:
            return not names >= OF_EVERY_CELL
        weights = OF_WEIGHTS if record.weights else frozenset()
        if not names >= OF_EVERY_CELL | OF_RECORD | weights:
            return True
        # The trials are read only where they may be missing: there are many.
        return not names >= OF_TRIALS and bool(self._ledger.trials(status.cell))

    def _names(self, copy: Copy, client: "MlflowClient | None") -> set[str] | None:
        """Return the files that a copy has; None if they are in a folder of another machine."""
        folder = folder_of(copy.artifacts)
        if folder is None:
            files = [] if client is None else client.list_artifacts(copy.run_id)
            return {file.path for file in files}
        if not on_this_machine(self._uri):
            return None
        # MLflow goes on naming the old folder of a workspace that was moved.
        moved = self._workspace.root.joinpath("mlflow-artifacts", *folder.parts[-3:])
        return {
            path.name for place in (folder, moved) if place.is_dir() for path in place.iterdir()
        }


def folder_of(artifacts: str) -> Path | None:
    """Return the folder that an address of files names; None if they are in some other store."""
    place = urlsplit(artifacts)
    if place.scheme == "file":
        return Path(url2pathname(place.path))
    return Path(artifacts) if artifacts and not place.scheme else None


def mark_of(member: Member, status: CellStatus) -> str:
    """Return what a whole copy of a cell carries."""
    return json_hash(cell_facts(member.name, status))
