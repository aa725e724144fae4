"""Which ledger belongs to which workspace folder.

A folder and its ledger share a random id, made when they first meet: the folder keeps it in
`FILE`, the ledger in its table `meta`. Any other pair is refused. A ledger that knows nothing of
the results in a folder would otherwise have them run again, or take them for leftovers.
"""

import re
import secrets
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from recrepro.durable import new_file
from recrepro.errors import LedgerError
from recrepro.store import schema as tables
from recrepro.store.address import LedgerAddress

FILE = "workspace.id"
KEY = "workspace"
"""Key of the id in the ledger's table `meta`."""


def stored_blobs(folder: Path) -> list[Path]:
    """Return the files in a workspace folder that hold values of users, rankings and weights."""
    return sorted((folder / "blobs").glob("??/[!.]*"))


def id_of_folder(folder: Path) -> str | None:
    """Read the id of a workspace folder; None if it has none yet.

    Raises
    ------
    LedgerError
        If the file was damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if re.fullmatch(r"[0-9a-f]{32}", text) is None:
        raise LedgerError(
            f"{path} is damaged: it has to hold 32 hexadecimal digits. Restore it from a copy; or "
            f"delete it and run `recrepro adopt {folder}`."
        )
    return text


def id_of_ledger(connection: sa.Connection) -> str | None:
    """Read the id of the workspace that a ledger belongs to; None if it belongs to none yet."""
    query = sa.select(tables.META.c.value).where(tables.META.c.key == KEY)
    value: str | None = connection.scalar(query)
    return value


def refuse_lost_ledger(folder: Path, ledger: Path) -> None:
    """Refuse a workspace with results whose ledger is missing or empty.

    Parameters
    ----------
    folder : Path
        The workspace.
    ledger : Path
        The SQLite file in it.

    Raises
    ------
    LedgerError
        If blobs lie in the folder, and the ledger would be a new one.
    """
    empty = ledger.is_file() and ledger.stat().st_size == 0
    if (empty or not ledger.exists()) and stored_blobs(folder):
        raise _orphaned(folder, f"its ledger {ledger} is {'empty' if empty else 'missing'}")


def check_belonging(
    connection: sa.Connection,
    folder: Path,
    address: LedgerAddress,
    find_referenced: Callable[[], set[str]],
    *,
    adopt: bool,
) -> str | None:
    """Refuse a ledger that does not belong to a workspace folder.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Of the ledger.
    folder : Path
        The workspace.
    address : LedgerAddress
        Address of the ledger.
    find_referenced : callable
        Returns the names of the blobs that the ledger needs.
    adopt : bool
        True if the user has named the folder in order to tie the two together.

    Returns
    -------
    str or None
        The id that both are to have; None if they have it already.

    Raises
    ------
    LedgerError
        If the ledger belongs to another folder, or does not know the results in this one.
    """
    here, there = id_of_folder(folder), id_of_ledger(connection)
    if here is not None and here == there:
        return None
    stored, referenced = {path.name for path in stored_blobs(folder)}, find_referenced()
    shared = not stored.isdisjoint(referenced)
    if here is not None and there is not None and not (adopt and shared):
        raise LedgerError(
            f"the ledger {address} belongs to another workspace than the folder {folder}: their "
            f"ids are {there[:8]} and {here[:8]}. Name a folder and a ledger that belong together "
            "(--workspace, --ledger; or RECREPRO_WORKSPACE, RECREPRO_LEDGER). To take over "
            "results of another workspace: recrepro merge."
        )
    if stored and not shared and not adopt:
        raise _orphaned(folder, f"the ledger {address} names none of them")
    inside = address.file == folder / "ledger.db"
    if not (inside or adopt) and (referenced or (stored and here != there)):
        raise LedgerError(
            f"the ledger {address} and the folder {folder} are not known to belong together. Name "
            "the folder that its results were computed in (--workspace DIR); or, if this is it: "
            f"recrepro adopt {folder} --ledger URL."
        )
    return there or here or secrets.token_hex(16)


def _orphaned(folder: Path, why: str) -> LedgerError:
    return LedgerError(
        f"the workspace {folder} holds results, and {why}. Restore the ledger from a copy. To keep "
        f"what is there and start a new ledger beside it: recrepro adopt {folder}."
    )


def tie(connection: sa.Connection, folder: Path, identifier: str) -> None:
    """Give a folder and a ledger, in a transaction, the same id."""
    path = folder / FILE
    if id_of_folder(folder) != identifier:
        with new_file(path) as draft:
            draft.write_text(f"{identifier}\n", encoding="utf-8")
    connection.execute(tables.META.delete().where(tables.META.c.key == KEY))
    connection.execute(tables.META.insert().values(key=KEY, value=identifier))
