"""The model class that is checked, the fit that its checks share, and the table of the checks."""

import functools
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from unittest import SkipTest

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.sparse import csr_array

from recrepro.errors import users_frame
from recrepro.features import Features
from recrepro.interactions import Interactions
from recrepro.model import IterativeRecommender, Recommender, answer_fault, training_data
from recrepro.randomness import generator

from .toys import toy_features, toy_interactions


def input_arrays(train: Interactions) -> dict[str, NDArray[Any]]:
    """Return the arrays of interactions that a model might overwrite, by name."""
    matrix = train.matrix
    return {
        "train.users": train.users,
        "train.items": train.items,
        "train.values": train.values,
        **({} if train.times is None else {"train.times": train.times}),
        "train.user_ids": train.user_ids,
        "train.item_ids": train.item_ids,
        "train.user_counts": train.user_counts,
        "train.item_counts": train.item_counts,
        "data of train.matrix": matrix.data,
        "indices of train.matrix": matrix.indices,
        "indptr of train.matrix": matrix.indptr,
    }


LEARNING_SECONDS = 8.0
"""Processor seconds for a model to learn a made-up world with its default hyperparameters."""


class Advice(SkipTest):
    """A finding that need not be a fault; pytest shows it as a skipped check with a reason."""


def ask(fitted: Recommender, users: NDArray[np.int32], histories: csr_array) -> NDArray[np.float32]:
    """Ask a fitted model for scores.

    Raises
    ------
    AssertionError
        If it returns anything but an array of numbers in the right shape.
    """
    answer = fitted.score(users, histories)
    fault = answer_fault(answer, (len(users), histories.shape[1]))
    assert fault is None, f"score {fault}"
    return answer


def score_everyone(fitted: Recommender, train: Interactions) -> NDArray[np.float32]:
    """Score all items for all users, given copies, so that `train` stays as it is."""
    return ask(fitted, np.arange(train.n_users, dtype=np.int32), train.matrix.copy())


def answer_stranger(fitted: Recommender, train: Interactions, like: int) -> Any:
    """Ask for the scores of a user that a model was not fitted on; the same one at each call.

    Parameters
    ----------
    fitted : Recommender
        The model.
    train : Interactions
        What it was fitted on.
    like : int
        The user of `train` whose history the stranger has.

    Returns
    -------
    object
        What `score` returns, unchecked.
    """
    copied = train.select(train.users == like)
    stranger = np.full(1, train.n_users + 3, np.int32)
    histories = replace(
        copied,
        users=np.repeat(stranger, len(copied)),
        user_ids=np.arange(train.n_users + 4),  # as many labels as the index needs
    )
    fitted.set_histories(training_data(fitted, histories))
    answer = fitted.score(stranger, histories.matrix[stranger])
    fitted.set_histories(training_data(fitted, train))
    return answer


def few_epochs(
    model: type[Recommender], epochs: int, params: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return hyperparameters for a short training.

    Parameters
    ----------
    model : type of Recommender
        The model.
    epochs : int
        Value for hyperparameters named ``epochs`` or ``..._epochs``.
    params : mapping of str to object, optional
        Other hyperparameters.

    Returns
    -------
    dict of str to object
        `params` with these numbers of epochs, or unchanged if the model does not take them.
    """
    fields, given = model.Config.model_fields, dict(params or {})
    short = {name: epochs for name in fields if name == "epochs" or name.endswith("_epochs")}
    try:
        model.Config(**(given | short))
    except ValidationError:
        return given
    return given | short


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
    strict : bool
        True if each finding is a fault, also those that are only advice by default.
    """

    model: type[Recommender]
    quick: Mapping[str, Any] = field(default_factory=dict)
    learning: Mapping[str, Any] = field(default_factory=dict)
    not_personal: str = ""
    strict: bool = False

    def fit(
        self, train: Interactions, features: Features | None = None, *, seed: int = 1
    ) -> Recommender:
        """Fit a new model with the `quick` hyperparameters, and toy features by default."""
        made = self.model(**self.quick).with_features(features or toy_features(train))
        made.fit(training_data(made, train), generator(seed, "fit"))
        return made

    def learn(self, train: Interactions, features: Features | None = None) -> Recommender:
        """Fit a new model with the `learning` hyperparameters, and toy features by default.

        Without such hyperparameters, a model that learns in epochs stops after `LEARNING_SECONDS`.
        """
        made = self.model(**self.learning).with_features(features or toy_features(train))
        rng, train = generator(1, "learn"), training_data(made, train)
        if self.learning or not isinstance(made, IterativeRecommender):
            made.fit(train, rng)
            return made
        end = time.process_time() + LEARNING_SECONDS
        for stats in made.fit_epochs(train, rng):
            if stats.epoch >= made.config.epochs or time.process_time() > end:
                break
        return made

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

    def require_unchanged(self) -> None:
        """Assert that the shared fit still gives the scores that it gave at first."""
        if "scores" in self.__dict__:
            again = score_everyone(self.fitted, toy_interactions())
            assert_close(
                again,
                self.scores,
                "scoring has changed the model, or draws random numbers",
                "score must give the same answer whenever it is asked the same: draw in fit, from "
                "rng, and change no attribute and no shared array in score.",
                1e-6,
                1e-7,
            )

    def forget(self) -> None:
        """Drop the shared fit, so that the next check gets a fresh one."""
        for name in ("inputs", "fitted", "scores"):
            self.__dict__.pop(name, None)


Check = Callable[[ModelUnderTest], None]
CHECKS: dict[str, Check] = {}
"""The checks by name."""


def must(function: Check) -> Check:
    """Add a check to `CHECKS` that finds what ends a run or makes its results wrong."""
    return _add(function, always=True)


def should(function: Check) -> Check:
    """Add a check to `CHECKS` whose findings are advice, unless the subject is strict."""
    return _add(function, always=False)


def _add(function: Check, *, always: bool) -> Check:
    """Add a check that also sees that it leaves the shared fit unchanged."""

    @functools.wraps(function)
    def checked(subject: ModelUnderTest) -> None:
        advice = None
        try:
            try:
                function(subject)
            except AssertionError as error:
                if always or subject.strict or users_frame(error) is not None:
                    raise
                advice = Advice(str(error))
            subject.require_unchanged()
        except SkipTest:
            raise
        except Exception:
            subject.forget()
            raise
        if advice is not None:
            raise advice

    CHECKS[function.__name__] = checked
    return checked


def assert_close(
    actual: NDArray[np.float32],
    expected: NDArray[np.float32],
    fault: str,
    remedy: str,
    rtol: float = 0.0,
    atol: float = 0.0,
) -> None:
    """Assert that scores are equal, by default to the last bit.

    Parameters
    ----------
    actual, expected : array of float32
        Scores. If PyTorch has used a GPU, they may differ by 0.1 % of the largest score.
    fault, remedy : str
        What is wrong if they differ, and what to change.
    rtol, atol : float
        Tolerated difference, as a share of the expected score and as a number.
    """
    if uses_cuda():
        largest = float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0))
        rtol, atol = max(rtol, 1e-3), max(atol, 1e-3 * largest)
    differ = ~np.isclose(actual, expected, rtol, atol, equal_nan=True)
    if differ.any():
        gap = np.abs(actual[differ] - expected[differ]).max()
        raise AssertionError(
            f"{fault}: {int(differ.sum())} of {differ.size} scores differ, by up to {gap:.3g}. "
            f"{remedy}"
        )


def uses_cuda() -> bool:
    """Say whether PyTorch has computed on a GPU in this process, where sums are not exact."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())
