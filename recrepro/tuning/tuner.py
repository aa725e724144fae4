"""Tuning: suggested configurations, judged on validation data only.

What is suggested depends on the seed, the number of the trial and the trials in the ledger: a
search that was cut off anywhere goes on to exactly the trials of an undisturbed one.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from recrepro.compute.checkpoint import Checkpoint
from recrepro.errors import DataError, RecreproError, UsageError, at, blame
from recrepro.evaluation.evaluator import Evaluator
from recrepro.features import Features
from recrepro.model import (
    EpochStats,
    IterativeRecommender,
    ModelConfig,
    Recommender,
    training_data,
)
from recrepro.randomness import generator
from recrepro.space import Choice, Range, contains, declared_space
from recrepro.spec.budget import Budget
from recrepro.spec.experiment import ModelSpec, TuneSpec
from recrepro.spec.explain import refusal
from recrepro.splits.sealed import TuningView
from recrepro.store.records import Trial
from recrepro.tuning.looks import Best, Clock, End
from recrepro.tuning.sample import sampled
from recrepro.tuning.suggestions import Suggestions


def make_config(model: type[Recommender], title: str, params: Mapping[str, Any]) -> ModelConfig:
    """Build a model's configuration, or say which hyperparameter is wrong and what is valid."""
    try:
        return model.Config(**params)
    except ValidationError as error:
        raise refusal(error, model.Config, f"model {title!r}") from error


def search_space(model: type[Recommender], spec: ModelSpec) -> dict[str, Range]:
    """Return what there is to search: declared ranges, replaced or fixed by the experiment.

    Raises
    ------
    UsageError
        If a fixed value or a range names no hyperparameter, or does not fit it.
    """
    with at("params"):
        config = make_config(model, spec.title, spec.params)
    searched = spec.search.keys() | (declared_space(model.Config).keys() - spec.params.keys())
    space = declared_space(model.Config, config.model_dump(exclude=searched))
    for name, written in spec.search.items():
        if name in spec.params:
            twice = f"model {spec.title!r}: {name!r} is both fixed and searched for"
            raise UsageError(f"{twice}. Take it out of 'params' or of 'search'.")
        with at("search", name):
            try:
                ends = space[name] = written.to_range()
            except UsageError as error:
                raise UsageError(f"model {spec.title!r}, search.{name}: {error}") from error
        values = ends.options if isinstance(ends, Choice) else (ends.low, ends.high)
        for value in values:
            with at("search"):
                make_config(model, spec.title, {**spec.params, name: value})
    # Sorted, because the order decides which suggestion goes to whom: it must depend neither on
    # the order of an experiment's keys nor on that of a model's fields.
    return {name: space[name] for name in sorted(space) if name not in spec.params}


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """Return the complete trial with the highest value, the earliest of equals.

    A pruned trial was not tried to its end. There are always complete ones beside it: pruning
    begins after five of them.
    """
    complete = [t for t in trials if t.state == "complete"]
    return max(complete, key=lambda t: (t.value, -t.number), default=None)


class Tuner:
    """Searches the hyperparameters of one model on one split.

    Trial 0 is the declared defaults, if the search space holds them, so that "tuned" is never
    worse on validation than "untuned".

    Parameters
    ----------
    model : type of Recommender
        What to tune.
    spec : ModelSpec
        Fixed values and replaced ranges.
    tune : TuneSpec
        Trials and seconds, sampler, pruning, early stopping.
    view : TuningView
        Train and validation data.
    evaluator : Evaluator
        Its metrics include the selection metric.
    metric : str
        The selection metric, such as ``ndcg@10``; higher is better.
    seed : int
        Of the search and of the fits.
    budget : Budget, optional
        In place of what `tune` gives, where a search is repeated.
    checkpoints : Path, optional
        Folder where a long trial leaves what it needs to go on after an interruption.
    on_epoch : callable
        Called with every epoch of every trial.
    features : Features, optional
        Side information for models that need some.
    """

    def __init__(
        self,
        model: type[Recommender],
        spec: ModelSpec,
        tune: TuneSpec,
        view: TuningView,
        evaluator: Evaluator,
        metric: str,
        seed: int,
        *,
        budget: Budget | None = None,
        checkpoints: Path | None = None,
        on_epoch: Callable[[EpochStats], None] = lambda _: None,
        features: Features | None = None,
    ) -> None:
        for part, name in ((view.train, "train"), (view.validation, "validation")):
            if not len(part):
                raise DataError(
                    f"tuning needs a {name} part, but that of this split is empty. Use more data "
                    "or another split; the test part is never used instead."
                )
        self._model = model
        self._spec = spec
        self._tune = tune
        self._view = view
        n_users = tune.validation_users
        self._sample = None if n_users is None else sampled(view, n_users, seed)
        self._evaluator = evaluator
        self._metric = metric
        self._seed = seed
        self._checkpoints = checkpoints
        self._on_epoch = on_epoch
        self._features = features
        self._space = search_space(model, spec)
        self.budget = budget or tune.budget(searched=bool(self._space))

    def run(
        self, finished: Sequence[Trial], on_trial: Callable[[Trial], None] = lambda _: None
    ) -> list[Trial]:
        """Run the trials that are left.

        Parameters
        ----------
        finished : sequence of Trial
            Trials of an earlier attempt, from number 0 on.
        on_trial : callable
            Called with each trial as it ends.
        """
        trials = list(finished)
        times = [trial.seconds for trial in trials]
        if self.budget.is_spent(times):
            return trials
        suggestions = Suggestions(self._space, self._tune, self._seed)
        for trial in trials:
            suggestions.replay(trial.params, trial.state, trial.value, self._reached(trial.curve))
        while not self.budget.is_spent(times):
            number = len(trials)
            params = suggestions.ask(number, self._defaults())
            trial = self._try(number, params, suggestions, sum(times))
            suggestions.tell(trial.state, trial.value, self._reached(trial.curve))
            trials.append(trial)
            times.append(trial.seconds)
            on_trial(trial)
            if (checkpoint := self._checkpoint(number)) is not None:
                checkpoint.remove()
        return trials

    def _reached(self, curve: Sequence[Mapping[str, float]]) -> dict[int, float]:
        """Return the validation values of a trial, by epoch."""
        return {int(row["epoch"]): row[self._metric] for row in curve if self._metric in row}

    def _checkpoint(self, number: int) -> Checkpoint | None:
        folder = self._checkpoints
        return None if folder is None else Checkpoint(folder / f"trial-{number}.npz")

    def _defaults(self) -> dict[str, Any] | None:
        defaults = {name: self._model.Config.model_fields[name].default for name in self._space}
        inside = all(contains(self._space[name], value) for name, value in defaults.items())
        return defaults if inside else None

    def _try(
        self, number: int, params: dict[str, Any], suggestions: Suggestions, spent: float
    ) -> Trial:
        clock = Clock(spent)
        curve: list[dict[str, float]] = []
        try:
            config = make_config(self._model, self._spec.title, {**self._spec.params, **params})
            model = self._model(config).with_features(self._features)
            rng = generator(self._seed, "trial", number, "fit")
            if isinstance(model, IterativeRecommender):
                model.checkpoint = self._checkpoint(number)
                end = self._train(model, rng, number, curve, suggestions, clock)
            else:
                model.fit(training_data(model, self._view.train), rng)
                end = End(self._validate(model, self._compared_on))
        except (ArithmeticError, MemoryError, RecreproError, RuntimeError, ValueError) as error:
            # numpy's LinAlgError is a ValueError, torch's out-of-memory a RuntimeError.
            reason = blame(error)
            return Trial(number, params, "failed", reason=reason, seconds=clock.own, curve=curve)
        return Trial(
            number,
            params,
            "pruned" if end.pruned else "complete",
            end.metrics[self._metric],
            end.metrics,
            end.epoch,
            end.pruned,
            clock.own,
            curve,
            end.stopped,
        )

    @property
    def _compared_on(self) -> TuningView:
        """What trials are compared on: all users, or their sample."""
        if self._sample is None or self._tune.compare_trials == "all":
            return self._view
        return self._sample

    def _train(
        self,
        model: IterativeRecommender,
        rng: np.random.Generator,
        number: int,
        curve: list[dict[str, float]],
        suggestions: Suggestions,
        clock: Clock,
    ) -> End:
        """Train until nothing better is to be expected; `curve` gets a row for each epoch."""
        best, pruned, stopped = Best(self._metric), "", None
        looked_at, compared_on = self._sample or self._view, self._compared_on
        if looked_at is not compared_on:
            model.checkpoint = None  # it would not have the model of the best epoch
        for stats in model.fit_epochs(training_data(model, self._view.train), rng):
            last = stats.epoch >= model.config.epochs
            validated = False
            if model.resumed is not None:  # this epoch was looked at before the interruption
                best.resume(model.resumed["best"], model.resumed["misses"])
                clock.add(model.resumed.get("seconds", 0.0))
                curve[:], model.resumed = model.resumed["curve"], None
            elif last or stats.epoch % self._tune.evaluate_every == 0:
                self._on_epoch(stats)
                metrics = self._validate(model, looked_at)
                curve.append({**stats.row, **metrics})
                validated = True
                if best.look(metrics, stats.epoch) and looked_at is not compared_on:
                    best.compared = self._later(model, compared_on)
            else:
                self._on_epoch(stats)
                curve.append(stats.row)
            if last or best.misses >= self._tune.patience:
                break
            if validated and suggestions.prunes(self._reached(curve)):
                pruned = f"below the median of the trials before it, after epoch {stats.epoch}"
                break
            if validated and self.budget.ends_trial(number, stats.epoch, clock.all):
                stopped = stats.epoch
                break
            kept = None if best.metrics is None else (best.metrics, best.epoch)
            seconds = clock.own
            model.keep({"best": kept, "misses": best.misses, "curve": curve, "seconds": seconds})
        if best.metrics is None:
            raise RecreproError(f"{type(model).__name__} ended before its first evaluation.")
        metrics = best.metrics if best.compared is None else best.compared()
        return End(metrics, best.epoch, pruned, stopped)

    def _later(
        self, model: IterativeRecommender, view: TuningView
    ) -> Callable[[], dict[str, float]]:
        """Return what validates the model as it is now, though it is trained further meanwhile."""
        train = self._view.train
        given = [train, *vars(train).values(), self._view.histories, model.features, model.config]
        try:
            kept = copy.deepcopy(model, {id(one): one for one in given if one is not None})
        except Exception:  # noqa: BLE001 - whatever it cannot copy: then it is validated now
            metrics = self._validate(model, view)
            return lambda: metrics
        return lambda: self._validate(kept, view)

    def _validate(self, model: Recommender, view: TuningView) -> dict[str, float]:
        evaluation = self._evaluator.evaluate(
            model,
            view.train,
            view.histories,
            view.validation,
            view.validation_negatives,
            seen=view.seen,
        )
        if not isfinite(value := evaluation.means[self._metric]):
            raise RecreproError(f"the validation value of {self._metric} is {value}.")
        return evaluation.means


def chosen_params(
    model: type[Recommender], spec: ModelSpec, trials: Sequence[Trial]
) -> ModelConfig:
    """Return the configuration of the final fit: fixed values, best trial, its epochs.

    Raises
    ------
    RecreproError
        If no trial was complete.
    """
    params: dict[str, Any] = dict(spec.params)
    if trials:
        best = best_of(trials)
        if best is None:
            raise RecreproError(
                f"all {len(trials)} trials of {spec.title!r} failed; the last one: "
                f"{trials[-1].reason}"
            )
        params |= best.params
        if best.epochs is not None:
            params["epochs"] = best.epochs
    return make_config(model, spec.title, params)
