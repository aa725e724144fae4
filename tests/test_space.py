"""Search ranges: what they refuse, what they contain, and how a Config declares them."""

import json
import tomllib
from typing import Annotated

import pytest
from annotated_types import Gt

from recrepro.errors import UsageError
from recrepro.model import ModelConfig
from recrepro.space import (
    Choice,
    IntRange,
    LogUniform,
    Uniform,
    as_written,
    at_edge,
    contains,
    declared_space,
)
from recrepro.spec.experiment import RangeSpec
from recrepro.text.toml import in_toml

NAN = float("nan")


@pytest.mark.parametrize("kind", [Uniform, LogUniform, IntRange])
@pytest.mark.parametrize("bounds", [(2, 1), (1, 1), (NAN, 1), (1, NAN)])
def test_bounds_have_to_be_in_order(kind, bounds):
    with pytest.raises(UsageError, match="low < high"):
        kind(*bounds)


@pytest.mark.parametrize("low", [0, -1])
def test_a_logarithm_needs_a_positive_bound(low):
    with pytest.raises(UsageError, match=rf"low > 0, but \[{low}, 1\]"):
        LogUniform(low, 1)


@pytest.mark.parametrize("options", [(), ("a",)])
def test_a_choice_needs_two_options(options):
    with pytest.raises(UsageError, match="at least two options"):
        Choice(*options)


@pytest.mark.parametrize("space", [Uniform(1, 5), LogUniform(1, 5), IntRange(1, 5)])
def test_a_numeric_range_contains_its_bounds_and_nothing_beyond(space):
    assert [contains(space, v) for v in (0, 1, 3, 5, 6, NAN)] == [False, True, True, True] + [
        False
    ] * 2
    assert [at_edge(space, v) for v in (1, 3, 5)] == [True, False, True]


@pytest.mark.parametrize("value", [None, "3"])
def test_a_numeric_range_contains_numbers_only(value):
    assert not contains(IntRange(1, 5), value)


def test_a_choice_contains_its_options_and_has_no_edge():
    space = Choice("a", None, 3)
    assert [contains(space, v) for v in ("a", None, 3, "b")] == [True, True, True, False]
    assert not at_edge(space, "a")


def test_declared_ranges_are_read_in_the_order_of_the_fields():
    class Config(ModelConfig):
        l2: Annotated[float, Gt(0), LogUniform(0.1, 10)] = 1.0
        fixed: int = 3
        alpha: Annotated[float | None, Uniform(0, 1)] = None
        kind: Annotated[str, Choice("x", "y")] = "x"

    assert list(declared_space(Config).items()) == [
        ("l2", LogUniform(0.1, 10)),
        ("alpha", Uniform(0, 1)),
        ("kind", Choice("x", "y")),
    ]


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        (Uniform(0.0, 2.0), "{ uniform = [0.0, 2.0] }"),
        (LogUniform(1e-05, 1e7), "{ log_uniform = [1e-05, 10000000.0] }"),
        (IntRange(5, 1000), "{ integers = [5, 1000] }"),
        (Choice('a "b"', True, 2, 0.5), '{ choice = ["a \\"b\\"", true, 2, 0.5] }'),
    ],
)
def test_a_range_is_shown_as_an_experiment_writes_it(ends, text):
    assert in_toml(as_written(ends)) == text
    (read,) = tomllib.loads(f"l2 = {text}").values()
    assert RangeSpec.model_validate_json(json.dumps(read)).to_range() == ends
