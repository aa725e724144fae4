"""The model class that is checked, the fit that its checks share, and the table of the checks."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from unittest import SkipTest

import numpy as np
from numpy.typing import NDArray

from recrepro.features import Features
from recrepro.interactions import Interactions
from recrepro.model import Recommender
from recrepro.randomness import generator

from .toys import toy_features, toy_interactions


def score_everyone(fitted: Recommender, train: Interactions) -> NDArray[np.float32]:
    """Score all items for all users, given copies, so that `train` stays as it is."""
    return fitted.score(np.arange(train.n_users, dtype=np.int32), train.matrix.copy())


@dataclass
class ModelUnderTest:
    """A model class, and the one fit that its checks share.

    Parameters
    ----------
    model : type of Recommender
        The class to check.
    quick : mapping of str to object
        Hyperparameters where nothing has to be learned well, such as ``{"epochs": 3}``.
    learning : mapping of str to object
        Hyperparameters where the model has to learn who likes what from some 30 users and items.
    not_personal : str
        Reason why the model need not rank differently for different users; empty if it must.
    """

    model: type[Recommender]
    quick: Mapping[str, Any] = field(default_factory=dict)
    learning: Mapping[str, Any] = field(default_factory=dict)
    not_personal: str = ""

    def fit(
        self, train: Interactions, features: Features | None = None, *, seed: int = 1
    ) -> Recommender:
        """Fit a new model with the `quick` hyperparameters, and toy features by default."""
        made = self.model(**self.quick).with_features(features or toy_features(train))
        return made.fit(train, generator(seed, "fit"))

    def learn(self, train: Interactions, features: Features | None = None) -> Recommender:
        """Fit a new model with the `learning` hyperparameters, and toy features by default."""
        made = self.model(**self.learning).with_features(features or toy_features(train))
        return made.fit(train, generator(1, "learn"))

    @cached_property
    def inputs(self) -> tuple[Interactions, Features]:
        """What `fitted` was fitted on: content equal to the toys', but read by no other check."""
        train = toy_interactions()
        return train, toy_features(train)

    @cached_property
    def fitted(self) -> Recommender:
        """A model fitted on toy interactions; a check must not change it."""
        return self.fit(*self.inputs)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """The scores of `fitted` for the toy interactions, read-only, taken before any check."""
        scores = np.array(score_everyone(self.fitted, toy_interactions()))
        scores.setflags(write=False)
        return scores

    def forget(self) -> None:
        """Drop the shared fit, so that the next check gets a fresh one."""
        for name in ("inputs", "fitted", "scores"):
            self.__dict__.pop(name, None)


Check = Callable[[ModelUnderTest], None]
CHECKS: dict[str, Check] = {}
"""The checks by name."""


def check(function: Check) -> Check:
    """Add a check to `CHECKS`, and see that it leaves the shared fit unchanged."""

    @functools.wraps(function)
    def checked(subject: ModelUnderTest) -> None:
        try:
            function(subject)
            if "scores" in subject.__dict__:
                again = score_everyone(subject.fitted, toy_interactions())
                assert_close(again, subject.scores, "scoring has changed the model", 1e-6, 1e-7)
        except SkipTest:
            raise
        except Exception:
            subject.forget()
            raise

    CHECKS[function.__name__] = checked
    return checked


def assert_close(
    actual: NDArray[np.float32],
    expected: NDArray[np.float32],
    message: str,
    rtol: float = 0.0,
    atol: float = 0.0,
) -> None:
    """Assert that scores are equal, by default to the last bit."""
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol, err_msg=message)
