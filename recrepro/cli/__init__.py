"""The command line. Heavy imports are inside the commands: `recrepro --help` loads click only."""

import gc
import io
import os
import sys
import threading
from typing import NoReturn

import click

from recrepro import __version__
from recrepro.cli import (
    listing,
    publishing,
    records,
    reporting,
    results,
    running,
    splits,
    studying,
    upkeep,
)
from recrepro.errors import RecreproError
from recrepro.tracking.background import THREAD

EXIT_FAILURE = 3
EXIT_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="recrepro")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(*, debug: bool) -> None:
    """Ask whether a recommender is really better than well-tuned simple ones.

    \b
    recrepro run experiments/quickstart.toml      tune and test a grid of models
    recrepro leaderboard experiments/quickstart.toml
    recrepro ui                                   look at the runs in MLflow
    """
    del debug  # read by `main`, which is what meets the errors


for _command in (
    running.run,
    running.check,
    studying.study,
    upkeep.status,
    upkeep.sync,
    upkeep.collect_garbage,
    splits.audit,
    splits.split,
    results.leaderboard,
    results.compare,
    results.evaluate,
    results.ui,
    publishing.cite,
    publishing.verify,
    reporting.report,
    records.show,
    records.reproduce,
    records.export,
    listing.list_,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line; every error becomes one message and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows ASCII only
    debug = "--debug" in sys.argv[1:]
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    try:
        code = cli.main(arguments, prog_name="recrepro", standalone_mode=False)
        _leave(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _leave(EXIT_INTERRUPTED)
    except BrokenPipeError:  # `recrepro ls | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        click.echo(f"error: {_message(error)}", err=True)
        _leave(error.exit_code if isinstance(error, RecreproError) else EXIT_FAILURE)


def _leave(code: int) -> NoReturn:
    """End the process, at once if something is still being copied to MLflow.

    Python would stop that thread in the middle of C++ code, which then aborts the process. What it
    leaves half done is made again by the next copy.
    """
    if any(thread.name == THREAD for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    gc.freeze()  # at its end, Python would look through all that was loaded: up to a second
    sys.exit(code)


def _message(error: Exception) -> str:
    if isinstance(error, RecreproError):
        return str(error)
    if isinstance(error, OSError) or type(error).__module__.startswith("sqlalchemy"):
        what = str(error).splitlines()[0]
        return (
            f"{what}. Results that were committed are kept; free space or mend the folder, then "
            "run the same command again."
        )
    return (
        f"{type(error).__name__}: {error}. This is a fault of recrepro: please report it with "
        "what `recrepro --debug …` shows."
    )
