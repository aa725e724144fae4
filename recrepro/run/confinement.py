"""What the process of a cell may not read: where the test part could be found.

The process has no key, but the raw file of a data set holds the test part for anybody who opens it.
So the folders of data, the workspace and the cache of downloads are sealed off before the model's
code is loaded. Two means do that, and a record names those that were in force:

- Landlock, where Linux offers it (5.19 or later): the kernel refuses to open a file, whoever asks:
  Python, a C++ library such as Arrow, or a program that the model starts;
- Python's audit hook, everywhere: it sees what Python itself opens, names the file, and remembers
  it, so that a model that swallows the error fails all the same.

It is meant for accidents and shortcuts. A model that sends its process's keys or data elsewhere, or
reads a copy that lies outside of these folders, is not stopped.
"""

import contextlib
import ctypes
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from recrepro.custom.load import project_root
from recrepro.errors import ModelError
from recrepro.run.job import Job
from recrepro.store.address import LedgerAddress
from recrepro.store.workspace import Workspace

Means = Literal["audit hook", "landlock"]

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_NO_NEW_PRIVILEGES = 38
_ASK_VERSION = 1
_BENEATH = 1
_READ_FILE, _REFER = 1 << 2, 1 << 13
_OLDEST = 2
"""Version of Landlock that lets a file be moved to another folder."""


class Confinement:
    """Which files a process may not read.

    The most specific place decides: a folder that may be read can lie in one that is sealed off,
    and the other way round. Where the same place is given twice, it may be read. What is not there
    is not sealed off.

    Parameters
    ----------
    sealed : iterable of Path
        Files and folders that must not be read.
    readable : iterable of Path
        Files and folders that are read nevertheless.
    """

    def __init__(self, sealed: Iterable[Path], readable: Iterable[Path]) -> None:
        self._places = dict.fromkeys((_real(place) for place in sealed if place.exists()), False)
        self._places |= dict.fromkeys(map(_real, readable), True)
        self.means: list[Means] = []
        self.read: list[str] = []

    def seals(self, path: Path | str) -> bool:
        """Say whether a file must not be read."""
        place = _real(path)
        for folder in (place, *_parents(place)):
            if folder in self._places:
                return not self._places[folder]
        return False

    def begin(self) -> None:
        """Seal off, for this process and all that it starts, until it ends."""
        if False not in self._places.values():
            return
        sys.addaudithook(self._hear)
        self.means.append("audit hook")
        if _restrict(self._granted("/")):
            self.means.append("landlock")

    def require_nothing_read(self) -> None:
        """Refuse to go on if something was read that is sealed off.

        Raises
        ------
        ModelError
            Naming the file.
        """
        if self.read:
            raise self._refusal(self.read[0])

    def explain(self, error: BaseException) -> BaseException:
        """Return the error to be told of: that of a file that is sealed off, if one was the cause.

        Libraries have errors of their own for a file that the system refuses to open.
        """
        seen: set[int] = set()
        cause: BaseException | None = error
        while cause is not None and id(cause) not in seen:
            seen.add(id(cause))
            for path in _refused(cause):
                if self.seals(path):
                    return self._refusal(path)
                if any(place.startswith(f"{_parent(path)}/") for place in self._places):
                    return _new_file(path)
            cause = cause.__cause__ or cause.__context__
        return error

    def _hear(self, event: str, told: tuple[Any, ...]) -> None:
        path = told[0] if told else None
        if event == "open":
            flags = told[2]
            if flags is not None and flags & os.O_ACCMODE == os.O_WRONLY:
                return
        elif event != "sqlite3.connect" and not self._leaves(event, told):
            return
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        name = os.fsdecode(path).removeprefix("file:").partition("?")[0]
        if name and self.seals(name) and not os.path.isdir(name):  # noqa: PTH112 - called often
            self.read.append(name)
            raise self._refusal(name)

    def _leaves(self, event: str, told: tuple[Any, ...]) -> bool:
        """Say whether a file is about to get a name that is not sealed off."""
        if event not in ("os.link", "os.rename"):
            return False
        to = told[1]
        return not (isinstance(to, (str, bytes, os.PathLike)) and self.seals(os.fsdecode(to)))

    def _refusal(self, path: str) -> ModelError:
        folder = next(f for f in (_real(path), *_parents(_real(path))) if f in self._places)
        where = "" if folder == _real(path) else f", which is below {folder}"
        return ModelError(
            f"the model reads {path}{where}: the test set can be found there, so no model may read "
            "it. Give it what it needs to know of users and items as [[datasets.features]], and "
            "keep its own files elsewhere than data, workspace and downloads."
        )

    def _granted(self, folder: str, *, open_: bool = True) -> Iterator[str]:
        """Yield the largest folders that hold nothing that is sealed off, and single files."""
        open_ = self._places.get(folder, open_)
        prefix = folder.rstrip("/") + "/"
        if not any(place.startswith(prefix) for place in self._places):
            if open_:
                yield folder
            return
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                # A link is not followed: what it leads to has its own place.
                if not entry.is_symlink():
                    yield from self._granted(entry.path, open_=open_)


@contextlib.contextmanager
def confinement_of(job: Job) -> Iterator[Confinement]:
    """Give what the process of a job is confined to; tell of a refusal as of the model's fault.

    The process gets a folder of its own for temporary files: new files in the usual one could not
    be read back if the workspace lies below it.
    """
    workspace = Workspace(Path(job.workspace))
    checkpoints = workspace.checkpoints(job.cell)
    # Only what is there can be granted.
    checkpoints.mkdir(parents=True, exist_ok=True)
    workspace.blobs_lock_file.touch()
    base = Path(job.base)
    readable = [base, project_root(base), Path(job.split_folder), checkpoints]
    readable += [Path(folder) for folder in (*sys.path, sys.prefix, sys.base_prefix) if folder]
    if job.features_folder is not None:
        readable.append(Path(job.features_folder))
    readable += [base / name for name in _files_named(job)]
    readable.append(_compiled_loops())
    # The log that SQLite keeps beside a ledger is there as long as the coordinator is.
    ledger = LedgerAddress(job.ledger).file
    if ledger is not None:
        readable += [Path(f"{ledger}{end}") for end in ("", "-wal", "-shm")]
    readable.append(workspace.blobs_lock_file)
    with tempfile.TemporaryDirectory(prefix="recrepro-") as temporary:
        tempfile.tempdir = os.environ["TMPDIR"] = temporary
        readable.append(Path(temporary))
        confinement = Confinement([*map(Path, job.sealed), workspace.root], readable)
        try:
            yield confinement
        except Exception as error:
            refusal = confinement.explain(error)
            if refusal is error:
                raise
            raise refusal from error
        finally:
            with contextlib.suppress(OSError):  # it is not empty
                checkpoints.rmdir()


def _compiled_loops() -> Path:
    """Return where numba keeps compiled loops if it cannot write to where a package is installed.

    Made here, because files in a folder that comes later could not be read back.
    """
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or Path.home() / ".cache" / "numba")
    if not os.access(Path(__file__).parent, os.W_OK):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
    return folder


def _files_named(job: Job) -> list[str]:
    """Return the files that the model's hyperparameters name: the record has their hashes."""
    model = job.identity.model
    files = {} if model is None else model.files or {}
    return [str(job.model_spec.params[name]) for name in files]


def _real(path: Path | str) -> str:
    return os.path.realpath(path)


def _refused(error: BaseException) -> Iterator[str]:
    """Yield the files that an error names, if it is a refusal of the system."""
    text = str(error)
    if "ermission denied" not in text and not isinstance(error, PermissionError):
        return
    for word in (*text.replace("'", '"').split('"'), *text.split()):
        path = word.strip("\"'():,. ")
        if path.startswith("/"):
            yield path


def _new_file(path: str) -> ModelError:
    return ModelError(
        f"the model cannot read {path}: files that are new in {_parent(path)} are sealed off, "
        "because data or the workspace lie below it. Write temporary files where `tempfile` says."
    )


def _parent(path: str) -> str:
    return os.path.dirname(_real(path))  # noqa: PTH120 - as in _parents


def _parents(path: str) -> Iterator[str]:
    while (parent := os.path.dirname(path)) != path:  # noqa: PTH120 - called at each opening
        yield parent
        path = parent


class _RulesetAttr(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneathAttr(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def _restrict(granted: Iterable[str]) -> bool:
    """Let this thread, and what it starts, read what is granted and nothing else.

    Returns
    -------
    bool
        False if the system offers no Landlock, and nothing has changed.
    """
    if not sys.platform.startswith("linux"):
        return False
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    if syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION) < _OLDEST:
        return False
    handled = _RulesetAttr(_READ_FILE | _REFER)
    size = ctypes.c_size_t(ctypes.sizeof(handled))
    ruleset = syscall(_CREATE_RULESET, ctypes.byref(handled), size, 0)
    if ruleset < 0:
        return False
    try:
        _add_rule(syscall, ruleset, "/", _REFER)  # without it no file may change its folder
        for path in granted:
            _add_rule(syscall, ruleset, path, _READ_FILE)
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        if prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
            return False
        return int(syscall(_RESTRICT_SELF, ruleset, 0)) == 0
    finally:
        os.close(ruleset)


def _add_rule(syscall: Any, ruleset: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # it is gone by now
        return
    try:
        rule = _PathBeneathAttr(access, descriptor)
        syscall(_ADD_RULE, ruleset, _BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)
