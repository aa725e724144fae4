"""Files that go from one machine to another by their content hash."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from recrepro.durable import new_file
from recrepro.errors import DataError

CHUNK = 32 << 20
"""Bytes that are sent at a time."""

Manifest = dict[str, tuple[int, str]]
"""Size and SHA-256 of files, by name."""


def manifest(folder: Path) -> Manifest:
    """Return size and hash of each file in a folder."""
    found = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            found[path.name] = (
                path.stat().st_size,
                hashlib.file_digest(file, "sha256").hexdigest(),
            )
    return found


def read_chunk(path: Path, offset: int) -> bytes:
    """Return the next bytes of a file, none behind its end."""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(CHUNK)


def receive(path: Path, sha256: str, size: int, ask: Callable[[int], bytes]) -> None:
    """Write a file that comes in chunks; it appears whole, or not at all.

    Parameters
    ----------
    path : Path
        Where it goes; its folder is made.
    sha256 : str
        Of its content.
    size : int
        How many bytes it has.
    ask : callable
        From an offset to the next bytes.

    Raises
    ------
    DataError
        If what came is something else.
    """
    digest, received = hashlib.sha256(), 0
    with new_file(path) as draft:
        with draft.open("wb") as file:
            while received < size and (chunk := ask(received)):
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
        if (received, digest.hexdigest()) != (size, sha256):
            raise DataError(
                f"{path.name} came otherwise than it was sent: {received:,} of {size:,} bytes, "
                f"SHA-256 {digest.hexdigest()} instead of {sha256}. Run the same command again."
            )
