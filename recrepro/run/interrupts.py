"""Ending in order: every polite signal is a Ctrl-C, and children end with their parent."""

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP (a closed terminal) into `KeyboardInterrupt` for a while.

    A signal that is ignored stays ignored: under `nohup`, a run outlives its terminal.
    """

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    names = [signal.SIGTERM, signal.SIGHUP]
    names = [name for name in names if signal.getsignal(name) is not signal.SIG_IGN]
    previous = {name: signal.signal(name, interrupt) for name in names}
    try:
        yield
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)
