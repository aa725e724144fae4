"""Takes the results and trials of a parcel into a workspace.

Everything is checked against the hashes that were stored with it before anything is written. What
does not fit is named and left out; the rest is taken in one transaction, blobs first. What is here
stays as it is: a different result of the same cell becomes a determinism alarm.
"""

import contextlib
import json
import shutil
from collections import defaultdict
from collections.abc import Container
from functools import partial

import sqlalchemy as sa

from recrepro.durable import new_folder
from recrepro.errors import RecreproError
from recrepro.store import schema as tables
from recrepro.store.ledger import Ledger
from recrepro.store.names import CellName
from recrepro.store.parcel import Merged, Parcel, Row
from recrepro.store.records import Record
from recrepro.store.rows import fetch, is_done, lease
from recrepro.store.sound import sound_part
from recrepro.store.workspace import Workspace

_DECIDED = ("number", "params", "state", "value", "metrics", "epochs")
"""What two trials of the same search and number must share; their times may differ."""


def merge(parcel: Parcel, ledger: Ledger, workspace: Workspace) -> Merged:
    """Take what a parcel has, and this workspace lacks.

    Parameters
    ----------
    parcel : Parcel
        Results and trials from elsewhere.
    ledger, workspace
        Where they go.

    Returns
    -------
    Merged
        What was taken, what was not, and why.
    """
    merged = Merged()
    sound = sound_part(parcel, merged)
    states = ledger.states()
    for row in sound.of(tables.CELLS):
        if row["state"] == "done" and states.get(row["cell"]) != "done":
            _copy_blobs(row, parcel, ledger, workspace)
    with ledger.merging() as (connection, now):
        _Taking(connection, sound, merged, now).take()
    _copy_checkpoints(sound, ledger, workspace, merged)
    return merged


def _copy_blobs(row: Row, parcel: Parcel, ledger: Ledger, workspace: Workspace) -> None:
    """Store what a record names: values of users, and rankings and weights if they are there."""
    record = Record.read(row["record"], "its record")
    announce = partial(ledger.announce, row["cell"])
    workspace.write_blob(parcel.read_blob(record.per_user), announce)
    rankings = None if record.rankings is None else record.rankings.sha256
    for digest in filter(None, (rankings, record.weights)):
        # Without its rankings a cell has its final fit again when other metrics are asked for.
        with contextlib.suppress(RecreproError):
            workspace.write_blob(parcel.read_blob(digest), announce)


def _copy_checkpoints(parcel: Parcel, ledger: Ledger, workspace: Workspace, merged: Merged) -> None:
    """Take the checkpoints of cells that have no result and no checkpoint here."""
    if parcel.checkpoints is None:
        return
    for key, work in ledger.work().items():
        source, target = parcel.checkpoints / key[:16], workspace.checkpoints(key)
        if work.state == "done" or work.lease or not source.is_dir() or target.is_dir():
            continue
        with new_folder(target) as draft:
            for path in source.glob("*.npz"):
                shutil.copyfile(path, draft / path.name)
        merged.checkpoints += 1


class _Taking:
    """One transaction that takes rows into a ledger."""

    def __init__(
        self, connection: sa.Connection, parcel: Parcel, merged: Merged, now: float
    ) -> None:
        self._connection, self._parcel, self._merged = connection, parcel, merged
        cells = connection.execute(sa.select(tables.CELLS)).all()
        self._here = {row.cell: row for row in cells}
        self._busy = {
            row.search for row in cells if (held := lease(row, now)) is not None and held.alive
        }
        self._differing: set[str] = set()
        self._names = {
            row["cell"]: CellName.model_validate_json(row["titles"]).path
            for table in (tables.MEMBERS, tables.SUPERSEDED, tables.EXTERNALS)
            for row in parcel.of(table)
        }

    def take(self) -> None:
        self._take_missing(tables.EXPERIMENTS, ("name", "grid_hash"))
        known = self._listed()
        new = {(r["name"], r["grid_hash"]) for r in self._parcel.of(tables.MEMBERS)} - set(known)
        for row in self._parcel.of(tables.CELLS):
            if row["cell"] not in self._here:
                self._insert(tables.CELLS, _pending(row))
        for row in self._parcel.of(tables.MEMBERS):
            key = (row["name"], row["grid_hash"])
            if key in new:
                self._insert(tables.MEMBERS, row)
            elif row["cell"] not in known[key]:  # run with other code of a model
                self._supersede(row)
        for row in self._parcel.of(tables.SUPERSEDED):
            if row["cell"] not in known.get((row["name"], row["grid_hash"]), ()):
                self._supersede(row)
        self._take_missing(tables.OPENINGS, ("cell", "token"))
        self._take_missing(tables.WITHDRAWN, ("cell",))
        self._take_trials()
        for row in self._parcel.of(tables.CELLS):
            if row["state"] == "done":
                self._take_result(row)
        self._take_missing(tables.EXTERNALS, ("name", "cell"), among=self._done())
        self._take_missing(tables.ALARMS, ("cell", "record"), drop="id")

    def _listed(self) -> dict[tuple[str, str], set[str]]:
        members = tables.MEMBERS.c
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        query = sa.select(members.name, members.grid_hash, members.cell)
        for name, grid_hash, cell in self._connection.execute(query):
            found[name, grid_hash].add(cell)
        return dict(found)

    def _insert(self, table: sa.Table, row: Row) -> None:
        self._connection.execute(table.insert().values(row))

    def _done(self) -> set[str]:
        cells = tables.CELLS.c
        done = sa.select(cells.cell, cells.state).where(is_done())
        return {row.cell for row in fetch(self._connection, done)}

    def _take_missing(
        self,
        table: sa.Table,
        key: tuple[str, ...],
        drop: str | None = None,
        among: Container[str] | None = None,
    ) -> None:
        columns = [table.c[name] for name in key]
        here = {tuple(row) for row in self._connection.execute(sa.select(*columns))}
        for row in self._parcel.of(table):
            place = tuple(row[name] for name in key)
            if place not in here and (among is None or row["cell"] in among):
                here.add(place)
                self._insert(table, {k: v for k, v in row.items() if k != drop})

    def _supersede(self, row: Row) -> None:
        table = tables.SUPERSEDED
        key = {name: row[name] for name in ("name", "grid_hash", "cell")}
        same = [table.c[name] == value for name, value in key.items()]
        if self._connection.scalar(sa.select(table.c.cell).where(*same)) is None:
            replaced = row.get("replaced_at") or 0.0
            self._insert(table, {**key, "titles": row["titles"], "replaced_at": replaced})

    def _take_trials(self) -> None:
        theirs: dict[str, list[Row]] = defaultdict(list)
        for row in self._parcel.of(tables.TRIALS):
            theirs[row["search"]].append(row)
        for search, rows in theirs.items():
            if search not in self._busy:
                self._take_search(search, rows)

    def _take_search(self, search: str, theirs: list[Row]) -> None:
        table = tables.TRIALS
        query = sa.select(table).where(table.c.search == search).order_by(table.c.number)
        ours = self._connection.execute(query).all()
        for mine, other in zip(ours, theirs, strict=False):
            one, two = json.loads(mine.trial), json.loads(other["trial"])
            if (
                one["state"] == "failed"
                and two["state"] != "failed"
                and not self._has_result(search)
            ):
                gone = (table.c.search == search, table.c.number >= mine.number)
                self._connection.execute(table.delete().where(*gone))
                ours = ours[: mine.number]
                break
            if two["state"] == "failed" and one["state"] != "failed":
                return
            if any(one.get(name) != two.get(name) for name in _DECIDED):
                self._differing.add(search)
                self._merged.alarms.append(
                    f"the search {search[:12]} ({self._cell_of(search)}): trial {mine.number} is "
                    "another one there than here. Ours stays."
                )
                return
        expected = len(ours)
        for row in theirs[len(ours) :]:
            if row["number"] != expected:
                break
            self._insert(table, row)
            self._merged.trials += 1
            expected += 1

    def _short_of_trials(self, row: Row) -> str | None:
        """Say that a result comes without trials that it was chosen among, if it does."""
        tuning = Record.read(row["record"], "its record").tuning
        trials = tables.TRIALS.c
        query = sa.select(sa.func.count()).where(trials.search == row["search"])
        n_there = self._connection.scalar(query) or 0
        if tuning is None or n_there >= tuning.trials:
            return None
        return (
            f"{n_there} of the {tuning.trials} trials of its search are there; a workspace and a "
            "snapshot have them, a bundle has not"
        )

    def _has_result(self, search: str) -> bool:
        return any(row.search == search and row.state == "done" for row in self._here.values())

    def _cell_of(self, search: str) -> str:
        cells = (r["cell"] for r in self._parcel.of(tables.CELLS) if r["search"] == search)
        return self._name(next(cells))

    def _name(self, cell: str) -> str:
        return self._names.get(cell, f"cell {cell[:12]}")

    def _take_result(self, row: Row) -> None:
        cell, here = row["cell"], self._here.get(row["cell"])
        name, merged = self._name(cell), self._merged
        if here is not None and here.state == "done":
            if here.result_digest == row["result_digest"]:
                merged.known += 1
                return
            alarm = {"cell": cell, "record": row["record"]}
            same = [tables.ALARMS.c[key] == value for key, value in alarm.items()]
            if self._connection.scalar(sa.select(tables.ALARMS.c.id).where(*same)) is None:
                self._insert(tables.ALARMS, {**alarm, "raised_at": row["ended_at"]})
            merged.alarms.append(
                f"{name} (cell {cell[:12]}) has another result there than here. Ours stays, tables "
                "mark it, and the other record is in the ledger's table 'alarms'."
            )
        elif row["search"] in self._busy:
            merged.busy.append(name)
        elif row["search"] in self._differing:
            merged.refused.append(f"{name}: it was chosen among other trials than those here")
        elif (short := self._short_of_trials(row)) is not None:
            merged.refused.append(f"{name}: {short}")
        else:
            taken = {k: row.get(k) for k in ("record", "record_hash", "result_digest", "fit")}
            free = dict.fromkeys(("token", "owner", "deadline", "reason"))
            self._connection.execute(
                tables.CELLS.update()
                .where(tables.CELLS.c.cell == cell)
                .values(state="done", ended_at=row["ended_at"], **taken, **free)
            )
            merged.cells.append(name)


def _pending(row: Row) -> Row:
    return {key: row[key] for key in ("cell", "search", "identity")} | {"state": "pending"}
