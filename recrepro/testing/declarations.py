"""Checks of what a model class declares: attributes and hyperparameters."""

import functools
import json
from collections.abc import Callable, Iterator

from pydantic import ValidationError

from recrepro.model import ModelConfig, Recommender
from recrepro.space import Choice, contains, declared_space

from .subject import ModelUnderTest, must, should


@must
def hyperparameters_are_declared_well(subject: ModelUnderTest) -> None:
    """The class says what it is; its hyperparameters have defaults and ranges that fit."""
    for part in (_class_attributes, _defaults, _dumps, _ranges, _unknown_names, _frozen_config):
        part(subject.model)


@should
def hyperparameters_are_documented_and_sensible(subject: ModelUnderTest) -> None:
    """Class and hyperparameters have docs, defaults within ranges, and refuse nonsense."""
    found = [
        sentence
        for part in (_missing_docs, _defaults_out_of_range, _senseless_values)
        for sentence in part(subject.model)
    ]
    assert not found, ". ".join(found) + "."


def _class_attributes(model: type[Recommender]) -> None:
    assert isinstance(model.version, int), "version is not a whole number. Write: version = 1"
    assert model.version >= 1, f"version is {model.version}, but the first version is 1."
    for name in ("inductive", "deterministic", "needs_times"):
        assert isinstance(getattr(model, name), bool), (
            f"{name} is neither True nor False. Write: {name} = False"
        )

    known = ("order", "times")
    wrong = [repr(one) for one in model.uses if one not in known]
    assert not wrong, (
        f"uses names {', '.join(wrong)}. What a model can name there is {' and '.join(known)}: "
        'uses = ("order",). Features are told by needs_features.'
    )


def _defaults(model: type[Recommender]) -> None:
    assert issubclass(model.Config, ModelConfig), (
        "Config does not derive from ModelConfig. Write: class Config(ModelConfig)"
    )
    for name, declared in model.Config.model_fields.items():
        assert not declared.is_required(), (
            f"hyperparameter {name} has no default. Give it one: the first trial starts from it."
        )


def _missing_docs(model: type[Recommender]) -> Iterator[str]:
    if not model.__doc__:
        yield "the class has no docstring: its first line is what tables of models show"
    for name, declared in model.Config.model_fields.items():
        doc = (declared.description or "").strip()
        if not doc or "\n" in doc:
            yield f"hyperparameter {name} has {'more than one line' if doc else 'no line'} of doc"


def _defaults_out_of_range(model: type[Recommender]) -> Iterator[str]:
    for name, space in declared_space(model.Config).items():
        default = model.Config.model_fields[name].default
        if not contains(space, default):
            yield (
                f"the range of {name} lacks its default, {default!r}: widen it, or change the "
                "default, because a search that can starts from the default"
            )


BOUNDED = {float: "Annotated[FiniteFloat, Ge(0)]", int: "Annotated[int, Ge(1)]"}


def _senseless_values(model: type[Recommender]) -> Iterator[str]:
    for name, declared in model.Config.model_fields.items():
        bad: list[object] = [object(), "no such value"]
        if isinstance(declared.default, int | float) and not isinstance(declared.default, bool):
            bad += [-1e9, -(10**9), float("nan"), float("inf"), True, "1"]
        read = model.Config.model_validate
        taken = [value for value in bad if not _refuses(functools.partial(read, {name: value}))]
        if taken:
            values = ", ".join(map(repr, dict.fromkeys(taken)))
            example = BOUNDED.get(type(declared.default), "Literal['a', 'b']")
            yield (
                f"hyperparameter {name} takes {values}, which cannot be meant: bound it, as in "
                f"{example}"
            )


def _dumps(model: type[Recommender]) -> None:
    config = model.Config()
    dumped, text = config.model_dump(), config.model_dump_json()
    message = (
        "the config is another one after dumping and reading it. Records and identities keep what "
        "is dumped: use plain types, without serializers of your own"
    )
    assert model.Config.model_validate(dumped) == config, f"{message}."
    assert model.Config.model_validate_json(text) == config, f"{message} (as JSON)."
    assert model.Config.model_validate(json.loads(text)) == config, f"{message} (as parsed JSON)."
    assert model(config).config == model(**dumped).config, f"{message} (by name)."


def _ranges(model: type[Recommender]) -> None:
    for name, space in declared_space(model.Config).items():
        for value in space.options if isinstance(space, Choice) else (space.low, space.high):
            message = (
                f"the range of {name} has {value!r}, which the hyperparameter does not take. "
                "Make type, bounds and range agree."
            )
            try:
                assert getattr(model.Config(**{name: value}), name) == value, message
            except ValidationError as error:
                raise AssertionError(message) from error


def _unknown_names(model: type[Recommender]) -> None:
    assert _refuses(lambda: model(no_such_hyperparameter=1)), (
        "unknown names are not refused, so that a misspelt hyperparameter would go unnoticed. "
        "Leave model_config of ModelConfig as it is."
    )


def _frozen_config(model: type[Recommender]) -> None:
    for name, declared in model.Config.model_fields.items():
        change = functools.partial(setattr, model().config, name, declared.default)
        assert _refuses(change), (
            f"hyperparameter {name} can change after construction. Leave model_config of "
            "ModelConfig as it is."
        )


def _refuses(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except ValidationError:
        return True
    return False
