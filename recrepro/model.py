"""The model contract: everything that a recommender is to the harness.

A model returns scores and nothing else. Masking of seen items, candidate sets, ties and cutoffs
belong to the evaluator. A model never sees validation or test data.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.sparse import csr_array

from recrepro.errors import ModelError
from recrepro.interactions import Interactions


class ModelConfig(BaseModel):
    """Base of a model's hyperparameters: immutable, strictly typed, no unknown names.

    A field is declared once: name, type, bounds, search range, default and doc.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True
    )


class Recommender(ABC):
    """A recommender, fitted on interactions and asked for scores.

    Parameters
    ----------
    config : ModelConfig, optional
        The hyperparameters; the declared defaults when absent.
    **hyperparameters
        The same by name, instead of `config`.
    """

    Config: ClassVar[type[ModelConfig]]
    version: ClassVar[int] = 1
    """Bumped whenever the model's numbers can move."""
    inductive: ClassVar[bool] = True
    """Whether it can score a user it was not fitted on, from the history alone."""
    needs_times: ClassVar[bool] = False
    """Whether it learns from the time of an interaction."""

    def __init__(self, config: ModelConfig | None = None, **hyperparameters: Any) -> None:
        self.config: Any = config if config is not None else self.Config(**hyperparameters)

    @abstractmethod
    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:
        """Learn from interactions.

        Parameters
        ----------
        train : Interactions
            Not to be changed.
        rng : numpy.random.Generator
            The only source of randomness.
        """

    def memory_needed(self, train: Interactions) -> int:  # noqa: ARG002
        """Estimate the bytes that `fit` needs besides the data, where they may be many.

        A model that says so is shown by ``recrepro check`` with the figure, and refuses in `fit`
        what does not fit (`recrepro.memory.require_memory`).

        Parameters
        ----------
        train : Interactions
            What it would be fitted on.
        """
        return 0

    @abstractmethod
    def score(self, users: NDArray[np.int32], histories: csr_array) -> NDArray[np.float32]:
        """Score every item for some users.

        Parameters
        ----------
        users : array of int, shape (n,)
            User indices.
        histories : csr_array of float32, shape (n, n_items)
            What each of these users has interacted with, row by row.

        Returns
        -------
        array of float32, shape (n, n_items)
            Higher is better; ``-inf`` means that the item cannot be recommended.
        """

    def fitted(self, attribute: str) -> Any:
        """Return a learned attribute, or say that `fit` has to come first."""
        try:
            return self.__dict__[attribute]
        except KeyError:
            name = type(self).__name__
            raise ModelError(f"{name} is not fitted yet: call fit(train, rng) first.") from None


@dataclass(frozen=True)
class EpochStats:
    """What an iterative model reports after an epoch: its number from 1, and named values."""

    epoch: int
    values: dict[str, float] = field(default_factory=dict)


class IterativeRecommender(Recommender):
    """A recommender that learns in epochs and can score after each of them.

    Its `Config` has a field ``epochs``. The tuner decides when to stop; the number of epochs it
    finds is then a tuned value of the final fit.
    """

    @abstractmethod
    def fit_epochs(self, train: Interactions, rng: np.random.Generator) -> Iterator[EpochStats]:
        """Learn epoch by epoch without end; the model is usable after each yield."""

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:
        """Learn for ``config.epochs`` epochs."""
        for stats in self.fit_epochs(train, rng):
            if stats.epoch >= self.config.epochs:
                break
        return self
