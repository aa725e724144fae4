"""Ending in order: every polite signal is a Ctrl-C, and children end with their parent."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP (a closed terminal) into `KeyboardInterrupt` for a while."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    names = [signal.SIGTERM, signal.SIGHUP]
    previous = {name: signal.signal(name, interrupt) for name in names}
    try:
        yield
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)


def run_in_foreground(command: Sequence[str]) -> int:
    """Run a server until it ends or we are interrupted; its own children end with it.

    Returns
    -------
    int
        The server's exit code; 0 after an interrupt.
    """
    with signals_as_interrupt():
        server = subprocess.Popen(command, start_new_session=True)
        try:
            return server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait()
