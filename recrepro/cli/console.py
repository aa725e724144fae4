"""The console that commands print to."""

import os
import sys

from rich.console import Console

PIPE_WIDTH = 160
"""Columns of a table that does not go to a terminal."""


class _PlainConsole(Console):
    """Prints what it is given: names such as ``ndcg[recsys2019]`` are no markup."""

    def __init__(self, width: int | None = None) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, width=width)

    def on_broken_pipe(self) -> None:
        """Go on in silence: whoever reads `recrepro run | head` has seen enough, not the run."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_console() -> Console:
    """Return a console on standard output; a pipe or a file gets wide lines."""
    console = _PlainConsole()
    return console if console.is_terminal else _PlainConsole(width=PIPE_WIDTH)


def without_control_characters(text: str) -> str:
    """Replace what would steer a terminal: a record may come from a stranger."""
    return "".join(c if c.isprintable() else "�" for c in text)
