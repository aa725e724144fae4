"""A record: what is written down of a cell when it is done, or of a run file when it is scored.

Longer than 350 lines: one schema, to be read from top to bottom.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, RootModel, ValidationError, field_validator

from recrepro.errors import DataError
from recrepro.spec.explain import explain
from recrepro.spec.identity import Identity, Plain
from recrepro.spec.shape import misshapen
from recrepro.store.names import CellName
from recrepro.store.openings import Opening
from recrepro.text.words import audit_in_words

LONGEST_FAULT = 500
"""Characters of a message on what is wrong with a record, which may quote much of it."""

State = Literal["tuned", "searched", "fixed", "untuned", "parameter-free", "external"]
"""How the hyperparameters of a result came about."""

STATES: tuple[State, ...] = (
    "external",
    "untuned",
    "fixed",
    "searched",
    "tuned",
    "parameter-free",
)
"""All states, from the one that says least for a result."""

FEWEST_TRIALS = 5
"""Complete trials from which on a model counts as tuned."""

Moment = Annotated[float, Field(ge=0, lt=2**37)]
"""Seconds since 1970, of a year with four digits."""

Count = Annotated[int, Field(ge=0, lt=2**63)]

MOST_THREADS = 4_096
"""Threads of the numeric libraries; the largest machines have hundreds of cores."""

Threads = Annotated[int, Field(ge=1, le=MOST_THREADS)]

Curve = list[dict[str, int | float]]
"""One row for each epoch: its number, which stays an int, and what was reported after it."""


@dataclass(frozen=True)
class Trial:
    """One tried configuration.

    Parameters
    ----------
    number : int
        Place in the search, from 0.
    params : dict
        Values of the searched hyperparameters; fixed ones are not repeated.
    state : {"complete", "pruned", "failed"}
        Pruned and failed trials count against the budget like any other, and are never chosen.
    value : float or None
        Validation value of the selection metric; of a pruned trial the best before it ended.
    metrics : dict of str to float
        All validation metrics.
    epochs : int or None
        Best epoch of an iterative model.
    reason : str
        Cause of a failure or of pruning.
    seconds : float
        Wall time of fit and validation, with that before an interruption.
    curve : list of dict
        For an iterative model, the number of each epoch and what the model reported, with the
        validation metrics of those epochs after which it was evaluated.
    stopped : int or None
        The epoch that ended the trial because the search had spent its seconds.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    number: Count
    params: dict[str, Any]
    state: Literal["complete", "pruned", "failed"]
    value: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    epochs: int | None = None
    reason: str = ""
    seconds: float = 0.0
    curve: Curve = field(default_factory=list)
    stopped: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return all fields as plain values."""
        return asdict(self)


class _Trials(RootModel[list[Trial]]):
    """What `read_trials` reads."""


def read_trials(content: Any, place: str) -> list[Trial]:
    """Read trials from what `Trial.to_json` has written.

    Parameters
    ----------
    content : list
        Plain values.
    place : str
        Where they were found, for the message of the error.

    Raises
    ------
    DataError
        If they are no trials.
    """
    try:
        return _Trials.model_validate(content).root
    except ValidationError as error:
        problem, _, _ = explain(error, _Trials, f"{place} is no trial").partition("\n")
        raise DataError(problem[:LONGEST_FAULT]) from error


class CodeState(Plain):
    """State of a git checkout: commit, whether files differ from it, and a hash of how.

    All are None for code that is in no checkout, such as an installed package.
    """

    commit: str | None
    dirty: bool | None
    diff: str | None


class RecordedCode(Plain):
    """Where the code of a model that is not recrepro's own is from.

    `place` is its class as an experiment names it, or its package with the version; `repository`
    is the state of the checkout that it lies in.
    """

    place: str
    fingerprint: str
    repository: CodeState


class RecordedModel(Plain):
    """The model as it was tested: its final hyperparameters and how they came about.

    `family` says where it is from: recrepro's baselines ("simple") or neural models, other code
    ("custom"), or a run file ("external"). `role` is that of the experiment it was run in;
    records of harness 3 and before have none. `deterministic` is true for a model whose fit does
    not depend on its seed. `uses` is what it learned from besides who interacted with what.
    """

    name: str
    family: Literal["simple", "neural", "custom", "external"]
    role: Literal["baseline", "judged"] | None = None
    version: int | None
    params: dict[str, Any]
    status: Literal["tuned", "fixed", "untuned", "parameter-free", "external"]
    notes: list[str] = Field([])
    code: RecordedCode | None = None
    deterministic: bool = False
    uses: list[Literal["order", "times", "item features", "user features"]] = Field([])


class RecordedSearch(Plain):
    """What the search of a cell came to."""

    metric: str
    trials: Count
    failed: Count
    pruned: Count
    seconds: float
    stopped: int | None
    best: Trial
    at_edge: list[str]

    @property
    def complete(self) -> int:
        """Trials that were neither pruned nor failed."""
        return self.trials - self.failed - self.pruned

    @field_validator("best")
    @classmethod
    def _was_chosen(cls, best: Trial) -> Trial:
        if best.state != "complete" or best.value is None:
            raise ValueError("only a complete trial with a value can be the best")
        return best


class RecordedDefinition(Plain):
    """The formula of a metric in one line."""

    id: str
    formula: str


class ActivityGroup(Plain):
    """Means over users of like activity, between two numbers of interactions."""

    activity: tuple[int, int]
    users: int
    means: dict[str, float]


class PopularityGroup(Plain):
    """Share of the held-out interactions with items of like popularity that are found."""

    group: str
    items: int
    held_out: int
    recall: dict[str, float]


class Groups(Plain):
    """Results by activity of users and by popularity of items."""

    activity: list[ActivityGroup] = Field([])
    popularity: list[PopularityGroup] = Field([])


class PartSize(Plain):
    """Counts of one part of a split."""

    users: int
    items: int
    interactions: int


class AuditFinding(Plain):
    """One finding of the leakage audit."""

    id: str
    severity: Literal["leaking", "suspicious", "note"]
    users: int
    interactions: int
    message: str
    details: dict[str, Any]


class RecordedAudit(Plain):
    """The outcome of the leakage audit of a split."""

    version: int
    verdict: Literal["leaking", "suspicious", "clean"]
    promise: str | None = None
    checks: list[str] = Field([])
    features: dict[str, str] = Field({})
    findings: list[AuditFinding]
    popularity: dict[str, Any]

    @property
    def words(self) -> str:
        """The verdict as people read it."""
        return audit_in_words(self.verdict, len(self.checks))


class SplitFacts(Plain):
    """What is known of a split without opening it."""

    users: int
    items: int
    parts: dict[str, PartSize]
    dropped: dict[str, int]
    sampled: bool
    fingerprint: str
    audit: RecordedAudit
    files: dict[str, int] = Field({})


class Lap(Plain):
    """Wall and processor seconds of one stage of a cell."""

    wall_s: float
    cpu_s: float | None = None


class Provenance(Plain):
    """Where a number was made: code, packages, machine."""

    recrepro: str
    code: CodeState
    python: str
    packages: dict[str, str]
    locks: dict[str, str | None]
    system: str
    processor: str
    cores: Count | None
    memory_bytes: Count
    threads: Threads
    thread_pools: list[dict[str, Any]]
    gpus: list[dict[str, str]]


class RecordedRankings(Plain):
    """The locked file with rankings of held-out items, and how long its lists are."""

    sha256: str
    depth: int


class Hindsight(Plain):
    """What looking at the test part would have gained: see `recrepro.tuning.hindsight`."""

    metric: str
    epoch: int
    value: float | None
    best_epoch: int | None
    best_value: float | None
    epochs: int | None
    gain: float | None
    curve: Curve = Field([])
    reason: str


class Record(Plain):
    """What is written down of a done cell.

    Parameters
    ----------
    schema_version : 3
        Version of this form; called ``schema`` in JSON. Results of harness 3 and before have 2.
    cell : str
        Key of the cell: the hash of its identity.
    result_digest : str
        Hash of hyperparameters, metrics and values of users, bit for bit.
    name : CellName
        Names of its parts in the experiment; called ``titles`` in JSON.
    identity : Identity
        All that decides the numbers.
    protocol : str
        Fingerprint of what results must share to be compared.
    experiment, base : dict, str
        The experiment file with this cell only, and the folder that its file names start from;
        None for a run file.
    model : RecordedModel
        The final model.
    tuning : RecordedSearch or None
        The search; None if there was none.
    curve : list of dict
        Epochs of the final fit.
    metrics, definitions : dict
        Values on test, and the formulas, by name of the metric.
    users, users_without_holdout : int
        Evaluated users, and those with nothing held out.
    groups : Groups
        Results by activity and by popularity.
    sampled : bool
        True where held-out items were ranked against sampled negatives.
    split : SplitFacts
        Sizes and audit of the split.
    openings : list of Opening
        Openings of the test part up to this result.
    per_user : str
        SHA-256 of the Parquet file with the values of each user.
    times : dict of str to Lap
        Seconds by stage.
    energy_joules : float or None
        Energy of the processor package where the system tells it.
    peak_memory_bytes : int
        Largest resident size of the process.
    started_at, ended_at : float
        Seconds since 1970.
    provenance : Provenance
        Code, packages and machine.
    hindsight : Hindsight or None
        Gain of choosing epochs on the test part, if it was asked for.
    weights : str or None
        SHA-256 of what the final model has learned, if it was kept.
    fit : str or None
        Key of the final fit, which cells with other metrics share.
    rankings : RecordedRankings or None
        The rankings of held-out items, from which other metrics can be computed.
    rescored : str or None
        Key of the cell whose rankings the metrics were computed from, if it was another one.
    """

    schema_version: Literal[2, 3] = Field(alias="schema")
    cell: str
    result_digest: str
    name: CellName = Field(alias="titles")
    identity: Identity
    protocol: str
    experiment: dict[str, Any] | None = None
    base: str | None = None
    model: RecordedModel
    tuning: RecordedSearch | None
    curve: Curve = Field([])
    metrics: dict[str, float]
    definitions: dict[str, RecordedDefinition]
    users: Count
    users_without_holdout: Count
    groups: Groups
    sampled: bool
    split: SplitFacts
    openings: list[Opening] = Field([])
    per_user: str
    times: dict[str, Lap]
    energy_joules: float | None = None
    peak_memory_bytes: Count
    started_at: Moment
    ended_at: Moment
    provenance: Provenance
    hindsight: Hindsight | None = None
    weights: str | None = None
    fit: str | None = None
    rankings: RecordedRankings | None = None
    rescored: str | None = None
    confined_by: list[Literal["audit hook", "landlock"]] = Field([])

    @property
    def state(self) -> State:
        """How the hyperparameters came about.

        One trial is no search, and one of fewer than `FEWEST_TRIALS` complete trials is not tuning.
        """
        if self.model.status != "tuned" or self.tuning is None:
            return self.model.status if self.model.status != "tuned" else "untuned"
        if self.tuning.complete < FEWEST_TRIALS:
            return "searched" if self.tuning.complete > 1 else "untuned"
        return "tuned"

    @classmethod
    def read(cls, content: str | bytes, place: str) -> "Record":
        """Read a record from JSON.

        Parameters
        ----------
        content : str or bytes
            The JSON text.
        place : str
            Where it was found, for the message of the error.

        Raises
        ------
        DataError
            If it is no record, or one of another schema.
        """
        try:
            found = json.loads(content)
            if (wrong := misshapen(found, by_hand=False)) is not None:
                raise DataError(f"{place} is no record of recrepro: {wrong[1]}")
            return cls.model_validate(found)
        except ValidationError as error:
            problem, _, _ = explain(error, cls, f"{place} is no record of recrepro").partition("\n")
            raise DataError(problem[:LONGEST_FAULT]) from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place} is no record: it is not JSON ({error}).") from error

    @property
    def otherwise(self) -> list[str]:
        """Names of hyperparameters that the model has otherwise than the best trial."""
        if self.tuning is None:
            return []
        best = self.tuning.best
        chosen = best.params if best.epochs is None else {**best.params, "epochs": best.epochs}
        params = self.model.params
        return [n for n, value in chosen.items() if n not in params or params[n] != value]

    def dumps(self, indent: int | None = None) -> str:
        """Write as JSON."""
        return json.dumps(self.to_json(), indent=indent, ensure_ascii=indent is None)
