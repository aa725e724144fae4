"""What a command prints: where text leaves the process, it is cleaned and passwords are masked."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO, cast
from urllib.parse import unquote, urlsplit

from recrepro.text.clean import clean
from recrepro.text.redact import VALUES, redacted

ADDRESSES = ("MLFLOW_TRACKING_URI", "RECREPRO_LEDGER", "RECREPRO_SCHEDULER")
"""Environment variables whose addresses may contain a password."""
SECRETS = ("PGPASSWORD", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
"""Environment variables that are secrets themselves."""
SHORTEST = 4
"""Secrets of fewer characters are masked in addresses only: they may be parts of other words."""


def known_secrets(arguments: list[str]) -> frozenset[str]:
    """Return the secrets of this process, from its environment and its arguments."""
    texts = [os.environ.get(name, "") for name in ADDRESSES]
    texts += [a.partition("=")[2] if a.startswith("--") else a for a in arguments if "://" in a]
    found = {os.environ.get(name, "") for name in SECRETS}
    for text in texts:
        with contextlib.suppress(ValueError):
            address = urlsplit(text)
            found |= {address.password or "", unquote(address.password or "")}
            values = VALUES.findall(address.query)
            found |= {*values, *map(unquote, values)}
    return frozenset(secret for secret in found if len(secret) >= SHORTEST)


class _Masking:
    """A text stream that masks passwords before it writes."""

    def __init__(self, stream: TextIO, secrets: frozenset[str]) -> None:
        self._stream = stream
        self._secrets = secrets

    def write(self, text: str) -> int:
        self._stream.write(redacted(text, self._secrets))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


class _Guarded(_Masking):
    """A text stream that replaces control characters, too.

    Parameters
    ----------
    stream, secrets
        As in `_Masking`.

    Attributes
    ----------
    raw : text stream
        For those who may steer the terminal: it masks passwords only.
    """

    def __init__(self, stream: TextIO, secrets: frozenset[str]) -> None:
        super().__init__(stream, secrets)
        self.raw = _Masking(stream, secrets)

    def write(self, text: str) -> int:
        return super().write(clean(text))


@contextlib.contextmanager
def guarded_output(arguments: list[str], out: TextIO, err: TextIO) -> Iterator[None]:
    """Mask passwords and replace control characters in all that is printed while it lasts.

    Parameters
    ----------
    arguments : list of str
        Of the command line.
    out, err : text streams
        Where it is printed.
    """
    secrets = known_secrets(arguments)
    first, second = (cast("TextIO", _Guarded(stream, secrets)) for stream in (out, err))
    with contextlib.redirect_stdout(first), contextlib.redirect_stderr(second):
        yield


def raw(stream: TextIO) -> TextIO:
    """Return the stream below that lets control characters through, such as those of colours.

    Parameters
    ----------
    stream : text stream
        ``sys.stdout`` or ``sys.stderr``.
    """
    return cast("TextIO", getattr(stream, "raw", stream))


@contextlib.contextmanager
def open_terminal() -> Iterator[None]:
    """Let others draw on the terminal: progress bars, debuggers, a user's own code."""
    out, err = raw(sys.stdout), raw(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield
