"""What an experiment may fix, search for and select by, and what the refusals say."""

import json
from typing import Annotated

import pytest
from annotated_types import Gt

from recrepro.errors import UsageError
from recrepro.model import ModelConfig, Recommender
from recrepro.run.resolve import validate_metric
from recrepro.space import Choice, IntRange, LogUniform, OnlyWhere, Uniform
from recrepro.spec.experiment import ModelSpec
from recrepro.tuning.tuner import search_space


class Ridge(Recommender):
    class Config(ModelConfig):
        l2: Annotated[float, Gt(0), LogUniform(1.0, 1e4)] = 2.0
        alpha: Annotated[float, Uniform(0.0, 1.0)] = 0.5
        n: Annotated[int, IntRange(1, 9)] = 3
        kind: Annotated[str, Choice("good", "bad")] = "good"
        fixed: int = 1


def spec_of(params=None, search=None):
    text = json.dumps({"name": "mine", "params": params or {}, "search": search or {}})
    return ModelSpec.model_validate_json(text)


def test_the_experiment_fixes_replaces_and_adds_ranges():
    search = {"alpha": {"uniform": [0.1, 0.2]}, "fixed": {"choice": [1, 2]}}
    assert search_space(Ridge, spec_of({"l2": 3.0}, search)) == {
        "alpha": Uniform(0.1, 0.2),
        "fixed": Choice(1, 2),
        "kind": Choice("good", "bad"),
        "n": IntRange(1, 9),
    }


class Powers(Recommender):
    class Config(ModelConfig):
        kind: Annotated[str, Choice("good", "bad")] = "good"
        power: Annotated[float, Uniform(0.0, 1.0), OnlyWhere("kind", "bad")] = 0.5


@pytest.mark.parametrize(
    ("params", "search", "expected"),
    [
        ({}, {}, {"kind", "power"}),
        ({"kind": "bad"}, {}, {"power"}),
        ({"kind": "good"}, {}, set()),
        ({"kind": "good"}, {"power": {"uniform": [0.1, 0.2]}}, {"power"}),
        ({}, {"kind": {"choice": ["good", "bad"]}}, {"kind", "power"}),
    ],
)
def test_a_range_without_effect_is_searched_only_where_the_experiment_says_so(
    params, search, expected
):
    assert search_space(Powers, spec_of(params, search)).keys() == expected


@pytest.mark.parametrize(
    ("params", "search", "message"),
    [
        ({"l3": 1.0}, {}, r"model 'mine': unknown key 'l3'\. Did you mean 'l2'"),
        ({}, {"l3": {"uniform": [1, 2]}}, r"model 'mine': unknown key 'l3'\. Did you mean 'l2'"),
        ({"l2": -1.0}, {}, r"model 'mine', l2: .*greater than 0, not -1"),
        ({}, {"l2": {"uniform": [-1, 5]}}, r"model 'mine', l2: .*greater than 0, not -1"),
        ({}, {"n": {"uniform": [1, 5]}}, r"model 'mine', n: .*whole number, not 1\.0"),
        ({}, {"fixed": {"choice": [1, "x"]}}, r"model 'mine', fixed: .*whole number, not .x."),
        ({}, {"l2": {"uniform": [5, 1]}}, r"model 'mine', search\.l2: .*low < high"),
        ({}, {"l2": {"log_uniform": [0, 1]}}, r"model 'mine', search\.l2: .*low > 0"),
        ({}, {"kind": {"choice": ["good"]}}, r"model 'mine', search\.kind: .*two options"),
        ({"l2": 1.0}, {"l2": {"uniform": [1, 2]}}, r"'l2' is both fixed and searched for"),
    ],
)
def test_ranges_and_values_that_cannot_be_meant_are_refused(params, search, message):
    with pytest.raises(UsageError, match=message):
        search_space(Ridge, spec_of(params, search))


def test_the_selection_metric_has_to_be_evaluated():
    validate_metric("ndcg@10", ["ndcg@10"])
    with pytest.raises(UsageError, match=r"'ndcg@10', which is not under evaluate\.metrics"):
        validate_metric("ndcg@10", ["ndcg@5"])
    with pytest.raises(UsageError, match="Did you mean 'ndcg@10'"):
        validate_metric("ndgc@10", ["ndgc@10"])
