"""Tuning: suggestions from Optuna, judged on validation data only.

Optuna suggests, behind ask and tell. Its sampler is made anew for each trial from the study's
seed and the number of finished trials, and the study is rebuilt from the trials in the ledger: a
search that was cut off anywhere goes on to exactly the trials of an undisturbed one.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from recrepro.checkpoint import Checkpoint
from recrepro.errors import DataError, RecreproError, UsageError
from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.experiment import ModelSpec, TuneSpec, explain
from recrepro.model import EpochStats, IterativeRecommender, ModelConfig, Recommender
from recrepro.randomness import generator, integer_seed
from recrepro.space import Choice, IntRange, LogUniform, Range, Uniform, contains, declared_space
from recrepro.splits.sealed import TuningView

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Trial:
    """One tried configuration.

    Parameters
    ----------
    number : int
        From 0, in the order of the search.
    params : dict
        The values that were searched for; fixed ones are not repeated.
    state : {"complete", "failed"}
        A failed trial counts against the budget like any other.
    value : float or None
        Validation value of the selection metric.
    metrics : dict of str to float
        All validation metrics.
    epochs : int or None
        Best epoch of an iterative model.
    reason : str
        Why it failed.
    seconds : float
        Wall time of fit and validation.
    curve : list of dict
        Of an iterative model: each epoch's number and what the model reported, with the validation
        metrics of those epochs after which it was evaluated.
    """

    number: int
    params: dict[str, Any]
    state: Literal["complete", "failed"]
    value: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    epochs: int | None = None
    reason: str = ""
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for the ledger."""
        return asdict(self)


def make_config(model: type[Recommender], title: str, params: Mapping[str, Any]) -> ModelConfig:
    """Build a model's configuration, or say which hyperparameter is wrong and what is valid."""
    try:
        return model.Config(**params)
    except ValidationError as error:
        raise UsageError(explain(error, model.Config, f"model {title!r}")) from error


def search_space(model: type[Recommender], spec: ModelSpec) -> dict[str, Range]:
    """Return what there is to search: declared ranges, replaced or fixed by the experiment.

    Raises
    ------
    UsageError
        If a fixed value or a range names no hyperparameter, or does not fit it.
    """
    config = make_config(model, spec.title, spec.params)
    searched = spec.search.keys() | (declared_space(model.Config).keys() - spec.params.keys())
    space = declared_space(model.Config, config.model_dump(exclude=searched))
    for name, written in spec.search.items():
        if name in spec.params:
            raise UsageError(f"model {spec.title!r}: {name!r} is both fixed and searched for.")
        try:
            ends = space[name] = written.to_range()
        except UsageError as error:
            raise UsageError(f"model {spec.title!r}, search.{name}: {error}") from error
        values = ends.options if isinstance(ends, Choice) else (ends.low, ends.high)
        for value in values:
            make_config(model, spec.title, {**spec.params, name: value})
    # Sorted, because the order decides which suggestion goes to whom: it must depend neither on
    # the order of an experiment's keys nor on that of a model's fields.
    return {name: space[name] for name in sorted(space) if name not in spec.params}


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """Return the complete trial with the highest value, the earliest of equals."""
    complete = [t for t in trials if t.value is not None]
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
    budget : TuneSpec
        Number of trials, sampler, early stopping.
    view : TuningView
        Train and validation data.
    evaluator : Evaluator
        Its metrics include the selection metric.
    metric : str
        The selection metric, such as ``ndcg@10``; higher is better.
    seed : int
        Of the search and of the fits.
    checkpoints : Path, optional
        Folder where a long trial leaves what it needs to go on after an interruption.
    on_epoch : callable
        Called with every epoch of every trial.
    """

    def __init__(
        self,
        model: type[Recommender],
        spec: ModelSpec,
        budget: TuneSpec,
        view: TuningView,
        evaluator: Evaluator,
        metric: str,
        seed: int,
        *,
        checkpoints: Path | None = None,
        on_epoch: Callable[[EpochStats], None] = lambda _: None,
    ) -> None:
        for part, name in ((view.train, "train"), (view.validation, "validation")):
            if not len(part):
                raise DataError(
                    f"tuning needs a {name} part, but that of this split is empty. Use more data "
                    "or another split; the test part is never used instead."
                )
        self._model = model
        self._spec = spec
        self._budget = budget
        self._view = view
        self._evaluator = evaluator
        self._metric = metric
        self._seed = seed
        self._checkpoints = checkpoints
        self._on_epoch = on_epoch
        self._space = search_space(model, spec)

    @property
    def n_trials(self) -> int:
        """Number of trials: the budget, or 1 if there is nothing to search."""
        return self._budget.trials if self._space else 1

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
        if len(trials) >= self.n_trials:
            return trials
        study = _study(self._distributions(), finished)
        while len(trials) < self.n_trials:
            params, tell = self._ask(study, len(trials))
            trial = self._try(len(trials), params)
            tell(trial)
            trials.append(trial)
            on_trial(trial)
            if (checkpoint := self._checkpoint(trial.number)) is not None:
                checkpoint.remove()
        return trials

    def _checkpoint(self, number: int) -> Checkpoint | None:
        folder = self._checkpoints
        return None if folder is None else Checkpoint(folder / f"trial-{number}.npz")

    def _distributions(self) -> "dict[str, optuna.distributions.BaseDistribution]":
        return {name: _distribution(space) for name, space in self._space.items()}

    def _ask(
        self, study: "optuna.Study", number: int
    ) -> tuple[dict[str, Any], Callable[[Trial], None]]:
        import optuna

        if number == 0:
            defaults = self._defaults()
            if defaults is not None:
                study.enqueue_trial(defaults)
        seed = integer_seed(self._seed, "suggest", number)
        study.sampler = (
            optuna.samplers.RandomSampler(seed=seed)
            if self._budget.sampler == "random"
            else optuna.samplers.TPESampler(seed=seed)
        )
        asked = study.ask(self._distributions())

        def tell(trial: Trial) -> None:
            failed = trial.value is None
            state = optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE
            study.tell(asked, trial.value, state=state)

        return dict(asked.params), tell

    def _defaults(self) -> dict[str, Any] | None:
        declared = self._model.Config.model_fields
        defaults = {name: declared[name].default for name in self._space}
        inside = all(contains(self._space[name], value) for name, value in defaults.items())
        return defaults if inside else None

    def _try(self, number: int, params: dict[str, Any]) -> Trial:
        started = time.perf_counter()
        curve: list[dict[str, float]] = []
        try:
            model = self._model(make_config(self._model, self._spec.title, self._all(params)))
            metrics, epochs = self._fit_and_validate(model, number, curve)
        except (ArithmeticError, MemoryError, RecreproError, RuntimeError, ValueError) as error:
            # numpy's LinAlgError is a ValueError, torch's out-of-memory a RuntimeError.
            reason = f"{type(error).__name__}: {error}"
            seconds = time.perf_counter() - started
            return Trial(number, params, "failed", reason=reason, seconds=seconds, curve=curve)
        seconds = time.perf_counter() - started
        value = metrics[self._metric]
        return Trial(
            number, params, "complete", value, metrics, epochs, seconds=seconds, curve=curve
        )

    def _all(self, params: dict[str, Any]) -> dict[str, Any]:
        return {**self._spec.params, **params}

    def _fit_and_validate(
        self, model: Recommender, number: int, curve: list[dict[str, float]]
    ) -> tuple[dict[str, float], int | None]:
        """Return the best metrics and their epoch; `curve` gets a row for each epoch."""
        rng = generator(self._seed, "trial", number, "fit")
        if not isinstance(model, IterativeRecommender):
            model.fit(self._view.train, rng)
            return self._validate(model), None
        model.checkpoint = self._checkpoint(number)
        best: tuple[dict[str, float], int] | None = None
        misses = 0
        for stats in model.fit_epochs(self._view.train, rng):
            last = stats.epoch >= model.config.epochs
            if model.resumed is not None:  # this epoch was looked at before the interruption
                kept, misses = model.resumed["best"], model.resumed["misses"]
                best = None if kept is None else (kept[0], kept[1])
                curve[:], model.resumed = model.resumed["curve"], None
            elif last or stats.epoch % self._budget.evaluate_every == 0:
                self._on_epoch(stats)
                metrics = self._validate(model)
                curve.append({**stats.row, **metrics})
                if best is None or metrics[self._metric] > best[0][self._metric]:
                    best, misses = (metrics, stats.epoch), 0
                else:
                    misses += 1
            else:
                self._on_epoch(stats)
                curve.append(stats.row)
            if last or misses >= self._budget.patience:
                break
            model.keep({"best": best, "misses": misses, "curve": curve})
        if best is None:
            raise RecreproError(f"{type(model).__name__} ended before its first evaluation.")
        return best

    def _validate(self, model: Recommender) -> dict[str, float]:
        view = self._view
        evaluation = self._evaluator.evaluate(
            model, view.train, view.histories, view.validation, view.validation_negatives
        )
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


def validate_metric(name: str, evaluated: Sequence[str]) -> None:
    """Refuse a selection metric that does not exist, cannot be maximised, or is not evaluated."""
    if parse_metric(name).definition.kind == "lists":
        raise UsageError(
            f"tuning cannot maximise {name!r}, which describes lists and does not say how good "
            "they are. Set tune.metric to an accuracy metric, such as 'ndcg@10'."
        )
    if name not in evaluated:
        raise UsageError(
            f"tune.metric is {name!r}, which is not under evaluate.metrics: add it there."
        )


def _distribution(space: Range) -> "optuna.distributions.BaseDistribution":
    from optuna import distributions

    match space:
        case Uniform():
            return distributions.FloatDistribution(space.low, space.high)
        case LogUniform():
            return distributions.FloatDistribution(space.low, space.high, log=True)
        case IntRange():
            return distributions.IntDistribution(space.low, space.high)
        case Choice():
            return distributions.CategoricalDistribution(space.options)


def _study(
    distributions: "dict[str, optuna.distributions.BaseDistribution]", finished: Sequence[Trial]
) -> "optuna.Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for trial in finished:
        state = optuna.trial.TrialState.FAIL
        if trial.state == "complete":
            state = optuna.trial.TrialState.COMPLETE
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                params=trial.params,
                distributions=distributions,
                value=trial.value,
            )
        )
    return study
