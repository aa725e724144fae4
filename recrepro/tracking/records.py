"""Reads the record of a run back from MLflow."""

import contextlib

from filelock import FileLock

from recrepro.errors import DataError, RecreproError, first_line
from recrepro.store.workspace import Workspace
from recrepro.tracking.files import fetch, sizes
from recrepro.tracking.store import connect, tracking_uri

FILES = ("record.json", "per_user.parquet")
"""What is read of a run, if it is there."""


def files_of_run(workspace: Workspace, run_id: str) -> dict[str, bytes]:
    """Return the record and the per-user values that a run of a cell has as artifacts.

    Parameters
    ----------
    workspace : Workspace
        Its embedded store is read, unless ``MLFLOW_TRACKING_URI`` names another.
    run_id : str
        As MLflow shows it.

    Returns
    -------
    dict of str to bytes
        By file name: ``record.json``, and ``per_user.parquet`` if it is there.

    Raises
    ------
    RecreproError
        If there is no such run, it has no record, or a file is too large.
    """
    uri = tracking_uri(workspace)
    embedded = uri == workspace.mlflow_store
    lock = FileLock(workspace.root / "mlflow.lock") if embedded else contextlib.nullcontext()
    client = connect(uri)
    from mlflow.exceptions import MlflowException

    try:
        with lock:
            there = sizes(client, run_id)
            if "record.json" not in there:
                raise RecreproError(
                    f"the MLflow run {run_id} has no record.json: it is a trial, a failed cell, or "
                    "not one of recrepro. Name the run of a cell, such as the parent of a trial."
                )
            return {n: fetch(client, run_id, n, there[n]) for n in FILES if n in there}
    except DataError as error:
        raise RecreproError(f"the MLflow run {run_id} cannot be used: {error}.") from error
    except MlflowException as error:
        raise RecreproError(
            f"the MLflow run {run_id} cannot be read: {first_line(error)}. List them: recrepro ui."
        ) from error
