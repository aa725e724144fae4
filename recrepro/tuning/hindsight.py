"""What it would have gained to pick the epoch on the test part, as the code of some papers does.

It is looked at after the result of a cell is fixed, and changes nothing of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from recrepro.evaluation.evaluator import Evaluator
from recrepro.features import Features
from recrepro.model import EpochStats, IterativeRecommender, ModelConfig, Recommender
from recrepro.models import family_of
from recrepro.spec.budget import Budget
from recrepro.spec.experiment import ModelSpec, TuneSpec
from recrepro.splits.sealed import TuningView
from recrepro.store.records import Hindsight
from recrepro.tuning.tuner import Tuner


@dataclass(frozen=True)
class _AtLeast(Budget):
    """A budget whose time is not up before so many epochs."""

    epochs: int = 1

    def ends_trial(self, number: int, epoch: int, spent: float) -> bool:
        return epoch >= self.epochs and super().ends_trial(number, epoch, spent)


def look_back(
    model: type[Recommender],
    spec: ModelSpec,
    config: ModelConfig,
    tune: TuneSpec,
    opened: TuningView,
    evaluator: Evaluator,
    metric: str,
    seed: int,
    *,
    features: Features | None = None,
    on_epoch: Callable[[EpochStats], None] = lambda _: None,
) -> Hindsight:
    """Train once more, for as long as a trial may last, and rank the test part on the way.

    It ends after as many epochs as a trial may have or, if the budget is in seconds, with the
    first look after they are over and the epoch that validation chose has been seen.

    Parameters
    ----------
    model : type of Recommender
        A model that learns in epochs.
    spec : ModelSpec
        As in the experiment: says how many epochs a trial may have.
    config : ModelConfig
        Of the final fit.
    tune : TuneSpec
        After how many epochs to look; how many seconds a search may last.
    opened : TuningView
        What the final model was fitted on, with the test part in the place of validation.
    evaluator, metric, seed, features, on_epoch
        As in `recrepro.tuning.tuner.Tuner`.

    Returns
    -------
    Hindsight
        ``epoch``, chosen on validation, and ``value`` of the metric on test after it;
        ``best_epoch`` and ``best_value`` on test; ``gain``, their difference; ``epochs``, the
        number of trained epochs; ``curve``.
    """
    most = spec.params.get("epochs", model.Config.model_fields["epochs"].default)
    chosen: int = config.epochs  # type: ignore[attr-defined]  # every config of a model that learns in epochs
    params = {**config.model_dump(mode="json"), "epochs": max(most, chosen)}
    fixed = ModelSpec(name=spec.name, label=spec.label, params=params)
    every_user = {"validation_users": None, "compare_trials": "all"}
    without_patience = tune.model_copy(update={"patience": params["epochs"], **every_user})
    tuner = Tuner(
        model,
        fixed,
        without_patience,
        opened,
        evaluator,
        metric,
        seed,
        budget=_AtLeast(1, tune.seconds, epochs=chosen),
        on_epoch=on_epoch,
        features=features,
    )
    (trial,) = tuner.run(())
    curve = {int(row["epoch"]): row[metric] for row in trial.curve if metric in row}
    value = curve.get(chosen)
    best = trial.value
    return Hindsight(
        metric=metric,
        epoch=chosen,
        value=value,
        best_epoch=trial.epochs,
        best_value=best,
        epochs=max(curve, default=None),
        gain=None if value is None or best is None else best - value,
        curve=[{"epoch": epoch, metric: value} for epoch, value in curve.items()],
        reason=trial.reason,
    )


def looks_back(tune: TuneSpec | None, model: type[Recommender]) -> bool:
    """Say whether a model is looked back at, on request: it learns in epochs and is no baseline."""
    epochs = issubclass(model, IterativeRecommender) and family_of(model) != "simple"
    return tune is not None and tune.hindsight and epochs
