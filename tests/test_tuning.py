"""Tuning: the trials of a search, however often it is cut off; epochs; failures."""

import json
from dataclasses import replace
from functools import cache
from itertools import count
from typing import Annotated
from unittest.mock import PropertyMock, patch

import numpy as np
import pytest
from annotated_types import Gt
from hypothesis import given, settings
from hypothesis import strategies as st

from recrepro.checkpoint import Checkpoint
from recrepro.errors import DataError, ModelError, RecreproError
from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.experiment import ModelSpec, TuneSpec
from recrepro.interactions import Interactions
from recrepro.model import EpochStats, IterativeRecommender, ModelConfig, Recommender
from recrepro.space import Choice, IntRange, LogUniform, Uniform
from recrepro.splits.sealed import TuningView
from recrepro.tuning import Trial, Tuner, best_of, chosen_params

N = 50


def pairs(items) -> Interactions:
    """Let one user interact with some of the items."""
    items = np.sort(np.asarray(items, np.int32))
    ones = np.ones(len(items), np.float32)
    return Interactions(items * 0, items, ones, None, np.arange(1), np.arange(N))


VIEW = TuningView(pairs([N - 1]), pairs([0]), None)


class Aimed(Recommender):
    """Ranks the held-out item (0) by how far `quality` says it is from the best."""

    def fit(self, train, rng):
        return self

    def quality(self) -> float:
        """Return a number in [0, 1]; 1 puts item 0 first."""
        raise NotImplementedError

    def score(self, users, histories):
        scores = np.linspace(0.99, 0, N, dtype=np.float32)
        scores[0] = self.quality()
        return np.tile(scores, (len(users), 1))


class Ridge(Aimed):
    """Best at l2 = 100, between which and 1 it gets steadily worse; alpha and kind matter less."""

    class Config(ModelConfig):
        l2: Annotated[float, Gt(0), LogUniform(1.0, 1e4)] = 2.0
        alpha: Annotated[float, Uniform(0.0, 1.0)] = 0.5
        n: Annotated[int, IntRange(1, 9)] = 3
        kind: Annotated[str, Choice("good", "bad")] = "good"
        fixed: int = 1
        other: float = 0.5

    def quality(self):
        config = self.config
        distance = abs(np.log10(config.l2) - 2) / 2 + config.alpha / 9 + config.n / 99
        return 1 - min(distance + (config.kind == "bad") / 5, 1)


class Fragile(Ridge):
    """Fails in three ways above l2 = 30."""

    def fit(self, train, rng):
        if self.config.l2 > 30:
            error = (np.linalg.LinAlgError, MemoryError, ModelError)[self.config.n % 3]
            raise error(f"l2 is {self.config.l2}")
        return self


class Hopeless(Ridge):
    def fit(self, train, rng):
        raise ValueError("never works")


class Plain(Aimed):
    class Config(ModelConfig):
        fixed: int = 1

    def quality(self):
        return 0.5


class Peaked(IterativeRecommender, Aimed):
    """Gets better until the epoch `peak`, then worse; each step passes another item."""

    class Config(ModelConfig):
        epochs: int = 40
        peak: Annotated[int, IntRange(1, 60)] = 12

    ran = 0

    def fit_epochs(self, train, rng):
        epoch = 0
        while True:
            epoch += 1
            self.epoch = epoch
            type(self).ran = epoch
            yield EpochStats(epoch)

    def quality(self):
        return 0.98 - abs(self.epoch - self.config.peak) / 40


METRIC = "mrr@50"
EVALUATOR = Evaluator([parse_metric(METRIC), parse_metric("recall@1")], tie_seed=0)


def tuner(model, *, seed=1, view=VIEW, params=None, search=None, **budget) -> Tuner:
    spec = ModelSpec.model_validate_json(
        json.dumps({"name": "mine", "params": params or {}, "search": search or {}})
    )
    budget = TuneSpec(**{"trials": 14, **budget})
    return Tuner(model, spec, budget, view, EVALUATOR, METRIC, seed)


@cache
def undisturbed(model, sampler) -> tuple[Trial, ...]:
    return tuple(tuner(model, sampler=sampler).run([]))


def plain(trials) -> list[Trial]:
    return [replace(t, seconds=0.0) for t in trials]


@pytest.mark.parametrize("stop", range(15))
@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("model", [Ridge, Fragile])
def test_a_search_cut_off_anywhere_goes_on_to_the_same_trials(model, sampler, stop):
    stored = json.loads(json.dumps([t.to_json() for t in undisturbed(model, sampler)[:stop]]))
    finished = [Trial(**trial) for trial in stored]
    reported: list[Trial] = []
    resumed = tuner(model, sampler=sampler).run(finished, reported.append)
    assert plain(resumed) == plain(undisturbed(model, sampler))
    assert resumed[stop:] == reported


def test_the_search_that_is_cut_off_has_failed_trials_too():
    for sampler in ("tpe", "random"):
        states = [t.state for t in undisturbed(Fragile, sampler)]
        assert states.count("failed") >= 2
        assert states.count("complete") >= 2


def test_samplers_and_seeds_differ():
    tried = [undisturbed(Ridge, "tpe"), undisturbed(Ridge, "random"), tuner(Ridge, seed=2).run([])]
    assert len({repr([t.params for t in trials]) for trials in tried}) == 3


def test_the_search_finds_the_known_optimum_better_than_the_defaults():
    trials = tuner(Ridge, trials=40).run([])
    best = best_of(trials)
    assert 10 < best.params["l2"] < 1000
    assert best.value > trials[0].value
    assert best.params["kind"] == "good"


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_trial_0_is_the_declared_defaults(sampler):
    first = undisturbed(Ridge, sampler)[0]
    assert first.params == {"l2": 2.0, "alpha": 0.5, "n": 3, "kind": "good"}


def test_defaults_outside_the_experiments_ranges_are_not_tried():
    (first,) = tuner(Ridge, search={"l2": {"uniform": [50, 60]}}, trials=1).run([])
    assert 50 <= first.params["l2"] <= 60


@pytest.mark.parametrize("model", [Ridge, Fragile, Hopeless, Peaked])
@pytest.mark.parametrize("trials", [1, 5])
def test_every_model_gets_the_whole_budget_and_not_more(model, trials):
    made = tuner(model, trials=trials)
    assert made.budget.trials == trials
    assert [t.number for t in made.run([])] == list(range(trials))


def test_without_a_search_space_there_is_one_trial():
    every = {"l2": 9.0, "alpha": 0.1, "n": 2, "kind": "bad"}
    for made in (tuner(Plain), tuner(Ridge, params=every)):
        assert made.budget.trials == 1
        (trial,) = made.run([])
        assert trial.params == {}
        assert trial.state == "complete"


def test_the_order_of_keys_in_the_experiment_does_not_change_the_trials():
    ranges = {"fixed": {"integers": [1, 5]}, "other": {"uniform": [0.2, 0.9]}}
    turned = dict(reversed(ranges.items()))
    one, other = (plain(tuner(Ridge, search=s, trials=4).run([])) for s in (ranges, turned))
    assert one == other


def test_a_failed_trial_says_why():
    trials = tuner(Hopeless, trials=2).run([])
    assert [(t.state, t.value, t.reason) for t in trials] == [
        ("failed", None, "ValueError: never works")
    ] * 2


def test_the_reason_is_the_error_not_a_note_on_it():
    class Noted(Plain):
        def fit(self, train, rng):
            error = ValueError("too large")
            error.add_note("while solving")
            raise error

    assert tuner(Noted).run([])[0].reason == "ValueError: too large"


def test_a_mistake_in_a_models_code_is_not_taken_for_a_failed_trial():
    class Wrong(Plain):
        def fit(self, train, rng):
            raise TypeError("not what it seems")

    with pytest.raises(TypeError, match="not what it seems"):
        tuner(Wrong).run([])


SPEC = ModelSpec(name="mine", label="mymodel")


def test_if_all_trials_failed_there_is_nothing_to_choose():
    trials = tuner(Hopeless, trials=3).run([])
    with pytest.raises(RecreproError, match=r"all 3 trials of 'mymodel' failed.*never works"):
        chosen_params(Hopeless, SPEC, trials)


def test_of_equal_trials_the_earliest_is_chosen():
    trials = [Trial(n, {"l2": 1.0 + n}, "complete", v) for n, v in enumerate([0.1, 0.5, 0.5])]
    assert best_of([Trial(9, {}, "failed"), *trials]) == trials[1]
    assert best_of([Trial(9, {}, "failed")]) is None
    assert chosen_params(Ridge, SPEC, trials).l2 == 2.0


def test_untuned_means_fixed_values_and_defaults():
    spec = ModelSpec(name="mine", params={"l2": 7.0})
    assert chosen_params(Ridge, spec, []) == Ridge.Config(l2=7.0)


@pytest.mark.parametrize(
    ("peak", "every", "patience", "best", "ran"),
    [
        (12, 1, 3, 12, 15),
        (12, 5, 2, 10, 20),  # 10 and 15 are looked at; 12 is nearer to 10
        (12, 7, 1, 14, 21),
        (60, 5, 5, 40, 40),  # still getting better at the last epoch
        (39, 7, 5, 40, 40),  # the last epoch is looked at though 40 is no multiple of 7
        (1, 50, 1, 40, 40),
    ],
)
def test_the_best_epoch_is_found_and_patience_respected(peak, every, patience, best, ran):
    made = tuner(Peaked, params={"peak": peak}, evaluate_every=every, patience=patience)
    (trial,) = made.run([])
    assert (trial.epochs, Peaked.ran) == (best, ran)
    quality = 0.98 - abs(best - peak) / 40
    rank = 1 + sum(np.linspace(0.99, 0, N, dtype=np.float32)[1:-1] > np.float32(quality))
    assert trial.value == trial.metrics[METRIC] == 1 / rank


class Resumable(Peaked):
    """Remembers its epoch; is cut off when it wants to begin the epoch `until`."""

    until = 1000

    def state(self):
        return {"epoch": np.array(self.epoch)}, {}

    def fit_epochs(self, train, rng):
        stored = self.checkpoint.read()
        first = 1
        if stored is not None:
            first, self.resumed = int(stored[0]["epoch"]), stored[1]["caller"]
        for epoch in count(first):
            if epoch == self.until:
                raise KeyboardInterrupt
            self.epoch = epoch
            yield EpochStats(epoch, {"loss": 1 / epoch})


@settings(max_examples=20)  # each writes to the disk after every epoch
@given(until=st.integers(1, 20), every=st.integers(1, 7), patience=st.integers(1, 3))
def test_a_trial_cut_off_in_any_epoch_goes_on_to_the_same_end(
    tmp_path_factory, until, every, patience
):
    def run(folder, until, epochs):
        made = Tuner(
            type("Cut", (Resumable,), {"until": until}),
            ModelSpec(name="mine", params={"peak": 12}),
            TuneSpec(trials=1, evaluate_every=every, patience=patience),
            VIEW,
            EVALUATOR,
            METRIC,
            seed=1,
            checkpoints=folder,
            on_epoch=lambda stats: epochs.append(stats.epoch),
        )
        return plain(made.run([]))

    with patch.object(Checkpoint, "due", PropertyMock(return_value=True)):
        whole, resumed = [], []
        expected = run(tmp_path_factory.mktemp("whole"), 1000, whole)
        folder = tmp_path_factory.mktemp("cut")
        with pytest.raises(KeyboardInterrupt):
            run(folder, min(until, whole[-1]), resumed)
        assert run(folder, 1000, resumed) == expected
        assert resumed == whole  # no epoch twice, none left out
        assert list(folder.iterdir()) == []


def test_the_epochs_of_the_best_trial_go_to_the_final_fit():
    trials = tuner(Peaked, trials=5).run([])
    chosen = chosen_params(Peaked, SPEC, trials)
    assert chosen.epochs == best_of(trials).epochs
    assert chosen.peak == best_of(trials).params["peak"]


def test_a_model_that_ends_before_it_is_evaluated_failed():
    class Short(Peaked):
        def fit_epochs(self, train, rng):
            yield EpochStats(1)

    (trial,) = tuner(Short, trials=1).run([])
    assert trial.state == "failed"
    assert "Short ended before its first evaluation" in trial.reason


@pytest.mark.parametrize("part", ["train", "validation"])
def test_an_empty_part_is_an_error_and_never_replaced_by_the_test_part(part):
    with pytest.raises(DataError, match=f"tuning needs a {part} part.*never used instead"):
        tuner(Ridge, view=replace(VIEW, **{part: pairs([])}))


def test_each_trial_fits_with_its_own_stream_whatever_ran_before():
    drawn: list[float] = []

    class Drawing(Ridge):
        def fit(self, train, rng):
            drawn.append(rng.random())
            return self

    trials = tuner(Drawing, trials=4).run([])
    tuner(Drawing, trials=4).run(trials[:2])
    assert len(set(drawn[:4])) == 4
    assert drawn[4:] == drawn[2:4]
