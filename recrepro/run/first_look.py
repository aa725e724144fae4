"""The first look at new code: cheap checks of a model that is not recrepro's, before its search.

The test part is still locked then, so that no opening is spent on a model that cannot be right. The
checks see some users of the training part, and stop when their time is spent. `recrepro
check-model` checks more (`recrepro.testing`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recrepro.custom.function import FunctionRecommender
from recrepro.errors import ModelError, first_line, users_frame
from recrepro.evaluation.evaluator import SHORTEST_LISTS, wrong_scores
from recrepro.features import Features
from recrepro.interactions import Interactions
from recrepro.model import (
    IterativeRecommender,
    ModelConfig,
    Recommender,
    answer_fault,
    training_data,
)
from recrepro.randomness import generator
from recrepro.run.events import Said, StageBegun
from recrepro.run.job import Job
from recrepro.splits.sealed import StoredSplit
from recrepro.store.ledger import Ledger
from recrepro.testing import answer_stranger, few_epochs, input_arrays, uses_cuda
from recrepro.tuning.tuner import make_config

USERS = 200
"""Users that a model is fitted on, at most."""
SECONDS = 20.0
"""Processor seconds after which no further check begins."""
MOST_BARRED = 0.25
"""Share of scores that may be -inf without a note."""
MOST_TIED = 0.5
"""Share of the items that may share a user's tenth best score without a note, and of such users."""


def first_look(
    job: Job,
    model_class: type[Recommender],
    split: StoredSplit,
    ledger: Ledger,
    emit: Callable[[Said], None],
) -> list[str]:
    """Check a model, unless it is recrepro's own or its code has passed before.

    Code with notes is looked at in every cell, so that each of its records has them.

    Parameters
    ----------
    job : Job
        The cell.
    model_class : type of Recommender
        Its model.
    split : StoredSplit
        Its split, of which the training part is read.
    ledger : Ledger
        Remembers which code has passed.
    emit : callable
        Is told that this stage begins.

    Returns
    -------
    list of str
        What a reader of the result has to know of the model.

    Raises
    ------
    ModelError
        If the model breaks the contract. What it raises itself in `score` is not caught.
    """
    code = None if job.identity.model is None else job.identity.model.code
    if code is None or ledger.is_checked(code):
        return []
    emit(StageBegun(stage="first look"))
    train = split.tuning_view(bytes.fromhex(job.tuning_key)).train
    spec = job.model_spec
    params = few_epochs(model_class, 1, spec.params)
    config = make_config(model_class, spec.title, params)
    subject = Subject(model_class, config, some_users(train, job.name.seed), job.features)
    notes = look_at(subject)
    if notes == []:
        ledger.add_checked(code)
    return notes or []


def some_users(train: Interactions, seed: int) -> Interactions:
    """Return the interactions of at most `USERS` users, drawn at random, and of their items."""
    active = np.flatnonzero(train.user_counts)
    n = min(USERS, len(active))
    chosen = generator(seed, "first look", "users").choice(active, n, replace=False)
    return train.select(np.isin(train.users, chosen)).without_unused_labels()


@dataclass(frozen=True)
class Subject:
    """A model to look at, and the data that it is fitted on.

    Parameters
    ----------
    model : type of Recommender
        The model.
    config : ModelConfig
        Its hyperparameters.
    train : Interactions
        Interactions in which each user and each item has some.
    features : Features or None
        Side information of these users and items, among others.
    """

    model: type[Recommender]
    config: ModelConfig
    train: Interactions
    features: Features | None = None

    def fit(self, train: Interactions) -> Recommender:
        """Fit on interactions, always with the same seed; an iterative model for one epoch."""
        features = self.features and self.features.aligned(train.user_ids, train.item_ids)
        model = self.model(self.config).with_features(features)
        rng = generator(1, "first look", "fit")
        if isinstance(model, IterativeRecommender):
            next(model.fit_epochs(train, rng))
        else:
            model.fit(train, rng)
        return model

    def copy(self) -> Interactions:
        """Return a copy of the data, of which the model may change nothing."""
        train = self.train
        copy = train.select(np.ones(len(train), bool))
        copy = replace(copy, user_ids=train.user_ids.copy(), item_ids=train.item_ids.copy())
        return training_data(self.model(self.config), copy)


def look_at(subject: Subject) -> list[str] | None:
    """Check a model.

    Parameters
    ----------
    subject : Subject
        The model.

    Returns
    -------
    list of str or None
        Notes; None if the model cannot be fitted on so few users, which need not be its fault.

    Raises
    ------
    ModelError
        If the model breaks the contract. What it raises itself in `score` is not caught.
    """
    end = time.process_time() + SECONDS
    train = subject.copy()
    try:
        fitted = subject.fit(train)
    except Exception:  # noqa: BLE001 - if it is a fault, fitting on all users meets it again
        return None
    _require_unchanged(subject, train, {})
    notes: list[str] = []
    if time.process_time() > end:
        return notes
    scores = _scores(subject, fitted, train)
    unseen = np.where(train.matrix.toarray() != 0, np.nan, scores)
    notes += [*_barred(unseen), *_tied(unseen)]
    if time.process_time() < end:
        again = _scores(subject, fitted, train)
        _require_equal(fitted, again, scores, "score returns other scores when it is asked again")
    if time.process_time() < end:
        again = _scores(subject, subject.fit(train), train)
        _require_equal(fitted, again, scores, "two fits with the same seed give different scores")
    if subject.model.inductive and time.process_time() < end:
        notes += _strangers(fitted, train, scores)
    return notes


def _users(train: Interactions) -> NDArray[np.int32]:
    return np.arange(train.n_users, dtype=np.int32)


def _scores(subject: Subject, fitted: Recommender, train: Interactions) -> NDArray[np.float32]:
    """Ask for the scores of all users; refuse another form, NaN, infinity and changed inputs."""
    users = _users(train)
    answer = fitted.score(users, train.matrix)
    _require_unchanged(subject, train, {"the users to score": users})
    fault = answer_fault(answer, train.shape)
    if fault is not None:
        raise ModelError(f"{type(fitted).__name__}.score {fault}{_place(fitted)}")
    with np.errstate(over="ignore"):
        scores = np.array(answer, np.float32)
    if (np.isnan(scores) | np.isposinf(scores)).any():
        raise ModelError(f"{wrong_scores(fitted, scores, users)}{_place(fitted)}")
    return scores


def _require_unchanged(
    subject: Subject, train: Interactions, more: dict[str, NDArray[Any]]
) -> None:
    """Refuse a model that has changed what it was given, and say where it does."""
    kept = subject.copy()
    before = input_arrays(kept) | {"the users to score": _users(kept)}
    now = input_arrays(train) | more
    wrong = [name for name, array in now.items() if not np.array_equal(array, before[name])]
    if wrong:
        raise ModelError(
            f"{subject.model.__name__} changes its inputs: {', '.join(wrong)}{_writer(subject)}. "
            "Everything else that uses these arrays would see that. Change a copy, such as "
            "train.matrix.copy()."
        )


def _writer(subject: Subject) -> str:
    """Return the place where a model writes to its inputs; empty if it cannot be found."""
    train = subject.copy()
    users = _users(train)
    for array in (*input_arrays(train).values(), users):
        array.setflags(write=False)
    try:
        subject.fit(train).score(users, train.matrix)
    except Exception as error:  # noqa: BLE001 - any error shows a place
        frame = users_frame(error)
        return "" if frame is None else f" ({frame.filename}:{frame.lineno}, in {frame.name})"
    return ""


def _require_equal(
    fitted: Recommender, again: NDArray[np.float32], scores: NDArray[np.float32], fault: str
) -> None:
    """Refuse a model whose scores are others than before, beyond rounding."""
    share = 1e-3 if uses_cuda() else 1e-5
    largest = float(np.abs(scores[np.isfinite(scores)]).max(initial=0.0))
    differ = ~np.isclose(again, scores, share, share * largest)
    if differ.any():
        raise ModelError(
            f"{type(fitted).__name__}: {fault} ({int(differ.sum())} of {differ.size} differ). Draw "
            "every random number in fit, from rng; PyTorch's are seeded with "
            "torch.manual_seed(int(rng.integers(2**31)))."
        )


def _place(fitted: Recommender) -> str:
    """Return where the function that scores is defined, if it is not recrepro's."""
    scoring = fitted.scorer if isinstance(fitted, FunctionRecommender) else type(fitted).score
    code = getattr(scoring, "__code__", None)
    if code is None or (scoring.__module__ or "").partition(".")[0] == "recrepro":
        return ""
    return f" ({code.co_filename}:{code.co_firstlineno}, in {code.co_name})"


def _barred(unseen: NDArray[np.float32]) -> list[str]:
    """Note a large share of items that are never recommended; seen items are NaN here."""
    share = float(np.isneginf(unseen[~np.isnan(unseen)]).mean())
    if share <= MOST_BARRED:
        return []
    whose = f"the scores of {len(unseen)} users for items that they have not seen"
    return [f"{share:.0%} of {whose} are -inf: these items are never recommended to them"]


def _tied(unseen: NDArray[np.float32]) -> list[str]:
    """Note that chance decides most lists, because more than half of the items are tied."""
    ranked = np.where(np.isnan(unseen), -np.inf, unseen)
    if ranked.shape[1] < SHORTEST_LISTS:
        return []
    tenth = np.partition(ranked, -10, axis=1)[:, [-10]]
    tied = (ranked == tenth) & np.isfinite(tenth)
    share = float((tied.sum(axis=1) > MOST_TIED * (~np.isnan(unseen)).sum(axis=1)).mean())
    if share <= MOST_TIED:
        return []
    why = "more than half of the items share the score of the tenth best"
    return [f"chance orders the lists of {share:.0%} of {len(ranked)} users: {why}"]


def _strangers(fitted: Recommender, train: Interactions, scores: NDArray[np.float32]) -> list[str]:
    """Note an inductive model that does not tell unseen users apart by their histories."""
    other = np.flatnonzero((scores != scores[0]).any(axis=1))
    if not len(other):  # it ranks alike for everyone
        return []
    try:
        answers = [answer_stranger(fitted, train, like) for like in (0, int(other[0]))]
        differ = not np.array_equal(*answers)
    except Exception as error:  # noqa: BLE001 - whatever it raises, such users get no scores
        why = f"get no scores ({type(error).__name__}: {first_line(error)})"
    else:
        if differ:
            return []
        why = "get scores that do not depend on their history, as from untrained vectors"
    return [f"unseen users {why}: inductive = False would say so"]
