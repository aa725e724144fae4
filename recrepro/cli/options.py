"""Arguments and options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from recrepro.compute.memory import parse_bytes

experiment_argument = click.argument("experiment", type=click.Path(path_type=Path))


_workspace = click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    default="recrepro-runs",
    show_default=True,
    envvar="RECREPRO_WORKSPACE",
    show_envvar=True,
    help="Folder that keeps results, splits and the MLflow store.",
)


LEDGER = "recrepro.cli.ledger"
"""Where click keeps the address for the time of a command."""


def _keep_address(context: click.Context, _: click.Parameter, url: str | None) -> None:
    context.meta[LEDGER] = url


ledger_option = click.option(
    "--ledger",
    metavar="URL",
    envvar="RECREPRO_LEDGER",
    show_envvar=True,
    expose_value=False,
    callback=_keep_address,
    help="Ledger on PostgreSQL: postgresql://USER@HOST/DATABASE.  [default: in the workspace]",
)


Command = TypeVar("Command", bound=Callable[..., Any])


def workspace_option(command: Command) -> Command:
    """Add --workspace to a command, and --ledger, for which there is `ledger_url`."""
    return _workspace(ledger_option(command))


def ledger_url() -> str | None:
    """Return the address of the ledger, if it is not the one in the workspace."""
    url: str | None = click.get_current_context().meta.get(LEDGER)
    return url


data_option = click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path),
    envvar="RECREPRO_DATA",
    show_envvar=True,
    help="Folder with local copies of data sets; used before anything is downloaded.",
)


mlflow_option = click.option(
    "--mlflow",
    "uri",
    metavar="URI",
    help="Read the results from this MLflow server or database, not from the workspace.",
)


class _Size(click.ParamType[int]):
    """A number of bytes, with its unit."""

    name = "size"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read it, or say what is wrong with it."""
        try:
            return value if isinstance(value, int) else parse_bytes(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Threads(click.ParamType[int | Literal["auto"]]):
    """A number from 1, or ``auto``."""

    name = "integer"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | Literal["auto"]:
        """Read it, or say what is wrong with it."""
        if value == "auto":
            return "auto"
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value!r} is neither a whole number from 1 nor 'auto'.", param, ctx)
        return int(value)


jobs_option = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Models tuned side by side, each in a process of its own.  [default: one a core]",
)


threads_option = click.option(
    "--threads",
    type=_Threads(),
    metavar="INTEGER|auto",
    default=1,
    show_default=True,
    help="Threads of the numeric libraries in each process; auto divides the cores by the jobs. "
    "Results are equal to the bit only for equal numbers.",
)


memory_option = click.option(
    "--memory",
    type=_Size(),
    metavar="SIZE",
    help="What the processes may need together, such as 8GB; more are not started.  "
    "[default: 80 % of what is available]",
)


def format_option(*names: str) -> Callable[[Command], Command]:
    """Return the option --format: text, or one of the named formats."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["text", *names]),
        default="text",
        show_default=True,
        help="How to write it.",
    )


run_argument = click.argument("run")


some_experiment = click.argument(
    "experiment", type=click.Path(path_type=Path), required=False, metavar="[EXPERIMENT]"
)
