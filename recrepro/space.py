"""Search ranges, written as type annotations on the fields of a model's `Config`.

    l2: Annotated[float, Gt(0), LogUniform(1.0, 1e7)] = 500.0

The range is data: the tuner turns it into what its search library wants. Its `kind` is part of the
identity of each cell that searches it, so it must stay the same even if the class is renamed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar

from pydantic import BaseModel

from recrepro.errors import UsageError


def _check_bounds(low: float, high: float) -> None:
    if not low < high:
        raise UsageError(
            f"a search range needs low < high, but [{low}, {high}] was given. "
            + (f"Write [{high}, {low}]." if high < low else "Fix the value under 'params' instead.")
        )


@dataclass(frozen=True)
class Uniform:
    """Real values between two bounds, both included."""

    kind: ClassVar[str] = "Uniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)


@dataclass(frozen=True)
class LogUniform:
    """Positive real values between two bounds, uniform in their logarithm."""

    kind: ClassVar[str] = "LogUniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)
        if self.low <= 0:
            raise UsageError(
                f"a log_uniform range needs low > 0, but [{self.low}, {self.high}] was given. "
                "Raise low, or write uniform."
            )


@dataclass(frozen=True)
class IntRange:
    """Whole numbers between two bounds, both included."""

    kind: ClassVar[str] = "IntRange"
    low: int
    high: int

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)


@dataclass(frozen=True, init=False)
class Choice:
    """One of the given options."""

    kind: ClassVar[str] = "Choice"
    options: tuple[str | int | float | bool | None, ...]

    def __init__(self, *options: str | float | bool | None) -> None:
        if len(options) < 2:
            raise UsageError(
                f"a choice needs at least two options, but got {list(options)}. Fix a single value "
                "under 'params' instead."
            )
        object.__setattr__(self, "options", options)


Range = Uniform | LogUniform | IntRange | Choice


def as_written(ends: Range) -> dict[str, list[Any]]:
    """Return a range as an experiment file writes it: ``{"log_uniform": [0.1, 10.0]}``."""
    match ends:
        case Uniform():
            return {"uniform": [ends.low, ends.high]}
        case LogUniform():
            return {"log_uniform": [ends.low, ends.high]}
        case IntRange():
            return {"integers": [ends.low, ends.high]}
        case Choice():
            return {"choice": list(ends.options)}


@dataclass(frozen=True, init=False)
class OnlyWhere:
    """A range counts only where another hyperparameter has one of some values.

    It stands beside the range, so that no trials are spent on what has no effect:

        alpha: Annotated[float, Uniform(0.0, 2.0), OnlyWhere("similarity", "tversky")] = 1.0
    """

    name: str
    values: tuple[str | int | float | bool | None, ...]

    def __init__(self, name: str, *values: str | float | bool | None) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "values", values)

    def __str__(self) -> str:
        return f"where {self.name} is {' or '.join(map(str, self.values))}"


def declared_space(
    config: type[BaseModel], fixed: Mapping[str, Any] | None = None
) -> dict[str, Range]:
    """Read the search ranges that a model's `Config` declares, in the order of its fields.

    Parameters
    ----------
    config : type of BaseModel
        The hyperparameters.
    fixed : mapping of str to object, optional
        Hyperparameters that are not searched, with their values: ranges that have no effect then
        (`OnlyWhere`) are left out. All ranges when absent.
    """
    return {
        name: mark
        for name, field in config.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Range)
        if fixed is None or _has_effect(field.metadata, fixed)
    }


def _has_effect(metadata: list[Any], fixed: Mapping[str, Any]) -> bool:
    conditions = (mark for mark in metadata if isinstance(mark, OnlyWhere))
    return all(c.name not in fixed or fixed[c.name] in c.values for c in conditions)


def contains(space: Range, value: Any) -> bool:
    """Say whether a value lies in a range."""
    if isinstance(space, Choice):
        return value in space.options
    if not isinstance(value, int | float):
        return False
    return bool(space.low <= value <= space.high)


def at_edge(space: Range, value: Any) -> bool:
    """Say whether a value lies within 1 % of a bound of a numeric range, so that it may bind.

    The share is that of the range's width, in logarithms for a log-uniform range.
    """
    if isinstance(space, Choice):
        return False
    low, high = float(space.low), float(space.high)
    if isinstance(space, LogUniform):
        low, high, value = log(low), log(high), log(value)
    return not low + (high - low) / 100 < value < high - (high - low) / 100
