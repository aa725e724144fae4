"""Downloads that are checked: by host, size and checksum, and shared safely between processes."""

import errno
import os
import sys
import time
import zipfile
import zlib
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from filelock import FileLock

from recrepro.errors import DataError

RETRY_WAITS = (1.0, 4.0)
"""Seconds before each further attempt after a failure that may pass."""

_CHUNK = 1 << 16
_TIMEOUT_S = 30


class _TooLargeError(Exception):
    pass


class _InsecureError(Exception):
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
    url: str, sha256: str | None, *, size_limit: int, cache: Path | None = None, progress: bool
) -> Path:
    """Download a file once, and return where it lies.

    Processes that share a cache folder wait for each other; a file appears in it whole or not
    at all.

    Parameters
    ----------
    url : str
        An https address (http is for this machine itself only).
    sha256 : str or None
        The checksum. None is for files whose *content* the caller verifies after reading; it
        must delete the file if that fails.
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
    import pooch
    from requests import HTTPError, RequestException

    target = download_path(url, cache)
    folder, name = target.parent, target.name
    # pooch tells every download and every new checksum; the bar and our errors say enough.
    pooch.get_logger().setLevel("WARNING")
    download = _Download(size_limit, progress=progress and sys.stderr.isatty())
    waits = list(RETRY_WAITS)
    try:
        _require_secure(url)
        locks = folder / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / name):
            while True:
                try:
                    return Path(pooch.retrieve(url, sha256, name, folder, downloader=download))
                except RequestException as error:
                    refused = isinstance(error, HTTPError) and _status(error) < 500
                    if refused or not waits:
                        raise
                time.sleep(waits.pop(0))
    except _InsecureError as error:
        raise _failure(url, f"{error} is not an https address") from error
    except _TooLargeError as error:
        reason = f"it is larger than the {size_limit} bytes that it may have ({error})"
        raise _failure(url, reason) from error
    except HTTPError as error:
        raise _failure(url, f"the server answered {_status(error)}") from error
    except RequestException as error:
        reason = f"the connection failed or broke off ({type(error).__name__})"
        raise _failure(url, reason) from error
    except ValueError as error:
        reason = f"what came is another file: its SHA-256 is not {sha256}"
        raise _failure(url, reason) from error
    except OSError as error:
        full = " (the disk is full)" if error.errno == errno.ENOSPC else ""
        reason = f"{folder} cannot be written{full}: {error}; RECREPRO_CACHE names another folder"
        raise _failure(url, reason) from error


def _failure(url: str, reason: str) -> DataError:
    return DataError(
        f"{url} could not be downloaded: {reason}. Nothing was kept. Get the file by hand, put "
        f"it into a folder and pass that with --data DIR (or RECREPRO_DATA)."
    )


def _status(error: Any) -> int:
    return int(error.response.status_code)


def _require_secure(url: str) -> None:
    parts = urlsplit(url)
    here = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    if parts.scheme != "https" and not (here and parts.scheme == "http"):
        raise _InsecureError(url)


class _Download:
    """What pooch calls to download: its own downloader behind checks of address and size."""

    def __init__(self, size_limit: int, *, progress: bool) -> None:
        self.size_limit = size_limit
        self.progress = progress
        self.responses: list[Any] = []

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        from pooch import HTTPDownloader

        download = HTTPDownloader(
            progressbar=self.progress,
            chunk_size=_CHUNK,
            timeout=_TIMEOUT_S,
            hooks={"response": self._check_response},
        )
        try:
            with Path(output_file).open("wb") as file:
                download(url, _Limited(file, self.size_limit), pooch)
        finally:
            # pooch leaves the connection open when a download breaks off.
            while self.responses:
                self.responses.pop().close()

    def _check_response(self, response: Any, **_: Any) -> None:
        self.responses.append(response)
        _require_secure(urljoin(response.url, response.headers.get("Location", "")))
        announced = int(response.headers.get("Content-Length", 0))
        if announced > self.size_limit:
            raise _TooLargeError(f"{announced} bytes announced")


class _Limited:
    """A file that refuses to grow past a limit, whatever the server announced."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self.file = file
        self.left = limit

    def write(self, chunk: bytes) -> None:
        self.left -= len(chunk)
        if self.left < 0:
            raise _TooLargeError("and more was coming")
        self.file.write(chunk)

    def flush(self) -> None:
        """Do nothing: pooch flushes after each chunk, closing the file does it once."""


def read_member(archive: Path, member: str, size_limit: int) -> bytes:
    """Read one file out of a zip archive into memory; nothing is unpacked to disk.

    Parameters
    ----------
    archive : Path
        The zip file.
    member : str
        The name of the file inside.
    size_limit : int
        More unpacked bytes than this are refused.

    Raises
    ------
    DataError
        If the archive is damaged, or the member missing or too large.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            if member not in opened.namelist():
                near = get_close_matches(member, opened.namelist(), n=3, cutoff=0.0)
                raise DataError(
                    f"{archive} holds no {member!r}, but {', '.join(near) or 'nothing'}."
                )
            with opened.open(member) as file:
                content = file.read(size_limit + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DataError(
            f"{archive} is not a whole zip archive ({error}). Delete it and fetch it again."
        ) from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted; packed in an unknown way
        raise DataError(f"{archive}: {member!r} cannot be unpacked: {error}.") from error
    if len(content) > size_limit:
        raise DataError(
            f"{archive}: {member!r} unpacks to more than the {size_limit} bytes that it may have. "
            f"This is not the published archive; fetch it again."
        )
    return content
