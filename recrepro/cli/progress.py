"""What a running grid shows: a live display on a terminal, else a plain log."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from recrepro.run.events import EpochFinished, Event, Lost, StageBegun, TrialFinished
from recrepro.run.plan import Cell
from recrepro.run.titles import short_titles
from recrepro.text.words import count, duration


@dataclass
class _Running:
    """What is known of a running cell."""

    stage: str = "starting"
    finished: int = 0
    total: int | None = None
    share: float = 0.0
    best: float | None = None
    epoch: str = ""


@dataclass
class _Totals:
    """Counts over the grid, and what a trial costs."""

    cells: int
    trials: int
    done: int = 0
    skipped: int = 0
    failed: int = 0
    trials_done: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float | None:
        """Expected seconds to the end, from the pace so far; None while there is no pace."""
        elapsed = time.monotonic() - self.began
        if self.trials:
            share = self.trials_done / self.trials
        else:
            share = (self.done + self.failed) / max(self.cells - self.skipped, 1)
        return elapsed * (1 - share) / share if share > 0 else None


class Progress:
    """Shows what runs now, trials done, best so far and time left.

    Parameters
    ----------
    console : rich.console.Console
        A terminal gets a live display and a line for each finished cell; anything else gets
        lines only.
    cells : sequence of Cell
        The grid.
    n_trials : int
        Number of trials of all cells that are left, at most; 0 if it is not known.
    trials_of : callable
        The same of a cell.
    metric : str
        The selection metric.
    on_change : callable
        Called when a cell has started or ended.
    live : bool
        Whether a terminal may get a live display; no where a model or a debugger prints to it.
    """

    def __init__(
        self,
        console: Console,
        *,
        cells: Sequence[Cell],
        n_trials: int,
        trials_of: Callable[[Cell], int],
        metric: str,
        on_change: Callable[[], None],
        live: bool = True,
    ) -> None:
        self._console = console
        self._totals = _Totals(len(cells), n_trials)
        self._titles = short_titles(cells)
        self._trials_of = trials_of
        self._metric = metric
        self._on_change = on_change
        self._running: dict[str, tuple[Cell, _Running, float]] = {}
        self._live: Live | None = None
        self._may_be_live = live

    def __enter__(self) -> Self:
        if self._console.is_terminal and self._may_be_live:
            self._live = Live(
                get_renderable=self._render,
                console=self._console,
                transient=True,
                refresh_per_second=4,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def started(self, cell: Cell) -> None:
        """Take note of a cell that has been started."""
        self._running[cell.key] = (cell, _Running(), time.monotonic())
        self._on_change()
        if self._live is None:
            self._line("start", cell, "")

    def said(self, cell: Cell, event: Event) -> None:
        """Take note of a stage, a trial or an epoch."""
        _, state, _ = self._running[cell.key]
        match event.content:
            case Lost(reason=reason):
                del self._running[cell.key]
                self._totals.trials_done -= state.finished
                self._line("lost", cell, f"{reason}; goes on after its last trial")
            case StageBegun(stage=stage):
                state.stage, state.epoch = stage, ""
            case EpochFinished(epoch=epoch, values=values):
                told = "".join(f", {name} {value:.4g}" for name, value in values.items())
                state.epoch = f"epoch {epoch}{told}"
            case TrialFinished() as trial:
                state.stage, state.epoch = "tuning", ""
                self._totals.trials_done += trial.finished - state.finished
                state.finished, state.total, state.best = trial.finished, trial.total, trial.best
                quarter, state.share = int(4 * state.share), trial.share
                if self._live is None and int(4 * state.share) > quarter:
                    self._line("tune", cell, f"trial {_tried(state)}, {self._best(state)}")

    def ended(self, cell: Cell, reason: str | None) -> None:
        """Take note of a cell that is done, or failed for a reason."""
        _, state, began = self._running.pop(cell.key, (cell, _Running(), time.monotonic()))
        if reason is None:
            self._totals.done += 1
        else:
            self._totals.failed += 1
        self._totals.trials_done += self._trials_of(cell) - state.finished
        tried = f"{count(state.finished, 'trial')}, {self._best(state)}, " if state.finished else ""
        seconds = f"{time.monotonic() - began:.1f} s"
        self._line("done" if reason is None else "FAIL", cell, reason or f"{tried}{seconds}")
        self._on_change()

    def skipped(self, cell: Cell) -> None:
        """Take note of a cell that was done before."""
        del cell
        self._totals.skipped += 1

    def _best(self, state: _Running) -> str:
        return "" if state.best is None else f"best {self._metric} {state.best:.4f}"

    def _line(self, word: str, cell: Cell, text: str) -> None:
        totals = self._totals
        place = f"[{totals.done + totals.failed + totals.skipped}/{totals.cells}]"
        style = {"done": "green", "FAIL": "bold red"}.get(word, "dim")
        line = Text.assemble(
            (f"{place:>8} ", "dim"),
            (f"{word:<5} ", style),
            self._titles[cell.key],
            "  ",
            (text, "dim"),
        )
        self._console.print(line, soft_wrap=not self._console.is_terminal)

    def _render(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for cell, state, began in self._running.values():
            bar: RenderableType = Text(state.stage, style="dim")
            if state.stage == "tuning":
                bar = ProgressBar(total=1.0, completed=state.share, width=20)
            tried = _tried(state) if state.finished or state.total else ""
            seconds = f"{time.monotonic() - began:.0f} s"
            best = self._best(state)
            table.add_row(self._titles[cell.key], bar, tried, best, state.epoch, seconds)
        totals = self._totals
        left = totals.seconds_left
        foot = f"{totals.done + totals.skipped} of {totals.cells} cells done"
        foot += f" ({totals.skipped} before)" if totals.skipped else ""
        foot += f", {totals.failed} failed" if totals.failed else ""
        if totals.trials:
            foot += f", {totals.trials_done}/{totals.trials} trials"
        foot += "" if left is None else f", about {duration(left)} left"
        return Group(table, Text(foot, style="bold"))


def _tried(state: _Running) -> str:
    return f"{state.finished}/{state.total}" if state.total else f"{state.finished}"
