"""Openings of the test part, as records and the ledger tell of them."""

from dataclasses import dataclass

from recrepro.store.schema import Reason


@dataclass(frozen=True)
class Opening:
    """One opening, or a refused attempt at one: when, in seconds since 1970, and why."""

    at: float
    reason: Reason
