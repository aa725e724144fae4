"""What the end of a run says: how to go on, and where its copy in MLflow is."""

import sys
from pathlib import Path
from shutil import which

from rich.console import Console

from recrepro.errors import first_line
from recrepro.run.plan import Plan
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace
from recrepro.text.redact import redacted
from recrepro.tracking.background import BackgroundMirror
from recrepro.tracking.store import tracking_uri

MIRROR_SECONDS = 60.0
"""How long the end of a run waits for a server that is slow."""


def say_how_to_go_on(console: Console, plan: Plan, ledger: Ledger) -> None:
    """Print what an interrupted run has kept, and the command that continues it."""
    states = ledger.states()
    done = sum(states[cell.key] == "done" for cell in plan.cells)
    arguments = " ".join(map(redacted, _without_reopen(sys.argv[1:])))
    console.print(
        f"\nStopped. {done} of {len(plan.cells)} cells are done and kept, with every finished "
        f"trial of the others. To go on: {_program()} {arguments}",
        soft_wrap=True,
    )


def _without_reopen(arguments: list[str]) -> list[str]:
    """Leave out what must be typed each time that it is meant."""
    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--reopen":
            next(rest, None)
        elif not argument.startswith("--reopen="):
            kept.append(argument)
    return kept


def finish_mirror(
    console: Console,
    mirror: BackgroundMirror,
    place: Workspace,
    workspace: Path,
    seconds: float = MIRROR_SECONDS,
) -> None:
    """Copy what is left to MLflow, and say where it can be seen or why it could not be copied.

    Parameters
    ----------
    console : rich.console.Console
        Where to say it.
    mirror : BackgroundMirror
        What copies.
    place : Workspace
        The workspace.
    workspace : Path
        Its folder, as it was given.
    seconds : float
        How long a server is waited for. The store in the workspace is always brought up to date.
    """
    embedded = tracking_uri(place) == place.mlflow_store
    if mirror.busy:
        console.print("\nCopying to MLflow (Ctrl-C leaves it to the next run) ...", style="dim")
    over = mirror.close(None if embedded else seconds)
    send = f"{_program()} sync --workspace {workspace}"
    if over and mirror.error is None:
        command = f"{_program()} ui --workspace {workspace}"
        console.print(f"\nLook at the runs:  {command}", soft_wrap=True)
        return
    reason = f"the server is slow, it was waited for {seconds:g} s."
    if over and mirror.error is not None:
        reason = first_line(mirror.error)
    mend = (
        f" If the workspace's own {place.root / 'mlflow.db'} is damaged, delete it: it is made "
        "anew."
    )
    console.print(
        f"\nMLflow could not be brought up to date: {reason}\nNothing is lost: the results are in "
        f"the workspace. The next run of this file sends the rest, or now: {send}"
        f"{mend if embedded else ''}",
        style="yellow",
        soft_wrap=True,
    )


def _program() -> str:
    """Return how this program was called, for commands to be copied from the screen."""
    called = sys.argv[0]
    if Path(called).name == "__main__.py":
        return "python -m recrepro"
    if Path(called).name != "recrepro" or which("recrepro") == str(Path(called).resolve()):
        return "recrepro"
    return called
