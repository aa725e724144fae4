"""Reads results back from MLflow, for tables that are made where the workspace is not.

What comes from a server is not believed as it is: only files of our own names are fetched, into a
folder that is thrown away, up to a size; the facts of a cell must have the hash that its run
carries, and record and values of users the hashes that the facts and the record give.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from recrepro.errors import DataError, RecreproError, UsageError, first_line
from recrepro.store.entries import CellStatus
from recrepro.store.openings import Opening
from recrepro.store.results import Result
from recrepro.tracking.facts import COPY_VERSION, json_hash, place_tag
from recrepro.tracking.files import fetch, sizes
from recrepro.tracking.store import CELLS, Target, existing_target, is_server, printable

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Servers on this machine: only they may name folders of it."""

RECORD_KEYS = ("identity", "metrics", "model", "sampled", "split", "tuning", "users", "per_user")


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
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).is_file():
        raise UsageError(f"there is no MLflow database {uri!r}.")  # MLflow would make one
    with _explained(uri):
        target = existing_target(uri, name)
    place = place_tag(grid_hash)
    found: list[Run] = []
    if target is not None:
        with _explained(uri):
            found = target.runs(f"{CELLS} AND tags.`{place}` LIKE '%'")
    if target is None or not found:
        raise RecreproError(
            f"MLflow at {printable(uri)} has nothing of {name!r}, as the file is now. Send it: "
            f"MLFLOW_TRACKING_URI={printable(uri)} recrepro run {name}.toml, in the workspace "
            "that has the results."
        )
    whole = [run for run in found if run.data.tags.get("recrepro.complete")]
    whole.sort(key=lambda run: (_number(run.data.tags[place]), str(run.info.run_id)))
    results = [_Copy(uri, target, run).result() for run in whole]
    cells = {result.status.cell for result in results}
    if len(cells) < len(results):
        raise RecreproError(
            f"MLflow at {printable(uri)} has a cell of {name!r} twice. Run the experiment with "
            "that address in MLFLOW_TRACKING_URI: it leaves one of each."
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
        if is_server(uri) and urlsplit(uri).hostname not in LOOPBACK and _is_folder(artifacts):
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
        except (KeyError, TypeError) as error:
            raise self._refused(f"cell.json has another form than it should: {error}") from error

    def _read(self, facts: dict[str, Any]) -> Result:
        titles = facts["titles"]
        if not all(isinstance(titles[key], str) for key in ("dataset", "split", "model")):
            raise TypeError("titles")
        record = None
        if facts["record"] is not None:
            record = self._json("record.json", dict)
            if json_hash(record) != facts["record"]:
                raise self._refused("record.json was altered")
            lacking = [key for key in RECORD_KEYS if key not in record]
            if lacking:
                raise self._refused(f"record.json lacks {', '.join(lacking)}")
        openings = tuple(Opening(**opening) for opening in facts["openings"])
        status = CellStatus(
            facts["cell"], facts["state"], facts["reason"], record, facts["alarmed"], openings
        )
        return Result(titles, status, self._trials, lambda: self._per_user(record))

    def _trials(self) -> list[dict[str, Any]]:
        if "trials.json" not in self._sizes():
            return []
        trials: list[dict[str, Any]] = self._json("trials.json", list)
        return trials

    def _per_user(self, record: dict[str, Any] | None) -> bytes:
        assert record is not None
        content = self._fetch("per_user.parquet")
        if hashlib.sha256(content).hexdigest() != record["per_user"]:
            raise self._refused("per_user.parquet was altered")
        return content

    def _json(self, name: str, kind: type) -> Any:
        try:
            value = json.loads(self._fetch(name))
        except ValueError as error:
            raise self._refused(f"{name} is no JSON: {error}") from error
        if not isinstance(value, kind):
            raise self._refused(f"{name} holds something else than it should")
        return value

    def _fetch(self, name: str) -> bytes:
        size = self._sizes().get(name)
        if size is None:
            raise self._refused(f"{name} is missing")
        try:
            with _explained(self._uri):
                return fetch(self._client, self._run_id, name, size)
        except DataError as error:
            raise self._refused(str(error)) from error

    def _sizes(self) -> dict[str, int]:
        with _explained(self._uri):
            return sizes(self._client, self._run_id)

    def _refused(self, reason: str) -> RecreproError:
        return RecreproError(
            f"the run {self._run_id} at {printable(self._uri)} cannot be used: {reason}. Delete "
            "the run in MLflow, and run the experiment again with that address in "
            "MLFLOW_TRACKING_URI: it is sent anew from the workspace."
        )


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn what MLflow raises into one message."""
    try:
        yield
    except RecreproError:
        raise
    except Exception as error:
        raise RecreproError(
            f"MLflow at {printable(uri)} cannot be read: {first_line(error)}"
        ) from error


def _is_folder(address: str) -> bool:
    return urlsplit(address).scheme in ("", "file")


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
