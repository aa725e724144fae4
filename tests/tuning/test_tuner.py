"""Tuning: the trials of a search, however often it is cut off; epochs; failures."""

import json
import re
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from itertools import count, product
from types import SimpleNamespace
from typing import Annotated
from unittest.mock import PropertyMock, patch

import numpy as np
import pytest
from annotated_types import Gt
from hypothesis import given
from hypothesis import strategies as st

from recrepro.compute.checkpoint import Checkpoint
from recrepro.errors import DataError, ModelError, RecreproError, UsageError
from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.interactions import Interactions
from recrepro.model import EpochStats, IterativeRecommender, ModelConfig, Recommender
from recrepro.space import Choice, IntRange, LogUniform, Uniform
from recrepro.spec.budget import Budget
from recrepro.spec.experiment import ModelSpec, TuneSpec
from recrepro.splits.sealed import TuningView
from recrepro.tuning.sample import sampled
from recrepro.tuning.suggestions import check_sampler
from recrepro.tuning.tuner import Trial, Tuner, best_of, chosen_params

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


class Clock:
    """A clock that goes on when it is told to."""

    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock():
    with patch("recrepro.tuning.looks.time", Clock()) as stopped:
        yield stopped


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


def tuner(model, *, seed=1, view=VIEW, params=None, search=None, repeated=None, **tune) -> Tuner:
    spec = ModelSpec.model_validate_json(
        json.dumps({"name": "mine", "params": params or {}, "search": search or {}})
    )
    made = TuneSpec(**{"trials": 14, **tune})
    return Tuner(model, spec, made, view, EVALUATOR, METRIC, seed, budget=repeated)


SEARCHES = {
    "tpe": {},
    "random": {"sampler": "random"},
    "tpe from 4": {"startup": 4},
    **({"gp": {"sampler": "gp", "startup": 4, "trials": 8}} if find_spec("torch") else {}),
}
"""Ways to search, each with guided trials at its end; those of a Gaussian process take a second."""


@cache
def undisturbed(model, search, **tune) -> tuple[Trial, ...]:
    return tuple(tuner(model, **SEARCHES[search], **tune).run([]))


def plain(trials) -> list[Trial]:
    return [replace(t, seconds=0.0) for t in trials]


def stored(trials) -> list[Trial]:
    """Return trials as they come back from the ledger."""
    return [Trial(**json.loads(json.dumps(trial.to_json()))) for trial in trials]


@pytest.mark.parametrize(
    ("model", "search", "stop"),
    [
        *product([Ridge, Fragile], ["tpe", "random", "tpe from 4"], range(15)),
        *product([Fragile], ["gp"] if "gp" in SEARCHES else [], [2, 4, 5, 7]),
    ],
)
def test_a_search_cut_off_anywhere_goes_on_to_the_same_trials(model, search, stop):
    finished = stored(undisturbed(model, search)[:stop])
    reported: list[Trial] = []
    resumed = tuner(model, **SEARCHES[search]).run(finished, reported.append)
    assert plain(resumed) == plain(undisturbed(model, search))
    assert resumed[stop:] == reported


def test_the_search_that_is_cut_off_has_failed_trials_too():
    for search in SEARCHES:
        states = [t.state for t in undisturbed(Fragile, search)]
        assert states.count("failed") >= 2
        assert states.count("complete") >= 2


@pytest.mark.parametrize("sampler", [s for s in ("tpe", "gp") if s in SEARCHES])
def test_the_first_trials_are_random_as_many_as_asked_for_then_they_are_guided(sampler):
    """Trials of the random start are those of any other search with the same seed.

    What a guided trial tries depends on the values before it, a random one's does not.
    """

    class Turned(Ridge):
        def quality(self):
            return 1 - super().quality()

    def tried(model):
        trials = tuner(model, sampler=sampler, startup=4, trials=7, seed=5).run([])
        return [t.params for t in trials]

    one, other = tried(Ridge), tried(Turned)
    assert one[:4] == other[:4]
    assert one[5:] != other[5:]


@pytest.mark.parametrize("sampler", [s for s in ("tpe", "gp") if s in SEARCHES])
def test_guided_searches_come_nearer_to_the_optimum_than_the_random_start(sampler):
    trials = tuner(Ridge, sampler=sampler, trials=14, startup=8).run([])
    assert best_of(trials).number >= 8


def test_a_gaussian_process_without_torch_is_refused_with_what_to_install():
    with (
        patch("recrepro.tuning.suggestions.find_spec", return_value=None),
        pytest.raises(UsageError, match=r"computes with torch.*recrepro\[neural\].*'tpe'"),
    ):
        check_sampler(TuneSpec(trials=2, sampler="gp"))
    with patch("recrepro.tuning.suggestions.find_spec", return_value="found"):
        check_sampler(TuneSpec(trials=2, sampler="gp"))


def test_samplers_and_seeds_differ():
    tried = [undisturbed(Ridge, search) for search in SEARCHES] + [tuner(Ridge, seed=2).run([])]
    assert len({repr([t.params for t in trials]) for trials in tried}) == len(SEARCHES) + 1


def test_the_search_finds_the_known_optimum_better_than_the_defaults():
    trials = tuner(Ridge, trials=40).run([])
    best = best_of(trials)
    assert 10 < best.params["l2"] < 1000
    assert best.value > trials[0].value
    assert best.params["kind"] == "good"


@pytest.mark.parametrize("search", SEARCHES)
def test_trial_0_is_the_declared_defaults(search):
    first = undisturbed(Ridge, search)[0]
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
    assert [(t.state, t.value) for t in trials] == [("failed", None)] * 2
    for trial in trials:  # with the place in the code of the model
        assert re.fullmatch(
            r"ValueError: never works \(.*test_tuner\.py:\d+, in fit\)", trial.reason
        )


def test_the_reason_is_the_error_not_a_note_on_it():
    class Noted(Plain):
        def fit(self, train, rng):
            error = ValueError("too large")
            error.add_note("while solving")
            raise error

    assert tuner(Noted).run([])[0].reason.startswith("ValueError: too large (")


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


@given(
    until=st.integers(1, 20),
    every=st.integers(1, 7),
    patience=st.integers(1, 3),
    seconds=st.integers(1, 20) | st.none(),
)
def test_a_trial_cut_off_in_any_epoch_goes_on_to_the_same_end_in_the_same_time(
    tmp_path_factory, until, every, patience, seconds
):
    def run(folder, until, epochs):
        clock = Clock()

        def tick(stats):
            epochs.append(stats.epoch)
            clock.now += 1

        made = Tuner(
            type("Cut", (Resumable,), {"until": until}),
            ModelSpec(name="mine", params={"peak": 12}),
            TuneSpec(trials=1, evaluate_every=every, patience=patience, seconds=seconds),
            VIEW,
            EVALUATOR,
            METRIC,
            seed=1,
            checkpoints=folder,
            on_epoch=tick,
        )
        with patch("recrepro.tuning.looks.time", clock):
            return made.run([])

    with patch.object(Checkpoint, "due", PropertyMock(return_value=True)):
        whole, resumed = [], []
        expected = run(tmp_path_factory.mktemp("whole"), 1000, whole)
        folder = tmp_path_factory.mktemp("cut")
        with pytest.raises(KeyboardInterrupt):
            run(folder, min(until, whole[-1]), resumed)
        assert run(folder, 1000, resumed) == expected
        assert resumed == whole  # no epoch twice, none left out
        assert expected[0].seconds == len(whole)
        assert list(folder.iterdir()) == []


class Slow(Ridge):
    """A trial takes 1 to 9 seconds."""

    clock: Clock

    def fit(self, train, rng):
        self.clock.now += self.config.n
        return self


@pytest.mark.parametrize("trials", [4, None])
@pytest.mark.parametrize("seconds", [1, 25, 26.5])
def test_no_trial_starts_once_the_seconds_or_the_trials_are_spent(clock, trials, seconds):
    made = tuner(type("Timed", (Slow,), {"clock": clock}), trials=trials, seconds=seconds)
    whole = made.run([])
    times = [t.params["n"] for t in whole]
    assert [t.seconds for t in whole] == times
    by_hand = next(n for n in range(1, 99) if sum(times[:n]) >= seconds or n == trials)
    assert len(whole) == by_hand
    for stop in range(len(whole) + 1):
        assert made.run(stored(whole[:stop])) == whole


class Steady(Peaked):
    """An epoch takes a second."""

    clock: Clock

    def fit_epochs(self, train, rng):
        for stats in super().fit_epochs(train, rng):
            self.clock.now += 1
            yield stats


@pytest.mark.parametrize(
    ("seconds", "ended"), [(3, [5]), (20, [20]), (23, [25]), (40, [40]), (45, [40, 5])]
)
def test_a_trial_that_runs_out_of_time_ends_at_its_next_validation(clock, seconds, ended):
    """It takes 40 epochs, each better than the last one, and is validated after every fifth."""
    model = type("Timed", (Steady,), {"clock": clock})
    ranges = {"peak": {"integers": [50, 60]}}
    trials = tuner(model, search=ranges, trials=9, seconds=seconds).run([])
    assert [(t.epochs, t.seconds) for t in trials] == [(e, e) for e in ended]
    assert [t.stopped for t in trials] == [None if e == 40 else e for e in ended]
    assert {t.state for t in trials} == {"complete"}


@pytest.mark.parametrize("seconds", [3, 23, 45, 100, 170])
@pytest.mark.parametrize("pruner", [None, "median"])
def test_a_search_that_ran_out_of_time_can_be_repeated_at_any_speed(clock, seconds, pruner):
    timed = type("Timed", (Steady,), {"clock": clock})
    trials = tuner(timed, trials=None, seconds=seconds, pruner=pruner).run([])
    budget = Budget(len(trials), last_epoch=trials[-1].stopped)
    assert plain(tuner(Peaked, repeated=budget, pruner=pruner).run([])) == plain(trials)


def test_a_model_without_a_search_space_has_one_trial_in_that_time(clock):
    model = type("Timed", (Steady,), {"clock": clock})
    (trial,) = tuner(model, params={"peak": 60}, trials=None, seconds=12).run([])
    assert trial.stopped == 15


PRUNED = {"pruner": "median", "trials": 14, "patience": 20, "seed": 3}


def test_trials_below_the_median_of_those_before_are_pruned_and_no_others():
    trials = tuner(Peaked, **PRUNED).run([])
    assert {t.state for t in trials} == {"complete", "pruned"}
    for trial in trials:
        values = {row["epoch"]: row[METRIC] for row in trial.curve if METRIC in row}
        before = [t for t in trials[: trial.number] if t.state == "complete"]
        others = [{row["epoch"]: row.get(METRIC) for row in t.curve} for t in before]
        below = [
            epoch
            for epoch in values
            if epoch < 40 and len(before) >= 5
            if max(v for e, v in values.items() if e <= epoch)
            < np.median([other[epoch] for other in others])
        ]
        assert below == ([max(values)] if trial.state == "pruned" else [])


def test_a_pruned_trial_keeps_its_curve_and_best_value_and_is_never_chosen():
    trials = tuner(Peaked, **PRUNED).run([])
    pruned = next(t for t in trials if t.state == "pruned")
    assert pruned.value == max(row[METRIC] for row in pruned.curve if METRIC in row)
    assert pruned.metrics[METRIC] == pruned.value
    assert f"after epoch {pruned.curve[-1]['epoch']}" in pruned.reason
    better = replace(pruned, value=2.0)
    assert best_of([*trials, better]).state == "complete"
    assert best_of([better]) is None


@pytest.mark.parametrize("stop", range(15))
@pytest.mark.parametrize("search", ["tpe", "tpe from 4", "random"])
def test_pruning_goes_on_as_it_would_have_after_a_search_was_cut_off(search, stop):
    whole = undisturbed(Peaked, search, pruner="median", patience=20)
    assert any(t.state == "pruned" for t in whole)
    resumed = tuner(Peaked, **SEARCHES[search], pruner="median", patience=20)
    assert plain(resumed.run(stored(whole[:stop]))) == plain(whole)


@given(until=st.integers(1, 40), stop=st.integers(5, 13))
def test_a_trial_that_was_cut_off_is_pruned_as_it_would_have_been(tmp_path_factory, until, stop):
    whole = undisturbed(Peaked, "tpe", pruner="median", patience=20)
    spec = TuneSpec(trials=stop + 1, pruner="median", patience=20)
    folder = tmp_path_factory.mktemp("cut")

    def run(until):
        model = type("Cut", (Resumable,), {"until": until})
        made = Tuner(model, SPEC, spec, VIEW, EVALUATOR, METRIC, seed=1, checkpoints=folder)
        return made.run(stored(whole[:stop]))[-1]

    with patch.object(Checkpoint, "due", PropertyMock(return_value=True)):
        with pytest.raises(KeyboardInterrupt):
            run(min(until, whole[stop].curve[-1]["epoch"]))
        resumed = run(1000)
    expected = whole[stop]
    assert (resumed.state, resumed.value) == (expected.state, expected.value)
    assert (resumed.epochs, resumed.reason) == (expected.epochs, expected.reason)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_validation_value_that_is_no_number_fails_the_trial(value):
    made = tuner(Plain)
    measured = SimpleNamespace(means={METRIC: value})
    with patch.object(Evaluator, "evaluate", return_value=measured):
        (trial,) = made.run([])
    assert trial.state == "failed"
    assert f"the validation value of {METRIC} is {value}" in trial.reason


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


class OfUsers(IterativeRecommender):
    """Finds the item of user u in the epochs up to its number, so that a sample shows less."""

    class Config(ModelConfig):
        epochs: int = 30
        best: Annotated[int, IntRange(1, 60)] = 6

    copies = True

    def fit_epochs(self, train, rng):
        self.uncopied = None if self.copies else (one for one in ())
        epoch = 0
        while True:
            epoch += 1
            self.epoch = epoch
            yield EpochStats(epoch)

    def score(self, users, histories):
        scores = np.tile(np.linspace(0, 1, histories.shape[1], dtype=np.float32), (len(users), 1))
        near = abs(self.epoch - self.config.best)
        for row, user in enumerate(users):
            scores[row, 0] = 2 if user % 7 >= near else -1
        return scores


class Uncopied(OfUsers):
    copies = False


def many(n_users, n_shown=1):
    """A task with a validation item (0) for each user, who has some train items."""
    users = np.repeat(np.arange(n_users), n_shown + np.arange(n_users) % 3)
    items = np.concatenate([np.arange(1, 1 + n_shown + u % 3) for u in range(n_users)])
    shape = (np.arange(n_users), np.arange(N))
    train = Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.ones(len(users), np.float32),
        None,
        *shape,
    )
    held = Interactions(
        np.arange(n_users, dtype=np.int32),
        np.zeros(n_users, np.int32),
        np.ones(n_users, np.float32),
        None,
        *shape,
    )
    return TuningView(train, held, None)


@pytest.mark.parametrize("model", [OfUsers, Uncopied])
@pytest.mark.parametrize("compare", ["all", "sample"])
def test_epochs_are_chosen_on_a_sample_and_trials_compared_as_asked(model, compare):
    view = many(300)
    more = {"validation_users": 40, "compare_trials": compare}
    made = tuner(model, view=view, trials=1, **more)
    looked = []
    rank = EVALUATOR.rank
    with patch.object(
        EVALUATOR, "rank", side_effect=lambda *a, **k: looked.append(a) or rank(*a, **k)
    ):
        (trial,) = made.run([])
    sizes = [len(np.flatnonzero(args[3].user_counts)) for args in looked]
    # Each epoch up to the third after the best one is looked at.
    assert trial.epochs == 6
    n_looks = 9
    if compare == "sample":
        assert sizes == [40] * n_looks
        assert trial.value == trial.curve[5][METRIC]
    elif model is OfUsers:
        assert sizes == [40] * n_looks + [300]
    else:  # what cannot be copied is validated whenever it is better
        assert sizes.count(300) == 6
        assert sizes.count(40) == n_looks
    best = model(epochs=30, best=6)
    best.epoch = 6
    whole = EVALUATOR.evaluate(best, view.train, view.train, view.validation).means[METRIC]
    if compare == "all":
        assert trial.value == whole == 1.0


def test_a_model_without_epochs_is_compared_on_all_users_or_on_the_sample():
    view = many(300)
    sizes = []
    rank = EVALUATOR.rank

    def watch(*args, **more):
        sizes.append(len(np.flatnonzero(args[3].user_counts)))
        return rank(*args, **more)

    for compare in ("all", "sample"):
        made = tuner(Plain, view=view, trials=1, validation_users=40, compare_trials=compare)
        with patch.object(EVALUATOR, "rank", side_effect=watch):
            made.run([])
    assert sizes == [300, 40]


@given(st.integers(1, 400), st.integers(0, 5))
def test_the_sample_has_each_stratum_of_activity(n_users, seed):
    view = many(200)
    sample = sampled(view, n_users, seed)
    again = sampled(view, n_users, seed)
    assert np.array_equal(sample.validation.users, again.validation.users)
    assert len(sample.validation) == min(n_users, 200)
    assert (sample is view) == (n_users >= 200)
    shown = view.train.user_counts
    for count_shown in np.unique(shown):
        share = np.mean(shown == count_shown)
        drawn = np.sum(shown[sample.validation.users] == count_shown)
        # A stratum is a tenth of the users, and two of them may lie across the ends of this class.
        assert abs(drawn - share * len(sample.validation)) <= 2 + len(sample.validation) / 10


def test_looking_at_a_sample_looks_at_each_epoch_unless_told_otherwise():
    assert (TuneSpec(trials=1).evaluate_every, TuneSpec(trials=1).patience) == (5, 5)
    often = TuneSpec(trials=1, validation_users=9)
    assert (often.evaluate_every, often.patience) == (1, 3)
    given_both = TuneSpec(trials=1, validation_users=9, evaluate_every=4, patience=2)
    assert (given_both.evaluate_every, given_both.patience) == (4, 2)
    assert "compare_trials" not in TuneSpec(trials=1).model_dump(mode="json")
    assert "validation_users" not in TuneSpec(trials=1).model_dump(mode="json")
    with pytest.raises(ValueError, match="needs 'validation_users'"):
        TuneSpec(trials=1, compare_trials="sample")
