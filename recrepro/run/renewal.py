"""Leases that are renewed in time, whatever else the coordinator is busy with."""

import threading
from collections.abc import Mapping
from typing import Self

from recrepro.store.leases import LEASE_SECONDS
from recrepro.store.ledger import Ledger


class LeaseRenewal:
    """Renews leases in a thread of its own, as long as the context lasts.

    Drawing a split of a large data set, or computing metrics from kept rankings, may take the
    coordinator longer than a lease lasts.

    Parameters
    ----------
    ledger : Ledger
        The ledger that gave them.
    tokens : mapping of str to str
        Tokens of the leases that are held, by cell. The owner may change it at any time.
    seconds : float
        Time between two renewals.
    """

    def __init__(
        self, ledger: Ledger, tokens: Mapping[str, str], seconds: float = LEASE_SECONDS / 4
    ) -> None:
        self._ledger, self._tokens, self._seconds = ledger, tokens, seconds
        self._over = threading.Event()
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._renew, name="lease renewal", daemon=True)

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Raise what has kept the leases from being renewed, such as a server that is gone."""
        if self._problem is not None:
            raise self._problem

    def _renew(self) -> None:
        while self._problem is None and not self._over.wait(self._seconds):
            try:
                self._ledger.renew(list(self._tokens.values()))
            except Exception as error:  # noqa: BLE001 - the main thread raises it
                self._problem = error
