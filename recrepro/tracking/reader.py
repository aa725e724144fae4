"""Reads results back from MLflow: of an experiment, for its tables; of a run, to reproduce it.

What comes from a server is not believed as it is: only files of our own names are fetched, into a
folder that is thrown away, up to a size; the facts of a cell must have the hash that its run
carries, and record and values of users the hashes that the facts and the record give.
"""

import contextlib
import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from filelock import FileLock
from pydantic import ValidationError

from recrepro.errors import DataError, RecreproError, UsageError, first_line
from recrepro.store.address import LedgerAddress
from recrepro.store.entries import CellStatus
from recrepro.store.names import CellName
from recrepro.store.openings import Opening
from recrepro.store.records import Record, Trial, read_trials
from recrepro.store.results import Result
from recrepro.store.searches import Before
from recrepro.store.workspace import Workspace
from recrepro.text.redact import redacted
from recrepro.tracking.client import connect, is_server, on_this_machine, reading
from recrepro.tracking.content import COPY_VERSION, json_hash, place_tag
from recrepro.tracking.store import (
    CELLS,
    Target,
    existing_target,
    tracking_uri,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MEGABYTE = 2**20
LONGEST = {
    "cell.json": MEGABYTE,
    "record.json": 16 * MEGABYTE,  # a row for each epoch, of thousands
    "trials.json": 256 * MEGABYTE,
    "per_user.parquet": 4096 * MEGABYTE,
}
"""Files that are read, and how many bytes they may have."""

FILES_OF_RUN = ("record.json", "per_user.parquet")
"""Files that reproducing a run needs; not every run has the second."""


@dataclass(frozen=True)
class MlflowResults:
    """What MLflow has of an experiment.

    Parameters
    ----------
    results : list of Result
        Its cells, in the order of the file.
    torn : int
        How many copies were left out because they are not whole.
    """

    results: list[Result]
    torn: int


def results_from_mlflow(uri: str, name: str, grid_hash: str) -> MlflowResults:
    """Read the cells of an experiment from an MLflow server or database.

    Cells that have not been run are not there; failed ones are.

    Parameters
    ----------
    uri : str
        Address, such as ``https://mlflow.example.org`` or ``sqlite:///mlflow.db``.
    name : str
        Of the experiment, which is that of its file without ``.toml``.
    grid_hash : str
        Which version of the experiment.

    Raises
    ------
    RecreproError
        If MLflow cannot be read, has nothing of the experiment, or what it has was altered.
    """
    file = LedgerAddress(uri).file if uri.startswith("sqlite") else None
    if file is not None and not file.is_file():
        raise UsageError(f"there is no MLflow database {uri!r}.")  # MLflow would make one
    with reading(uri):
        target = existing_target(uri, name)
    place = place_tag(grid_hash)
    found: list[Run] = []
    if target is not None:
        with reading(uri):
            found = target.runs(f"{CELLS} AND tags.`{place}` LIKE '%'")
    if target is None or not found:
        raise RecreproError(
            f"MLflow at {redacted(uri)} has nothing of {name!r}, as the file is now. Send "
            f"it: MLFLOW_TRACKING_URI={redacted(uri)} recrepro run {name}.toml, in the "
            "workspace that has the results."
        )
    whole = [run for run in found if run.data.tags.get("recrepro.complete")]
    whole.sort(key=lambda run: (_position(run.data.tags[place]), str(run.info.run_id)))
    results = [_Copy(uri, target, run).result() for run in whole]
    cells = {result.status.cell for result in results}
    if len(cells) < len(results):
        raise RecreproError(
            f"MLflow at {redacted(uri)} has a cell of {name!r} twice. Run the experiment "
            "with that address in MLFLOW_TRACKING_URI: it leaves one of each."
        )
    return MlflowResults(results, len(found) - len(whole))


class _Copy:
    """A run in MLflow, read as a cell."""

    def __init__(self, uri: str, target: Target, run: "Run") -> None:
        self._uri = uri
        self._client: MlflowClient = target.client
        self._run_id: str = run.info.run_id
        self._mark: str = run.data.tags["recrepro.complete"]
        artifacts = run.info.artifact_uri or ""
        # Only servers on this machine may name folders of it.
        elsewhere = is_server(uri) and not on_this_machine(uri)
        if elsewhere and urlsplit(artifacts).scheme in ("", "file"):
            raise self._refused(
                f"its files are said to be in the folder {artifacts!r} of the server, which is "
                "not looked for on this machine: start the server with --serve-artifacts"
            )

    def result(self) -> Result:
        """Return the cell, with its record checked; trials and users are fetched when asked for."""
        facts = self._json("cell.json", dict)
        if json_hash(facts) != self._mark or facts.get("copy") != COPY_VERSION:
            raise self._refused("cell.json is not what recrepro wrote, or of another version")
        try:
            return self._read(facts)
        except (KeyError, TypeError, ValidationError) as error:
            reason = first_line(error)
            raise self._refused(f"cell.json has another form than it should: {reason}") from error

    def _read(self, facts: dict[str, Any]) -> Result:
        record = None
        if facts["record"] is not None:
            content = self._json("record.json", dict)
            if json_hash(content) != facts["record"]:
                raise self._refused("record.json was altered")
            try:
                record = Record.read(json.dumps(content), "record.json")
            except DataError as error:
                raise self._refused(str(error)) from error
        openings = tuple(Opening(**opening) for opening in facts["openings"])
        status = CellStatus(
            facts["cell"],
            facts["state"],
            facts["reason"],
            record,
            facts["alarmed"],
            openings,
            Before.from_json(facts.get("before")),
            facts.get("withdrawn"),
        )
        name = CellName.model_validate(facts["titles"])
        return Result(name, status, self._trials, lambda: self._per_user(record))

    def _trials(self) -> list[Trial]:
        if "trials.json" not in self._sizes():
            return []
        try:
            return read_trials(self._json("trials.json", list), "trials.json")
        except DataError as error:
            raise self._refused(str(error)) from error

    def _per_user(self, record: Record | None) -> bytes:
        assert record is not None
        content = self._fetch("per_user.parquet")
        if hashlib.sha256(content).hexdigest() != record.per_user:
            raise self._refused("per_user.parquet was altered")
        return content

    def _json(self, name: str, kind: type) -> Any:
        try:
            value = json.loads(self._fetch(name))
        except (ValueError, RecursionError) as error:
            raise self._refused(f"{name} is no JSON: {error}") from error
        if not isinstance(value, kind):
            raise self._refused(f"{name} holds something else than it should")
        return value

    def _fetch(self, name: str) -> bytes:
        size = self._sizes().get(name)
        if size is None:
            raise self._refused(f"{name} is missing")
        try:
            with reading(self._uri):
                return _fetch(self._client, self._run_id, name, size)
        except DataError as error:
            raise self._refused(str(error)) from error

    def _sizes(self) -> dict[str, int]:
        with reading(self._uri):
            return _sizes(self._client, self._run_id)

    def _refused(self, reason: str) -> RecreproError:
        return RecreproError(
            f"the run {self._run_id} at {redacted(self._uri)} cannot be used: {reason}. "
            "Delete the run in MLflow, and run the experiment again with that address in "
            "MLFLOW_TRACKING_URI: it is sent anew from the workspace."
        )


def _position(text: str) -> int:
    return int(text) if text.isdecimal() else 0


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
            there = _sizes(client, run_id)
            if "record.json" not in there:
                raise RecreproError(
                    f"the MLflow run {run_id} has no record.json: it is a trial, a failed cell, or "
                    "not one of recrepro. Name the run of a cell, such as the parent of a trial."
                )
            return {n: _fetch(client, run_id, n, there[n]) for n in FILES_OF_RUN if n in there}
    except DataError as error:
        raise RecreproError(f"the MLflow run {run_id} cannot be used: {error}.") from error
    except MlflowException as error:
        raise RecreproError(
            f"the MLflow run {run_id} cannot be read: {first_line(error)}. List them: recrepro ui."
        ) from error


def _sizes(client: "MlflowClient", run_id: str) -> dict[str, int]:
    """Return the sizes in bytes of the files that a run is said to have, by name."""
    listed = client.list_artifacts(run_id)
    return {file.path: file.file_size or 0 for file in listed if not file.is_dir}


def _fetch(client: "MlflowClient", run_id: str, name: str, size: int) -> bytes:
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
        What `_sizes` said of it.

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
