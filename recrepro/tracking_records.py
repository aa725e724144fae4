"""Reads the record of a run back from MLflow."""

import contextlib
import tempfile
from pathlib import Path

from filelock import FileLock

from recrepro.errors import RecreproError
from recrepro.tracking_store import silence_mlflow, tracking_uri
from recrepro.workspace import Workspace

RECORD_LIMIT = 256 * 2**20
PER_USER_LIMIT = 2 * 2**30
FILES = {"record.json": RECORD_LIMIT, "per_user.parquet": PER_USER_LIMIT}
"""What is read of a run, and how many bytes it may have."""


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
    silence_mlflow()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    uri = tracking_uri(workspace)
    embedded = uri == workspace.mlflow_store
    lock = FileLock(workspace.root / "mlflow.lock") if embedded else contextlib.nullcontext()
    try:
        with lock, tempfile.TemporaryDirectory() as folder:
            client = MlflowClient(tracking_uri=uri)
            sizes = {f.path: f.file_size or 0 for f in client.list_artifacts(run_id)}
            if "record.json" not in sizes:
                raise RecreproError(
                    f"the MLflow run {run_id} has no record.json: it is a trial, a failed cell, or "
                    "not one of recrepro. Name the run of a cell, such as the parent of a trial."
                )
            found = {}
            for name in FILES.keys() & sizes.keys():
                if sizes[name] > FILES[name]:
                    raise RecreproError(
                        f"{name} of the MLflow run {run_id} has {sizes[name]:,} bytes, more than "
                        f"the {FILES[name]:,} that are read."
                    )
                found[name] = Path(client.download_artifacts(run_id, name, folder)).read_bytes()
            return found
    except MlflowException as error:
        reason = str(error).strip().partition("\n")[0]
        raise RecreproError(
            f"the MLflow run {run_id} cannot be read: {reason}. List them: recrepro ui."
        ) from error
