"""The check of what a model class declares: attributes and hyperparameters."""

import functools
import json
from collections.abc import Callable

from pydantic import ValidationError

from recrepro.model import ModelConfig, Recommender
from recrepro.space import Choice, contains, declared_space

from .subject import ModelUnderTest, check


@check
def hyperparameters_are_declared_well(subject: ModelUnderTest) -> None:
    """The class says what it is; its hyperparameters are documented, checked, and dumpable."""
    for part in (
        _class_attributes,
        _defaults_and_docs,
        _dumps,
        _ranges,
        _refused_values,
        _frozen_config,
    ):
        part(subject.model)


def _class_attributes(model: type[Recommender]) -> None:
    assert isinstance(model.version, int), "version is not a whole number"
    assert model.version >= 1, f"version is {model.version}, but the first version is 1"
    for name in ("inductive", "needs_times"):
        assert isinstance(getattr(model, name), bool), f"{name} is neither True nor False"
    assert model.__doc__, "the class has no docstring"


def _defaults_and_docs(model: type[Recommender]) -> None:
    assert issubclass(model.Config, ModelConfig), "Config does not derive from ModelConfig"
    for name, declared in model.Config.model_fields.items():
        doc = declared.description
        assert not declared.is_required(), f"hyperparameter {name} has no default"
        assert doc, f"hyperparameter {name} has no doc"
        assert "\n" not in doc.strip(), f"the doc of hyperparameter {name} is more than one line"


def _dumps(model: type[Recommender]) -> None:
    config = model.Config()
    dumped, text = config.model_dump(), config.model_dump_json()
    message = "the config is another one after dumping and reading it"
    assert model.Config.model_validate(dumped) == config, message
    assert model.Config.model_validate_json(text) == config, f"{message}, as JSON"
    assert model.Config.model_validate(json.loads(text)) == config, f"{message}, as parsed JSON"
    assert model(config).config == model(**dumped).config, f"{message}, by name"


def _ranges(model: type[Recommender]) -> None:
    for name, space in declared_space(model.Config).items():
        default = model.Config.model_fields[name].default
        assert contains(space, default), f"the range of {name} lacks its default, {default!r}"
        for value in space.options if isinstance(space, Choice) else (space.low, space.high):
            message = f"the range of {name} has {value!r}, which the hyperparameter does not take"
            try:
                assert getattr(model.Config(**{name: value}), name) == value, message
            except ValidationError as error:
                raise AssertionError(message) from error


def _refused_values(model: type[Recommender]) -> None:
    assert _refuses(lambda: model(no_such_hyperparameter=1)), "unknown names are not refused"
    for name, declared in model.Config.model_fields.items():
        bad: list[object] = [object(), "no such value"]
        if isinstance(declared.default, int | float) and not isinstance(declared.default, bool):
            bad += [-1e9, -(10**9), float("nan"), float("inf"), True, "1"]
        read = model.Config.model_validate
        taken = [value for value in bad if not _refuses(functools.partial(read, {name: value}))]
        assert not taken, f"hyperparameter {name} takes {taken}, which cannot be meant"


def _frozen_config(model: type[Recommender]) -> None:
    for name, declared in model.Config.model_fields.items():
        change = functools.partial(setattr, model().config, name, declared.default)
        assert _refuses(change), f"hyperparameter {name} can change after construction"


def _refuses(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except ValidationError:
        return True
    return False
