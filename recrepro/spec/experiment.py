"""The schema of an experiment file, its canonical form and its hash.

An experiment is a grid: every data set x every split (and seed) x every model. This module knows
the shape of the file only; whether a model or split of that name exists is for the registries.

Longer than 350 lines: the whole schema of an experiment file, to be read from top to bottom.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tomli_w
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from recrepro.durable import new_file
from recrepro.errors import UsageError
from recrepro.space import Choice, IntRange, LogUniform, Range, Uniform
from recrepro.spec.budget import Budget
from recrepro.spec.canonical import canonical_hash
from recrepro.spec.explain import FaultElsewhere, refusal
from recrepro.spec.read import read_toml
from recrepro.spec.remedies import NAME_PATTERN

MOST_LISTED = 1_000
"""Data sets, filters, features, splits, seeds, models and metrics in a list: each is work."""

Name = Annotated[str, Field(pattern=NAME_PATTERN)]

T = TypeVar("T")

Scalar = str | int | float | bool | None


MOST_FITS = 100
"""Final fits of one search."""


class TomlTable(BaseModel):
    """Base of every table in an experiment file: immutable, strictly typed, no unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


def first_repeat(values: Iterable[T]) -> T | None:
    """Return the first of the values that are listed more than once."""
    return next((value for value, times in Counter(values).items() if times > 1), None)


def _refuse_repeats(kind: str, values: Iterable[object]) -> None:
    """Raise ValueError if one of the values, which messages call `kind`, is listed twice."""
    if (twice := first_repeat(values)) is not None:
        raise ValueError(f"the {kind} {twice!r} is listed twice: take one away")


class SyntheticSpec(TomlTable):
    """Parameters of the generator behind an offline data set."""

    users: PositiveInt
    items: PositiveInt
    interactions: PositiveInt
    seed: NonNegativeInt = 0


class _Optioned(TomlTable):
    """A name from a registry, with options that what bears the name checks itself."""

    model_config = ConfigDict(extra="allow")

    name: Name

    @model_validator(mode="after")
    def _finite_options(self) -> "_Optioned":
        for name, value in self.options.items():
            if isinstance(value, float) and not isfinite(value):
                raise ValueError(f"the option {name!r} must be a finite number, but got {value}")
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The options, as written."""
        return dict(self.model_extra or {})


class FilterSpec(_Optioned):
    """A filter and its options."""


class FeatureSpec(TomlTable):
    """A file of side information: what is known of users or items.

    `layout` is ``"columns"``: a line a user or item, its label first, and below each other column's
    name what it is, several values separated by ``|``; or ``"pairs"``: a line for each label and
    feature, and how much of it if there is a third column. Columns that `numeric` names stay
    numbers; of the others, each value is a feature. `links` says that the features in pairs are
    users or items themselves.
    """

    side: Literal["user", "item"]
    name: Name
    file: str
    layout: Literal["columns", "pairs"] = "columns"
    columns: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    links: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> "FeatureSpec":
        if self.layout == "columns" and self.links:
            raise ValueError("'links' goes with layout = 'pairs'")
        if self.layout == "pairs" and (self.columns or self.numeric):
            raise ValueError("'columns' and 'numeric' go with layout = 'columns'")
        return self


class DatasetSpec(TomlTable):
    """Where interactions come from, and what is done to them before the split.

    Either `name` is one that ``recrepro ls datasets`` lists, or one of `file`, `train` with
    `test`, or `synthetic` says where they are and `name` is free. With `session_gap`, in seconds,
    each session of a user takes the place of a user.
    """

    name: Name
    file: str | None = None
    train: str | None = None
    test: str | None = None
    validation: str | None = None
    negatives: str | None = None
    format: str | None = None
    columns: dict[Literal["user", "item", "value", "time"], str] = {}
    synthetic: SyntheticSpec | None = None
    duplicates: Literal["last", "first", "max", "sum", "error"] = "last"
    min_value: float | None = None
    filters: Annotated[tuple[FilterSpec, ...], Field(max_length=MOST_LISTED)] = ()
    values: Literal["binary", "keep"] = "binary"
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    session_gap: PositiveFloat | None = None
    features: Annotated[tuple[FeatureSpec, ...], Field(max_length=MOST_LISTED)] = ()

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out later keys that are not given: what was run before keeps its hash."""
        later = ("features", "session_gap", "time_unit")
        return {k: v for k, v in write(self).items() if v or k not in later}

    @property
    def own_files(self) -> list[str]:
        """Names of the files that are read for it, relative to the experiment's folder."""
        parts = (self.file, self.train, self.test, self.validation, self.negatives)
        found = [*parts, *(features.file for features in self.features)]
        return [name for name in found if name is not None]

    @model_validator(mode="after")
    def _distinct_features(self) -> "DatasetSpec":
        _refuse_repeats("feature set", tuple(f"{f.side} {f.name}" for f in self.features))
        return self

    @model_validator(mode="after")
    def _one_source(self) -> "DatasetSpec":
        given = [k for k in ("file", "train", "synthetic") if getattr(self, k) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of 'file', 'train' and 'synthetic', not {given}")
        if (self.train is None) != (self.test is None):
            raise ValueError("'train' and 'test' go together")
        for name in ("validation", "negatives"):
            if getattr(self, name) is not None and self.test is None:
                raise ValueError(f"{name!r} needs 'train' and 'test'")
        if self.session_gap is not None and (self.train or self.synthetic):
            raise ValueError(
                "'session_gap' goes with 'file' or a named data set: published parts and made-up "
                "data have no sessions to cut"
            )
        if self.file is None and self.train is None:
            if self.format or self.columns:
                raise ValueError("'format' and 'columns' go with 'file' or 'train' and 'test' only")
            if self.time_unit is not None:
                raise ValueError("'time_unit' goes with 'file' or 'train' and 'test' only")
        return self


Promise = Literal["random", "temporal", "repeat", "random-exposure", "long-tail"]
"""What a split is said to be, by which the audit judges it: a random draw from the same data; later
than train; with pairs that are in train too; of items that were shown at random; of items that are
not popular."""


class SplitSpec(_Optioned):
    """A splitting strategy, its own options, and the seeds to draw.

    `promise` moves no number: the audit judges the split by it. By default it is the strategy's.
    """

    label: Name | None = None
    promise: Promise | None = None
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1, max_length=MOST_LISTED)] = (1,)

    @model_validator(mode="after")
    def _distinct_seeds(self) -> "SplitSpec":
        _refuse_repeats("seed", self.seeds)
        return self

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.label or self.name


class RangeSpec(TomlTable):
    """A search range as an experiment file writes it: exactly one of the four kinds."""

    uniform: tuple[float, float] | None = None
    log_uniform: tuple[float, float] | None = None
    integers: tuple[int, int] | None = None
    choice: tuple[Scalar, ...] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "RangeSpec":
        if len(self.model_fields_set) != 1:
            raise ValueError("give exactly one of uniform, log_uniform, integers and choice")
        return self

    def to_range(self) -> Range:
        """Return the range itself."""
        if self.uniform is not None:
            return Uniform(*self.uniform)
        if self.log_uniform is not None:
            return LogUniform(*self.log_uniform)
        if self.integers is not None:
            return IntRange(*self.integers)
        return Choice(*(self.choice or ()))


def default_name(target: str) -> str:
    """Return the name of a model that has none: its class in lower case, or its module's name."""
    place, _, name = target.rpartition(":")
    if name.lower() in ("fit", "model", "recommender"):
        name = Path(place).stem if place.endswith(".py") else place.rpartition(".")[2]
    kept = "".join(c for c in name.lower() if c.isascii() and (c.isalnum() or c in "._+-"))
    return kept.strip("._+-")[:64]


class ModelSpec(TomlTable):
    """A model, the hyperparameters that are fixed, and ranges that replace the declared ones.

    `name` is one that ``recrepro ls models`` lists; or `class` says where the model is, as
    ``"package.module:Class"`` or ``"path/to/file.py:Class"``, and `name` is free: by default it is
    made from that of the class. By default recrepro's baselines have the role "baseline", and all
    other models are "judged".
    """

    model_config = ConfigDict(populate_by_name=True)

    target: str | None = Field(None, alias="class")
    name: Name = Field(default_factory=lambda known: default_name(known.get("target") or ""))
    label: Name | None = None
    params: dict[str, Scalar] = {}
    search: dict[str, RangeSpec] = {}
    tune: bool = True
    role: Literal["baseline", "judged"] | None = None

    @model_validator(mode="after")
    def _has_a_name(self) -> "ModelSpec":
        if not self.name:
            raise ValueError(
                "give 'name', as `recrepro ls models` lists it, or 'class', such as "
                '"path/to/file.py:Class"'
            )
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a class and a role that are not given, so that they do not enter hashes."""
        later = ("class", "target", "role")
        return {k: v for k, v in write(self).items() if v is not None or k not in later}

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.label or self.name


class EvaluateSpec(TomlTable):
    """Metrics, and what the held-out items are ranked against.

    `candidates` is ``"full"`` (all unseen items), ``"published"`` (the split's own negatives), a
    number of negatives that are drawn for each user, uniformly or by popularity (`sampling`), or
    ``"auto"``: published if there are, else full. `items` or `item_file` say what may be
    recommended at all, and `outside` what becomes of held-out items that may not be. `seen` says
    whether items of a user's history are removed from the lists.

    `validation` says what becomes of the validation part after the search: the final model is
    fitted on it too (``"refit"``), only sees it in the users' histories (``"history"``), or is
    given nothing of it (``"unused"``). In each case its items count as seen.

    After one search, the final model is fitted and tested `fits` times, each with another seed.
    """

    metrics: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_LISTED)] = (
        "ndcg@10",
        "recall@10",
    )
    candidates: Literal["auto", "full", "published"] | PositiveInt = "auto"
    sampling: Literal["uniform", "popularity"] = "uniform"
    items: Literal["all", "train", "cold"] = "all"
    item_file: str | None = None
    outside: Literal["missed", "ignored"] = "missed"
    seen: Literal["removed", "kept"] = "removed"
    validation: Literal["refit", "history", "unused"] = "refit"
    fits: Annotated[int, Field(ge=1, le=MOST_FITS)] = 1

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out later options that have their defaults, so that they do not enter hashes."""
        usual = {"seen": "removed", "validation": "refit", "fits": 1}
        return {k: v for k, v in write(self).items() if k not in usual or usual[k] != v}

    @model_validator(mode="after")
    def _consistent(self) -> "EvaluateSpec":
        _refuse_repeats("metric", self.metrics)
        if self.sampling != "uniform" and not isinstance(self.candidates, int):
            raise ValueError(
                f"'sampling' = {self.sampling!r} goes with a number of 'candidates' to draw, not "
                f"with {self.candidates!r}"
            )
        if self.items != "all" and self.item_file is not None:
            raise ValueError("give 'items' or 'item_file', not both")
        return self


class TuneSpec(TomlTable):
    """The budget that every model gets, and what it is spent on.

    With `validation_users`, the epochs of a trial are chosen on a sample of so many users, and
    trials are compared on all users, or on the sample as well (`compare_trials`). Each epoch is
    then looked at, unless `evaluate_every` says otherwise, and three that are no better end a
    trial.

    With `hindsight`, neural models are trained once more after their test, to see what picking the
    epoch on the test part would have gained.
    """

    trials: PositiveInt | None = None
    seconds: PositiveFloat | None = None
    metric: str | None = None
    sampler: Literal["tpe", "random", "gp"] = "tpe"
    startup: PositiveInt | None = None
    pruner: Literal["median"] | None = None
    evaluate_every: PositiveInt = 5
    patience: PositiveInt = 5
    validation_users: PositiveInt | None = None
    compare_trials: Literal["all", "sample"] = "all"
    hindsight: bool = False

    @model_validator(mode="before")
    @classmethod
    def _looks_at_each_epoch(cls, given: Any) -> Any:
        """Look often where a look is cheap."""
        if isinstance(given, dict) and given.get("validation_users") is not None:
            return {"evaluate_every": 1, "patience": 3, **given}
        return given

    @model_validator(mode="after")
    def _consistent(self) -> "TuneSpec":
        if self.trials is None and self.seconds is None:
            raise ValueError("give 'trials', 'seconds' or both: what each model may spend")
        if self.startup is not None and self.sampler == "random":
            raise ValueError(
                "'startup' goes with the samplers 'tpe' and 'gp'; with 'random' all trials are "
                "random"
            )
        if self.compare_trials == "sample" and self.validation_users is None:
            raise ValueError("compare_trials = 'sample' needs 'validation_users': how many")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out options that are not used, so that they do not enter hashes.

        What was tuned before an option was there keeps its identity; `metric` was always written.
        """
        written = write(self).items()
        kept = {k: v for k, v in written if v not in (None, False) or k == "metric"}
        if self.compare_trials == "all":
            kept.pop("compare_trials", None)  # it may have been excluded
        return kept

    def budget(self, *, searched: bool) -> Budget:
        """Return what a model may spend: one trial if nothing of it is searched."""
        return Budget(self.trials if searched else 1, self.seconds)


class VerdictSpec(TomlTable):
    """What a verdict has to show.

    `margin` is the smallest effect of interest, as a share of the baseline's value. A difference
    that is shown to be smaller counts as none.
    """

    margin: Annotated[float, Field(gt=0, lt=1)] = 0.02


class Expected(TomlTable):
    """A number that the leaderboard has to show, and where it is from."""

    model: Name
    metric: str
    value: float
    tolerance: Annotated[float, Field(ge=0)]
    source: str
    published: float | None = None
    note: str = ""
    dataset: Name | None = None
    split: Name | None = None


class Printed(TomlTable):
    """A value that others have printed, which the leaderboard shows beside its own.

    `spread` is the standard deviation over `seeds` runs, if they are given. `protocol` says how the
    value was measured, as far as it differs from the experiment's own way.
    """

    model: Annotated[str, Field(min_length=1, max_length=100)]
    metric: str
    value: float
    spread: Annotated[float, Field(ge=0)] | None = None
    seeds: PositiveInt | None = None
    source: Annotated[str, Field(min_length=1)]
    protocol: str = ""
    dataset: Name | None = None
    split: Name | None = None


class Experiment(TomlTable):
    """An experiment file.

    `device` is where models that can choose, such as neural ones, are trained: ``"cpu"`` by
    default, or ``"cuda"``. It stands for a hyperparameter `device` of each of them.
    """

    schema_version: Literal[1] = Field(alias="schema")
    claim: str
    datasets: Annotated[tuple[DatasetSpec, ...], Field(min_length=1, max_length=MOST_LISTED)]
    splits: Annotated[tuple[SplitSpec, ...], Field(min_length=1, max_length=MOST_LISTED)]
    models: Annotated[tuple[ModelSpec, ...], Field(min_length=1, max_length=MOST_LISTED)]
    evaluate: EvaluateSpec = EvaluateSpec()
    tune: TuneSpec | None = None
    verdict: VerdictSpec = VerdictSpec()
    expected: tuple[Expected, ...] = ()
    printed: tuple[Printed, ...] = ()
    device: str | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not given of later keys, so that it does not enter hashes."""
        return {k: v for k, v in write(self).items() if v or k not in ("device", "printed")}

    @model_validator(mode="after")
    def _distinct_titles(self) -> "Experiment":
        for kind, titles in (
            ("datasets", [d.name for d in self.datasets]),
            ("splits", [s.title for s in self.splits]),
            ("models", [m.title for m in self.models]),
        ):
            twice = first_repeat(titles)
            if twice is not None:
                key = "name" if kind == "datasets" else "label"
                second = titles.index(twice, titles.index(twice) + 1)
                raise FaultElsewhere(
                    f"two {kind} are called {twice!r}: give each its own {key!r}", kind, second
                )
        return self

    @model_validator(mode="after")
    def _searches_are_run(self) -> "Experiment":
        for model in self.models:
            if model.search and (self.tune is None or not model.tune):
                raise ValueError(
                    f"the model {model.title!r} has a 'search', but is not tuned: add [tune], or "
                    "take 'search' away"
                )
        return self

    def without_datasets(self, names: Collection[str]) -> "Experiment | None":
        """Return the experiment on the other data sets, or None if there are no others."""
        others = tuple(d for d in self.datasets if d.name not in names)
        return self.model_copy(update={"datasets": others}) if others else None

    def one_cell(self, dataset: str, split: str, model: str, seed: int) -> "Experiment":
        """Return the experiment with one data set, split, seed and model, and nothing expected."""
        (spec,) = (s for s in self.splits if s.title == split)
        return self.model_copy(
            update={
                "datasets": tuple(d for d in self.datasets if d.name == dataset),
                "splits": (spec.model_copy(update={"seeds": (seed,)}),),
                "models": tuple(m for m in self.models if m.title == model),
                "expected": (),
                "printed": (),
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Return the experiment as a file would have it, without what is not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def write(self, path: Path) -> None:
        """Write a file of the experiment; its folder is made if it is not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as draft:
            draft.write_text(tomli_w.dumps(_without_nulls(self.to_json())), encoding="utf-8")

    @property
    def roles(self) -> dict[str, Literal["baseline", "judged"]]:
        """Roles that the file gives, by title of the model."""
        return {model.title: model.role for model in self.models if model.role is not None}

    @property
    def selection_metric(self) -> str:
        """The metric that tuning maximises: as stated, else the first one evaluated."""
        stated = self.tune.metric if self.tune else None
        return stated or self.evaluate.metrics[0]

    @property
    def grid_hash(self) -> str:
        """SHA-256 of what decides the numbers; claim, promises, roles and the like do not."""
        decides_nothing: Any = {
            "claim": True,
            "device": True,
            "expected": True,
            "printed": True,
            "verdict": True,
            "models": {"__all__": {"role"}},
            "splits": {"__all__": {"promise"}},
        }
        grid = self.model_dump(mode="json", exclude=decides_nothing, by_alias=True)
        return canonical_hash(grid)


def _without_nulls(value: Any) -> Any:
    """Leave out what TOML has no word for: it is what stands there by default."""
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def load_experiment(path: Path) -> Experiment:
    """Read and check an experiment file.

    Raises
    ------
    UsageError
        Naming the file, the place in it, and the nearest valid name.
    """
    text, content = read_toml(path, "experiment file")
    try:
        return Experiment.model_validate_json(json.dumps(content))
    except TypeError as error:
        raise UsageError(
            f"{path} holds a date or a time of day. Write moments as numbers in the unit of the "
            "data, such as seconds since 1970."
        ) from error
    except ValidationError as error:
        raise refusal(error, Experiment, str(path), text) from error
