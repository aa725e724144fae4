"""Fail points: named places where a test ends the process at once, as a power failure does.

``RECREPRO_FAIL_AT=blob-stored`` kills the first process that reaches this place. With
``RECREPRO_FAIL_AT=blob-stored:2`` it survives the first pass and is killed on the second. Each
process counts its own passes. Without the variable, nothing happens.
"""

import os
import signal
from collections import Counter

from recrepro.errors import UnknownName, UsageError

VARIABLE = "RECREPRO_FAIL_AT"

POINTS = {
    "lease-taken": "a cell is leased, but not started",
    "split-drafted": "a split is written, but not at its final place",
    "trial-finished": "a trial is over, but not in the ledger",
    "trial-stored": "a trial is in the ledger, and its checkpoint is still there",
    "checkpoint-drafted": "a checkpoint is written, but not at its final place",
    "checkpoint-stored": "a checkpoint is at its final place",
    "opening-stored": "an opening is in the ledger, and the worker waits for its key",
    "key-received": "the worker has the key, but has not read the test part",
    "blob-drafted": "a blob is written, but not at its final place",
    "blob-stored": "a blob is at its final place, and no record names it",
    "record-pending": "a record is written in a transaction that is not committed",
    "record-committed": "a record is committed, and the worker has not cleaned up",
    "cell-done": "the coordinator has seen a result that MLflow lacks",
    "mlflow-store-drafted": "MLflow's database is made, but not at its final place",
    "mlflow-run-started": "MLflow has a cell's numbers, but not its trials",
    "mlflow-run-marked": "MLflow has all of a cell",
    "garbage-moved": "what `recrepro gc` deletes is out of the way, but not deleted",
    "snapshot-drafted": "a snapshot is written, but not at its final place",
}
"""State in which each fail point leaves the disk."""

_passes: Counter[str] = Counter()


def chosen() -> tuple[str, int] | None:
    """Return the fail point in the environment and the pass that ends the process, if any.

    Raises
    ------
    UsageError
        If there is no such fail point, or the pass is not a number from 1.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    name, colon, number = text.partition(":")
    if name not in POINTS:
        raise UnknownName(f"fail point in {VARIABLE}", name, POINTS)
    if colon and not (number.isdecimal() and int(number)):
        raise UsageError(f"{VARIABLE}={text!r}: {number!r} is not the number of a pass, from 1.")
    return name, int(number or 1)


def reach(name: str) -> None:
    """End the process if the environment says so."""
    fatal = chosen()
    if fatal is not None and fatal[0] == name:
        _passes[name] += 1
        if _passes[name] == fatal[1]:
            os.kill(os.getpid(), signal.SIGKILL)
