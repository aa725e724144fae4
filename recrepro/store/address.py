"""The address of a ledger: what it may be, how it is opened, and shown without its password."""

import sqlite3
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import sqlalchemy as sa

from recrepro.errors import LedgerError, LedgerUnreachable, UsageError, first_line

SCHEMES = "postgresql://user@host/database (or sqlite:////folder/ledger.db)"


def address_of_file(path: Path, options: Mapping[str, str] | None = None) -> str:
    """Return the address of an SQLite file, whatever characters its path has.

    Parameters
    ----------
    path : Path
        The file, which need not be there.
    options : mapping of str to str, optional
        Options of SQLite, such as ``{"mode": "ro"}``.
    """
    text = str(path.resolve())
    if not options and not set(text) & set("?%"):
        return f"sqlite:///{text}"
    if not options:
        # With the name of the driver, because MLflow makes the folder of other addresses as it is
        # encoded in them.
        return sa.URL.create("sqlite+pysqlite", database=text).render_as_string()
    query = {**options, "uri": "true"}
    return sa.URL.create("sqlite", database=f"file:{quote(text)}", query=query).render_as_string()


_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_NO_DAMAGE = (
    *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR),
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CONSTRAINT),
)
"""Codes of SQLite for the disk and the file's permissions, and for what was wrong to write."""

SERVER_OPTIONS = {"connect_timeout": "10", "keepalives_idle": "30", "tcp_user_timeout": "30000"}
"""So that a server that has gone without a word is missed within half a minute; libpq's names."""


class LedgerAddress:
    """The address of a database.

    As a string it has no password: so it may be printed, written to logs and sent to other
    machines, where libpq finds the password by itself (``PGPASSWORD``, ``~/.pgpass``).

    Parameters
    ----------
    url : str
        As SQLAlchemy writes it; ``postgresql://`` stands for the driver psycopg.

    Raises
    ------
    UsageError
        If it is no address of a database that can be a ledger.
    """

    def __init__(self, url: str) -> None:
        try:
            found = sa.make_url(url)
        except (sa.exc.ArgumentError, ValueError):
            # Not told from the error, which quotes the address with its password.
            raise _unreadable() from None
        if found.drivername in ("postgresql", "postgres"):
            found = found.set(drivername="postgresql+psycopg")
        if found.get_backend_name() not in ("sqlite", "postgresql"):
            raise UsageError(
                f"a ledger cannot be in {found.get_backend_name()}. Its address is {SCHEMES}."
            )
        self._url, self._given = found, url
        self.is_server = found.get_backend_name() == "postgresql"

    def __str__(self) -> str:
        if not self.is_server:
            return self._given
        whole = self._url.difference_update_query(["password"])
        bare = sa.URL.create(**whole._asdict() | {"password": None})  # `set` would keep it
        return bare.render_as_string(hide_password=False)

    @property
    def file(self) -> Path | None:
        """The database file, resolved; None for a server."""
        if self.is_server or self._url.database is None:
            return None
        path = self._url.database
        return Path(
            unquote(path.removeprefix("file:")) if path.startswith("file:") else path
        ).resolve()

    @cached_property
    def secrets(self) -> dict[str, str]:
        """Environment variables from which a process that has the bare address knows the rest."""
        password = self._url.password or self._url.query.get("password")
        return {} if password is None else {"PGPASSWORD": str(password)}

    def engine(self) -> sa.Engine:
        """Return what opens connections."""
        options: dict[str, Any] = {
            k: v for k, v in SERVER_OPTIONS.items() if k not in self._url.query
        }
        try:
            if not self.is_server:
                return sa.create_engine(self._given)
            return sa.create_engine(
                self._url,
                connect_args=options,
                isolation_level="READ COMMITTED",
                pool_pre_ping=True,
                hide_parameters=True,
            )
        except ImportError as error:
            raise UsageError(
                f"the ledger {self} needs psycopg 3, which cannot be loaded: {error}. Install it: "
                "pip install 'recrepro[cluster]'."
            ) from error
        except (sa.exc.ArgumentError, ValueError):
            raise _unreadable() from None

    def unreachable(self, error: Exception) -> LedgerUnreachable:
        """Return an error that says that the server does not answer, and what to do."""
        reason = " ".join(str(getattr(error, "orig", error)).split())
        return LedgerUnreachable(
            f"the ledger {self} cannot be reached: {reason}. What was committed is kept. See that "
            "PostgreSQL runs and that this user may enter (a password may stand in PGPASSWORD or "
            "~/.pgpass of each machine), then run the same command again."
        )

    def damaged(self, problem: str) -> LedgerError:
        """Return an error that says what is wrong in the ledger, and what to do."""
        return LedgerError(
            f"the ledger {self} is damaged: {problem}. Restore it from a copy, or run the "
            "experiment again in a new workspace (--workspace DIR)."
        )

    def refusal(self, error: Exception) -> LedgerError | None:
        """Return what to raise for an error of SQLite; None for one of the disk, or of a write."""
        cause = getattr(error, "orig", error)
        code = (getattr(cause, "sqlite_errorcode", None) or sqlite3.SQLITE_ERROR) & 0xFF
        if code in _LOCKED:
            return LedgerUnreachable(
                f"the ledger {self} is locked: another process has been writing to it for a "
                "minute. What was committed is kept. Wait until it has ended, or end it if it "
                "hangs, then run the same command again."
            )
        if code in _NO_DAMAGE:
            return None
        return self.damaged(first_line(cause))


def _unreadable() -> UsageError:
    return UsageError(f"the ledger's address cannot be read as one. Write it as {SCHEMES}.")
