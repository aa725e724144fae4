"""Search ranges, written as type annotations on the fields of a model's `Config`.

    l2: Annotated[float, Gt(0), LogUniform(1.0, 1e7)] = 500.0

The range is data: the tuner turns it into what its search library wants.
"""

from dataclasses import dataclass
from math import log
from typing import Any

from pydantic import BaseModel

from recrepro.errors import UsageError


def _check_bounds(low: float, high: float) -> None:
    if not low < high:
        raise UsageError(f"a search range needs low < high, but got low={low} and high={high}.")


@dataclass(frozen=True)
class Uniform:
    """Real values between two bounds, both included."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)


@dataclass(frozen=True)
class LogUniform:
    """Positive real values between two bounds, uniform in their logarithm."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)
        if self.low <= 0:
            raise UsageError(f"a log-uniform range needs low > 0, but got low={self.low}.")


@dataclass(frozen=True)
class IntRange:
    """Whole numbers between two bounds, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)


@dataclass(frozen=True, init=False)
class Choice:
    """One of the given options."""

    options: tuple[str | int | float | bool | None, ...]

    def __init__(self, *options: str | float | bool | None) -> None:
        if len(options) < 2:
            raise UsageError(f"a choice needs at least two options, but got {options}.")
        object.__setattr__(self, "options", options)


Range = Uniform | LogUniform | IntRange | Choice


def declared_space(config: type[BaseModel]) -> dict[str, Range]:
    """Read the search ranges that a model's `Config` declares, in the order of its fields."""
    return {
        name: mark
        for name, field in config.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Range)
    }


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
