"""Checks of what a model does: fits, scores, and what they may depend on."""

import pickle
import sys
from dataclasses import replace
from typing import Any
from unittest import SkipTest

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.errors import ModelError, blame
from recrepro.features import Features
from recrepro.interactions import sorting_order
from recrepro.model import Recommender, answer_fault
from recrepro.randomness import generator

from .subject import (
    ModelUnderTest,
    ask,
    assert_close,
    input_arrays,
    must,
    score_everyone,
    should,
)
from .toys import interactions_from, toy_features, toy_interactions


def _assert_numbers(scores: NDArray[np.float32], whom: str) -> None:
    wrong = int((np.isnan(scores) | np.isposinf(scores)).sum())
    assert not wrong, (
        f"{wrong} of {scores.size} scores of {whom} are NaN or infinite. Look for a division by "
        "zero or a training that diverges; give a finite score instead, such as 0."
    )


def _scores_of_strangers(fitted: Recommender) -> NDArray[np.float32]:
    """Score a user that the model was not fitted on, with two histories."""
    train = toy_interactions()
    stranger = np.full(2, train.n_users + 3, np.int32)
    return ask(fitted, stranger, train.matrix[[4, 5]])


def _only_if_inductive(subject: ModelUnderTest) -> None:
    if not subject.model.inductive:
        raise SkipTest(f"{subject.model.__name__} declares that it cannot score unseen users")


def _only_if_personal(subject: ModelUnderTest) -> None:
    if subject.not_personal:
        raise SkipTest(f"{subject.model.__name__} is exempt: {subject.not_personal}")


LEARNS_NOTHING = (
    "Nothing is wrong if the model ranks alike for everyone or is made for much more data. If it "
    "should learn this: are users and items swapped, or good scores low instead of high?"
)


@must
def scores_are_an_array_with_a_row_for_each_user(subject: ModelUnderTest) -> None:
    """Scores are a NumPy array of numbers: a row for each user, a column for each item."""
    train = toy_interactions()
    users = np.array([5, 3, 5], np.int32)
    ask(subject.fitted, users, train.matrix[users])


@must
def scores_are_numbers(subject: ModelUnderTest) -> None:
    """No score is NaN or infinity, also for users without a history and items never seen."""
    _assert_numbers(subject.scores, "all users")
    nothing = csr_array(np.zeros((2, subject.scores.shape[1]), dtype=np.float32))
    scores = ask(subject.fitted, np.array([0, 1], np.int32), nothing)
    _assert_numbers(scores, "users with an empty history")


@must
def inputs_stay_unchanged(subject: ModelUnderTest) -> None:
    """`fit`, `score` and `score_candidates` change none of the arrays that they are given."""
    fitted, (train, features) = subject.fitted, subject.inputs
    users = np.arange(train.n_users, dtype=np.int32)
    candidates = csr_array(np.ones(train.shape, bool))
    fitted.score(users, train.matrix)
    fitted.score_candidates(users, train.matrix, candidates)
    fresh = toy_interactions()
    before = input_arrays(fresh)
    pairs: dict[str, tuple[Any, Any]] = {"the users to score": (users, np.arange(train.n_users))}
    pairs |= {name: (array, before[name]) for name, array in input_arrays(train).items()}
    matrices = [("candidates", candidates, csr_array(np.ones(train.shape, bool)))]
    for given, own in zip(features.sets, toy_features(fresh).sets, strict=True):
        matrices.append((f"{own.side} features", given.matrix, own.matrix))
    for name, changed, kept in matrices:
        for part in ("data", "indices", "indptr"):
            pairs[f"{part} of {name}"] = getattr(changed, part), getattr(kept, part)
    wrong = [name for name, (now, before) in pairs.items() if not np.array_equal(now, before)]
    assert not wrong, (
        f"the model has changed its inputs: {', '.join(wrong)}. Others use the same arrays: "
        "change a copy, such as train.matrix.copy()."
    )


@must
def equal_seeds_give_equal_scores(subject: ModelUnderTest) -> None:
    """Two models fitted with the same seed give the same scores to the last bit."""
    train = toy_interactions()
    assert_close(
        score_everyone(subject.fit(train), train),
        subject.scores,
        "two fits with the same seed differ",
        "Draw every random number from rng; PyTorch's are seeded with "
        "torch.manual_seed(int(rng.integers(2**31))).",
    )
    if subject.model.deterministic:
        assert_close(
            score_everyone(subject.fit(train, seed=2), train),
            subject.scores,
            "the model says that it is deterministic, and two fits with different seeds differ",
            "Leave out deterministic = True, so that recrepro tests fits with several seeds.",
        )


@must
def batch_mates_do_not_matter(subject: ModelUnderTest) -> None:
    """A user gets the same scores alone, beside all others, and when asked for twice."""
    train, remedy = toy_interactions(), "Compute a row from its own user and history only."
    twice = np.array([5, 3, 5], np.int32)
    scores = ask(subject.fitted, twice, train.matrix[twice])
    # A BLAS may sum a row in another order, depending on its place and its address in memory.
    fault = "a user asked for twice gets two scores"
    assert_close(scores[0], scores[2], fault, remedy, 1e-6, 1e-7)
    for user in range(train.n_users):
        alone = ask(subject.fitted, np.array([user], np.int32), train.matrix[[user]])
        fault = f"the scores of user {user} depend on who else is scored"
        assert_close(alone[0], subject.scores[user], fault, remedy, 1e-5, 1e-6)


@must
def candidates_get_their_scores_among_all_items(subject: ModelUnderTest) -> None:
    """`score_candidates` gives the candidates what `score` gives, and nobody NaN or infinity."""
    train = toy_interactions()
    users = np.arange(train.n_users, dtype=np.int32)
    candidates = csr_array(generator(2, "candidates").random(train.shape) < 0.2)
    some = subject.fitted.score_candidates(users, train.matrix, candidates)
    fault = answer_fault(some, train.shape)
    assert fault is None, f"score_candidates {fault}"
    _assert_numbers(some, "candidates and other items")
    at = candidates.nonzero()
    fault = "score_candidates and score differ"
    remedy = "Compute both in the same way, or leave score_candidates out: it is optional."
    assert_close(some[at], subject.scores[at], fault, remedy, 1e-4, 1e-6)


@must
def unseen_users_get_scores(subject: ModelUnderTest) -> None:
    """An inductive model scores a user that it was not fitted on, given a history."""
    _only_if_inductive(subject)
    fitted = subject.fitted
    try:
        scores = _scores_of_strangers(fitted)
    except Exception as error:
        raise AssertionError(
            f"{subject.model.__name__} fails for a user that it was not fitted on "
            f"({blame(error)}). Look at the history alone, or declare inductive = False."
        ) from error
    _assert_numbers(scores, "a user that the model was not fitted on")


@should
def unseen_users_are_told_apart_by_their_histories(subject: ModelUnderTest) -> None:
    """The scores of a user that an inductive model was not fitted on depend on the history."""
    _only_if_personal(subject)
    _only_if_inductive(subject)
    fitted = subject.fitted
    try:
        scores = _scores_of_strangers(fitted)
    except Exception as error:
        raise SkipTest("unseen users get no scores") from error
    assert not np.array_equal(scores[0], scores[1]), (
        "two unseen users with different histories get the same scores, as if from vectors that "
        "were not trained. Compute them from the histories, or declare inductive = False; if the "
        "model ranks alike for everyone, nothing is wrong."
    )


@should
def scores_are_finite(subject: ModelUnderTest) -> None:
    """No score is -inf, so that every item can be recommended to everyone."""
    share = float(np.isneginf(subject.scores).mean())
    assert not share, (
        f"{share:.0%} of the scores are -inf: these items are never recommended to these users. "
        "The evaluator leaves out what a user has seen by itself; give all others a score."
    )


@should
def scores_are_float32(subject: ModelUnderTest) -> None:
    """Scores are float32."""
    kind = subject.scores.dtype
    assert kind == np.float32, (
        f"scores are {kind} instead of float32, to which they are converted. Return "
        "scores.astype(np.float32), or compute in float32, which takes less time and memory."
    )


@should
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
        f"withheld item of their own colour. {LEARNS_NOTHING}"
    )


@should
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
    assert share >= 0.95, (
        f"only {share:.0%} of the users get an item of their own community first. {LEARNS_NOTHING}"
    )


@should
def a_second_fit_forgets_the_first(subject: ModelUnderTest) -> None:
    """A model fitted on other interactions before gives the scores of a fresh one."""
    train = toy_interactions()
    twice = subject.fit(toy_interactions(48, 30))
    twice.with_features(toy_features(train)).fit(train, generator(1, "fit"))
    assert_close(
        score_everyone(twice, train),
        subject.scores,
        "a fit depends on what the model was fitted on before",
        "Set every learned attribute anew in fit. recrepro itself fits a model only once.",
    )


@should
def the_order_of_items_does_not_matter(subject: ModelUnderTest) -> None:
    """A model that ignores its seed gives the same scores when items are numbered otherwise."""
    train = toy_interactions()
    if not np.array_equal(subject.scores, score_everyone(subject.fit(train, seed=2), train)):
        raise SkipTest(f"{subject.model.__name__} depends on its seed")
    order = generator(5, "order of items").permutation(train.n_items)
    items = np.argsort(order).astype(np.int32)[train.items]
    rows = sorting_order(train.users, items)
    known = {name: getattr(train, name)[rows] for name in ("users", "values", "times")}
    shuffled = replace(train, items=items[rows], **known)
    of_users, of_items = toy_features(train).sets
    of_items = replace(of_items, matrix=csr_array(of_items.matrix[order]))
    fitted = subject.fit(shuffled, Features((of_users, of_items)))
    assert_close(
        score_everyone(fitted, shuffled),
        subject.scores[:, order],
        "scores depend on how items are numbered, though not on the seed",
        "Use item indices to look things up only, never as numbers. Random numbers with a seed of "
        "the model's own are better drawn from rng.",
        1e-4,
        1e-6,
    )


@should
def a_pickled_model_scores_the_same(subject: ModelUnderTest) -> None:
    """A fitted model survives pickling: its copy gives the same scores to the last bit."""
    expected, model = subject.scores, subject.model
    home = sys.modules.get(model.__module__)
    if getattr(home, model.__qualname__, None) is not model:
        raise SkipTest(
            f"{model.__name__} was made from a function, or inside of one: pickle finds only "
            "classes that stand in a module"
        )
    remedy = "recrepro itself pickles no model; other tools do. Keep arrays and numbers only."
    try:
        copy = pickle.loads(pickle.dumps(subject.fitted))  # noqa: S301 - our own bytes
    except Exception as error:
        raise AssertionError(f"the fitted model cannot be pickled: {error}. {remedy}") from error
    fault = "a pickled copy gives other scores"
    assert_close(score_everyone(copy, toy_interactions()), expected, fault, remedy)


@should
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
        said = blame(error)
    raise AssertionError(
        "scoring before fit should raise ModelError with 'not fitted yet: call fit', but it gave "
        f"{said}. Read learned attributes with self.fitted(name)."
    )
