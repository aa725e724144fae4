"""The identity of a cell, from the experiment and its data."""

import json
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from recrepro.errors import UsageError
from recrepro.features import ALL, Features, FeatureSet, described
from recrepro.model import Recommender
from recrepro.spec.experiment import Experiment, ModelSpec
from recrepro.spec.identity import ModelIdentity
from recrepro.tuning.hindsight import looks_back
from recrepro.tuning.tuner import search_space


def model_identity(model: type[Recommender], spec: ModelSpec) -> ModelIdentity:
    """Return name, version, fixed hyperparameters and search space of a model."""
    ranges = search_space(model, spec) if spec.tune else {}
    space = {name: {"kind": one.kind, **asdict(one)} for name, one in ranges.items()}
    return ModelIdentity(
        name=spec.name,
        version=model.version,
        params=model.Config(**spec.params).model_dump(mode="json"),
        # With lists for tuples, as a record of the cell has it, which it is compared with.
        space=json.loads(json.dumps(space)),
    )


def tuning_identity(
    experiment: Experiment, model: type[Recommender], spec: ModelSpec
) -> dict[str, Any] | None:
    """Return the budget and the rules of a model's search; None if it is not tuned."""
    if experiment.tune is None or not spec.tune:
        return None
    written = experiment.tune.model_dump(mode="json")
    if not looks_back(experiment.tune, model):
        written.pop("hindsight", None)
    # Another Optuna may suggest other trials for the same seed.
    return {
        **written,
        "metric": experiment.selection_metric,
        "optuna": version("optuna"),
    }


def features_identity(
    model: type[Recommender], spec: ModelSpec, have: Features, dataset: str
) -> dict[str, str]:
    """Return the fingerprints of the feature sets that a model gets; refuse if some are missing."""
    config = model.Config(**spec.params)
    wanted: list[FeatureSet] = []
    for side in model.needs_features:
        key = f"{side}_features"
        names = [str(getattr(config, key, ALL))]
        if key in spec.search:
            names = [str(option) for option in spec.search[key].choice or ()]
        try:
            wanted += [one for text in names for one in have.chosen(side, text)]
        except UsageError as error:
            known = described(have.sets) or "nothing"
            raise UsageError(
                f"the model {spec.title!r} needs features of {side}s, and the data set "
                f"{dataset!r} has {known}: {error} Leave one of them out, or describe a file under "
                "[[datasets.features]]."
            ) from error
    return Features(tuple(dict.fromkeys(wanted))).fingerprints
