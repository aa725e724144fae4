"""Resolves the names of an experiment and refuses what cannot be meant, before data are loaded."""

from pydantic import ValidationError

from recrepro.data.dataset import Dataset
from recrepro.data.filters import make_filter
from recrepro.errors import UsageError
from recrepro.evaluation.definitions import parse_metric
from recrepro.model import Recommender
from recrepro.models import MODELS
from recrepro.spec.canonical import canonical_json
from recrepro.spec.experiment import Experiment, ModelSpec, SplitSpec
from recrepro.spec.explain import explain
from recrepro.splits import SPLITS
from recrepro.splits.base import Splitter
from recrepro.tuning.suggestions import check_sampler
from recrepro.tuning.tuner import search_space, validate_metric


def check_names(experiment: Experiment) -> tuple[dict[str, type[Recommender]], dict[str, Splitter]]:
    """Resolve every name of an experiment and check all hyperparameters and ranges.

    Returns
    -------
    models, splitters : dict
        By title.

    Raises
    ------
    UsageError
        On the first name or value that cannot be meant.
    """
    for metric in experiment.evaluate.metrics:
        parse_metric(metric)
    if experiment.tune is not None:
        validate_metric(experiment.selection_metric, experiment.evaluate.metrics)
        check_sampler(experiment.tune)
    models = {}
    for spec in experiment.models:
        model = MODELS.resolve(spec.name)
        search_space(model, spec)
        models[spec.title] = model
    _check_expected(experiment)
    for dataset in experiment.datasets:
        for filter_spec in dataset.filters:
            make_filter(filter_spec, f"data set {dataset.name!r}")
    return models, {spec.title: _splitter(spec) for spec in experiment.splits}


def _splitter(spec: SplitSpec) -> Splitter:
    strategy = SPLITS.resolve(spec.name)
    try:
        return strategy.model_validate_json(canonical_json(spec.options))
    except ValidationError as error:
        raise UsageError(explain(error, strategy, f"split {spec.title!r}")) from error


def _check_expected(experiment: Experiment) -> None:
    titles: dict[str, list[str]] = {
        "model": [m.title for m in experiment.models],
        "dataset": [d.name for d in experiment.datasets],
        "split": [s.title for s in experiment.splits],
        "metric": list(experiment.evaluate.metrics),
    }
    for number, expected in enumerate(experiment.expected, start=1):
        for kind, valid in titles.items():
            name = getattr(expected, kind)
            if name is not None and name not in valid:
                raise UsageError(
                    f"expected #{number}: the {kind} {name!r} is not in this experiment; it has "
                    f"{', '.join(valid)}."
                )


def check_capability(
    model: type[Recommender], spec: ModelSpec, dataset: Dataset, splitter: Splitter
) -> None:
    """Refuse a model that cannot work on a data set or a split."""
    if splitter.unseen_users and not model.inductive:
        raise UsageError(
            f"the model {spec.title!r} cannot score users it was not fitted on, and the split is "
            "one of unseen users. Leave one of them out."
        )
    if model.needs_times and dataset.interactions.times is None:
        raise UsageError(
            f"the model {spec.title!r} learns from times, and the data set {dataset.name!r} has "
            "none. Leave one of them out."
        )
