"""The identity of a cell, from the experiment and its data."""

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recrepro.custom.fingerprint import files_fingerprint, fingerprint
from recrepro.errors import UsageError
from recrepro.features import ALL, Features, FeatureSet, described
from recrepro.model import Recommender
from recrepro.models import family_of
from recrepro.spec.budget import Budget
from recrepro.spec.experiment import Experiment, ModelSpec
from recrepro.spec.identity import FitIdentity, ModelIdentity
from recrepro.tuning.tuner import search_space


def model_identity(model: type[Recommender], spec: ModelSpec, base: Path) -> ModelIdentity:
    """Return name, version, fixed hyperparameters and search space of a model.

    Parameters
    ----------
    model : type of Recommender
        The model. Of one that is not recrepro's own, the code counts too.
    spec : ModelSpec
        The model as the experiment gives it.
    base : Path
        Folder that names of files among the hyperparameters start from.
    """
    ranges = search_space(model, spec) if spec.tune else {}
    space = {name: {"kind": one.kind, **asdict(one)} for name, one in ranges.items()}
    code: dict[str, Any] = {}
    if family_of(model) == "custom":
        code = {"code": fingerprint(model)}
        if files := files_fingerprint(spec.params, base):
            code["files"] = files
    return ModelIdentity(
        **code,
        name=spec.name,
        version=model.version,
        params=model.Config(**spec.params).model_dump(mode="json"),
        # With lists for tuples, as a record of the cell has it, which it is compared with.
        space=json.loads(json.dumps(space)),
    )


def tuning_identity(experiment: Experiment, spec: ModelSpec) -> dict[str, Any] | None:
    """Return the rules of a model's search, without its budget; None if it is not tuned."""
    if experiment.tune is None or not spec.tune:
        return None
    written = experiment.tune.model_dump(mode="json", exclude={"trials", "seconds", "hindsight"})
    # Another Optuna may suggest other trials for the same seed.
    return {
        **written,
        "metric": experiment.selection_metric,
        "optuna": version("optuna"),
    }


def fit_identity(
    experiment: Experiment, spec: ModelSpec, seed: int, number: int, *, searched: bool
) -> FitIdentity:
    """Return the seed of a model's final fit, and the budget of the search before it.

    Parameters
    ----------
    experiment : Experiment
        The experiment.
    spec : ModelSpec
        The model as the experiment gives it.
    seed : int
        Seed of the fit.
    number : int
        Place of the fit among several after the same search, from 1.
    searched : bool
        True if the model has a range to search.
    """
    tune = experiment.tune if spec.tune else None
    budget = Budget(0) if tune is None else tune.budget(searched=searched)
    further = {} if number == 1 else {"number": number}
    return FitIdentity(seed=seed, trials=budget.trials, seconds=budget.seconds, **further)


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
            known = described(have.sets)
            has = f"has {known}: {error}" if known else "has no features at all."
            raise UsageError(
                f"the model {spec.title!r} needs features of {side}s, and the data set "
                f"{dataset!r} {has} Leave one of them out, or describe a file under "
                "[[datasets.features]]."
            ) from error
    return Features(tuple(dict.fromkeys(wanted))).fingerprints
