"""The console that commands print to."""

import os
import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from recrepro.cli.output import raw
from recrepro.text.clean import clean

PIPE_WIDTH = 160
"""Columns of a table that does not go to a terminal."""


class _PlainConsole(Console):
    """Prints what it is given: names such as ``ndcg[recsys2019]`` are no markup.

    Control characters of texts are replaced here, because those of colours come after.
    """

    def __init__(self, width: int | None = None) -> None:
        file = raw(sys.stdout)
        super().__init__(file=file, highlight=False, markup=False, emoji=False, width=width)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the parts of what is printed, with clean texts."""
        for part in super().render(renderable, options):
            yield part if part.control else Segment(clean(part.text), part.style)

    def on_broken_pipe(self) -> None:
        """Go on in silence: whoever reads `recrepro run | head` has seen enough, not the run."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_console() -> Console:
    """Return a console on standard output; a pipe or a file gets wide lines."""
    console = _PlainConsole()
    return console if console.is_terminal else _PlainConsole(width=PIPE_WIDTH)
