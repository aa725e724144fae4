"""What is kept in mind of a trial while it runs: its clock, its best look, and what it came to."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Best:
    """The best look at a trial so far, and how many looks after it were no better.

    `compared` validates the model of that look on what trials are compared on, if that is more.
    """

    metric: str
    metrics: dict[str, float] | None = None
    epoch: int = 0
    misses: int = 0
    compared: Callable[[], dict[str, float]] | None = None

    def look(self, metrics: dict[str, float], epoch: int) -> bool:
        """Take note of a look; say whether it is better than those before it."""
        if self.metrics is not None and metrics[self.metric] <= self.metrics[self.metric]:
            self.misses += 1
            return False
        self.metrics, self.epoch, self.misses = metrics, epoch, 0
        return True

    def resume(self, kept: tuple[dict[str, float], int] | None, misses: int) -> None:
        """Go on from what an interrupted training has kept."""
        if kept is not None:
            self.metrics, self.epoch = kept
        self.misses = misses


class Clock:
    """Seconds of a trial, those before an interruption included."""

    def __init__(self, before: float) -> None:
        self._before = before
        self._began = time.perf_counter()

    def add(self, seconds: float) -> None:
        """Count seconds from before an interruption."""
        self._began -= seconds

    @property
    def own(self) -> float:
        """Of the trial."""
        return time.perf_counter() - self._began

    @property
    def all(self) -> float:
        """Of the search."""
        return self._before + self.own


@dataclass(frozen=True)
class End:
    """What a trial came to: its best metrics and their epoch, and why it ended early, if so."""

    metrics: dict[str, float]
    epoch: int | None = None
    pruned: str = ""
    stopped: int | None = None
