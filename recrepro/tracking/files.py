"""Files of a run in MLflow. What comes from a server is not believed to be what it should be."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from recrepro.errors import DataError

if TYPE_CHECKING:
    from mlflow import MlflowClient

MEGABYTE = 2**20
LONGEST = {
    "cell.json": MEGABYTE,
    "record.json": 256 * MEGABYTE,
    "trials.json": 256 * MEGABYTE,
    "per_user.parquet": 4096 * MEGABYTE,
}
"""Files that are read, and how many bytes they may have."""


def sizes(client: "MlflowClient", run_id: str) -> dict[str, int]:
    """Return the sizes in bytes of the files that a run is said to have, by name."""
    listed = client.list_artifacts(run_id)
    return {file.path: file.file_size or 0 for file in listed if not file.is_dir}


def fetch(client: "MlflowClient", run_id: str, name: str, size: int) -> bytes:
    """Return one of our files; its size is looked at before and after.

    Parameters
    ----------
    client : MlflowClient
        The connection.
    run_id : str
        As MLflow shows it.
    name : str
        One of `LONGEST`.
    size : int
        What `sizes` said of it.

    Raises
    ------
    DataError
        With the reason, as a part of a sentence, if it is too large or no file.
    """
    with tempfile.TemporaryDirectory() as folder:
        _fits(name, size)
        fetched = Path(client.download_artifacts(run_id, name, folder)).resolve()
        if fetched.parent != Path(folder).resolve() or not fetched.is_file():
            raise DataError(f"{name} came as something else than a file")
        _fits(name, fetched.stat().st_size)
        return fetched.read_bytes()


def _fits(name: str, size: int) -> None:
    if size > LONGEST[name]:
        raise DataError(f"{name} has {size:,} bytes, more than {LONGEST[name]:,}")
