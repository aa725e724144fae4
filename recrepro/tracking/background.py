"""Copying to MLflow beside the run."""

import threading
from typing import Protocol, Self

from recrepro.compute.patience import THREAD


class Mirror(Protocol):
    """A copy of the ledger that can be brought up to date."""

    def sync(self) -> int:
        """Copy what is missing; return how much that was."""


class BackgroundMirror:
    """Brings MLflow up to date beside the run, so that a slow or dead server holds up nothing.

    A context: its thread starts with the first copy and ends with the context, in which an error or
    Ctrl-C leaves what is not copied yet to the next run.

    Parameters
    ----------
    mirror : Mirror
        What to call whenever a cell has ended.
    """

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._wanted = threading.Event()
        self._closing = False
        self._left = False
        self._working = False
        self._thread = threading.Thread(target=self._work, name=THREAD, daemon=True)
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        """Wait for something to copy."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread, after a copy that it is busy with; wait for nothing."""
        self._left = True
        self._wanted.set()

    @property
    def busy(self) -> bool:
        """Whether something is waiting to be copied or being copied."""
        return self._wanted.is_set() or self._working

    def poke(self) -> None:
        """Say that there may be something to copy."""
        self._wanted.set()
        if self._thread.ident is None:
            self._thread.start()

    def close(self, seconds: float | None = None) -> bool:
        """Copy what is left and stop.

        Parameters
        ----------
        seconds : float, optional
            How long to wait for it; by default to the end.

        Returns
        -------
        bool
            False if it still was not over. The thread then ends with the process; what it leaves
            half done is made again by the next copy.
        """
        self._closing = True
        self.poke()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            if self._left:
                return
            self._working = True
            # Cleared before the question whether it was the last time: a `close` in between
            # wakes us once more, instead of never.
            self._wanted.clear()
            last = self._closing
            try:
                self._mirror.sync()
                self.error = None
            except Exception as error:  # noqa: BLE001 - MLflow must not end a run
                self.error = error
            self._working = False
            if last:
                return
