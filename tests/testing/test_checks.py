"""Each contract check finds the model that breaks it: a sound model, and one broken thing each."""

from typing import Annotated, Any
from unittest import SkipTest

import numpy as np
import pytest
from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, FiniteFloat, field_serializer, model_serializer

from recrepro.model import ModelConfig, Recommender
from recrepro.space import Choice, Uniform
from recrepro.testing import CHECKS, ModelUnderTest, check_model


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
    (Transposed, "scores_are_float32_with_a_row_per_user", r"shape \(25, 3\)"),
    (Double, "scores_are_float32_with_a_row_per_user", "float64"),
    (PlaceInBatch, "scores_are_float32_with_a_row_per_user", "gets two scores"),
    (OtherCandidates, "candidates_get_their_scores_among_all_items", "differ"),
    (NanBesideCandidates, "candidates_get_their_scores_among_all_items", "NaN"),
    (OwnRandomness, "equal_seeds_give_equal_scores", "same seed differ"),
    (Accumulating, "a_second_fit_forgets_the_first", "fitted on before"),
    (ChangesValues, "inputs_stay_unchanged", "train.values, data of train.matrix$"),
    (ChangesHistories, "inputs_stay_unchanged", "data of train.matrix"),
    (ChangesUsers, "inputs_stay_unchanged", "users to score"),
    (ChangesCandidates, "inputs_stay_unchanged", "data of candidates$"),
    (ChangesFeatures, "inputs_stay_unchanged", "data of item features$"),
    (LearnsFromScoring, "scores_are_finite", "scoring has changed the model"),
    (BatchMean, "batch_mates_do_not_matter", "who else is scored"),
    (DividedByLength, "scores_are_finite", "NaN or infinite"),
    (NeedsItsUsers, "unseen_users_get_scores", "inductive = False"),
    (NanForStrangers, "unseen_users_get_scores", "NaN or infinite"),
    (ByItemNumber, "the_order_of_items_does_not_matter", "how items are numbered"),
    (NotPicklable, "a_pickled_model_scores_the_same", "cannot be pickled"),
    (ForgetsInPickling, "a_pickled_model_scores_the_same", "copy differs"),
    (OwnWordsIfNotFitted, "a_model_that_is_not_fitted_says_so", "RuntimeError: fit first"),
    (ScoresUnfitted, "a_model_that_is_not_fitted_says_so", "it gave no error"),
]


def test_a_sound_model_passes_every_check_and_skips_none():
    assert check_model(Sound) == {}


@pytest.mark.parametrize(("model", "check", "message"), BROKEN)
def test_a_broken_model_fails_the_check_that_is_named_for_it(model, check, message):
    with pytest.raises(AssertionError, match=message):
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
        (odd(__doc__=None), "no docstring"),
        (odd(Config=NoModelConfig), "does not derive from ModelConfig"),
        (odd(Config=Mutable), "shift can change after construction"),
        (odd(Config=Lenient), "unknown names are not refused"),
        (odd(Config=LosesInDumping), "another one after dumping and reading it$"),
        (odd(Config=LosesInJson), "as JSON"),
        (with_hyperparameter(LARGE_ENOUGH), "shift has no default"),
        (with_hyperparameter(LARGE_ENOUGH, 0.5, doc=None), "shift has no doc"),
        (with_hyperparameter(LARGE_ENOUGH, 0.5, doc="Two\nlines."), "more than one line"),
        (with_hyperparameter(Annotated[float, Ge(0)], 0.5), r"takes \[inf\]"),
        (with_hyperparameter(Annotated[float, Le(1)], 0.5), r"takes \[-1000000000"),
        (with_hyperparameter(str, "a"), r"takes \['no such value'\]"),
        (with_hyperparameter(object, None), "takes .<object object"),
        (with_hyperparameter(Annotated[LARGE_ENOUGH, Uniform(1.0, 2.0)], 0.5), "lacks its default"),
        (with_hyperparameter(Annotated[LARGE_ENOUGH, Uniform(-1.0, 2.0)], 0.5), "has -1.0, which"),
        (with_hyperparameter(Annotated[int, Ge(0), Choice(5, "b")], 5), "has 'b', which"),
    ],
)
def test_an_odd_declaration_is_named(model, message):
    with pytest.raises(AssertionError, match=message):
        CHECKS["hyperparameters_are_declared_well"](ModelUnderTest(model))


def test_every_check_has_a_model_that_breaks_it():
    named = {check for _, check, _ in BROKEN} | {"hyperparameters_are_declared_well"}
    assert named == set(CHECKS)


def test_all_failures_are_reported_at_once():
    with pytest.raises(AssertionError, match=r"(?s)Double fails 1 of 14 checks.*float64"):
        check_model(Double)
    with pytest.raises(AssertionError, match=r"(?s)fails 2 of 14.*own_colour.*own_community"):
        check_model(SameForEveryone)


def test_checks_that_do_not_apply_are_named_with_the_reason():
    skipped = check_model(SameForEveryone, not_personal="it counts")
    assert set(skipped) == {
        "withheld_items_of_the_own_colour_come_first",
        "items_of_the_own_community_come_first",
    }
    assert set(skipped.values()) == {"SameForEveryone is exempt: it counts"}


def test_a_model_that_says_what_it_depends_on_is_let_off():
    assert check_model(Seeded) == {
        "unseen_users_get_scores": "Seeded declares that it cannot score unseen users",
        "the_order_of_items_does_not_matter": "Seeded depends on its seed",
    }


def test_checks_share_one_fit_until_one_of_them_changes_it():
    subject = ModelUnderTest(Sound)
    CHECKS["scores_are_finite"](subject)
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
