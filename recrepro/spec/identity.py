"""What decides a cell's numbers: its identity, and the part of it that results must share."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from recrepro.spec.canonical import canonical_hash

HARNESS_VERSION = 3
"""Part of a cell's identity; bumped whenever the harness can give other numbers than before."""


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
    """The model: its version, its fixed hyperparameters and the ranges of the others."""

    name: str
    params: dict[str, Any]
    space: dict[str, dict[str, Any]]
    version: int


class ExternalIdentity(Plain):
    """A run file of another program."""

    name: str
    sha256: str


class Identity(Plain):
    """All that decides the numbers of a cell, or of a run file that was scored like one.

    A cell has `model` and `tuning` (None if nothing is searched), a run file has `external`.
    `features` holds the fingerprints of the feature sets of models that need some. `executor` is
    "inline" where the model runs in the caller's process: see `inline`.
    """

    data: DataIdentity
    executor: Literal["inline"] | None = None
    external: ExternalIdentity | None = None
    features: dict[str, str] | None = None
    harness: int
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
    def search_budget(self) -> tuple[int | None, float | None]:
        """Trials and seconds of the search; None stands for no limit.

        A cell that is not tuned has no trials, one in which nothing is searched has one.
        """
        if self.tuning is None or self.model is None:
            return 0, None
        return self.tuning.get("trials") if self.model.space else 1, self.tuning.get("seconds")

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
