"""The ledger: the one truth about cells, trials, openings of the test part and results.

A cell is pending, then leased to a worker, then done or failed. A lease carries a token; every
write of a worker names its token and is refused once the lease has passed to someone else. The
first result of a cell stays; a different second one is a determinism alarm, never an overwrite.

A done cell that is run again on request stays done and keeps its result meanwhile; only its lease
says that someone is at it.

SQLite in write-ahead mode by default, or PostgreSQL, by address. What reads before it writes holds
a lock from its first read to its commit: that of the whole file in SQLite, in PostgreSQL that of
the cell's row (or of all who plan). A server that goes away for some seconds holds nothing up for
good: each step that is the same done twice as done once is tried again.

Longer than 350 lines: all transactions stand in one place, which decides who may write what.
"""

import functools
import json
import os
import re
import secrets
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from filelock import FileLock

from recrepro.compute.failpoints import reach
from recrepro.errors import LeaseLost, LedgerError, NothingRun, SealError
from recrepro.spec.budget import Budget
from recrepro.spec.canonical import canonical_json
from recrepro.spec.identity import HARNESS_VERSION, Identity
from recrepro.store import belonging, externals, parcel, rows, searches
from recrepro.store import schema as tables
from recrepro.store.address import LedgerAddress, address_of_file
from recrepro.store.entries import CellStatus, CellWork, Member, Planned
from recrepro.store.leases import LEASE_SECONDS, this_process
from recrepro.store.openings import Opening
from recrepro.store.records import Record, Trial
from recrepro.store.references import check_references
from recrepro.store.rows import Damage, explained, fetch
from recrepro.store.schema import CellState
from recrepro.store.seal import ask, openings

PAUSES = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0)
"""Seconds between the tries to reach a database server again; much less than a lease lasts."""

SCHEMA_VERSION = 3
OLDER_SCHEMA = 2
"""Schema of harness 3 and before; such a ledger is only read."""

_PLANNING = 0x7265637265
"""Number of the lock that PostgreSQL gives to one of those who make tables or plan."""

P = ParamSpec("P")
T = TypeVar("T")


def _idempotent(
    step: Callable[Concatenate["Ledger", P], T],
) -> Callable[Concatenate["Ledger", P], T]:
    """Try a step again when the connection to a server was lost, for as long as `PAUSES` are.

    What is damaged is told as `recrepro.store.rows.explained` does.
    """

    @functools.wraps(step)
    def tried(self: "Ledger", /, *args: P.args, **kwargs: P.kwargs) -> T:
        for pause in PAUSES:
            try:
                with explained(self.address):
                    return step(self, *args, **kwargs)
            except sa.exc.OperationalError:
                if not self.address.is_server:
                    raise
                time.sleep(pause)
        try:
            with explained(self.address):
                return step(self, *args, **kwargs)
        except sa.exc.OperationalError as error:
            raise self.address.unreachable(error) from error

    return tried


class Ledger:
    """Access to a ledger, created on first use.

    Parameters
    ----------
    url : str
        SQLAlchemy address, such as ``sqlite:////home/me/recrepro-runs/ledger.db`` or
        ``postgresql://me@host/recrepro``.
    read_only : bool
        Whether nothing is going to be written. Then nobody who writes is waited for, and nothing
        is made that is not there.
    patient : bool
        Whether to wait some seconds for a server that does not answer; and to leave out the look
        at the whole ledger, which a process that works on one cell need not repeat.
    folder : Path, optional
        The workspace that it has to belong to.
    adopt : bool
        Whether to tie it to the folder, though it does not know the results there.
    """

    def __init__(
        self,
        url: str,
        *,
        read_only: bool = False,
        patient: bool = False,
        folder: Path | None = None,
        adopt: bool = False,
    ) -> None:
        self.address = LedgerAddress(url)
        _OPEN.add(self)
        self.older = False
        self._folder, self._adopt = folder, adopt
        self._engine = self.address.engine()
        self._read_only = read_only
        if not self.address.is_server:
            settings = _READING if read_only else _WRITING
            sa.event.listen(self._engine, "connect", functools.partial(_configure, settings))
            sa.event.listen(self._engine, "begin", _begin)
        try:
            if patient:
                self._set_up_patiently()
            else:
                with explained(self.address):
                    self._set_up()
                    self._look_through()
        except sa.exc.DatabaseError as error:
            self.close()
            if self.address.is_server:
                raise self.address.unreachable(error) from error
            raise  # the disk, not the file's content
        except BaseException:
            self.close()
            raise

    @_idempotent
    def _set_up_patiently(self) -> None:
        self._set_up()

    def _set_up(self) -> None:
        if self._find_older() or self._read_only:
            with self._engine.connect() as connection:
                self._check_belonging(connection)
            return
        with self._writing(alone=True) as connection:
            tables.METADATA.create_all(connection)
            values = {"schema": SCHEMA_VERSION, "harness": HARNESS_VERSION}
            for key, value in values.items():
                if _meta(connection, key) is None:
                    connection.execute(tables.META.insert().values(key=key, value=str(value)))
            identifier = self._check_belonging(connection)
            if identifier is not None and self._folder is not None:
                belonging.tie(connection, self._folder, identifier)

    def _check_belonging(self, connection: sa.Connection) -> str | None:
        if self._folder is None:
            return None
        return belonging.check_belonging(
            connection,
            self._folder,
            self.address,
            lambda: _referenced(connection),
            adopt=self._adopt,
        )

    def _find_older(self) -> bool:
        """Say whether an older harness wrote the ledger, which is then only read."""
        with self._engine.connect() as connection:
            if not sa.inspect(connection).has_table(tables.META.name):
                if self._read_only:
                    raise NothingRun(
                        f"there is nothing in the ledger {self.address}: nothing was run with it "
                        "yet, or it was emptied. Restore it from a copy, name another workspace "
                        "with --workspace DIR, or start with `recrepro run EXPERIMENT`."
                    )
                return False
            schema, harness = _meta(connection, "schema"), _meta(connection, "harness")
        if schema is None:
            raise Damage("the value of 'schema' is missing", tables.META.name, "value")
        if schema not in (SCHEMA_VERSION, OLDER_SCHEMA):
            raise LedgerError(
                f"the ledger {self.address} has schema {schema}, this recrepro reads "
                f"{OLDER_SCHEMA} and {SCHEMA_VERSION}. Use another workspace, or the recrepro that "
                "wrote it."
            )
        if schema == OLDER_SCHEMA:
            self.older = True
            old = "public" if self.address.is_server else "main"
            statements = [text.format(old=old) for text in tables.AS_OLDER]
            self._engine.dispose()
            sa.event.listen(self._engine, "connect", functools.partial(_shadow, statements))
        elif harness is not None and harness < HARNESS_VERSION:
            self.older = True
        return self.older

    def _look_through(self) -> None:
        """Refuse a ledger whose file or whose references are damaged."""
        if self.older:
            return
        whole = {"isolation_level": "REPEATABLE READ"} if self.address.is_server else {}
        with self._engine.connect().execution_options(**whole) as connection:
            if not self.address.is_server:
                found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
                if found != "ok":
                    raise self.address.damaged(str(found))
            check_references(connection)

    @classmethod
    def in_workspace(
        cls,
        workspace: Path,
        url: str | None = None,
        *,
        read_only: bool = False,
        adopt: bool = False,
    ) -> "Ledger":
        """Open the ledger of a workspace.

        Parameters
        ----------
        workspace : Path
            The folder. If it cannot be written, its ledger can only be read.
        url : str, optional
            Address of the ledger; by default it is a file in the folder, which must exist.
        read_only : bool
            As of `Ledger`.
        adopt : bool
            Whether to tie the ledger to the folder, though it does not know the results there.

        Raises
        ------
        LedgerError
            If the ledger belongs to another folder, or does not know the results in this one.
        """
        if url is not None and not workspace.is_dir():
            return cls(url, read_only=read_only)
        folder = workspace.resolve()
        path = folder / "ledger.db"
        if url is None:
            _refuse_if_cut_off(path)
            if not adopt:
                belonging.refuse_lost_ledger(folder, path)
        own = address_of_file(path)
        if not os.access(folder, os.W_OK) and (url is not None or path.is_file()):
            return cls(
                url or address_of_file(path, _unwritable(path)), read_only=True, folder=folder
            )
        if read_only:
            return cls(url or own, read_only=True, folder=folder)
        # SQLite does not wait for anybody while it switches a new file to write-ahead logging.
        with FileLock(folder / "ledger.lock"):
            return cls(url or address_of_file(path), folder=folder, adopt=adopt)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
        _OPEN.discard(self)

    @contextmanager
    def _writing(self, *, alone: bool = False) -> Iterator[sa.Connection]:
        """Give a connection in a transaction, which is committed in the end.

        On a server it locks nothing by itself, unless it is to be the only one of its kind: see
        `_locked`.
        """
        if self.older:
            raise LedgerError(
                f"the ledger {self.address} was written by an older recrepro, whose numbers may "
                "differ: its results can be read (recrepro leaderboard, show, export), and nothing "
                "is added to it. Name another workspace: --workspace DIR."
            )
        # Take the write lock before the first read: what was read stays true until commit.
        with self._engine.connect().execution_options(writing=True) as connection:
            connection.begin()
            if self.address.is_server and alone:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_PLANNING)))
            yield connection
            connection.commit()

    # experiments

    @_idempotent
    def plan(
        self, name: str, grid_hash: str, source: str, cells: Sequence[tuple[Member, Identity]]
    ) -> None:
        """Write down an experiment and its cells with their identities; what is there stays.

        Cells that the same experiment had before, because the code of a model was another one, are
        superseded: no table has them any more, and they can still be named.
        """
        with self._writing(alone=True) as connection:
            key = {"name": name, "grid_hash": grid_hash}
            _supersede(connection, key, {member.cell for member, _ in cells})
            for table in (tables.MEMBERS, tables.EXPERIMENTS):
                connection.execute(
                    table.delete().where(table.c.name == name, table.c.grid_hash == grid_hash)
                )
            connection.execute(
                tables.EXPERIMENTS.insert().values(**key, source=source, planned_at=time.time())
            )
            for place, (member, identity) in enumerate(cells):
                connection.execute(
                    tables.MEMBERS.insert().values(
                        **key, place=place, cell=member.cell, titles=rows.titles_of(member.name)
                    )
                )
                _add_cell(connection, member.cell, identity)

    @_idempotent
    def add_unlisted(self, identities: Mapping[str, Identity]) -> None:
        """Write down cells, by key, that no experiment lists: nothing is published of them."""
        with self._writing(alone=True) as connection:
            for cell, identity in identities.items():
                _add_cell(connection, cell, identity)

    def add_external(self, experiment: str, record: Record) -> None:
        """Write a result that was scored from a file, and the opening of the test part for it.

        Of several of the same name in an experiment, the last one counts; each adds an opening.
        """
        with self._writing(alone=True) as connection:
            externals.add(connection, experiment, record)

    @_idempotent
    def externals(self, name: str, grid_hash: str) -> list[Member]:
        """Return results from files that were measured as the cells of an experiment are."""
        with self._engine.connect() as connection:
            return externals.comparable(connection, name, grid_hash)

    @_idempotent
    def members(self, name: str, grid_hash: str) -> list[Member]:
        """Return the cells of an experiment in their order; none if it was never planned."""
        query = (
            sa.select(tables.MEMBERS.c.cell, tables.MEMBERS.c.titles)
            .where(tables.MEMBERS.c.name == name, tables.MEMBERS.c.grid_hash == grid_hash)
            .order_by(tables.MEMBERS.c.place)
        )
        with self._engine.connect() as connection:
            return [_member(row) for row in fetch(connection, query)]

    @_idempotent
    def done(self) -> list[Member]:
        """Return every cell that has a result, once for each of its titles."""
        found: dict[tuple[str, str], Member] = {}
        with self._engine.connect() as connection:
            for table in (tables.MEMBERS, tables.SUPERSEDED, tables.EXTERNALS):
                query = (
                    sa.select(table.c.cell, table.c.titles, tables.CELLS.c.state)
                    .join(tables.CELLS, tables.CELLS.c.cell == table.c.cell)
                    .where(rows.is_done())
                )
                for row in fetch(connection, query):
                    found[row.cell, row.titles] = _member(row)
        return list(found.values())

    @_idempotent
    def superseded(self, name: str, grid_hash: str) -> list[Member]:
        """Return the cells with a result that an experiment had with older code of its models."""
        table, cells = tables.SUPERSEDED, tables.CELLS
        query = (
            sa.select(table.c.cell, table.c.titles, cells.c.state)
            .join(cells, cells.c.cell == table.c.cell)
            .where(table.c.name == name, table.c.grid_hash == grid_hash, rows.is_done())
            .order_by(table.c.replaced_at)
        )
        with self._engine.connect() as connection:
            return [_member(row) for row in fetch(connection, query)]

    @_idempotent
    def has_namesakes(self, member: Member) -> bool:
        """Say whether another cell has the same name: with other metrics, budget or code."""
        titles = rows.titles_of(member.name)
        with self._engine.connect() as connection:
            for table in (tables.MEMBERS, tables.SUPERSEDED):
                same = (table.c.titles == titles, table.c.cell != member.cell)
                if connection.scalar(sa.select(table.c.cell).where(*same).limit(1)) is not None:
                    return True
        return False

    @_idempotent
    def only_inline(self) -> list[Member]:
        """Return the cells without a result whose test part was opened inline, with each title."""
        members, cells, openings = tables.MEMBERS, tables.CELLS, tables.OPENINGS
        opened = sa.select(openings.c.cell).where(openings.c.reason == "inline")
        query = (
            sa.select(members.c.cell, members.c.titles, cells.c.state)
            .join(cells, cells.c.cell == members.c.cell)
            .where(cells.c.state != "done", cells.c.cell.in_(opened))
        )
        with self._engine.connect() as connection:
            return [_member(row) for row in fetch(connection, query)]

    @_idempotent
    def planned(self) -> list[Planned]:
        """Return every version of every experiment, the latest first."""
        table = tables.EXPERIMENTS
        query = sa.select(table.c.name, table.c.grid_hash, table.c.source).order_by(
            table.c.planned_at.desc()
        )
        with self._engine.connect() as connection:
            return [Planned(*row) for row in fetch(connection, query)]

    # cells

    @_idempotent
    def work(self) -> dict[str, CellWork]:
        """Return how far every cell is, by key."""
        cells, trials = tables.CELLS, tables.TRIALS
        counted = sa.select(trials.c.search, sa.func.count().label("finished")).group_by(
            trials.c.search
        )
        finished = counted.subquery()
        wanted = [c for c in cells.c if c.name not in ("record", "record_hash")]
        query = sa.select(*wanted, finished.c.finished).outerjoin(
            finished, finished.c.search == cells.c.search
        )
        with self._engine.connect() as connection:
            now = _now(connection)
            return {
                row.cell: CellWork(
                    row.cell,
                    rows.checked(row),
                    row.state,
                    row.reason,
                    rows.lease(row, now),
                    row.finished or 0,
                )
                for row in fetch(connection, query)
            }

    @_idempotent
    def records(self, latest: int = 1000) -> list[Record]:
        """Return the records of the cells that were done last, without those made inline."""
        cells = tables.CELLS
        query = sa.select(cells).where(rows.is_done())
        query = query.order_by(cells.c.ended_at.desc()).limit(latest)
        with self._engine.connect() as connection:
            found = [rows.record_of(row, rows.checked(row)) for row in fetch(connection, query)]
        return [record for record in found if not record.identity.is_inline]

    @_idempotent
    def referenced(self) -> set[str]:
        """Return every SHA-256 that stands in a record, or in that of an alarm."""
        with self._engine.connect() as connection:
            for _ in rows.all_records(connection):
                pass  # a record that cannot be read may be the only one that names a file
            return _referenced(connection)

    @_idempotent
    def announce(self, cell: str, digest: str) -> None:
        """Write down that a blob is going to be stored for a cell."""
        table = tables.ANNOUNCED
        with self._writing() as connection:
            if connection.scalar(sa.select(table.c.cell).where(table.c.digest == digest)) is None:
                values = {"digest": digest, "cell": cell, "announced_at": time.time()}
                connection.execute(table.insert().values(values))

    @_idempotent
    def announced(self) -> set[str]:
        """Return the digests of all blobs that were stored for cells of this ledger."""
        if self.older:
            return set()
        with self._engine.connect() as connection:
            return set(connection.scalars(sa.select(tables.ANNOUNCED.c.digest)))

    def parcel_rows(self, *, unfinished: bool = False) -> dict[str, list[dict[str, Any]]]:
        """Return the rows that another workspace can take, by table: see `parcel.rows_of`."""
        with self._engine.connect() as connection:
            return parcel.rows_of(connection, unfinished=unfinished)

    @contextmanager
    def merging(self) -> Iterator[tuple[sa.Connection, float]]:
        """Give a transaction that adds rows of another ledger, and the time that leases go by."""
        with self._writing(alone=True) as connection:
            yield connection, _now(connection)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Keep everybody else from writing, such as a lease, as long as the context lasts."""
        with self._writing() as connection:
            if self._engine.dialect.name == "postgresql":
                connection.execute(sa.text("LOCK TABLE cells IN SHARE ROW EXCLUSIVE MODE"))
            yield

    @_idempotent
    def status(self, cell: str) -> CellStatus:
        """Return what is known of a cell."""
        with self._engine.connect() as connection:
            row = _row(connection, cell)
            identity = rows.checked(row)
            alarms = sa.select(tables.ALARMS.c.id).where(tables.ALARMS.c.cell == cell)
            alarmed = connection.scalar(alarms.limit(1)) is not None
            opened = openings(connection, cell)
            record = rows.record_of(row, identity) if row.state == "done" else None
            if record is not None:
                rows.check_openings(record, opened)
            before = searches.before(connection, row, record)
            reasons = sa.select(tables.WITHDRAWN).where(tables.WITHDRAWN.c.cell == cell)
            withdrawn = next((row.because for row in fetch(connection, reasons)), None)
        return CellStatus(cell, row.state, row.reason, record, alarmed, opened, before, withdrawn)

    @_idempotent
    def fitted(self, cell: str, fit: str) -> Record | None:
        """Return the latest record of a cell's search that has a final fit, with its rankings.

        Parameters
        ----------
        cell : str
            The cell, which need not have a result.
        fit : str
            The fit: see `recrepro.spec.identity.Identity.fit_key`.
        """
        with self._engine.connect() as connection:
            records = searches.fitted(connection, _row(connection, cell).search, fit)
        return next((record for record in records if record.rankings), None)

    @_idempotent
    def withdraw(self, cell: str, because: str) -> None:
        """Have a result disappear from tables, for a reason; its record stays."""
        table = tables.WITHDRAWN
        with self._writing() as connection:
            connection.execute(table.delete().where(table.c.cell == cell))
            values = {"cell": cell, "because": because, "withdrawn_at": time.time()}
            connection.execute(table.insert().values(values))

    @_idempotent
    def is_checked(self, code: str) -> bool:
        """Say whether the code of a model, by its fingerprint, has passed the cheap checks."""
        table = tables.CHECKED
        with self._engine.connect() as connection:
            found = sa.select(table.c.code).where(table.c.code == code)
            return connection.scalar(found) is not None

    @_idempotent
    def add_checked(self, code: str) -> None:
        """Write down that the code of a model has passed the cheap checks."""
        table = tables.CHECKED
        with self._writing() as connection:
            if connection.scalar(sa.select(table.c.code).where(table.c.code == code)) is None:
                connection.execute(table.insert().values(code=code, checked_at=time.time()))

    @_idempotent
    def states(self) -> dict[str, CellState]:
        """Return the state of every cell."""
        with self._engine.connect() as connection:
            found = fetch(connection, sa.select(tables.CELLS.c.cell, tables.CELLS.c.state))
            return {row.cell: row.state for row in found}

    def lease(self, cell: str, *, token: str | None = None, reopen: bool = False) -> str | None:
        """Take a cell that is free, or whose worker has died or fallen silent.

        Parameters
        ----------
        cell : str
            Its key.
        token : str, optional
            From `new_token`, of a caller who has to know it whatever interrupts this call.
        reopen : bool
            Whether to take a done cell too, which stays done.

        Returns
        -------
        str or None
            The token of the lease, or None if the cell is done or someone else is at it.
        """
        return self._lease(cell, token or new_token(), reopen=reopen)

    @_idempotent
    def _lease(self, cell: str, token: str, *, reopen: bool) -> str | None:
        with self._writing() as connection:
            same_search = _locked_search(connection, cell)
            row, now = same_search[cell], _now(connection)
            if row.token == token:  # a first try had been committed
                return token
            if row.state == "done" and not reopen:
                return None
            # Cells of the same search write the same trials: only one of them at a time.
            for one in same_search.values():
                held = rows.lease(one, now)
                if held is not None and held.alive:
                    return None
            if row.state == "failed":
                searches.forget_failed(connection, row)
            connection.execute(
                tables.CELLS.update()
                .where(tables.CELLS.c.cell == cell)
                .values(
                    state="done" if row.state == "done" else "leased",
                    token=token,
                    owner=this_process(),
                    deadline=now + LEASE_SECONDS,
                    reason=None,
                )
            )
            return token

    @_idempotent
    def renew(self, tokens: Sequence[str]) -> None:
        """Push back the deadline of leases that are still held."""
        with self._writing() as connection:
            connection.execute(
                tables.CELLS.update()
                .where(tables.CELLS.c.token.in_(tokens))
                .values(deadline=_now(connection) + LEASE_SECONDS)
            )

    @_idempotent
    def release(self, cell: str, token: str) -> None:
        """Give a lease back without a result, or without a new one."""
        self._end(cell, token, state="pending")

    @_idempotent
    def fail(self, cell: str, token: str, reason: str) -> None:
        """End a cell as failed, with the reason; one that has a result stays done."""
        self._end(cell, token, state="failed", reason=reason, ended_at=time.time())

    def _end(self, cell: str, token: str, **values: Any) -> None:
        with self._writing() as connection:
            row = _locked(connection, cell)
            if row.token == token:
                _give_up_lease(connection, cell, {} if row.state == "done" else values)

    @_idempotent
    def commit(self, token: str, record: Record) -> None:
        """Write the result of a cell.

        Raises
        ------
        LedgerError
            If the lease was lost, or the cell has a different result already (which is kept; the
            new one is stored as a determinism alarm).
        """
        cell, digest, text = record.cell, record.result_digest, record.dumps()
        written = {"record": text, "record_hash": rows.hash_of(text)}
        with self._writing() as connection:
            row = _locked(connection, cell)
            alarm = row.state == "done" and row.result_digest != digest
            if alarm:
                connection.execute(
                    tables.ALARMS.insert().values(cell=cell, record=text, raised_at=time.time())
                )
            if row.state != "done":
                _check_lease(row, token)
                done = {"state": "done", "result_digest": digest, "reason": None}
                done["fit"] = record.fit
                _give_up_lease(connection, cell, done | written | {"ended_at": time.time()})
            elif row.token == token:  # reopened: the same result, with the new opening in it
                _give_up_lease(connection, cell, {} if alarm else written)
            reach("record-pending")
        if alarm:
            raise LedgerError(
                f"determinism alarm: cell {cell[:12]} already has another result. The first one "
                "stays; compare the two records in the ledger's table 'alarms'."
            )

    # trials and openings

    @_idempotent
    def add_trial(self, cell: str, token: str, trial: Trial) -> None:
        """Write a finished trial."""
        text, table = json.dumps(trial.to_json()), tables.TRIALS
        with self._writing() as connection:
            row = _locked(connection, cell)
            _check_lease(row, token)
            place = {"search": row.search, "number": trial.number}
            same = [table.c[name] == value for name, value in {**place, "trial": text}.items()]
            if connection.scalar(sa.select(table.c.number).where(*same)) is None:
                values = {**place, "trial": text, "trial_hash": rows.hash_of(text)}
                connection.execute(table.insert().values(values))

    @_idempotent
    def trials(self, cell: str) -> list[Trial]:
        """Return the finished trials that a cell uses, in their order.

        Cells with the same search share its trials. Each uses the first that its budget allows.
        """
        with self._engine.connect() as connection:
            return searches.used_trials(connection, _row(connection, cell))

    def open_seal(
        self, cell: str, token: str, n_trials: int | None, seconds: float | None = None
    ) -> None:
        """Write that the test part is opened for a cell.

        Parameters
        ----------
        cell, token : str
            The cell, and its lease.
        n_trials : int or None
            How many trials its search has: it is not opened before the last one is written.
        seconds : float or None
            How long its trials may take: it may be opened when they are spent, too.

        Raises
        ------
        SealError
            If the cell has a result and is not being reopened, if it is still being tuned, or if
            this attempt has asked for the test part before.
        """
        refusal = self._open_seal(cell, token, Budget(n_trials, seconds), time.time())
        if refusal is not None:
            raise SealError(refusal)

    @_idempotent
    def _open_seal(self, cell: str, token: str, budget: Budget, now: float) -> str | None:
        with self._writing() as connection:
            row = _locked(connection, cell)
            if row.state == "done" and row.token != token:
                raise SealError(
                    f"cell {cell[:12]} has a result: its test part stays sealed. To open it again, "
                    "and have every table say so: recrepro run EXPERIMENT --reopen NAME."
                )
            _check_lease(row, token)
            return ask(connection, row, token, budget, now)

    @_idempotent
    def openings(self, cell: str) -> tuple[Opening, ...]:
        """Return when and why the test part was opened for a cell."""
        with self._engine.connect() as connection:
            return openings(connection, cell)


def new_token() -> str:
    """Return a token for a lease."""
    return secrets.token_hex(16)


_OPEN: "weakref.WeakSet[Ledger]" = weakref.WeakSet()
"""Ledgers of this process that were not closed."""


def _refuse_if_cut_off(path: Path) -> None:
    """Look at the size of an SQLite file: the missing end of a page would be read as zeros.

    Not while this process has it open, when it has been looked at already: to close a file gives up
    all locks that the process has on it. Another process would take itself for the last one and
    delete the log, and what is written here later would be seen by nobody.
    """
    if not path.is_file() or any(ledger.address.file == path for ledger in list(_OPEN)):
        return
    with path.open("rb") as file:
        head = file.read(100)
    if not b"SQLite format 3\0".startswith(head[:16]):
        return  # something else, which SQLite refuses
    page_size = int.from_bytes(head[16:18]) if head[16:18] != b"\0\1" else 65536
    # SQLite takes a file of a byte or two for a new one, as it does with one of none.
    wanted = max(page_size * int.from_bytes(head[28:32]), 100 if head else 0)
    log = path.with_name(f"{path.name}-wal")  # may have what the file lacks
    if path.stat().st_size < wanted and not log.is_file():
        raise LedgerError(
            f"{path} was cut off: it has {path.stat().st_size:,} bytes of {wanted:,}. Restore it "
            "from a copy, or use another workspace (--workspace DIR)."
        )


def _meta(connection: sa.Connection, key: str) -> int | None:
    for row in fetch(connection, sa.select(tables.META).where(tables.META.c.key == key)):
        if not (row.value.isascii() and row.value.isdecimal()):
            raise Damage(f"{row.value!r} is no version", tables.META.name, "value")
        return int(row.value)
    return None


def _shadow(statements: Sequence[str], connection: Any, _record: Any) -> None:
    """Make temporary views, which hide the tables of the same name."""
    cursor = connection.cursor()
    if isinstance(connection, sqlite3.Connection):
        cursor.execute("PRAGMA query_only=OFF")  # which forbids temporary views, too
    for statement in statements:
        cursor.execute(statement)
    cursor.close()
    connection.commit()


_WRITING = ("busy_timeout=60000", "journal_mode=WAL", "synchronous=FULL")
_READING = ("busy_timeout=60000", "query_only=ON")


def _referenced(connection: sa.Connection) -> set[str]:
    """Return every SHA-256 in records and alarms, of damaged ones too: what they name stays."""
    queries = [sa.select(table.c.record) for table in (tables.CELLS, tables.ALARMS)]
    texts = (str(text) for query in queries for text in connection.scalars(query) if text)
    return {digest for text in texts for digest in re.findall(r"[0-9a-f]{64}", text)}


def _configure(settings: Sequence[str], connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the transactions are begun by `_begin`
    for setting in settings:
        connection.execute(f"PRAGMA {setting}")


def _begin(connection: sa.Connection) -> None:
    """Begin a transaction of SQLite: only one that writes waits for others that do."""
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _unwritable(path: Path) -> dict[str, str]:
    """Return how to open an SQLite file in a folder that cannot be written.

    Without a lock, unless a log is there that somebody uses who can write.
    """
    log, index = (path.with_name(f"{path.name}-{end}") for end in ("wal", "shm"))
    if not log.is_file() or log.stat().st_size == 0:
        return {"mode": "ro", "immutable": "1"}
    if not index.is_file():
        raise LedgerError(
            f"{log} has results that are not in {path.name} yet, and SQLite reads it in a folder "
            "that can be written only: copy the workspace to one, or name another (--workspace "
            "DIR)."
        )
    return {"mode": "ro"}


def _member(row: Any) -> Member:
    return Member(row.cell, rows.name_of(row))


def _row(connection: sa.Connection, cell: str) -> Any:
    return _only(
        fetch(connection, sa.select(tables.CELLS).where(tables.CELLS.c.cell == cell)), cell
    )


def _only(found: Sequence[Any], cell: str) -> Any:
    for row in found:
        return row
    raise Damage("there is no such cell", tables.CELLS.name, "cell", cell)


def _add_cell(connection: sa.Connection, cell: str, identity: Identity) -> None:
    """Write a cell down as pending, unless it is there."""
    known = sa.select(tables.CELLS.c.cell).where(tables.CELLS.c.cell == cell)
    if connection.scalar(known) is None:
        written = canonical_json(identity.to_json())
        values = {"cell": cell, "search": identity.search_key, "identity": written}
        connection.execute(tables.CELLS.insert().values(**values, state="pending"))


def _supersede(connection: sa.Connection, key: Mapping[str, str], cells: set[str]) -> None:
    """Move the cells that an experiment no longer has to `SUPERSEDED`, and back those it has."""
    members, table = tables.MEMBERS, tables.SUPERSEDED
    same = [[t.c[name] == value for name, value in key.items()] for t in (members, table)]
    listed = sa.select(members.c.cell, members.c.titles).where(*same[0])
    gone = [row for row in connection.execute(listed) if row.cell not in cells]
    connection.execute(
        table.delete().where(*same[1], table.c.cell.in_([*cells, *(row.cell for row in gone)]))
    )
    for row in gone:
        values = {**key, "cell": row.cell, "titles": row.titles, "replaced_at": time.time()}
        connection.execute(table.insert().values(values))


def _locked(connection: sa.Connection, cell: str) -> Any:
    """Return a cell that nobody else writes to before the transaction ends."""
    query = sa.select(tables.CELLS).where(tables.CELLS.c.cell == cell).with_for_update()
    return _only(fetch(connection, query), cell)


def _locked_search(connection: sa.Connection, cell: str) -> dict[str, Any]:
    """Return the cells of a cell's search, by key, locked as by `_locked`."""
    table = tables.CELLS
    search = sa.select(table.c.search).where(table.c.cell == cell).scalar_subquery()
    query = sa.select(table).where(table.c.search == search).order_by(table.c.cell)
    found = {row.cell: row for row in fetch(connection, query.with_for_update())}
    return found if cell in found else _only([], cell)


def _now(connection: sa.Connection) -> float:
    """Return the time that leases go by: machines that share a server go by the server's."""
    if connection.dialect.name == "sqlite":
        return time.time()
    return float(connection.scalar(sa.select(sa.extract("epoch", sa.func.clock_timestamp()))) or 0)


def _give_up_lease(connection: sa.Connection, cell: str, values: dict[str, Any]) -> None:
    connection.execute(
        tables.CELLS.update()
        .where(tables.CELLS.c.cell == cell)
        .values(token=None, owner=None, deadline=None, **values)
    )


def _check_lease(row: Any, token: str) -> None:
    if row.token != token:
        raise LeaseLost(
            f"cell {row.cell[:12]} is no longer leased to this worker: another one took over."
        )
