"""Where the MLflow copy is: its address, its database, the pages of its user interface."""

import contextlib
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from filelock import FileLock

from recrepro.compute.failpoints import reach
from recrepro.durable import DRAFT, new_file
from recrepro.errors import RecreproError
from recrepro.store.address import address_of_file
from recrepro.store.workspace import Workspace
from recrepro.tracking.client import connect

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

CELLS = "tags.`recrepro.kind` = 'cell'"
"""Finds the tested models among the runs, without their trials."""


@dataclass(frozen=True)
class Target:
    """An experiment in MLflow.

    Parameters
    ----------
    client : MlflowClient
        The connection.
    experiment_id : str
        Its id there.
    """

    client: "MlflowClient"
    experiment_id: str

    def runs(self, filter_string: str, *, deleted: bool = False) -> "list[Run]":
        """Return all runs that a search finds, whatever their number.

        Parameters
        ----------
        filter_string : str
            In MLflow's language.
        deleted : bool
            Whether to search the runs in MLflow's trash, and no others.
        """
        from mlflow.entities import ViewType

        view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
        found: list[Run] = []
        token: str | None = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id], filter_string, view, max_results=1000, page_token=token
            )
            found += page
            token = page.token
            if not token or not page:  # an empty page with more after it would never end
                return found


def tracking_uri(workspace: Workspace) -> str:
    """Return ``MLFLOW_TRACKING_URI`` if it is set, else the store embedded in the workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI") or workspace.mlflow_store


def make_database(path: Path) -> None:
    """Make an MLflow database without runs, which takes MLflow seconds."""
    connect(address_of_file(path)).search_experiments()


def set_up_store(workspace: Workspace) -> None:
    """Make the embedded store, if it is not there; the caller holds the lock ``mlflow.lock``.

    It appears as a whole: MLflow cannot go on with a database that it was killed while making.
    """
    path = workspace.root / "mlflow.db"
    if path.is_file() and path.stat().st_size:
        return
    for left in workspace.root.glob(f"{DRAFT}{path.name}-*"):
        left.unlink()
    # A draft has another name each time: MLflow keeps connections to the files that it has seen.
    with new_file(path) as draft:
        make_database(draft)
        for stale in workspace.root.glob(f"{path.name}-*"):  # of a store that was deleted
            stale.unlink()
        reach("mlflow-store-drafted")
    # A write-ahead log waits for the disk once a commit instead of several times, which was half
    # of the time that copies took. It needs a local disk, as that of the ledger does.
    if (workspace.root / "ledger.db").is_file():
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")


def existing_target(uri: str, name: str) -> Target | None:
    """Find an experiment by its name.

    Parameters
    ----------
    uri : str
        Of the server or database.
    name : str
        Of the experiment, which is that of its file without ``.toml``.

    Returns
    -------
    Target or None
        None if MLflow has never heard of it.

    Raises
    ------
    RecreproError
        If it was deleted there.
    """
    client = connect(uri)
    known = client.get_experiment_by_name(name)
    if known is None:
        return None
    if known.lifecycle_stage != "active":
        raise RecreproError(
            f"the MLflow experiment {name!r} was deleted in MLflow. Restore it there, or rename "
            "the experiment file."
        )
    return Target(client, known.experiment_id)


def runs_pages(workspace: Workspace, server: str) -> dict[str, str]:
    """Return the address of each experiment's page: tested models as charts, without trials."""
    query = urlencode(
        {
            "searchFilter": CELLS,
            "compareRunsMode": "CHART",
            "workflowType": "machine_learning",
        },
        quote_via=quote,
    )
    with FileLock(workspace.root / "mlflow.lock"):
        found = connect(tracking_uri(workspace)).search_experiments()
    return {
        e.name: f"{server}/#/experiments/{e.experiment_id}/runs?{query}"
        for e in found
        if e.name != "Default"
    }
