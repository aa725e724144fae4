"""The model contract: everything that a recommender is to the harness.

A model returns scores and nothing else. Masking of seen items, candidate sets, ties and cutoffs
belong to the evaluator. A model never sees validation or test data.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.sparse import csr_array

from recrepro.compute.checkpoint import Checkpoint
from recrepro.errors import ModelError
from recrepro.features import ALL, Features, Side
from recrepro.interactions import Interactions


class ModelConfig(BaseModel):
    """Base of a model's hyperparameters: immutable, strictly typed, no unknown names.

    A field is declared once: name, type, bounds, search range, default and doc.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True
    )


Information = Literal["order", "times", "item features", "user features"]
"""What a model may learn from besides who interacted with what."""

FEATURES: dict[Side, Information] = {"item": "item features", "user": "user features"}


class Recommender(ABC):
    """A recommender, fitted on interactions and asked for scores.

    Parameters
    ----------
    config : ModelConfig, optional
        The hyperparameters; the declared defaults when absent.
    **hyperparameters
        The same by name, instead of `config`.
    """

    Config: ClassVar[type[ModelConfig]] = ModelConfig
    """The hyperparameters; none by default."""
    version: ClassVar[int] = 1
    """Bumped whenever the model's numbers can move."""
    inductive: ClassVar[bool] = True
    """Whether it can score a user it was not fitted on, from the history alone."""
    deterministic: ClassVar[bool] = False
    """Whether `fit` gives the same scores for all seeds: one fit then stands for several."""
    uses: ClassVar[tuple[Literal["order", "times"], ...]] = ()
    """What it learns from besides who interacted with what: the order of a user's interactions, or
    their times. A model that names neither is fitted without times. It is judged against baselines
    that use as much."""
    needs_times: ClassVar[bool] = False
    """Whether it cannot be fitted on interactions without times."""
    needs_features: ClassVar[tuple[Side, ...]] = ()
    """Of whom it needs side information. A field `item_features` (or `user_features`) in its
    Config, with the default "all", lets an experiment name the feature sets that it gets."""
    features: Features | None = None
    """What is known of users and items; the harness gives it before `fit`."""

    def __init__(self, config: ModelConfig | None = None, **hyperparameters: Any) -> None:
        self.config: Any = config if config is not None else self.Config(**hyperparameters)

    def information(self) -> tuple[Information, ...]:
        """Return what the model learns from, with these hyperparameters: `uses`, and features."""
        times: tuple[Information, ...] = self.uses or (("times",) if self.needs_times else ())
        return (*times, *(FEATURES[side] for side in self.needs_features))

    def with_features(self, features: Features | None) -> Self:
        """Take side information, aligned to the labels of what the model will be fitted on."""
        self.features = features
        return self

    def feature_names(self, side: Side) -> str:
        """Return which feature sets of a side the hyperparameters name; "all" by default."""
        return str(getattr(self.config, f"{side}_features", ALL))

    def feature_matrix(self, side: Side, train: Interactions) -> csr_array:
        """Return the side information of users or items.

        Parameters
        ----------
        side : {"user", "item"}
            Of whom.
        train : Interactions
            What the model is fitted on.

        Returns
        -------
        csr_array of float32, shape (n_users or n_items, n_features)
            The feature sets that the hyperparameters name, side by side.

        Raises
        ------
        ModelError
            If there is none, or it is of other users or items.
        """
        name = type(self).__name__
        if self.features is None:
            raise ModelError(
                f"{name} needs features of {side}s: give it some with with_features(features)."
            )
        matrix = self.features.matrix(side, self.feature_names(side))
        n = train.n_users if side == "user" else train.n_items
        if matrix.shape[0] != n:
            raise ModelError(
                f"{name} got features of {matrix.shape[0]} {side}s, and is fitted on {n}: align "
                "them first (Features.aligned)."
            )
        return matrix

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
        what does not fit (`recrepro.compute.memory.require_memory`).

        Parameters
        ----------
        train : Interactions
            What it would be fitted on.
        """
        return 0

    def set_histories(self, histories: Interactions) -> None:
        """Take the histories that users are scored by, where these are not what was fitted.

        `score` gets each user's history as a row of a matrix, which has no order. A model that
        scores by the order or the times of a history replaces here what `fit` has kept of it. The
        evaluator calls this before `score` if users have more interactions than the model was
        fitted on, or if it was not fitted on these users at all. The next `fit` forgets it.

        Parameters
        ----------
        histories : Interactions
            The interactions of all users, with times if the model uses them (`uses`). Not to be
            changed.
        """
        del histories  # the rows that `score` is given say enough where nothing depends on order

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

    def score_candidates(
        self,
        users: NDArray[np.int32],
        histories: csr_array,
        candidates: csr_array,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        """Score some items for some users, where only these are ranked.

        By default all items are scored. Models that take long for each pair of user and item
        compute only what is asked for.

        Parameters
        ----------
        users, histories
            As in `score`.
        candidates : csr_array of bool, shape (n, n_items)
            Which items, row by row.

        Returns
        -------
        array of float32, shape (n, n_items)
            As `score`; at places that are no candidates any number, or ``-inf``.
        """
        return self.score(users, histories)

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

    @property
    def row(self) -> dict[str, float]:
        """Number and values in one, as curves have them."""
        return {"epoch": self.epoch, **self.values}


class IterativeRecommender(Recommender):
    """A recommender that learns in epochs and can score after each of them.

    Its `Config` has a field ``epochs``. The tuner decides when to stop; the number of epochs it
    finds is then a tuned value of the final fit.

    A model that can go on after an interruption says what it has to remember (`state`). Given a
    `checkpoint`, it then looks there for what it had reached, and yields that epoch once more.

    Attributes
    ----------
    checkpoint : Checkpoint or None
        Where to go on from, and where to leave what is needed to go on.
    resumed : mapping of str to object, or None
        After the first epoch of a training that went on: the notes that were kept with it.
    curve : tuple of dict
        What `fit` has reported of each epoch, with its number as ``epoch``.
    """

    checkpoint: Checkpoint | None = None
    resumed: Mapping[str, Any] | None = None
    curve: tuple[dict[str, float], ...] = ()

    @abstractmethod
    def fit_epochs(self, train: Interactions, rng: np.random.Generator) -> Iterator[EpochStats]:
        """Learn epoch by epoch without end; the model is usable after each yield."""

    def fit(
        self,
        train: Interactions,
        rng: np.random.Generator,
        on_epoch: Callable[[EpochStats], None] = lambda _: None,
    ) -> Self:
        """Learn for ``config.epochs`` epochs, and tell `on_epoch` of each."""
        curve: list[dict[str, float]] = []
        for stats in self.fit_epochs(train, rng):
            on_epoch(stats)
            if self.resumed is not None:  # this epoch is in its curve already
                curve, self.resumed = list(self.resumed.get("curve", ())), None
            else:
                curve.append(stats.row)
            last = stats.epoch >= self.config.epochs
            self.keep({"curve": curve}, now=last)
            if last:
                break
        self.curve = tuple(curve)
        return self

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
        """Return the arrays and plain values that `fit_epochs` goes on from; None if it cannot."""
        return None

    def keep(self, notes: Mapping[str, Any] | None = None, *, now: bool = False) -> None:
        """Leave the state in the checkpoint, if there is one and it is time to.

        Parameters
        ----------
        notes : mapping of str to object
            Plain values of who drives the training, found again in `resumed`.
        now : bool
            Whether not to wait until it is time.
        """
        if self.checkpoint is None or not (now or self.checkpoint.due):
            return
        state = self.state()
        if state is not None:
            arrays, own = state
            self.checkpoint.write(arrays, {"model": own, "caller": dict(notes or {})})


def training_data(model: Recommender, train: Interactions) -> Interactions:
    """Return what a model is fitted on: without times, unless it says that it uses them."""
    if train.times is None or {"order", "times"} & set(model.information()):
        return train
    return replace(train, times=None)


def answer_fault(answer: Any, shape: tuple[int, int]) -> str | None:
    """Say what is wrong with the form of what `Recommender.score` has returned.

    Parameters
    ----------
    answer : object
        What was returned.
    shape : tuple of int
        Number of users that were asked for, number of items.

    Returns
    -------
    str or None
        What it is instead of an array of numbers in this shape, and what to change; None if
        nothing is wrong.
    """
    kind = type(answer)
    if not isinstance(answer, np.ndarray):
        package = kind.__module__.partition(".")[0]
        what = f"a {kind.__name__}" if package == "builtins" else f"a {package}.{kind.__name__}"
        remedy = "Return np.asarray(scores, np.float32)."
        if answer is None:
            what, remedy = "None", "Is there a return statement?"
        elif package == "torch":
            remedy = "Return scores.detach().cpu().numpy()."
        elif hasattr(answer, "toarray"):
            remedy = "Return scores.toarray()."
        return f"returned {what} instead of a NumPy array. {remedy}"
    if answer.shape != shape:
        remedy = " Return scores.T." if answer.shape == shape[::-1] else ""
        return (
            f"returned an array of shape {answer.shape}; it must be an array of shape {shape}: a "
            f"row for each user that it was asked for, a column for each item.{remedy}"
        )
    if answer.dtype.kind not in "fiub":
        return f"returned an array of {answer.dtype}. Return numbers: scores.astype(np.float32)."
    return None
