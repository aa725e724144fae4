"""`recrepro ui`: open MLflow's own pages in the browser."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from recrepro.cli.options import (
    ledger_url,
    workspace_option,
)
from recrepro.errors import RecreproError
from recrepro.run.interrupts import signals_as_interrupt
from recrepro.store.workspace import Workspace
from recrepro.text.redact import redacted
from recrepro.tracking.client import is_server, reading
from recrepro.tracking.store import runs_pages, tracking_uri

NO_LOGIN = (
    "There is no login: every user of this machine can see, change and delete the runs until you "
    "end it. If others use the machine, look at `recrepro report` instead, or send the runs to an "
    "MLflow server with a login. The results themselves are safe: the runs are a copy."
)


@click.command()
@workspace_option
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
def ui(workspace: Path, port: int) -> None:
    """Open the MLflow UI on the runs of a workspace.

    It can be reached from this machine only, but it has no login: every user of the machine can
    see, change and delete the runs while it is open. On a machine that others use, look at
    `recrepro report` instead, or send the runs to an MLflow server with a login.
    """
    place = Workspace.existing(workspace, ledger_url())
    uri = tracking_uri(place)
    remote = is_server(uri)
    server = uri.rstrip("/") if remote else f"http://127.0.0.1:{port}"
    here = "Starting MLflow here (Ctrl-C ends it)"
    click.echo(f"{f'On the server {redacted(uri)}' if remote else here}. The runs of")
    with reading(uri):
        pages = runs_pages(place, server)
    for name, page in pages.items():
        click.echo(f"  {name}\n    {page}")
    if remote:
        return
    click.echo(NO_LOGIN)
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri]
    code = run_in_foreground(command)
    if code != 0:
        raise RecreproError(
            f"the MLflow server ended with exit code {code}. Is port {port} taken? Try --port."
        )


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
