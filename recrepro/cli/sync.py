"""`recrepro sync`: send to MLflow what the ledger has and MLflow lacks."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from recrepro.cli.console import make_console
from recrepro.cli.options import (
    some_experiment,
    workspace_option,
)
from recrepro.cli.results import say_left_out
from recrepro.cli.workspaces import existing, planned_versions
from recrepro.errors import RecreproError, first_line
from recrepro.store.entries import Planned
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace
from recrepro.text.redact import redacted
from recrepro.text.words import count
from recrepro.tracking.client import NoAnswerError, require_answer
from recrepro.tracking.mirror import MlflowMirror
from recrepro.tracking.store import tracking_uri


@click.command()
@some_experiment
@workspace_option
@click.option(
    "--mlflow",
    "uri",
    metavar="URI",
    help="Server or database to send to.  [env var: MLFLOW_TRACKING_URI]",
)
def sync(experiment: Path | None, workspace: Path, uri: str | None) -> None:
    """Send to MLflow the runs that it lacks.

    These are the runs of an experiment, or of all in the workspace; each is sent once.
    """
    place, ledger = existing(workspace)
    say_left_out(len({member.cell for member in ledger.only_inline()}))
    send(make_console(), place, ledger, planned_versions(ledger, experiment), uri)


def send(
    console: Console,
    workspace: Workspace,
    ledger: Ledger,
    versions: Sequence[Planned],
    uri: str | None = None,
) -> None:
    """Copy to MLflow what it lacks of some experiments, and say how much that was.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    workspace, ledger
        What is copied.
    versions : sequence of Planned
        Of experiments, the latest version first: a cell is copied as that names it.
    uri : str, optional
        Where to, if not where a run of the workspace would send it.

    Raises
    ------
    RecreproError
        If something could not be sent.
    """
    uri = uri or tracking_uri(workspace)
    require_answer(uri)
    settled: dict[str, set[str]] = {}
    sent: dict[str, int] = {}
    problems: dict[str, str] = {}
    for version in versions:
        name = version.name
        if name in problems:
            continue
        mirror = MlflowMirror(ledger, workspace, name, version.grid_hash, version.source, uri)
        done = settled.setdefault(name, set())
        try:
            sent[name] = sent.get(name, 0) + mirror.sync(done)
        except NoAnswerError as error:
            problems[name] = first_line(error)
            break  # the others would wait as long, and get no answer either
        except Exception as error:  # noqa: BLE001 - MLflow raises errors of many libraries
            problems[name] = first_line(error)
        done |= {member.cell for member in mirror.members()}
    for name in (name for name in sent if name not in problems):
        ended = sum(ledger.status(cell).state in ("done", "failed") for cell in settled[name])
        console.print(
            f"{name}: {count(ended, 'cell')} in MLflow, {sent[name]} sent now", soft_wrap=True
        )
    if problems:
        what = "; ".join(f"{name}: {reason}" for name, reason in problems.items())
        raise RecreproError(
            f"not all is in {redacted(uri)}. {what} Nothing is lost: call `recrepro sync` "
            "again when that is mended."
        )
