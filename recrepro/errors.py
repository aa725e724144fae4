"""The errors that recrepro raises on purpose, and how they find the nearest valid name.

::

    RecreproError            exit code 3: something failed while running
    ├── UsageError           exit code 2: what the user wrote cannot be meant
    │   ├── UnknownName      a name that no registry or schema knows
    │   └── NothingRun       a workspace or a ledger in which nothing was run yet
    ├── DataError            a data file or an interaction log is not what it should be
    ├── ModelError           a model broke its contract (NaN scores, wrong shape)
    ├── SealError            the test part was asked for against the rules, or does not open
    └── LedgerError          the ledger refused a write, or is damaged
        ├── LeaseLost            the cell has passed to another run
        └── LedgerUnreachable    its server does not answer, or another process locks its file

Every message says what is wrong, what was given, what is allowed and what to do next.
"""

import sysconfig
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

_LISTED = 12
"""A message lists all valid names up to this many."""
_NEAREST = 8
"""If there are more, and no command lists them, it lists this many of them."""


class RecreproError(Exception):
    """Base of all errors raised on purpose; the command line prints it without a traceback.

    Attributes
    ----------
    location : tuple of str or int
        Place in the experiment file, such as ``("models", "ease", "params", "l2")``: a kind of
        table, its title, and keys. Empty if the message names the place itself.
    """

    exit_code = 3
    location: tuple[str | int, ...] = ()


class UsageError(RecreproError):
    """The experiment file, an option or an argument cannot be meant."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that is not known, with the nearest ones that are.

    Parameters
    ----------
    kind : str
        What the name should name, such as ``"model"``.
    name : str
        The name as given.
    valid : iterable of str
        Every name that would have been right.
    hint : str, optional
        The next step, such as a command that lists the valid names.
    nearest : sequence of str, optional
        The names to suggest; by default `nearest_names` of the valid ones.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        valid: Iterable[str],
        hint: str = "",
        nearest: Sequence[str] | None = None,
    ) -> None:
        known = sorted(valid)
        suggested = nearest_names(name, known) if nearest is None else nearest
        parts = [f"unknown {kind} {name!r}."]
        if suggested:
            parts.append(f"Did you mean {' or '.join(map(repr, suggested))}?")
        if hint:
            parts.append(hint)
        if known and len(known) <= _LISTED:
            parts.append(f"Known: {', '.join(known)}.")
        elif known and not hint:
            shown = get_close_matches(name, known, n=_NEAREST, cutoff=0.0)
            parts.append(f"Known: {', '.join(shown)} and {len(known) - len(shown)} more.")
        super().__init__(" ".join(parts))


class NothingRun(UsageError):
    """A workspace or a ledger is to be read, and nothing was run there yet."""


def nearest_names(name: str, valid: Iterable[str]) -> list[str]:
    """Return up to three names that are near to one, the nearest first.

    A name that differs in nothing but case is the only one.
    """
    folded = {n.casefold(): n for n in valid}
    if name.casefold() in folded:
        return [folded[name.casefold()]]
    return [folded[n] for n in get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)]


class DataError(RecreproError):
    """A data file or an interaction log is not what it should be."""


class ModelError(RecreproError):
    """A model broke its contract, for example by scoring NaN."""


class SealError(RecreproError):
    """The test part was asked for against the rules, or a locked file does not open."""


class LedgerError(RecreproError):
    """The ledger refused a write, such as a second, different result, or it is damaged."""


class LeaseLost(LedgerError):
    """A cell passed to another run, which had waited long enough for a sign of life."""


class LedgerUnreachable(LedgerError):
    """The ledger does not answer now; what was to be written may be tried again later."""


@contextmanager
def at(*location: str | int) -> Iterator[None]:
    """Add a place in the experiment file to the errors of a block; `recrepro.spec.places` says it.

    A `DataError` stays as it is: it names a place in the data.

    Parameters
    ----------
    *location : str or int
        Steps to the place, as in `RecreproError.location`. Those of inner blocks follow them.
    """
    try:
        yield
    except RecreproError as error:
        if not isinstance(error, DataError):
            error.location = (*location, *error.location)
        raise


def first_line(error: BaseException) -> str:
    """Return the line of an error's message that says what happened; other libraries write many."""
    lines = str(error).strip().splitlines() or [""]
    # SQLAlchemy says first at which occasion it wrote to the database, and then what went wrong.
    occasion = lines[0].startswith("(raised as a result of") and len(lines) > 1
    return lines[1 if occasion else 0]


def blame(error: BaseException) -> str:
    """Return type and message of an error, and the file and line of a user's own code, if any.

    Returns
    -------
    str
        Such as ``KeyError: 'weights' (adapter.py:31, in fit)``.
    """
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{type(error).__name__}: {error.msg} ({error.filename}:{error.lineno})"
    frame = users_frame(error)
    return text if frame is None else f"{text} ({frame.filename}:{frame.lineno}, in {frame.name})"


def users_frame(error: BaseException) -> traceback.FrameSummary | None:
    """Return the innermost place of an error in code that is not recrepro's, nor a library's."""
    theirs = None
    walked = traceback.walk_tb(error.__traceback__)
    for (frame, _), summary in zip(walked, traceback.extract_tb(error.__traceback__), strict=True):
        if _is_users(frame.f_globals.get("__name__") or "", summary.filename):
            theirs = summary
    return theirs


def _is_users(module: str, file: str) -> bool:
    """Say whether a module is a user's: in no library's folder, or of a package with models."""
    top = module.partition(".")[0]
    if top == "recrepro" or file.startswith("<frozen"):
        return False
    return not in_library(Path(file)) or top in _packages_with_models()


def in_library(file: Path) -> bool:
    """Say whether a file belongs to Python or an installed package, in any environment."""
    places = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    if any(file.is_relative_to(place) for place in places):
        return True
    return bool({"site-packages", "dist-packages"} & set(file.parts))


@cache
def _packages_with_models() -> frozenset[str]:
    return frozenset(
        point.module.partition(".")[0] for point in entry_points(group="recrepro.models")
    )
