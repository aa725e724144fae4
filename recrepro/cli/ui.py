"""`recrepro ui`: MLflow's own pages in the browser."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

from recrepro.run.interrupts import signals_as_interrupt


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
