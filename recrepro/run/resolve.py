"""Resolves the names of an experiment and refuses what cannot be meant, before data are loaded."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from recrepro.custom.load import resolve_model
from recrepro.data.dataset import Dataset
from recrepro.data.filters import make_filter
from recrepro.errors import UsageError, at
from recrepro.evaluation.definitions import parse_metric
from recrepro.model import Information, Recommender
from recrepro.space import Choice
from recrepro.spec.canonical import canonical_json
from recrepro.spec.experiment import Expected, Experiment, ModelSpec, Printed, SplitSpec
from recrepro.spec.explain import refusal
from recrepro.splits import SPLITS
from recrepro.splits.base import Splitter
from recrepro.tuning.suggestions import check_sampler
from recrepro.tuning.tuner import make_config, search_space


def check_names(
    experiment: Experiment, base: Path
) -> tuple[dict[str, type[Recommender]], dict[str, Splitter]]:
    """Resolve every name of an experiment and check all hyperparameters and ranges.

    Parameters
    ----------
    experiment : Experiment
        The experiment as read.
    base : Path
        Folder that the experiment's relative file names start from.

    Returns
    -------
    models, splitters : dict
        By title.

    Raises
    ------
    UsageError
        On the first name or value that cannot be meant.
    """
    with at("evaluate", "metrics"):
        for metric in experiment.evaluate.metrics:
            parse_metric(metric)
    if experiment.tune is not None:
        with at("tune", "metric"):
            validate_metric(experiment.selection_metric, experiment.evaluate.metrics)
        with at("tune", "sampler"):
            check_sampler(experiment.tune)
    models = {}
    for spec in experiment.models:
        with at("models", spec.title):
            with at("name" if spec.target is None else "class"):
                model = resolve_model(spec.name, spec.target, base)
            search_space(model, spec)
        models[spec.title] = model
    _check_values(experiment)
    for dataset in experiment.datasets:
        for number, filter_spec in enumerate(dataset.filters):
            with at("datasets", dataset.name, "filters", number):
                make_filter(filter_spec, f"data set {dataset.name!r}")
    return models, {spec.title: _splitter(spec) for spec in experiment.splits}


def validate_metric(name: str, evaluated: Sequence[str]) -> None:
    """Refuse a selection metric that does not exist, cannot be maximised, or is not evaluated."""
    if parse_metric(name).definition.kind == "lists":
        raise UsageError(
            f"tuning cannot maximise {name!r}, which describes lists and does not say how good "
            "they are. Set tune.metric to an accuracy metric, such as 'ndcg@10'."
        )
    if name not in evaluated:
        raise UsageError(
            f"tune.metric is {name!r}, which is not under evaluate.metrics, {list(evaluated)}: add "
            "it there, or choose one of them."
        )


def on_device(experiment: Experiment, models: dict[str, type[Recommender]]) -> Experiment:
    """Return the experiment with its device as a hyperparameter of each model that has one.

    Parameters
    ----------
    experiment : Experiment
        The experiment as read.
    models : dict
        Its models, by title.

    Raises
    ------
    UsageError
        If it names a device, and no model can choose one.
    """
    if experiment.device is None:
        return experiment
    able = [title for title, model in models.items() if "device" in model.Config.model_fields]
    if not able:
        raise UsageError(
            f"the device {experiment.device!r} is for models with a hyperparameter 'device', such "
            "as recrepro's neural ones, and there is none in this experiment. Leave it out."
        )
    device = {"device": experiment.device}
    specs = tuple(
        spec.model_copy(update={"params": device | spec.params}) if spec.title in able else spec
        for spec in experiment.models
    )
    for spec in specs:
        search_space(models[spec.title], spec)  # refuses a device that a model does not take
    return experiment.model_copy(update={"models": specs, "device": None})


def _splitter(spec: SplitSpec) -> Splitter:
    with at("splits", spec.title):
        with at("name"):
            strategy = SPLITS.resolve(spec.name)
        try:
            return strategy.model_validate_json(canonical_json(spec.options))
        except ValidationError as error:
            raise refusal(error, strategy, f"split {spec.title!r}") from error


def _check_values(experiment: Experiment) -> None:
    titles: dict[str, list[str]] = {
        "model": [m.title for m in experiment.models],
        "dataset": [d.name for d in experiment.datasets],
        "split": [s.title for s in experiment.splits],
        "metric": list(experiment.evaluate.metrics),
    }
    for number, expected in enumerate(experiment.expected, start=1):
        _check_titles(expected, f"expected #{number}", titles)
    del titles["model"]  # others' models need not be here
    for number, printed in enumerate(experiment.printed, start=1):
        _check_titles(printed, f"printed #{number}", titles)


def _check_titles(
    value: Expected | Printed, where: str, titles: Mapping[str, Sequence[str]]
) -> None:
    for kind, valid in titles.items():
        name = getattr(value, kind)
        if name is not None and name not in valid:
            raise UsageError(
                f"{where}: the {kind} {name!r} is not in this experiment; it has "
                f"{', '.join(valid)}."
            )


def check_capability(
    model: type[Recommender], spec: ModelSpec, dataset: Dataset, splitter: Splitter
) -> None:
    """Refuse a model that cannot work on a data set or a split."""
    if splitter.unseen_users and not model.inductive:
        raise UsageError(
            f"the model {spec.title!r} cannot score users it was not fitted on, and the split "
            f"{splitter.called!r} tests such users. Leave one of them out."
        )
    if model.needs_times and dataset.interactions.times is None:
        raise UsageError(
            f"the model {spec.title!r} learns from times, and the data set {dataset.name!r} has "
            "none. Leave one of them out."
        )
    if dataset.interactions.times is None and not {"order", "times"}.isdisjoint(
        learns_from(model, spec)
    ):
        raise UsageError(
            f"with the hyperparameters of the experiment, the model {spec.title!r} learns from the "
            f"order of interactions in time, and the data set {dataset.name!r} has no times. Take "
            "away the hyperparameters that need them, such as fading and half_life, or leave the "
            "model or the data set out."
        )


def learns_from(model: type[Recommender], spec: ModelSpec) -> set[Information]:
    """Return what a model may learn from in an experiment.

    Parameters
    ----------
    model : type of Recommender
        Its class.
    spec : ModelSpec
        The model as the experiment gives it: fixed hyperparameters, and those it searches for.
    """
    tried = [spec.params]
    for name, written in spec.search.items():
        ends = written.to_range()
        values = ends.options if isinstance(ends, Choice) else (ends.low, ends.high)
        tried += [{**spec.params, name: value} for value in values]
    configs = (make_config(model, spec.title, params) for params in tried)
    return {one for config in configs for one in model(config).information()}
