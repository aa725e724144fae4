"""Archives: their members are read into memory, and nothing is unpacked to a disk."""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath, PureWindowsPath

from recrepro.data.formats.files import RATIO, SPAN, open_file
from recrepro.errors import DataError

_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2")


def is_archive(path: Path) -> bool:
    """Tell by its name whether a file is an archive that can be read here."""
    return path.name.lower().endswith(_ENDINGS)


def read_members(archive: Path, pattern: str, size_limit: int) -> Iterator[tuple[str, bytes]]:
    """Read files out of a zip or tar archive, one after the other.

    Parameters
    ----------
    archive : Path
        The archive.
    pattern : str
        The name inside; ``*`` stands for anything. All members of that name are read.
    size_limit : int
        More unpacked bytes than this are refused, for all members together and whatever their
        headers say.

    Yields
    ------
    tuple of str and bytes
        Name and content.

    Raises
    ------
    DataError
        If the archive is damaged, holds nothing of that name, holds more than allowed, or names
        that lead out of a folder, links or devices.
    """
    members = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
    left = size_limit
    found = False
    try:
        for name, content in members(archive, pattern, size_limit):
            found = True
            left -= len(content)
            if left < 0:
                raise _too_large(archive, pattern, size_limit)
            yield name, content
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError) as error:
        kind = "zip" if members is _zip_members else "tar"
        raise DataError(
            f"{archive} is not a whole {kind} archive ({error}). Delete it and fetch it again."
        ) from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted; packed in an unknown way
        raise DataError(f"{archive}: {pattern!r} cannot be unpacked: {error}.") from error
    if not found:
        raise DataError(f"{archive} holds no {pattern!r}.")


def _zip_members(archive: Path, pattern: str, limit: int) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as opened:
        infos = opened.infolist()
        for info in infos:
            _check_name(archive, info.filename)
            mode = stat.S_IFMT(info.external_attr >> 16)
            if mode not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise _not_a_file(archive, info.filename)
        wanted = [i for i in infos if not i.is_dir() and fnmatchcase(i.filename, pattern)]
        if not wanted:
            names = [info.filename for info in infos]
            near = get_close_matches(pattern, names, n=3, cutoff=0.0)
            raise DataError(f"{archive} holds no {pattern!r}, but {', '.join(near) or 'nothing'}.")
        for info in sorted(wanted, key=lambda info: info.filename):
            if info.file_size > max(SPAN, RATIO * info.compress_size):
                raise DataError(
                    f"{archive}: {info.filename!r} unpacks to {info.file_size} bytes from "
                    f"{info.compress_size}. No file of ratings does; fetch the archive again."
                )
            with opened.open(info) as file:
                content = file.read(limit + 1)
            if len(content) > limit:
                raise _too_large(archive, info.filename, limit)
            yield info.filename, content


def _tar_members(archive: Path, pattern: str, limit: int) -> Iterator[tuple[str, bytes]]:
    packed = archive.stat().st_size
    seen = 0
    with open_file(archive) as whole, tarfile.open(fileobj=whole, mode="r|") as opened:
        for info in opened:
            _check_name(archive, info.name)
            if not (info.isfile() or info.isdir()):
                raise _not_a_file(archive, info.name)
            # Members that are skipped are unpacked, too: all of them count.
            seen += info.size
            if seen > max(SPAN, RATIO * packed):
                raise DataError(
                    f"{archive} unpacks to more than {seen} bytes from {packed}. No archive of "
                    f"ratings does; fetch it again."
                )
            if info.isdir() or not fnmatchcase(info.name.removeprefix("./"), pattern):
                continue
            if info.size > limit:
                raise _too_large(archive, info.name, limit)
            file = opened.extractfile(info)
            if file is not None:
                yield info.name, file.read()


def _check_name(archive: Path, name: str) -> None:
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise DataError(
            f"{archive}: the name {name!r} leads out of the archive's folder. No published "
            f"archive has such names; nothing was read from it."
        )


def _not_a_file(archive: Path, name: str) -> DataError:
    return DataError(
        f"{archive}: {name!r} is a link or a device. Only files and folders are read; this is not "
        f"the published archive."
    )


def _too_large(archive: Path, name: str, limit: int) -> DataError:
    return DataError(
        f"{archive}: {name!r} unpacks to more than the {limit} bytes that it may have. "
        f"This is not the published archive; fetch it again."
    )
