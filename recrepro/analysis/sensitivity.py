"""How much of a table its protocol decides: the same tuned models, fitted and tested otherwise.

What was found on validation is kept. Each variant changes one choice of the protocol, and repeats
the final fits and the test.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from recrepro.analysis.families import holm
from recrepro.analysis.inference import LEVEL
from recrepro.analysis.per_user import by_model
from recrepro.analysis.reference import records_of
from recrepro.analysis.significance import Comparison, PairedTests
from recrepro.analysis.verdict import judge
from recrepro.errors import UsageError
from recrepro.spec.experiment import (
    DatasetSpec,
    EvaluateSpec,
    Experiment,
    FilterSpec,
    ModelSpec,
    SplitSpec,
)
from recrepro.store.results import Result

CORE = 5
"""Interactions that a k-core leaves each user and each item at least."""

ANOTHER_SEED = 1_000
"""What is added to the seeds of a split for another order of equal times."""


@dataclass(frozen=True)
class Variant:
    """A table of an experiment with one choice of its protocol changed.

    Parameters
    ----------
    dataset, split : str
        Titles of the table.
    change : str
        What is changed, in words.
    experiments : tuple of Experiment
        What has to be run, one for each seed: all models with the hyperparameters that the search
        of the seed has found, and nothing to search.
    """

    dataset: str
    split: str
    change: str
    experiments: tuple[Experiment, ...]


@dataclass(frozen=True)
class VariantRow:
    """What became of a table.

    Parameters
    ----------
    change : str
        What was changed; "as it is" for the table itself.
    winner : str
        The model with the highest value on test.
    value : float
        This value.
    users : int
        Users tested.
    differences : dict of str to Comparison
        Of each judged model that shares users with the reference of the table as it is.
    signs : dict of str to str
        "better", "worse" or "open" for each of these models: by p-values below 5 % after Holm's
        correction, whatever else a verdict needs.
    """

    change: str
    winner: str
    value: float
    users: int
    differences: Mapping[str, Comparison]
    signs: Mapping[str, str]


def variants(experiment: Experiment, results: Sequence[Result]) -> list[Variant]:
    """Return what has to be run to see how much the protocol decides.

    Parameters
    ----------
    experiment : Experiment
        The experiment.
    results : sequence of Result
        Its cells.

    Raises
    ------
    UsageError
        If a cell has no result yet, or a split has folds.
    """
    unfinished = [result.name.path for result in results if result.record is None]
    if unfinished:
        raise UsageError(
            f"{len(unfinished)} cells of the experiment have no result yet, first "
            f"{unfinished[0]!r}. Run the experiment first: its tuned models are fitted again."
        )
    if any(result.name.fold is not None for result in results):
        raise UsageError(
            "a split with folds has a search for each of them, which cannot be told apart in a "
            "file. Use a split without folds."
        )
    found = []
    for dataset in experiment.datasets:
        for split in experiment.splits:
            place = (dataset.name, split.title)
            here = [r for r in results if (r.name.dataset, r.name.split) == place]
            for change, update in _changes(dataset, split, experiment.evaluate):
                alone = tuple(
                    _fixed(experiment, dataset, split, here, seed).model_copy(
                        update={
                            "claim": f"{change}: {experiment.claim}",
                            **update(dataset, split.model_copy(update={"seeds": (seed,)})),
                        }
                    )
                    for seed in split.seeds
                )
                found.append(Variant(*place, change, alone))
    return found


def _changes(
    dataset: DatasetSpec, split: SplitSpec, evaluate: EvaluateSpec
) -> Iterable[tuple[str, Any]]:
    """Yield each change in words, and a function that returns the changed parts."""

    def protocol(**more: Any) -> Any:
        return lambda *_: {"evaluate": evaluate.model_copy(update=more)}

    if evaluate.validation == "refit":
        yield "final models do not learn from the validation part", protocol(validation="history")
        yield "they do not see the validation part at all", protocol(validation="unused")
    else:
        yield "final models learn from the validation part", protocol(validation="refit")
    other = "kept" if evaluate.seen == "removed" else "removed"
    yield f"seen items are {other}", protocol(seen=other)
    if split.options.get("pick", "last") == "last" and split.name.startswith("leave"):
        yield (
            "equal times in another order",
            lambda _, one: {
                "splits": (one.model_copy(update={"seeds": (one.seeds[0] + ANOTHER_SEED,)}),)
            },
        )
    cores = [f for f in dataset.filters if f.name == "k-core"]
    if dataset.train is None:
        left = tuple(f for f in dataset.filters if f.name != "k-core")
        core = FilterSpec.model_validate({"name": "k-core", "users": CORE, "items": CORE})
        filters = left if cores else (*dataset.filters, core)
        yield (
            "without the k-core" if cores else f"{CORE}-core of users and items",
            lambda whole, _: {"datasets": (whole.model_copy(update={"filters": filters}),)},
        )


def _fixed(
    experiment: Experiment,
    dataset: DatasetSpec,
    split: SplitSpec,
    results: Sequence[Result],
    seed: int,
) -> Experiment:
    """Return the experiment of one table and seed, with the hyperparameters that were chosen."""
    chosen = {
        r.name.model: r.record.model.params for r in results if r.record and r.name.seed == seed
    }
    models = tuple(
        ModelSpec.model_validate(
            {
                **spec.model_dump(by_alias=True, include={"target", "name", "label", "role"}),
                # TOML has no null, and null is always the default.
                "params": {k: v for k, v in chosen[spec.title].items() if v is not None},
                "tune": False,
            }
        )
        for spec in experiment.models
        if spec.title in chosen
    )
    return experiment.model_copy(
        update={
            "datasets": (dataset,),
            "splits": (split.model_copy(update={"seeds": (seed,)}),),
            "models": models,
            "tune": None,
            "expected": (),
            "printed": (),
        }
    )


def compared(
    experiment: Experiment,
    dataset: str,
    split: str,
    tables: Mapping[str, Sequence[Result]],
    *,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> list[VariantRow]:
    """Compare a table with its variants.

    Parameters
    ----------
    experiment : Experiment
        The experiment as it is.
    dataset, split : str
        Titles of the table.
    tables : mapping of str to sequence of Result
        Results by change; the first are those of the table as it is, from which the references of
        judged models are taken.
    n_resamples, seed
        Of the randomisation test.
    """
    metric = experiment.selection_metric
    first = next(iter(tables.values()))
    boards = judge(first, experiment, n_resamples=n_resamples, seed=seed)
    references = {
        model.model: model.reference.model
        for board in boards
        if (board.dataset, board.split) == (dataset, split)
        for model in board.models
        if model.reference is not None
    }
    rows = []
    for change, results in tables.items():
        means = {
            model: fmean(record.metrics[metric] for record in found)
            for model, found in records_of(results).items()
        }
        winner = max(means, key=lambda model: means[model])
        tests = PairedTests(by_model(results, [metric]), n_resamples, seed)
        differences = {}
        for model, reference in references.items():
            test = tests.compare([model], reference, metric)[model]
            if test.comparison is not None:
                differences[model] = test.comparison
        rows.append(
            VariantRow(
                change,
                winner,
                means[winner],
                next(r.record.users for r in results if r.record),
                differences,
                _signs(differences),
            )
        )
    return rows


def _signs(differences: Mapping[str, Comparison]) -> dict[str, str]:
    corrected = holm(np.array([found.t for found in differences.values()]))
    return {
        model: "open" if p >= LEVEL else "better" if found.difference > 0 else "worse"
        for (model, found), p in zip(differences.items(), corrected.tolist(), strict=True)
    }
