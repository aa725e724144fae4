"""A plain function as a model: it is given the data, and returns a function that scores."""

import inspect
from collections.abc import Callable
from typing import Any, Self, get_type_hints

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, create_model
from scipy.sparse import csr_array

from recrepro.errors import UsageError
from recrepro.interactions import Interactions
from recrepro.model import ModelConfig, Recommender

Scorer = Callable[[NDArray[np.int32], csr_array], NDArray[np.float32]]
"""From users and their histories to their scores: see `Recommender.score`."""


class FunctionRecommender(Recommender):
    """Base of the classes that `function_model` makes."""

    function: Callable[..., Scorer]
    """The function that fits."""

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:
        """Call the function with the data and the hyperparameters."""
        self.scorer = type(self).function(train, rng, **self.config.model_dump())
        return self

    def score(self, users: NDArray[np.int32], histories: csr_array) -> NDArray[np.float32]:
        """Call what the function has returned."""
        scorer: Scorer = self.fitted("scorer")
        return scorer(users, histories)


def function_model(function: Callable[..., Scorer]) -> type[Recommender]:
    """Return a model class whose `fit` is a function.

    Parameters
    ----------
    function : callable
        ``fit(train, rng, *, l2: Annotated[float, LogUniform(1, 1e4)] = 100.0)``: takes the
        interactions and the only source of randomness, and returns a function from users and
        histories to scores (see `Recommender.score`). Its keyword-only arguments are
        hyperparameters, each with a type and a default; a range in the annotation is searched.
        Attributes of the function named `inductive`, `deterministic`, `uses`, `needs_times` and
        `version` stand for those of a class. Unlike that of a class, `inductive` is False by
        default.

    Raises
    ------
    UsageError
        If the signature is another one.
    """
    name = function.__name__
    positional, fields = [], {}
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise UsageError(f"the annotations of {name}() cannot be read: {error}.") from error
    for argument in inspect.signature(function).parameters.values():
        if argument.kind is not argument.KEYWORD_ONLY:
            positional.append(argument.name)
        elif argument.name not in hints or argument.default is argument.empty:
            raise UsageError(
                f"the hyperparameter {argument.name!r} of {name}() needs a type and a default: "
                f"{argument.name}: float = 1.0."
            )
        else:
            fields[argument.name] = (
                hints[argument.name],
                Field(argument.default, description=argument.name),
            )
    if len(positional) != 2:
        raise UsageError(
            f"the function {name}({', '.join(positional)}) is no model: write it as def {name}"
            "(train, rng, *, l2: float = 1.0), with the hyperparameters after the *, and have it "
            "return a function from (users, histories) to scores."
        )
    config = create_model("Config", __base__=ModelConfig, **fields)  # type: ignore[call-overload]
    attributes: dict[str, Any] = {
        "__doc__": function.__doc__ or f"The function {name}.",
        "__module__": function.__module__,
        "Config": config,
        "function": staticmethod(function),
        "inductive": getattr(function, "inductive", False),
        "uses": getattr(function, "uses", ()),
        "deterministic": getattr(function, "deterministic", False),
        "needs_times": getattr(function, "needs_times", False),
        "version": getattr(function, "version", 1),
    }
    return type(name, (FunctionRecommender,), attributes)
