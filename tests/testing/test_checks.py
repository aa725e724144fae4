"""Each contract check finds the model that breaks it: a sound model, and one broken thing each."""

import sys
from types import SimpleNamespace
from typing import Annotated, Any
from unittest import SkipTest

import numpy as np
import pytest
from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, FiniteFloat, field_serializer, model_serializer

from recrepro.custom.function import function_model
from recrepro.model import ModelConfig, Recommender
from recrepro.space import Choice, Uniform
from recrepro.testing import (
    CHECKS,
    Advice,
    ModelUnderTest,
    Outcome,
    check_recommender,
    contract_checks,
    few_epochs,
    outcomes,
)


class Sound(Recommender):
    """Counts which items occur together, and keeps the contract."""

    class Config(ModelConfig):
        shift: Annotated[FiniteFloat, Ge(0), Uniform(0.0, 1.0)] = 0.5
        """Added to each score."""

    def fit(self, train, rng):
        self.weights = (train.matrix.T @ train.matrix).toarray()
        return self

    def score(self, users, histories):
        return (histories @ self.fitted("weights") + self.config.shift).astype(np.float32)


class SameForEveryone(Sound):
    """Counts the interactions of the items."""

    def score(self, users, histories):
        return np.tile(self.fitted("weights").sum(axis=0), (len(users), 1))


class Transposed(Sound):
    def score(self, users, histories):
        return super().score(users, histories).T


class Listed(Sound):
    def score(self, users, histories):
        return super().score(users, histories).tolist()


class Double(Sound):
    """Scores in float64."""

    def score(self, users, histories):
        return super().score(users, histories).astype(np.float64)


class PlaceInBatch(Sound):
    def score(self, users, histories):
        scores = super().score(users, histories)
        return scores + np.arange(len(users), dtype=np.float32)[:, None]


class OtherCandidates(Sound):
    def score_candidates(self, users, histories, candidates):
        return self.score(users, histories) * 2


class NanBesideCandidates(Sound):
    def score_candidates(self, users, histories, candidates):
        return np.where(candidates.toarray(), self.score(users, histories), np.nan)


class OwnRandomness(Sound):
    def fit(self, train, rng):
        super().fit(train, rng)
        self.weights = self.weights + np.random.default_rng().random(self.weights.shape)
        return self


class Accumulating(Sound):
    n_fits = 0

    def fit(self, train, rng):
        self.n_fits += 1
        super().fit(train, rng)
        self.weights = self.weights + self.n_fits
        return self


class ChangesValues(Sound):
    def fit(self, train, rng):
        train.matrix.data *= 2
        return super().fit(train, rng)


class ChangesHistories(Sound):
    def score(self, users, histories):
        scores = super().score(users, histories)
        histories.data[:] = 0
        return scores


class ChangesUsers(Sound):
    def score(self, users, histories):
        scores = super().score(users, histories)
        users[:] = 0
        return scores


class ChangesCandidates(Sound):
    def score_candidates(self, users, histories, candidates):
        candidates.data[:] = False
        return self.score(users, histories)


class ChangesFeatures(Sound):
    def fit(self, train, rng):
        self.feature_matrix("item", train).data *= 2
        return super().fit(train, rng)


class LearnsFromScoring(Sound):
    def score(self, users, histories):
        scores = super().score(users, histories)
        self.weights = self.weights + 1
        return scores


class RandomInScoring(Sound):
    def score(self, users, histories):
        scores = super().score(users, histories)
        return scores + np.random.default_rng().random(scores.shape, np.float32)


class HalfUnrecommendable(Sound):
    def score(self, users, histories):
        scores = super().score(users, histories)
        scores[:, ::2] = -np.inf
        return scores


class BatchMean(Sound):
    def score(self, users, histories):
        scores = super().score(users, histories)
        return scores - scores.mean(axis=0)


class DividedByLength(Sound):
    def score(self, users, histories):
        with np.errstate(divide="ignore", invalid="ignore"):
            lengths = np.asarray(histories.sum(axis=1))[:, None]
            return super().score(users, histories) / lengths


class NeedsItsUsers(Sound):
    def fit(self, train, rng):
        self.known = np.arange(train.n_users)
        return super().fit(train, rng)

    def score(self, users, histories):
        self.fitted("known")[users]
        return super().score(users, histories)


class NanForStrangers(Sound):
    def fit(self, train, rng):
        self.n_users = train.n_users
        return super().fit(train, rng)

    def score(self, users, histories):
        scores = super().score(users, histories)
        scores[users >= self.n_users] = np.nan
        return scores


class ByItemNumber(Sound):
    def score(self, users, histories):
        scores = super().score(users, histories)
        return scores + np.arange(scores.shape[1], dtype=np.float32) / 100


class CountsHistoriesTwice(Sound):
    def set_histories(self, histories):
        self.weights = self.weights + np.asarray((histories.matrix.T @ histories.matrix).toarray())


class NotPicklable(Sound):
    def fit(self, train, rng):
        self.hook = lambda: None
        return super().fit(train, rng)


class ForgetsInPickling(Sound):
    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"weights": self.weights.round(-1)}


class OwnWordsIfNotFitted(Sound):
    def score(self, users, histories):
        if "weights" not in self.__dict__:
            raise RuntimeError("fit first")
        return super().score(users, histories)


class ScoresUnfitted(Sound):
    def score(self, users, histories):
        if "weights" not in self.__dict__:
            return np.zeros(histories.shape, np.float32)
        return super().score(users, histories)


class Seeded(Sound):
    """Adds noise that its seed decides, and declares that it knows only its users."""

    inductive = False

    def fit(self, train, rng):
        super().fit(train, rng)
        self.weights = self.weights + rng.random(self.weights.shape) / 10
        return self


LARGE_ENOUGH = Annotated[FiniteFloat, Ge(0)]

BROKEN = [
    (SameForEveryone, "withheld_items_of_the_own_colour_come_first", "other colour"),
    (SameForEveryone, "items_of_the_own_community_come_first", "own community"),
    (SameForEveryone, "unseen_users_are_told_apart_by_their_histories", "not trained"),
    (Transposed, "scores_are_an_array_with_a_row_for_each_user", r"shape \(25, 3\).*scores.T"),
    (Listed, "scores_are_an_array_with_a_row_for_each_user", "a list instead of a NumPy array"),
    (Double, "scores_are_float32", "float64"),
    (PlaceInBatch, "batch_mates_do_not_matter", "asked for twice gets two scores"),
    (OtherCandidates, "candidates_get_their_scores_among_all_items", "differ"),
    (NanBesideCandidates, "candidates_get_their_scores_among_all_items", "NaN"),
    (OwnRandomness, "equal_seeds_give_equal_scores", "same seed differ"),
    (Accumulating, "a_second_fit_forgets_the_first", "fitted on before"),
    (ChangesValues, "inputs_stay_unchanged", "train.values, data of train.matrix. Others"),
    (ChangesHistories, "inputs_stay_unchanged", "data of train.matrix"),
    (ChangesUsers, "inputs_stay_unchanged", "users to score"),
    (ChangesCandidates, "inputs_stay_unchanged", "data of candidates. Others"),
    (ChangesFeatures, "inputs_stay_unchanged", "data of item features. Others"),
    (LearnsFromScoring, "scores_are_numbers", "scoring has changed the model"),
    (RandomInScoring, "scores_are_numbers", "or draws random numbers"),
    (BatchMean, "batch_mates_do_not_matter", "who else is scored"),
    (DividedByLength, "scores_are_numbers", "NaN or infinite"),
    (HalfUnrecommendable, "scores_are_finite", "52% of the scores are -inf"),
    (NeedsItsUsers, "unseen_users_get_scores", "inductive = False"),
    (NanForStrangers, "unseen_users_get_scores", "NaN or infinite"),
    (ByItemNumber, "the_order_of_items_does_not_matter", "how items are numbered"),
    (CountsHistoriesTwice, "histories_that_were_fitted_change_no_score", "replaces what fit keeps"),
    (NotPicklable, "a_pickled_model_scores_the_same", "cannot be pickled"),
    (ForgetsInPickling, "a_pickled_model_scores_the_same", "copy gives other scores"),
    (OwnWordsIfNotFitted, "a_model_that_is_not_fitted_says_so", "RuntimeError: fit first"),
    (ScoresUnfitted, "a_model_that_is_not_fitted_says_so", "it gave no error"),
]


ADVICE = {
    "a_model_that_is_not_fitted_says_so",
    "a_pickled_model_scores_the_same",
    "a_second_fit_forgets_the_first",
    "hyperparameters_are_documented_and_sensible",
    "items_of_the_own_community_come_first",
    "scores_are_finite",
    "scores_are_float32",
    "the_order_of_items_does_not_matter",
    "unseen_users_are_told_apart_by_their_histories",
    "withheld_items_of_the_own_colour_come_first",
}
"""Checks whose findings neither end a run nor make its results wrong."""


def test_a_sound_model_passes_every_check_and_skips_none():
    assert check_recommender(Sound, strict=True) == [Outcome(name, "passed") for name in CHECKS]


@pytest.mark.parametrize(("model", "check", "message"), BROKEN)
def test_a_broken_model_fails_the_check_that_is_named_for_it(model, check, message):
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        CHECKS[check](ModelUnderTest(model, strict=True))


@pytest.mark.parametrize(("model", "check", "message"), BROKEN)
def test_only_what_ends_runs_or_makes_results_wrong_is_a_failure_by_default(model, check, message):
    with pytest.raises(Advice if check in ADVICE else AssertionError, match=f"(?s){message}"):
        CHECKS[check](ModelUnderTest(model))


def odd(**attributes):
    """Make a sound model with other class attributes."""
    return type("Odd", (Sound,), {"__doc__": "Is odd."} | attributes)


def with_hyperparameter(annotation, *default, doc="One line."):
    """Make a sound model with one hyperparameter of its own."""
    config = {"__annotations__": {"shift": annotation}}
    if default:
        config["shift"] = default[0]
    model = odd(Config=type("Config", (ModelConfig,), config))
    model.Config.model_fields["shift"].description = doc
    return model


class NoModelConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Mutable(Sound.Config):
    model_config = ConfigDict(frozen=False)


class Lenient(ModelConfig):
    model_config = ConfigDict(extra="ignore")


class LosesInDumping(Sound.Config):
    @model_serializer
    def without_a_value(self) -> dict[str, float]:
        return {"shift": self.shift + 1}


class LosesInJson(Sound.Config):
    @field_serializer("shift", when_used="json")
    def as_whole_number(self, shift: float) -> int:
        return int(shift)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (odd(version="1"), "version is not a whole number"),
        (odd(version=0), "version is 0"),
        (odd(inductive=1), "inductive is neither"),
        (odd(needs_times=0), "needs_times is neither"),
        (odd(Config=NoModelConfig), "does not derive from ModelConfig"),
        (odd(Config=Mutable), "shift can change after construction"),
        (odd(Config=Lenient), "unknown names are not refused"),
        (odd(Config=LosesInDumping), "another one after dumping and reading it. "),
        (odd(Config=LosesInJson), "(as JSON)"),
        (with_hyperparameter(LARGE_ENOUGH), "shift has no default"),
        (with_hyperparameter(Annotated[LARGE_ENOUGH, Uniform(-1.0, 2.0)], 0.5), "has -1.0, which"),
        (with_hyperparameter(Annotated[int, Ge(0), Choice(5, "b")], 5), "has 'b', which"),
    ],
)
def test_an_odd_declaration_is_named(model, message):
    with pytest.raises(AssertionError, match=message):
        CHECKS["hyperparameters_are_declared_well"](ModelUnderTest(model))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (odd(__doc__=None), "no docstring"),
        (with_hyperparameter(LARGE_ENOUGH, 0.5, doc=None), "shift has no line of doc"),
        (with_hyperparameter(LARGE_ENOUGH, 0.5, doc="Two\nlines."), "more than one line"),
        (with_hyperparameter(Annotated[float, Ge(0)], 0.5), r"takes inf, which"),
        (with_hyperparameter(Annotated[float, Le(1)], 0.5), r"takes -1000000000.0, which"),
        (with_hyperparameter(str, "a"), r"takes 'no such value', which"),
        (with_hyperparameter(object, None), "takes <object object"),
        (with_hyperparameter(Annotated[LARGE_ENOUGH, Uniform(1.0, 2.0)], 0.5), "lacks its default"),
    ],
)
def test_a_careless_declaration_is_named(model, message):
    check = CHECKS["hyperparameters_are_documented_and_sensible"]
    with pytest.raises(AssertionError, match=message):
        check(ModelUnderTest(model, strict=True))
    with pytest.raises(Advice, match=message):
        check(ModelUnderTest(model))


def test_every_check_has_a_model_that_breaks_it():
    declared = {name for name in CHECKS if name.startswith("hyperparameters_")}
    assert {check for _, check, _ in BROKEN} | declared == set(CHECKS)
    assert set(CHECKS) > ADVICE


def states(model, **options):
    """Checks that did not pass, with what they found."""
    return {o.check: o.state for o in check_recommender(model, **options) if o.state != "passed"}


def test_all_failures_are_reported_at_once():
    with pytest.raises(AssertionError, match=r"(?s)Double fails 1 of 19 checks.*float64"):
        check_recommender(Double, strict=True)
    with pytest.raises(AssertionError, match=r"(?s)fails 3 of 19.*own_colour.*own_community"):
        check_recommender(SameForEveryone, strict=True)


def test_advice_is_a_note_and_no_failure():
    assert states(Double) == {"scores_are_float32": "note"}
    (note,) = (one for one in check_recommender(Double) if one.state == "note")
    assert "scores.astype(np.float32)" in note.reason


def test_checks_that_do_not_apply_are_named_with_the_reason():
    found = check_recommender(SameForEveryone, not_personal="it counts")
    skipped = {one.check: one.reason for one in found if one.state == "skipped"}
    assert set(skipped) == {
        "withheld_items_of_the_own_colour_come_first",
        "items_of_the_own_community_come_first",
        "unseen_users_are_told_apart_by_their_histories",
    }
    assert set(skipped.values()) == {"SameForEveryone is exempt: it counts"}


def test_a_model_that_says_what_it_depends_on_is_let_off():
    found = check_recommender(Seeded, strict=True)
    assert {one.check: one.reason for one in found if one.state == "skipped"} == {
        "unseen_users_get_scores": "Seeded declares that it cannot score unseen users",
        "unseen_users_are_told_apart_by_their_histories": (
            "Seeded declares that it cannot score unseen users"
        ),
        "the_order_of_items_does_not_matter": "Seeded depends on its seed",
    }


def fit_counts(train, rng, *, shift: float = 0.5):
    """Count which items occur together."""
    weights = (train.matrix.T @ train.matrix).toarray() + shift
    return lambda _users, histories: (histories @ weights).astype(np.float32)


def test_a_model_from_a_function_is_not_pickled():
    found = {one.check: one for one in outcomes(ModelUnderTest(function_model(fit_counts)))}
    pickled = found["a_pickled_model_scores_the_same"]
    assert (pickled.state, "made from a function" in pickled.reason) == ("skipped", True)
    assert {one.state for one in found.values()} == {"passed", "skipped", "note"}
    (note,) = (one for one in found.values() if one.state == "note")
    assert "shift takes -1000000000.0, nan, inf, which" in note.reason


class WrongKey(Sound):
    def fit(self, train, rng):
        return {}["weights"]


def test_a_fault_in_the_models_code_is_named_once_with_its_place():
    failed = [one for one in outcomes(ModelUnderTest(WrongKey)) if one.state == "failed"]
    line = WrongKey.fit.__code__.co_firstlineno + 1
    assert failed[0].reason == (
        f"KeyError: 'weights' ({__file__}:{line}, in fit). Correct it there."
    )
    assert {one.reason for one in failed[1:]} == {
        "for the same reason as 'scores are an array with a row for each user'"
    }
    assert len(failed) > 10


class AssertsItself(Sound):
    def fit(self, train, rng):
        assert train.n_users > 1000, "too few users"
        return self


def test_an_assertion_of_the_model_is_its_fault_and_no_advice():
    with pytest.raises(AssertionError, match="too few users"):
        CHECKS["scores_are_finite"](ModelUnderTest(AssertsItself))


class AlmostTheSame(Sound):
    def fit(self, train, rng):
        super().fit(train, rng)
        self.weights = self.weights * (1 + 1e-4 * np.random.default_rng().random())
        return self


def test_equal_seeds_give_almost_equal_scores_on_a_gpu(monkeypatch):
    check = CHECKS["equal_seeds_give_equal_scores"]
    with pytest.raises(AssertionError, match="two fits with the same seed differ"):
        check(ModelUnderTest(AlmostTheSame))
    used = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: True))
    monkeypatch.setitem(sys.modules, "torch", used)
    check(ModelUnderTest(AlmostTheSame))
    with pytest.raises(AssertionError, match="two fits with the same seed differ"):
        check(ModelUnderTest(OwnRandomness))


class Long(Sound):
    class Config(ModelConfig):
        epochs: int = 500
        pretraining_epochs: Annotated[int, Ge(1)] = 50
        n_epochs_between: int = 5


class LongAndStrict(Sound):
    class Config(ModelConfig):
        epochs: Annotated[int, Ge(100)] = 500


def test_fits_in_which_nothing_has_to_be_learned_are_short():
    assert few_epochs(Long, 3) == {"epochs": 3, "pretraining_epochs": 3}
    assert few_epochs(LongAndStrict, 3) == {}
    assert few_epochs(Sound, 3) == {}


@pytest.mark.parametrize("check", contract_checks(Sound, strict=True))
def test_pytest_gets_a_test_for_each_check(check):
    check()


def test_the_checks_for_pytest_are_named_and_complete():
    params = contract_checks(Double)
    assert [param.id for param in params] == [f"Double-{name}" for name in CHECKS]
    checks = dict(zip(CHECKS, (param.values[0] for param in params), strict=True))
    with pytest.raises(SkipTest, match="float64"):
        checks["scores_are_float32"]()
    checks["scores_are_numbers"]()


def test_checks_share_one_fit_until_one_of_them_changes_it():
    subject = ModelUnderTest(Sound)
    CHECKS["scores_are_numbers"](subject)
    shared = subject.fitted
    CHECKS["batch_mates_do_not_matter"](subject)
    assert subject.fitted is shared

    shared.weights = shared.weights + 1
    with pytest.raises(AssertionError, match="depend on who else is scored"):
        CHECKS["batch_mates_do_not_matter"](subject)
    assert subject.fitted is not shared
    CHECKS["batch_mates_do_not_matter"](subject)


def test_a_check_that_does_not_apply_is_skipped_and_not_passed():
    subject = ModelUnderTest(Sound, not_personal="it counts")
    with pytest.raises(SkipTest, match="it counts"):
        CHECKS["items_of_the_own_community_come_first"](subject)
