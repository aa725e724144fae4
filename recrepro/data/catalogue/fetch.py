"""Downloads that are checked and go on where they broke off, shared safely between processes."""

import errno
import os
import re
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from filelock import FileLock

from recrepro.compute.patience import GivenUp, call_patiently
from recrepro.errors import DataError

RETRY_WAITS = (1.0, 4.0)
"""Seconds before each further attempt after a failure that may pass."""

WINDOW_S = 60.0
"""Seconds in each of which at least `LEAST_BYTES` have to come."""

LEAST_BYTES = 60_000

_CHUNK = 1 << 16
_TIMEOUT_S = 30


class _TooLargeError(Exception):
    pass


class _InsecureError(Exception):
    pass


class _WrongError(Exception):
    pass


def cache_folder() -> Path:
    """Return where downloads are kept: ``RECREPRO_CACHE``, or the user's cache folder."""
    import pooch

    return Path(os.environ.get("RECREPRO_CACHE") or pooch.os_cache("recrepro"))


def download_path(url: str, cache: Path | None = None) -> Path:
    """Return where `fetch` puts what a URL gives, whether it is there yet or not."""
    from pooch.utils import unique_file_name

    name: str = unique_file_name(url)
    return (cache if cache is not None else cache_folder()) / name


def fetch(
    url: str, checksum: str | None, *, size_limit: int, cache: Path | None = None, progress: bool
) -> Path:
    """Download a file once, and return where it lies.

    Processes that share a cache folder wait for each other; a file appears in it whole or not
    at all. What came of a transfer that broke off is kept beside it as ``.part``; the next
    attempt asks for the rest only, on condition that the server's file is still the same.

    Parameters
    ----------
    url : str
        An https address (http is for this machine itself only).
    checksum : str or None
        ``sha256:`` or ``md5:`` and the checksum in hexadecimal digits. None is for files whose
        *content* the caller verifies after reading; it must delete the file if that fails.
    size_limit : int
        More bytes than this are refused.
    cache : Path, optional
        The folder for downloads; by default `cache_folder`.
    progress : bool
        Whether to draw a progress bar if the standard error is a terminal.

    Raises
    ------
    DataError
        If the file cannot be had, or is not the one expected.
    """
    from requests import HTTPError, RequestException

    target = download_path(url, cache)
    part = _Part(target.with_name(f"{target.name}.part"), size_limit)
    try:
        _require_secure(url)
        locks = target.parent / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / target.name):
            if not (target.is_file() and _is_right(target, checksum)):
                _bring(url, checksum, part, progress=progress and sys.stderr.isatty())
                # On one file system this is a single step: nobody sees half a file.
                part.path.replace(target)
                part.remove()
    except _InsecureError as error:
        raise _failure(url, f"{error} is not an https address", part) from error
    except _TooLargeError as error:
        reason = f"it is larger than the {size_limit} bytes that it may have ({error})"
        raise _failure(url, reason, part) from error
    except HTTPError as error:
        raise _failure(url, f"the server answered {_status(error)}", part) from error
    except GivenUp as error:
        reason = f"less than {LEAST_BYTES:,} bytes came in {WINDOW_S:g} s"
        raise _failure(url, reason, part) from error
    except RequestException as error:
        reason = f"the connection failed or broke off ({type(error).__name__})"
        raise _failure(url, reason, part) from error
    except _WrongError as error:
        kind, _, digits = str(checksum).rpartition(":")
        called = "MD5" if kind == "md5" else "SHA-256"
        reason = f"what came is another file: its {called} is not {digits}"
        raise _failure(url, reason, part) from error
    except OSError as error:
        full = " (the disk is full)" if error.errno == errno.ENOSPC else ""
        reason = (
            f"{target.parent} cannot be written{full}: {error}; RECREPRO_CACHE names another folder"
        )
        raise _failure(url, reason, part) from error
    return target


def _is_right(path: Path, checksum: str | None) -> bool:
    from pooch.hashes import hash_matches

    return bool(hash_matches(path, checksum))


def _require_right(path: Path, checksum: str | None) -> None:
    if not _is_right(path, checksum):
        raise _WrongError


def _failure(url: str, reason: str, part: "_Part") -> DataError:
    kept = "Nothing was kept"
    if part.size:
        kept = f"The {part.size} bytes that came are kept, and the next attempt goes on from there"
    return DataError(
        f"{url} could not be downloaded: {reason}. {kept}. Or get the file by hand, put it into a "
        f"folder and pass that with --data DIR (or RECREPRO_DATA)."
    )


def _status(error: Any) -> int:
    return int(error.response.status_code)


def _require_secure(url: str) -> None:
    parts = urlsplit(url)
    here = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    if parts.scheme != "https" and not (here and parts.scheme == "http"):
        raise _InsecureError(url)


def _bring(url: str, checksum: str | None, part: "_Part", *, progress: bool) -> None:
    """Have a part whole and right, or keep of it only what can be gone on with."""
    try:
        _download(url, part, progress=progress)
        _require_right(part.path, checksum)
    except BaseException as error:
        part.abandon()
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        if full or isinstance(error, _TooLargeError | _WrongError) or not part.mark.is_file():
            part.remove()
        raise


def _download(url: str, part: "_Part", *, progress: bool) -> None:
    """Bring a part to its end, in several attempts if need be."""
    from requests import HTTPError, RequestException

    waits = list(RETRY_WAITS)
    while True:
        try:
            call_patiently(
                lambda: _attempt(url, part, progress=progress),
                WINDOW_S,
                lambda: part.came,
                LEAST_BYTES,
            )
        except RequestException as error:
            refused = isinstance(error, HTTPError) and _status(error) < 500
            if refused and _status(error) == 416 and part.size:
                part.remove()  # The server's file is no longer than that: it is another one.
                continue
            if refused or not waits:
                raise
            time.sleep(waits.pop(0))
        else:
            return


def _attempt(url: str, part: "_Part", *, progress: bool) -> None:
    """Ask for a file, or for the rest of it."""
    from pooch import HTTPDownloader
    from requests import ConnectionError as BrokenError
    from requests import HTTPError, RequestException
    from urllib3.exceptions import HTTPError as TransportError

    responses: list[Any] = []

    def check(response: Any, **_: Any) -> None:
        responses.append(response)
        if _bytes_announced(response.headers) is None:
            response.headers.pop("Content-Length", None)  # pooch takes any for a number
        _require_secure(urljoin(response.url, response.headers.get("Location", "")))
        if response.status_code in {200, 206}:
            part.start(response.status_code, response.headers)
        elif response.ok and not response.is_redirect:
            raise HTTPError(response=response)  # it is no error, but no file either

    download = HTTPDownloader(
        progressbar=progress,
        chunk_size=_CHUNK,
        timeout=_TIMEOUT_S,
        hooks={"response": check},
        # A packed transfer would make positions in it differ from positions in the file.
        headers={"Accept-Encoding": "identity", **part.conditions()},
    )
    try:
        download(url, part, None)
    except RequestException:
        raise
    except (TransportError, ValueError) as error:
        # Headers that nobody can read, such as a Location that is no address.
        raise BrokenError(error) from error
    finally:
        part.close()
        # pooch leaves the connection open when a download breaks off.
        while responses:
            responses.pop().close()


def _bytes_announced(headers: Any) -> int | None:
    """Return the length that a server announces; None if it announces none that is a number."""
    length = headers.get("Content-Length", "")
    # Python refuses to read more than some thousand digits.
    return int(length) if re.fullmatch(r"[0-9]{1,30}", length) else None


class _Part:
    """What has come of a file so far, and which file of the server it is a part of.

    pooch writes to it as to a file. It refuses to grow past a limit, whatever was announced, and
    once it is abandoned, whatever comes to a transfer that was given up.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self.mark = path.with_name(f"{path.name}.of")
        self.limit = limit
        self.file: IO[bytes] | None = None
        self.left = limit
        self.came = 0
        self.abandoned = False
        self.lock = threading.RLock()

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def conditions(self) -> dict[str, str]:
        """Return the headers that ask for the rest of the same file; none to start anew."""
        if not self.mark.is_file() or not 0 < self.size <= self.limit:
            self.remove()
            return {}
        mark = self.mark.read_text(encoding="utf-8")
        return {"Range": f"bytes={self.size}-", "If-Range": mark}

    def start(self, status: int, headers: Any) -> None:
        """Prepare for what a server is about to send: the rest, or all from the start."""
        from requests import ConnectionError as BrokenError

        with self.lock:
            self._require_wanted()
            here = self.size if status == 206 else 0
            position = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
            if status == 206 and (position is None or int(position[1]) != here):
                self.remove()
                raise BrokenError(f"the server sent {headers.get('Content-Range')!r}")
            announced = here + (_bytes_announced(headers) or 0)
            if announced > self.limit:
                raise _TooLargeError(f"{announced} bytes announced")
            if status == 200:
                self.remove()
                self._write_mark(headers)
            self.left = self.limit - here
            self.file = self.path.open("ab")

    def _require_wanted(self) -> None:
        if self.abandoned:
            raise GivenUp

    def _write_mark(self, headers: Any) -> None:
        """Keep what tells this file of the server from a later one, if the server says it."""
        etag = headers.get("ETag", "")
        # A weak tag does not promise equal bytes.
        mark = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
        # In a transfer that was packed after all, positions are not those of the file.
        packed = headers.get("Content-Encoding", "identity") != "identity"
        if mark and mark.isprintable() and not packed:
            self.mark.write_text(mark, encoding="utf-8")

    def write(self, chunk: bytes) -> None:
        """Take what came."""
        self.left -= len(chunk)
        if self.left < 0:
            raise _TooLargeError("and more was coming")
        with self.lock:
            self._require_wanted()
            if self.file is not None:
                self.file.write(chunk)
        self.came += len(chunk)

    def flush(self) -> None:
        """Do nothing: pooch flushes after each chunk, closing the file does it once."""

    def close(self) -> None:
        """Leave what can be continued, and nothing else."""
        with self.lock:
            if self.file is not None:
                file, self.file = self.file, None
                file.close()

    def abandon(self) -> None:
        """Take nothing any more: whoever comes next may go on with the files."""
        with self.lock:
            self.abandoned = True
            self.close()

    def remove(self) -> None:
        """Forget what came."""
        self.close()
        self.path.unlink(missing_ok=True)
        self.mark.unlink(missing_ok=True)
