"""Calls to other machines that are given up once they get nowhere.

The timeouts of network libraries are for one read: a server that sends a byte in time, again and
again, is waited for without end.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

THREAD = "recrepro-waits"
"""Name of threads that may wait for another machine for ever; they do not hold up the process."""

Answer = TypeVar("Answer")


class GivenUp(Exception):
    """A call that got nowhere in its time."""


def call_patiently(
    work: Callable[[], Answer],
    seconds: float,
    progress: Callable[[], float] = lambda: 0,
    least: float = 1,
) -> Answer:
    """Return what a call returns, unless it takes too long or gets on too slowly.

    Parameters
    ----------
    work : callable
        The call. It runs in a thread that ends with the process: if it is given up, it goes on
        until the other machine lets it, and must do no harm then.
    seconds : float
        Time within which it must end, or get on.
    progress : callable, optional
        Returns how far the call is. By default it has to end in time.
    least : float
        How far it must get in each such time.

    Raises
    ------
    GivenUp
        If it has not.
    """
    outcome: Future[Answer] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
            outcome.set_exception(error)

    threading.Thread(target=run, name=THREAD, daemon=True).start()
    reached = progress()
    while not wait([outcome], seconds).done:
        before, reached = reached, progress()
        if reached - before < least:
            raise GivenUp
    return outcome.result()
