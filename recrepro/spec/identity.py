"""What decides a cell's numbers: its identity, and the part of it that results must share."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from recrepro.spec.budget import Budget
from recrepro.spec.canonical import canonical_hash

HARNESS_VERSION = 6
"""Part of a cell's identity; bumped whenever the harness can give other numbers than before."""

SEARCH = (
    "data",
    "executor",
    "external",
    "features",
    "harness",
    "model",
    "ranking",
    "split",
    "tuning",
)
"""The part of an identity that decides which trials a search makes, whatever its budget."""

PROTOCOL = ("data", "split", "metrics", "ranking", "harness")
"""What two results must share in their identities to stand in one table, but for seed and fold."""


class Plain(BaseModel):
    """Base of what is stored as JSON: immutable, and without keys that nobody has declared."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, ser_json_inf_nan="constants"
    )

    def to_json(self) -> dict[str, Any]:
        """Return plain values, without what was not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class DataIdentity(Plain):
    """The data: the fingerprint of their content, and the steps that led to it."""

    fingerprint: str
    preprocessing: list[dict[str, Any]]


class SplitIdentity(Plain):
    """What decides the content of a split."""

    candidates: int | Literal["full", "published"]
    data: str
    fold: int
    options: dict[str, Any]
    sampling: str
    seed: int
    strategy: str
    train_filters: list[dict[str, Any]]
    version: int

    @property
    def key(self) -> str:
        """Hash of the split, by which the workspace finds it."""
        return canonical_hash(self.to_json())


class ModelIdentity(Plain):
    """The model: its version, its fixed hyperparameters and the ranges of the others.

    A model that is not recrepro's own also has the fingerprint of its code, and the SHA-256 of
    each file that its hyperparameters name.
    """

    code: str | None = None
    files: dict[str, str] | None = None
    name: str
    params: dict[str, Any]
    space: dict[str, dict[str, Any]]
    version: int


class FitIdentity(Plain):
    """The final fit: its seed, and the budget that decides which trial is chosen for it.

    A model that is not tuned has no trials, one in which nothing is searched has one. `seconds` is
    None where time does not limit the search. `number` is the place of the fit among several after
    the same search; it is not set for the first.
    """

    number: int | None = None
    seconds: float | None
    seed: int
    trials: int | None


class ExternalIdentity(Plain):
    """A run file of another program."""

    name: str
    sha256: str


class Identity(Plain):
    """All that decides the numbers of a cell, or of a run file that was scored like one.

    It has three parts, and a change of one keeps what the parts before it have given:

    - the search (`SEARCH`): which trials are made, in their order;
    - the final fit (`fit`, and `validation` in `ranking`): which of them is chosen, the seed of its
      fit, and whether it learns from the validation part;
    - scoring (`metrics`, `hindsight`): what is computed from the fitted model's ranking.

    A cell has `model`, `tuning` (None if nothing is searched) and `fit`, a run file has `external`.
    `features` holds the fingerprints of the feature sets of models that need some. `executor` is
    "inline" where the model runs in the caller's process: see `inline`.
    """

    data: DataIdentity
    executor: Literal["inline"] | None = None
    external: ExternalIdentity | None = None
    features: dict[str, str] | None = None
    fit: FitIdentity | None = None
    harness: int
    hindsight: bool = False
    metrics: list[str]
    model: ModelIdentity | None = None
    ranking: dict[str, Any]
    split: SplitIdentity
    tuning: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        """The key of the cell: the hash of its identity."""
        return canonical_hash(self.to_json())

    @property
    def search_key(self) -> str:
        """Hash of the search, which cells with other budgets and metrics share."""
        whole = {k: v for k, v in self.to_json().items() if k in SEARCH}
        whole["ranking"] = {k: v for k, v in self.ranking.items() if k != "validation"}
        return canonical_hash(whole)

    def fit_key(self, params: Mapping[str, Any]) -> str:
        """Return the hash of a final fit, which cells with other metrics share.

        Parameters
        ----------
        params : mapping of str to object
            The final hyperparameters, as plain values.
        """
        seed = None if self.fit is None else self.fit.seed
        whole = {"search": self.search_key, "params": dict(params), "seed": seed}
        if self.fit is not None and self.fit.number is not None:
            whole["number"] = self.fit.number
        if "validation" in self.ranking:
            whole["validation"] = self.ranking["validation"]
        return canonical_hash(whole)

    @property
    def is_inline(self) -> bool:
        """True for a cell that runs in the caller's process."""
        return self.executor == "inline"

    def inline(self) -> "Identity":
        """Return the identity that a cell has when its model runs in the caller's process.

        Nothing made that way is for publication: the model runs beside the keys of the test part,
        with the caller's threads and hash seed. With an identity, and so a key, of its own it
        shares no trial, checkpoint or record with the cell that it stands for.
        """
        return Identity.model_validate(self.to_json() | {"executor": "inline"})

    def published(self) -> "Identity":
        """Return the identity of the cell that an inline one stands for."""
        return Identity.model_validate({k: v for k, v in self.to_json().items() if k != "executor"})

    @property
    def budget(self) -> Budget:
        """What the search may spend: no trials where there is none."""
        if self.fit is not None:
            return Budget(self.fit.trials, self.fit.seconds)
        if self.tuning is None or self.model is None:
            return Budget(0)
        # Up to harness 3, whose workspaces can still be read, the budget was part of the rules.
        trials = self.tuning.get("trials") if self.model.space else 1
        return Budget(trials, self.tuning.get("seconds"))

    @property
    def protocol(self) -> dict[str, Any]:
        """What results must share to be compared, as plain values.

        That is data, split but for seed and fold, metrics, ranking and harness.
        """
        whole = self.to_json()
        split = {k: v for k, v in whole["split"].items() if k not in ("seed", "fold")}
        return {part: whole[part] for part in PROTOCOL} | {"split": split}

    @property
    def protocol_fingerprint(self) -> str:
        """Hash of the protocol, the same for all seeds, folds and models of a table."""
        return canonical_hash(self.protocol)


def differences(one: Any, other: Any, place: str = "") -> Iterator[str]:
    """Name the places where plain values differ, such as ``split.options.k``."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in dict.fromkeys([*one, *other]):
            here = f"{place}.{key}" if place else str(key)
            yield from differences(one.get(key), other.get(key), here)
    elif one != other:
        yield place
