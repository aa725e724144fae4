"""The command line: one module for each command, imported only when the command is called."""

import io
import os
import sys
import threading
from gc import freeze  # `gc` is a module of this package
from importlib import import_module
from typing import NoReturn

import click

from recrepro import __version__
from recrepro.cli.output import guarded_output
from recrepro.compute import failpoints
from recrepro.compute.memory import available_bytes
from recrepro.compute.patience import THREAD
from recrepro.errors import RecreproError, blame, first_line, users_frame
from recrepro.text.words import size

EXIT_FAILURE = 3
EXIT_INTERRUPTED = 130


COMMANDS = {
    "init": (
        "recrepro.cli.init:init",
        "Write an experiment and a model to start from.",
    ),
    "run": (
        "recrepro.cli.run:run",
        "Run what is left of an experiment; print its leaderboard.",
    ),
    "check": (
        "recrepro.cli.check:check",
        "Check an experiment without running it; estimate its cost.",
    ),
    "check-model": (
        "recrepro.cli.check_model:check_model",
        "Check that a model keeps the contract, and say what to change.",
    ),
    "study": (
        "recrepro.cli.study:study",
        "Run a study of papers, and write the page of verdicts.",
    ),
    "status": (
        "recrepro.cli.status:status",
        "Say how far an experiment is, or all of a workspace.",
    ),
    "withdraw": (
        "recrepro.cli.withdraw:withdraw",
        "Take the result of a RUN out of all tables, for a reason.",
    ),
    "sync": (
        "recrepro.cli.sync:sync",
        "Send to MLflow the runs that it lacks.",
    ),
    "gc": (
        "recrepro.cli.gc:collect_garbage",
        "Delete caches and leftovers of a workspace, but no results.",
    ),
    "audit": (
        "recrepro.cli.audit:audit",
        "Audit the splits of an experiment, or of files, for leakage.",
    ),
    "split": (
        "recrepro.cli.split:split",
        "Write the splits of an experiment to FOLDER.",
    ),
    "leaderboard": (
        "recrepro.cli.leaderboard:leaderboard",
        "Print the leaderboard of what has been run so far.",
    ),
    "compare": (
        "recrepro.cli.compare:compare",
        "Test whether the models of an experiment differ.",
    ),
    "sensitivity": (
        "recrepro.cli.sensitivity:sensitivity",
        "Test tuned models again under other protocols.",
    ),
    "evaluate": (
        "recrepro.cli.evaluate:evaluate",
        "Score a RUN file of another program.",
    ),
    "merge": (
        "recrepro.cli.merge:merge",
        "Take finished results and trials from OTHER.",
    ),
    "pack": (
        "recrepro.cli.pack:pack",
        "Write what is unfinished in a workspace to one FILE.",
    ),
    "adopt": (
        "recrepro.cli.adopt:adopt",
        "Tie a workspace FOLDER to a ledger that does not know it.",
    ),
    "ui": (
        "recrepro.cli.ui:ui",
        "Open the MLflow UI on the runs of a workspace.",
    ),
    "cite": (
        "recrepro.cli.cite:cite",
        "Write results to a new folder DIR that can be cited.",
    ),
    "verify": (
        "recrepro.cli.verify:verify",
        "Check that nothing in a snapshot DIR was changed.",
    ),
    "report": (
        "recrepro.cli.report:report",
        "Write one web page with everything about an experiment.",
    ),
    "show": (
        "recrepro.cli.show:show",
        "Print the record of a RUN.",
    ),
    "reproduce": (
        "recrepro.cli.reproduce:reproduce",
        "Fit a RUN again and say whether the result is the same.",
    ),
    "export": (
        "recrepro.cli.export:export",
        "Write a bundle from which others can reproduce a RUN.",
    ),
    "ls": (
        "recrepro.cli.ls:list_",
        "List what an experiment can name, or describe one NAME.",
    ),
}
"""Where each command is, and the line that `recrepro --help` shows."""


class LazyGroup(click.Group):
    """Imports a command's module only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now, or None if the name is unknown."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, without importing any of them."""
        width = formatter.width - 6 - max(map(len, COMMANDS))
        rows = [
            (name, click.Command(name, help=COMMANDS[name][1]).get_short_help_str(width))
            for name in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="recrepro")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(*, debug: bool) -> None:
    """Ask whether a recommender is really better than well-tuned simple ones.

    \b
    recrepro init                         write an example to start from
    recrepro run experiment.toml          tune and test a grid of models
    recrepro leaderboard experiment.toml  print its table again
    recrepro ui                           look at the runs in MLflow
    """
    del debug  # read by `main`, which is what meets the errors
    failpoints.chosen()  # refuses a name that does not exist, before any work is done


def main() -> None:
    """Run the command line; every error becomes one message and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows ASCII only
    with guarded_output(sys.argv[1:], sys.stdout, sys.stderr):
        _call()


def _call() -> NoReturn:
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
    """End the process, at once if a thread still waits for another machine.

    Python would stop that thread in the middle of C++ code, which then aborts the process. What it
    leaves half done is made again by the next command.
    """
    if any(thread.name == THREAD for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    freeze()  # at its end, Python would look through all that was loaded: up to a second
    sys.exit(code)


def _message(error: Exception) -> str:
    if isinstance(error, RecreproError):
        return str(error)
    if isinstance(error, OSError) or type(error).__module__.startswith("sqlalchemy"):
        return (
            f"{first_line(error)}. Results that were committed are kept; free space or mend the "
            "folder, then run the same command again."
        )
    if isinstance(error, MemoryError):
        return (
            f"there is not enough memory: {size(available_bytes())} are available. Take fewer data "
            "or fewer jobs, or a larger machine."
        )
    if users_frame(error) is not None:
        return f"{blame(error)}. It happened in code that is not recrepro's."
    return (
        f"{type(error).__name__}: {error}. This is a fault of recrepro: please report it with "
        "what `recrepro --debug …` shows."
    )
