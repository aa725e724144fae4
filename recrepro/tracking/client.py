"""The connection to MLflow: quiet, and given up when the other side gets nowhere."""

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from recrepro.compute.patience import GivenUp, call_patiently
from recrepro.errors import RecreproError, UsageError, first_line
from recrepro.text.redact import redacted

if TYPE_CHECKING:
    from mlflow import MlflowClient

TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
"""Environment variable with the seconds that a server is waited for."""

SECONDS = 15
"""Its value unless it is set."""

CALL_TIMEOUTS = 4
"""How many timeouts a call may take in all: with its retry, and an answer that comes in pieces."""

FILES_TIMEOUTS = 40
"""How many it may take to send or fetch the files of a run, or to set up a database."""

LONG_CALLS = ("log_artifacts", "download_artifacts")

Answer = TypeVar("Answer")


class NoAnswerError(RecreproError):
    """An MLflow server does not answer, or not in time: the next question would end alike."""


def is_server(uri: str) -> bool:
    """Say whether an address is that of a server, rather than of a database."""
    return uri.startswith(("http://", "https://"))


def on_this_machine(uri: str) -> bool:
    """Say whether an address is that of a database file, or of a server on this machine."""
    return uri.startswith("sqlite") or urlsplit(uri).hostname in ("127.0.0.1", "localhost", "::1")


@contextlib.contextmanager
def reading(uri: str) -> Iterator[None]:
    """Turn whatever MLflow raises while it is read into one message."""
    try:
        yield
    except RecreproError:
        raise
    except Exception as error:
        raise RecreproError(
            f"MLflow at {redacted(uri)} cannot be read: {first_line(error)}"
        ) from error


def silence_mlflow() -> None:
    """Switch off MLflow's telemetry, chatter, tracebacks and long waits.

    To be called before its import, for the environment, and after it, for the loggers.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # A server that is down is given up soon: the next run sends what it missed.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault(TIMEOUT, str(SECONDS))
    for name in ("mlflow", "alembic", "huey", "sqlalchemy.engine"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        for handler in logger.handlers:
            handler.setFormatter(OneLine())


class OneLine(logging.Formatter):
    """Writes a log record as one line, without the traceback: the error itself is reported."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the first line of its message, and of the error that goes with it."""
        said = record.getMessage().strip().partition("\n")[0]
        error = record.exc_info[1] if record.exc_info else None
        why = "" if error is None else f" ({type(error).__name__}: {first_line(error)})"
        return f"{record.name}: {said}{why}"


def require_answer(uri: str) -> None:
    """Refuse a server that is down, or does not say anything, before it is asked for more.

    Raises
    ------
    NoAnswerError
        If its answer has not begun within ``MLFLOW_HTTP_REQUEST_TIMEOUT`` seconds.
    """
    if not is_server(uri):
        return
    import requests

    seconds = timeout()
    why = f"has not answered in {seconds:g} s"
    try:
        call_patiently(
            lambda: requests.get(  # any answer will do
                f"{uri.rstrip('/')}/health", timeout=seconds, stream=True, allow_redirects=False
            ).close(),
            seconds,
        )
    except requests.exceptions.SSLError:
        return  # somebody is there; whether to trust them is for MLflow's own settings
    except (requests.RequestException, GivenUp) as error:
        slow = isinstance(error, requests.Timeout | GivenUp)
        raise NoAnswerError(
            f"the MLflow server {redacted(uri)} {why if slow else 'cannot be reached'}. Start it, "
            "or correct its address (--mlflow URI or MLFLOW_TRACKING_URI)."
        ) from error


def timeout() -> float:
    """Return how many seconds a server is waited for.

    Raises
    ------
    UsageError
        If what is set is no such number.
    """
    silence_mlflow()  # it sets the default
    text = os.environ[TIMEOUT]
    with contextlib.suppress(ValueError):
        if 0 < (seconds := float(text)) <= 1e6:
            return seconds
    raise UsageError(
        f"{TIMEOUT} is {text!r}, but it is how many seconds an MLflow server is waited for: a "
        f"number above 0, or unset for {SECONDS}."
    )


def connect(uri: str) -> "MlflowClient":
    """Return a client of an MLflow server or database.

    Each of its calls must end in time, unless it asks a file on this machine.
    """
    silence_mlflow()
    from mlflow import MlflowClient

    silence_mlflow()  # importing mlflow sets up its loggers
    if uri.startswith("sqlite:"):
        return MlflowClient(tracking_uri=uri)
    # A database is set up now.
    client = _in_time(uri, FILES_TIMEOUTS, lambda: MlflowClient(tracking_uri=uri))
    return cast("MlflowClient", _Hurried(client, uri))


class _Hurried:
    """A client whose calls are given up after a time.

    MLflow's own timeouts are for one read: a server that drips would be waited for without end.
    """

    def __init__(self, client: "MlflowClient", uri: str) -> None:
        self._client, self._uri = client, uri

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)
        timeouts = FILES_TIMEOUTS if name in LONG_CALLS else CALL_TIMEOUTS

        def hurried(*args: Any, **kwargs: Any) -> Any:
            return _in_time(self._uri, timeouts, functools.partial(call, *args, **kwargs))

        return hurried


def _in_time(uri: str, timeouts: int, call: Callable[[], Answer]) -> Answer:
    """Return what a call to MLflow returns, if it does within a number of timeouts."""
    seconds = timeouts * timeout()
    try:
        return call_patiently(call, seconds)
    except GivenUp as error:
        raise NoAnswerError(
            f"MLflow at {redacted(uri)} has not come to the end of an answer in {seconds:g} s. "
            f"If it needs more, set {TIMEOUT} to more than {timeout():g}."
        ) from error
