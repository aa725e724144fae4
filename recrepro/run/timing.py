"""How long a trial would take, from one on a sample of train and validation."""

import time

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.evaluation.evaluator import Evaluator
from recrepro.interactions import Interactions
from recrepro.model import IterativeRecommender, Recommender
from recrepro.randomness import generator
from recrepro.splits.sealed import TuningView

SAMPLE = 50_000
"""Interactions in train that the larger of two samples has, about."""


def seconds_a_trial(
    model: Recommender, view: TuningView, evaluator: Evaluator, evaluate_every: int, seed: int
) -> float:
    """Estimate how long it takes to fit a model and to rank the validation part.

    Two samples of the users are tried, one with half of the other's, and the line through both
    times is followed to all users. All items stay, because much depends on their number.

    Parameters
    ----------
    model : Recommender
        With the hyperparameters to be timed. One that learns in epochs is timed for two of them,
        and counted as if it never stopped before its last.
    view : TuningView
        Train and validation.
    evaluator : Evaluator
        What ranks.
    evaluate_every : int
        Epochs between two validations.
    seed : int
        Draws the sample.
    """
    share = min(1.0, SAMPLE / max(1, len(view.train)))
    n_users = view.train.n_users
    place = generator(seed, "timing").permutation(n_users)

    def timed(part: float) -> float:
        sample = _sampled(view, place < part * n_users)
        return _timed(model, sample, evaluator, evaluate_every, seed)

    timed(share / 2)  # compiles loops, loads libraries
    larger = timed(share)
    if share == 1.0:
        return larger
    slope = max(0.0, larger - timed(share / 2)) / (share / 2)
    return larger + slope * (1 - share)


def _sampled(view: TuningView, users: NDArray[np.bool_]) -> TuningView:
    def some(part: Interactions) -> Interactions:
        return part.select(users[part.users])

    negatives = view.validation_negatives
    if negatives is not None:
        negatives = csr_array(negatives.multiply(users[:, None]))
        negatives.eliminate_zeros()
    shown = None if view.shown is None else some(view.shown)
    return TuningView(some(view.train), some(view.validation), negatives, shown)


def _timed(
    model: Recommender, view: TuningView, evaluator: Evaluator, evaluate_every: int, seed: int
) -> float:
    rng = generator(seed, "timing", "fit")
    marks = [time.perf_counter()]
    if isinstance(model, IterativeRecommender):
        epochs = model.fit_epochs(view.train, rng)
        for _ in range(min(2, model.config.epochs)):
            next(epochs)
            marks.append(time.perf_counter())
    else:
        model.fit(view.train, rng)
        marks.append(time.perf_counter())
    evaluator.evaluate(
        model, view.train, view.histories, view.validation, view.validation_negatives
    )
    validation = time.perf_counter() - marks[-1]
    if not isinstance(model, IterativeRecommender):
        return marks[-1] - marks[0] + validation
    n_epochs: int = model.config.epochs
    n_validations = -(-n_epochs // evaluate_every)
    rest = (n_epochs - 1) * (marks[-1] - marks[-2])
    return marks[1] - marks[0] + rest + n_validations * validation
