"""What is said of a cell that runs: by its process, as lines of JSON, and of its end."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from recrepro.spec.identity import Plain


class StageBegun(Plain):
    """A stage begins: the final fit, the test, hindsight."""

    event: Literal["stage"] = "stage"
    stage: str


class TrialFinished(Plain):
    """A trial is in the ledger, or the search goes on after those that are.

    `share` is the spent part of the budget, `total` None where only time limits the search.
    """

    event: Literal["trial"] = "trial"
    finished: int
    total: int | None
    share: float
    best: float | None
    seconds: float | None = None


class EpochFinished(Plain):
    """An epoch of a training is over; `values` is what the model reports of it."""

    event: Literal["epoch"] = "epoch"
    epoch: int
    values: dict[str, float]


class Failed(Plain):
    """The cell failed."""

    event: Literal["failed"] = "failed"
    reason: str


class FitKnown(Plain):
    """The search is over, and another cell has kept the rankings of the fit it has chosen."""

    event: Literal["fit known"] = "fit known"


class UnsealAsked(Plain):
    """The final model is fitted: the key of the test part is asked for."""

    event: Literal["unseal"] = "unseal"


class BlobWritten(Plain):
    """A blob waits to be fetched, where the coordinator does not see the workspace."""

    event: Literal["blob"] = "blob"
    sha256: str


class Exited(Plain):
    """The cell's process has ended."""

    event: Literal["exit"] = "exit"
    code: int


class Lost(Plain):
    """The cell's machine has gone, or its worker: the cell may be started again."""

    event: Literal["lost"] = "lost"
    reason: str


Said = StageBegun | TrialFinished | EpochFinished | FitKnown | Failed | UnsealAsked | BlobWritten
"""What a cell's process may say; anything else on its standard output is ignored."""

SAID: TypeAdapter[Said] = TypeAdapter(Annotated[Said, Field(discriminator="event")])


@dataclass(frozen=True)
class Event:
    """Something that a cell's process said, or its end."""

    cell: str
    content: Said | Exited | Lost
