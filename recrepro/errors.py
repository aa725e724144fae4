"""The errors that recrepro raises on purpose, and how they find the nearest valid name.

::

    RecreproError            exit code 3: something failed while running
    ├── UsageError           exit code 2: what the user wrote cannot be meant
    │   └── UnknownName      a name that no registry or schema knows
    ├── DataError            a data file or an interaction log is not what it should be
    ├── ModelError           a model broke its contract (NaN scores, wrong shape)
    ├── SealError            the test part was asked for against the rules, or does not open
    └── LedgerError          the ledger refused a write (lost lease, two different results)
        └── LedgerUnreachable    its server does not answer

Every message says what is wrong, what was given, what is allowed and what to do next.
"""

from collections.abc import Iterable
from difflib import get_close_matches

_LISTED = 40
"""A message lists at most so many names that would have been right."""


class RecreproError(Exception):
    """Base of all errors raised on purpose; the command line prints it without a traceback."""

    exit_code = 3


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
    """

    def __init__(self, kind: str, name: str, valid: Iterable[str], hint: str = "") -> None:
        known = sorted(valid)
        folded = {n.casefold(): n for n in known}
        matches = get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)
        nearest = [folded[match] for match in matches]
        parts = [f"unknown {kind} {name!r}."]
        if nearest:
            parts.append(f"Did you mean {' or '.join(repr(n) for n in nearest)}?")
        if known:
            more = len(known) - _LISTED
            rest = f" and {more} more" if more > 0 else ""
            parts.append(f"Known: {', '.join(known[:_LISTED])}{rest}.")
        if hint:
            parts.append(hint)
        super().__init__(" ".join(parts))


class DataError(RecreproError):
    """A data file or an interaction log is not what it should be."""


class ModelError(RecreproError):
    """A model broke its contract, for example by scoring NaN."""


class SealError(RecreproError):
    """The test part was asked for against the rules, or a locked file does not open."""


class LedgerError(RecreproError):
    """The ledger refused a write: the lease was lost, or two results contradict each other."""


class LedgerUnreachable(LedgerError):
    """The ledger's server does not answer; what was to be written may be tried again later."""


def first_line(error: Exception) -> str:
    """Return the first line of an error's message; those of other libraries have many."""
    return str(error).strip().partition("\n")[0]
