"""Checks of what a model does: fits, scores, and what they may depend on."""

import pickle
from dataclasses import replace
from typing import Any
from unittest import SkipTest

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.errors import ModelError
from recrepro.features import Features
from recrepro.randomness import generator

from .subject import ModelUnderTest, assert_close, check, score_everyone
from .toys import interactions_from, toy_features, toy_interactions


def _assert_finite(scores: NDArray[np.float32], whom: str) -> None:
    wrong = int((~np.isfinite(scores)).sum())
    assert not wrong, f"{wrong} of {scores.size} scores of {whom} are NaN or infinite"


def _only_if_personal(subject: ModelUnderTest) -> None:
    if subject.not_personal:
        raise SkipTest(f"{subject.model.__name__} is exempt: {subject.not_personal}")


@check
def withheld_items_of_the_own_colour_come_first(subject: ModelUnderTest) -> None:
    """Users have all items of their colour but one, which outranks those of the other colour."""
    _only_if_personal(subject)
    n = 24
    same_colour = np.add.outer(np.arange(n), np.arange(n)) % 2 == 0
    train = interactions_from(same_colour & ~np.eye(n, dtype=bool), timed=True)
    scores = score_everyone(subject.learn(train), train)
    others = np.where(same_colour, -np.inf, scores).max(axis=1)
    wrong = np.flatnonzero(~(np.diag(scores) > others))
    assert not len(wrong), (
        f"for {len(wrong)} of {n} users an item of the other colour scores as high as the one "
        f"withheld item of their own colour; users {wrong.tolist()}"
    )


@check
def items_of_the_own_community_come_first(subject: ModelUnderTest) -> None:
    """Two communities share no items; 95 % of the users get a new item of their own one first."""
    _only_if_personal(subject)
    own = np.kron(np.eye(2), np.ones((30, 20))).astype(bool)
    drawn = generator(3, "communities").random(own.shape) < 0.5
    train = interactions_from(own & drawn, timed=True)
    features = toy_features(train, np.repeat([0, 1], 30), np.repeat([0, 1], 20))
    scores = np.array(score_everyone(subject.learn(train, features), train))
    scores[train.matrix.toarray() > 0] = -np.inf
    share = float(own[np.arange(len(own)), scores.argmax(axis=1)].mean())
    assert share >= 0.95, f"only {share:.0%} of the users get an item of their own community first"


@check
def scores_are_float32_with_a_row_per_user(subject: ModelUnderTest) -> None:
    """Scores are float32, a row per user and a column per item; equal users get equal rows."""
    train = toy_interactions()
    users = np.array([5, 3, 5], np.int32)
    scores = subject.fitted.score(users, train.matrix[users])
    expected = (3, train.n_items)
    assert scores.shape == expected, f"scores have shape {scores.shape} instead of {expected}"
    assert scores.dtype == np.float32, f"scores are {scores.dtype} instead of float32"
    # A BLAS may sum a row in another order, depending on its place and its address in memory.
    assert_close(scores[0], scores[2], "a user asked for twice gets two scores", 1e-6, 1e-7)


@check
def candidates_get_their_scores_among_all_items(subject: ModelUnderTest) -> None:
    """`score_candidates` gives the candidates what `score` gives, and nobody NaN or infinity."""
    train = toy_interactions()
    users = np.arange(train.n_users, dtype=np.int32)
    candidates = csr_array(generator(2, "candidates").random(train.shape) < 0.2)
    some = subject.fitted.score_candidates(users, train.matrix, candidates)
    wrong = int((np.isnan(some) | np.isposinf(some)).sum())
    assert not wrong, f"{wrong} scores of candidates and other items are NaN or infinity"
    at = candidates.nonzero()
    message = "score_candidates and score differ"
    assert_close(some[at], subject.scores[at], message, 1e-4, 1e-6)


@check
def equal_seeds_give_equal_scores(subject: ModelUnderTest) -> None:
    """Two models fitted with the same seed give the same scores to the last bit."""
    train = toy_interactions()
    again = score_everyone(subject.fit(train), train)
    assert_close(again, subject.scores, "two fits with the same seed differ")


@check
def a_second_fit_forgets_the_first(subject: ModelUnderTest) -> None:
    """A model fitted on other interactions before gives the scores of a fresh one."""
    train = toy_interactions()
    twice = subject.fit(toy_interactions(30, 12))
    twice.with_features(toy_features(train)).fit(train, generator(1, "fit"))
    message = "a fit depends on what the model was fitted on before"
    assert_close(score_everyone(twice, train), subject.scores, message)


@check
def inputs_stay_unchanged(subject: ModelUnderTest) -> None:
    """`fit`, `score` and `score_candidates` change none of the arrays that they are given."""
    fitted, (train, features) = subject.fitted, subject.inputs
    users = np.arange(train.n_users, dtype=np.int32)
    candidates = csr_array(np.ones(train.shape, bool))
    fitted.score(users, train.matrix)
    fitted.score_candidates(users, train.matrix, candidates)
    fresh = toy_interactions()
    pairs: dict[str, tuple[Any, Any]] = {"the users to score": (users, np.arange(train.n_users))}
    for name in ("users", "items", "values", "times"):
        pairs[f"train.{name}"] = getattr(train, name), getattr(fresh, name)
    matrices = [("train.matrix", train.matrix, fresh.matrix)]
    matrices.append(("candidates", candidates, csr_array(np.ones(train.shape, bool))))
    for given, own in zip(features.sets, toy_features(fresh).sets, strict=True):
        matrices.append((f"{own.side} features", given.matrix, own.matrix))
    for name, changed, kept in matrices:
        for part in ("data", "indices", "indptr"):
            pairs[f"{part} of {name}"] = getattr(changed, part), getattr(kept, part)
    wrong = [name for name, (now, before) in pairs.items() if not np.array_equal(now, before)]
    assert not wrong, f"the model has changed its inputs: {', '.join(wrong)}"


@check
def batch_mates_do_not_matter(subject: ModelUnderTest) -> None:
    """A user gets the same scores alone and beside all others."""
    train = toy_interactions()
    for user in range(train.n_users):
        alone = subject.fitted.score(np.array([user], np.int32), train.matrix[[user]])
        message = f"the scores of user {user} depend on who else is scored"
        assert_close(alone[0], subject.scores[user], message, 1e-5, 1e-6)


@check
def scores_are_finite(subject: ModelUnderTest) -> None:
    """Scores are finite, also for users without a history and items never seen."""
    _assert_finite(subject.scores, "all users")
    nothing = csr_array(np.zeros((2, subject.scores.shape[1]), dtype=np.float32))
    scores = subject.fitted.score(np.array([0, 1], np.int32), nothing)
    _assert_finite(scores, "users with an empty history")


@check
def unseen_users_get_scores(subject: ModelUnderTest) -> None:
    """An inductive model scores a user that it was not fitted on, given a history."""
    name = subject.model.__name__
    if not subject.model.inductive:
        raise SkipTest(f"{name} declares that it cannot score unseen users")
    train = toy_interactions()
    stranger = np.array([train.n_users + 3], np.int32)
    try:
        scores = subject.fitted.score(stranger, train.matrix[[4]])
    except Exception as error:
        raise AssertionError(
            f"{name} fails for a user that it was not fitted on ({error}): look at the history "
            "alone, or declare inductive = False"
        ) from error
    _assert_finite(scores, "a user that the model was not fitted on")


@check
def the_order_of_items_does_not_matter(subject: ModelUnderTest) -> None:
    """A model that ignores its seed gives the same scores when items are numbered otherwise."""
    train = toy_interactions()
    if not np.array_equal(subject.scores, score_everyone(subject.fit(train, seed=2), train)):
        raise SkipTest(f"{subject.model.__name__} depends on its seed")
    order = generator(5, "order of items").permutation(train.n_items)
    shuffled = interactions_from(train.matrix.toarray()[:, order], timed=True)
    of_users, of_items = toy_features(train).sets
    of_items = replace(of_items, matrix=csr_array(of_items.matrix[order]))
    fitted = subject.fit(shuffled, Features((of_users, of_items)))
    message = "scores depend on how items are numbered"
    assert_close(score_everyone(fitted, shuffled), subject.scores[:, order], message, 1e-4, 1e-6)


@check
def a_pickled_model_scores_the_same(subject: ModelUnderTest) -> None:
    """A fitted model survives pickling: its copy gives the same scores to the last bit."""
    expected = subject.scores
    try:
        copy = pickle.loads(pickle.dumps(subject.fitted))  # noqa: S301 - our own bytes
    except Exception as error:
        raise AssertionError(f"the fitted model cannot be pickled: {error}") from error
    assert_close(score_everyone(copy, toy_interactions()), expected, "a pickled copy differs")


@check
def a_model_that_is_not_fitted_says_so(subject: ModelUnderTest) -> None:
    """Scoring before `fit` raises the error that `Recommender.fitted` raises."""
    said = "no error"
    try:
        score_everyone(subject.model(), toy_interactions())
    except ModelError as error:
        if "not fitted yet: call fit" in str(error):
            return
        said = str(error)
    except Exception as error:  # noqa: BLE001 - any other error is the failure looked for
        said = f"{type(error).__name__}: {error}"
    raise AssertionError(
        "scoring before fit should raise ModelError with 'not fitted yet: call fit', but it gave "
        f"{said}. Read learned attributes with self.fitted(name)."
    )
