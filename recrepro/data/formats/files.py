"""Files as they lie on a disk: found, unpacked, and checked to be text."""

import bz2
import gzip
import io
import zlib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO, cast

from recrepro.compute.memory import available_bytes
from recrepro.errors import DataError, UsageError
from recrepro.text.words import size

PACKED = {".gz": (b"\x1f\x8b", "gzip"), ".bz2": (b"BZh", "bzip2")}
"""Endings of packed files: how their content starts, and what the packing is called."""


RATIO = 100
"""Times that content may be larger than it is packed.

Ratings as text reach six; gzip cannot do more than a thousand, which is what zeros reach.
"""

SPAN = 16_000_000
"""Unpacked bytes at a time for which `RATIO` has to hold; less than that fits anywhere."""

_CHUNK = 1 << 20


class _Unpacked(io.RawIOBase):
    """The content of a packed file, refused as soon as it is larger than any data would be.

    Parameters
    ----------
    path : Path
        The file, for messages.
    packed : BinaryIO
        The file as it is, from which `unpacked` reads.
    unpacked : BinaryIO
        Its content.
    """

    def __init__(self, path: Path, packed: BinaryIO, unpacked: Any) -> None:
        super().__init__()
        self._path = path
        self._packed = packed
        self._unpacked = unpacked
        self._n_read = 0
        self._checked = (0, 0)
        """Bytes read and bytes taken from the file, when they were last compared."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        n_bytes: int = self._unpacked.readinto(buffer)
        self._n_read += n_bytes
        if self._n_read - self._checked[0] > SPAN:
            now = (self._n_read, self._packed.tell())
            read, taken = (after - before for after, before in zip(now, self._checked, strict=True))
            if read > RATIO * taken:
                raise DataError(
                    f"{self._path} unpacks to more than {RATIO} times its size, as no file of "
                    f"ratings does: {size(now[0])} and more from {size(now[1])}. Fetch it again, "
                    "or unpack it yourself."
                )
            self._checked = now
        return n_bytes

    def close(self) -> None:
        self._unpacked.close()
        self._packed.close()
        super().close()


def open_file(path: Path) -> BinaryIO:
    """Open a file that may be packed, by its ending or by its first bytes, for reading.

    Raises
    ------
    UsageError
        If it is not there; with what is.
    DataError
        If it cannot be read; while it is read, if it unpacks to more than `RATIO` allows.
    """
    try:
        if not path.is_file():
            raise _no_file(path)
        file = path.open("rb")
        start = file.read(3)
        file.seek(0)
        if path.name.endswith((".gz", ".tgz")) or start.startswith(PACKED[".gz"][0]):
            content: Any = gzip.GzipFile(fileobj=file)
        elif path.name.endswith(".bz2") or start.startswith(PACKED[".bz2"][0]):
            content = bz2.BZ2File(file)
        else:
            return file
        unpacked = _Unpacked(path, file, content)
        return cast("BinaryIO", io.BufferedReader(unpacked, _CHUNK))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, unpacked if it is packed.

    Raises
    ------
    UsageError, DataError
        As `open_file`; and if it takes more memory than there is.
    """
    most = available_bytes() // 2  # what is made of the content needs as much again
    content = io.BytesIO()
    with open_file(path) as file:
        n_bytes = path.stat().st_size if file.seekable() else 0
        try:
            while n_bytes <= most and (chunk := file.read(_CHUNK)):
                n_bytes = max(n_bytes, content.tell() + content.write(chunk))
        except (EOFError, OSError, zlib.error) as error:
            raise not_whole(path, error) from error
    if n_bytes > most:
        raise DataError(
            f"{path} has {size(n_bytes)} or more of content, and to read it takes twice as much "
            f"memory; {size(2 * most)} are available. Take a part of it, or a larger machine."
        )
    return content.getvalue()


def not_whole(path: Path, error: Exception) -> DataError:
    """Return the error for a packed file that does not unpack."""
    ending = ".bz2" if path.name.endswith(".bz2") else ".gz"
    return DataError(
        f"{path} is not a whole {PACKED[ending][1]} file ({error}). Fetch it again, or drop the "
        f"{ending} from its name if it is not packed."
    )


def unpacked_name(name: str) -> str:
    """Return a file name without the ending of its packing."""
    return name.removesuffix(".gz").removesuffix(".bz2")


def _no_file(path: Path) -> UsageError:
    whole = path.resolve()
    if path.is_dir():
        present = sorted(p.name for p in path.iterdir())
        more = ", ..." if len(present) > 5 else ""
        holds = f"it holds {', '.join(present[:5])}{more}" if present else "it is empty"
        return UsageError(f"{whole} is a folder, and a file is needed; {holds}.")
    if path.exists():
        return UsageError(f"{whole} is not a regular file. Name a file that can be read again.")
    if path.is_symlink():
        return UsageError(f"{path} is a link to {path.readlink()}, which is not there.")
    folder = path.parent
    if not folder.is_dir():
        return UsageError(f"the file {whole} is not there. Its folder is not there either.")
    present = sorted(p.name for p in folder.iterdir())
    near = [repr(n) for n in get_close_matches(path.name, present, n=3, cutoff=0.5)]
    hint = f"Its folder holds {', '.join(present[:5]) or 'nothing'}."
    if near:
        hint = f"Did you mean {' or '.join(near)}?"
    return UsageError(f"the file {whole} is not there. {hint}")


def check_utf8(raw: bytes, where: str, n_lines: int = 0) -> None:
    """Refuse other encodings than UTF-8, with the line; `n_lines` stand before what is given."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        line = n_lines + raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{where}, line {line}: the byte 0x{raw[error.start]:02x} is not UTF-8 text. "
            f"Save the file as UTF-8."
        ) from error


def with_line_feeds(text: bytes) -> bytes:
    """Return lines that end with line feeds, whatever they ended with."""
    if b"\r" not in text:
        return text
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def check_text(raw: bytes, where: str) -> bytes:
    """Return UTF-8 text without its byte order mark; refuse other encodings and empty files.

    Its lines end with line feeds, whatever they ended with in the file.
    """
    check_utf8(raw, where)
    text = with_line_feeds(raw.removeprefix(b"\xef\xbb\xbf"))
    if not text or text.isspace():
        raise DataError(f"{where} is empty. Download or export it again.")
    return text
