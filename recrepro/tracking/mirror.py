"""Copies what the ledger holds into MLflow, each cell once.

The copy can be made again at any time and comes out the same: a cell is found by its key, and a
run counts as whole only once it carries the tag ``recrepro.complete``, which is written last.
"""

import contextlib
from collections.abc import Collection, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from recrepro.errors import RecreproError
from recrepro.store.entries import CellStatus, Member
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace
from recrepro.tracking.client import connect, require_answer
from recrepro.tracking.content import place_tag
from recrepro.tracking.copies import Copy, WholeCopies, copies_in_store, copy_of
from recrepro.tracking.store import (
    CELLS,
    Target,
    existing_target,
    set_up_store,
    tracking_uri,
)

if TYPE_CHECKING:
    from mlflow.entities import Run

    from recrepro.tracking.writer import RunWriter


LOOK_SECONDS = 5.0
"""How long a mere question waits for who is writing."""


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
    uri : str, optional
        Address of the copy, if it is not the usual one of the workspace.
    """

    def __init__(
        self,
        ledger: Ledger,
        workspace: Workspace,
        name: str,
        grid_hash: str,
        source: str,
        uri: str | None = None,
    ) -> None:
        self._ledger = ledger
        self._workspace = workspace
        self._name = name
        self._grid_hash = grid_hash
        self._source = source
        self._uri = uri

    @property
    def uri(self) -> str:
        """Address of the copy."""
        return self._uri or tracking_uri(self._workspace)

    @property
    def embedded(self) -> bool:
        """Whether the copy is in the workspace itself."""
        return self.uri == self._workspace.mlflow_store

    def sync(self, settled: Collection[str] = ()) -> int:
        """Copy every ended cell that MLflow lacks; return how many were copied.

        Parameters
        ----------
        settled : collection of str
            Cells that a later version of the experiment has: they are copied as that names them.

        Raises
        ------
        RecreproError
            If a server does not answer.
        """
        # A mere question, as `missing` asks, needs neither pandas nor the charts.
        from recrepro.tracking.writer import RunWriter

        require_answer(self.uri)
        copied = 0
        # One writer at a time: a fresh store must not be set up by two processes at once.
        with self._lock():
            target = self._open()
            writer = RunWriter(target, self._ledger, self._workspace, self._name, self._source)
            present = _by_cell(target)
            for place, member in enumerate(self.members()):
                runs = present.pop(member.cell, [])
                if member.cell not in settled:
                    copied += self._bring(target, writer, member, runs, place)
                else:
                    for run in runs:
                        self._say_place(target, run, place)
            for runs in present.values():
                for run in runs:
                    self._say_place(target, run, None)
        return copied

    def missing(self) -> int:
        """Return how many ended cells are not wholly in MLflow; makes nothing there.

        Raises
        ------
        RecreproError
            If a server does not answer.
        """
        copies, client = self._copies_here() if self.embedded else None, None
        if copies is None:
            require_answer(self.uri)
            with self._lock(LOOK_SECONDS) if self.embedded else contextlib.nullcontext():
                target = existing_target(self.uri, self._name)
                present = {} if target is None else _by_cell(target)
            client = None if target is None else target.client
            copies = {cell: [copy_of(run) for run in runs] for cell, runs in present.items()}
        lacking = 0
        for member in self.members():
            status, there = self._ledger.status(member.cell), copies.get(member.cell, [])
            lacking += _ended(status) and not self._whole.of(member, status, there, client)
        return lacking

    def _copies_here(self) -> dict[str, list[Copy]] | None:
        """Return the copies in the embedded store by cell; None if MLflow has to be asked.

        Asking MLflow means importing it, which takes seconds.
        """
        path = self._workspace.root / "mlflow.db"
        if not path.is_file():
            return {}
        with self._lock(LOOK_SECONDS):
            return copies_in_store(path, self._name)

    @contextlib.contextmanager
    def _lock(self, seconds: float = -1) -> Iterator[None]:
        try:
            with FileLock(self._workspace.root / "mlflow.lock", timeout=seconds):
                yield
        except Timeout as error:
            raise RecreproError("another process is copying to MLflow right now.") from error

    def members(self) -> list[Member]:
        """Return what is copied once it has ended: the cells, and results from files."""
        members = self._ledger.members(self._name, self._grid_hash)
        return members + self._ledger.externals(self._name, self._grid_hash)

    def _open(self) -> Target:
        if self.embedded:
            set_up_store(self._workspace)
        target = existing_target(self.uri, self._name)
        if target is not None:
            return target
        client = connect(self.uri)
        place = f"{self._workspace.mlflow_artifacts}/{self._name}" if self.embedded else None
        made = client.create_experiment(
            self._name,
            artifact_location=place,
            tags={"mlflow.experimentKind": "custom_model_development"},
        )
        return Target(client, made)

    def _bring(
        self, target: Target, writer: "RunWriter", member: Member, runs: "list[Run]", place: int
    ) -> bool:
        """See to it that a cell has one run, which is whole; say whether it had to be made."""
        status = self._ledger.status(member.cell)
        if not _ended(status):
            return False
        keep = _best(target, self._whole_among(target, member, status, runs))
        for run in runs:
            if run is not keep:
                _delete(target, run)
        if keep is not None:
            self._say_place(target, keep, place)
            return False
        of_cell = f"{CELLS} AND tags.`recrepro.cell` = '{member.cell}'"
        for run in target.runs(of_cell, deleted=True):
            _delete_trials(target, run)  # MLflow's pages delete a run without them
        writer.write(member, status, {self._place_tag: str(place)})
        # Another workspace may have sent the same cell meanwhile. Each looks after it has put its
        # mark, so that whoever comes last sees both; both keep the same one.
        whole = self._whole_among(target, member, status, target.runs(of_cell))
        keep = _best(target, whole)
        for run in whole:
            if run is not keep:
                _delete(target, run)
        return True

    def _whole_among(
        self, target: Target, member: Member, status: CellStatus, runs: "list[Run]"
    ) -> "list[Run]":
        whole = self._whole.of(member, status, map(copy_of, runs), target.client)
        return [run for run in runs if run.info.run_id in whole]

    @cached_property
    def _whole(self) -> WholeCopies:
        return WholeCopies(self._ledger, self._workspace, self.uri)

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


def _by_cell(target: Target) -> "dict[str, list[Run]]":
    present: dict[str, list[Run]] = {}
    for run in target.runs(CELLS):
        present.setdefault(run.data.tags["recrepro.cell"], []).append(run)
    return present


def _ended(status: CellStatus) -> bool:
    return status.state in ("done", "failed")


def _best(target: Target, runs: "list[Run]") -> "Run | None":
    """Return the same one of several whole copies, whoever asks: one with all of its trials."""
    if len(runs) < 2:
        return runs[0] if runs else None
    return min(runs, key=lambda run: (-len(_trials(target, run)), str(run.info.run_id)))


def _trials(target: Target, run: "Run") -> "list[Run]":
    return target.runs(f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")


def _delete_trials(target: Target, run: "Run") -> None:
    for trial in _trials(target, run):
        target.client.delete_run(trial.info.run_id)


def _delete(target: Target, run: "Run") -> None:
    _delete_trials(target, run)
    target.client.delete_run(run.info.run_id)
