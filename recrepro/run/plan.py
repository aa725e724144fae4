"""From an experiment to its cells, with their data loaded."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

from recrepro.data.dataset import Dataset, content_checksum
from recrepro.data.load import load_dataset, load_features, match_features, raw_places
from recrepro.errors import UsageError, at
from recrepro.features import Features
from recrepro.model import Recommender
from recrepro.run.identity import (
    features_identity,
    fit_identity,
    model_identity,
    tuning_identity,
)
from recrepro.run.protocol import check_items, check_metrics, ranking_identity, read_labels
from recrepro.run.resolve import check_capability, check_names, on_device
from recrepro.spec.budget import Budget
from recrepro.spec.experiment import Experiment, ModelSpec
from recrepro.spec.identity import HARNESS_VERSION, DataIdentity, Identity, ModelIdentity
from recrepro.splits.base import Splitter
from recrepro.splits.draw import resolve_candidates, split_identity
from recrepro.store.entries import Member
from recrepro.store.names import CellName
from recrepro.tuning.hindsight import looks_back

MOST_CELLS = 100_000
"""Cells of an experiment; 30 data sets with 40 models and 5 seeds are 6,000."""


@dataclass(frozen=True)
class Cell:
    """One model on one split of a data set.

    Parameters
    ----------
    name : CellName
        Titles of its parts in the experiment.
    identity : Identity
        All that decides its numbers.
    model : ModelSpec
        The model as the experiment file gives it.
    """

    name: CellName
    identity: Identity
    model: ModelSpec

    @property
    def key(self) -> str:
        """Hash of the identity."""
        return self.identity.key

    @property
    def member(self) -> Member:
        """The cell as the ledger lists it under its experiment."""
        return Member(self.key, self.name)


@dataclass(frozen=True)
class Plan:
    """An experiment's cells, and the data that they run on.

    Parameters
    ----------
    experiment : Experiment
        The experiment as read.
    cells : list of Cell
        In the order of the file: data sets, splits, seeds, folds, models.
    datasets, splitters : dict
        By title.
    items : {"all", "train", "cold"} or list of str
        Items that may be recommended: a rule, or labels.
    base : Path
        Folder that file names start from.
    features : dict
        Side information by title of the data set, aligned to its labels, if a model needs some.
    models : dict
        Classes of the models, by title.
    raw : list of Path
        Files and folders that hold the data as they are before they are split.
    repeated : Budget, optional
        Spent budget of a search that is repeated, in place of the declared one.
    """

    experiment: Experiment
    cells: list[Cell] = field(default_factory=list)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    splitters: dict[str, Splitter] = field(default_factory=dict)
    items: Literal["all", "train", "cold"] | list[str] = "all"
    base: Path = Path()
    repeated: Budget | None = None
    features: dict[str, Features] = field(default_factory=dict)
    models: dict[str, type[Recommender]] = field(default_factory=dict)
    raw: list[Path] = field(default_factory=list)

    def budget(self, cell: Cell) -> Budget:
        """Return what the search of a cell may spend: no trials if it is not tuned."""
        budget = cell.identity.budget
        return self.repeated or budget if cell.identity.tuning is not None else budget

    def n_trials(self, *cells: Cell) -> int:
        """Return how many trials the searches of cells have at most; 0 if only time ends one."""
        numbers = [self.budget(cell).trials for cell in one_a_search(cells)]
        return sum(number or 0 for number in numbers) if None not in numbers else 0


def one_a_search(cells: Iterable[Cell]) -> list[Cell]:
    """Return one cell of each search: several fits of a model share it."""
    return list({cell.identity.search_key: cell for cell in cells}.values())


def make_plan(
    experiment: Experiment, base: Path, data_dir: Path | None, *, progress: bool = True
) -> Plan:
    """Resolve names, load the data and list the cells.

    Parameters
    ----------
    experiment : Experiment
        The experiment as read.
    base : Path
        Folder that the experiment's relative file names start from.
    data_dir : Path, optional
        Folder with local copies of named data sets.
    progress : bool
        True if a download may draw a progress bar.

    Raises
    ------
    UsageError
        If a name or a value cannot be meant, or two cells are the same.
    DataError
        If data cannot be read, or do not suit the experiment.
    """
    models, splitters = check_names(experiment, base)
    _check_size(experiment, splitters)
    experiment = on_device(experiment, models)
    evaluate = experiment.evaluate
    items = evaluate.items if evaluate.item_file is None else read_labels(base / evaluate.item_file)
    plan = Plan(experiment, splitters=splitters, items=items, base=base, models=models)
    identities = {
        spec.title: model_identity(models[spec.title], spec, base) for spec in experiment.models
    }
    for spec in experiment.datasets:
        with at("datasets", spec.name):
            dataset = load_dataset(spec, base, data_dir, progress=progress)
        check_items(items, dataset, evaluate.item_file)
        plan.datasets[dataset.name] = dataset
        plan.raw.extend(raw_places(spec, base, data_dir))
        if any(model.needs_features for model in models.values()):
            whole = load_features(spec, base, data_dir, progress=progress)
            with at("datasets", spec.name):
                aligned = match_features(spec, whole, dataset.interactions, base)
            plan.features[dataset.name] = aligned
        plan.cells.extend(_cells(plan, dataset, identities))
    _check_distinct(plan.cells)
    return plan


def _check_size(experiment: Experiment, splitters: Mapping[str, Splitter]) -> None:
    """Refuse a grid whose very list would take minutes."""
    repeats = sum(len(split.seeds) * splitters[split.title].n_folds for split in experiment.splits)
    n_cells = len(experiment.datasets) * repeats * len(experiment.models)
    if n_cells > MOST_CELLS:
        raise UsageError(
            f"the experiment has {n_cells:,} cells (data sets x splits x seeds x folds x models), "
            f"and may have {MOST_CELLS:,}. List fewer of them, or divide the file."
        )


def _cells(plan: Plan, dataset: Dataset, identities: Mapping[str, ModelIdentity]) -> Iterator[Cell]:
    """List the cells of one data set: its splits, their seeds and folds, the models."""
    experiment, evaluate = plan.experiment, plan.experiment.evaluate
    ranking = ranking_identity(experiment, plan.items)
    fingerprint = content_checksum(dataset, times=True)
    data = DataIdentity(fingerprint=fingerprint, preprocessing=list(dataset.preprocessing))
    for split_spec in experiment.splits:
        splitter = plan.splitters[split_spec.title]
        with at("splits", split_spec.title):
            splitter.check(dataset)
        with at("evaluate", "candidates"):
            candidates = resolve_candidates(evaluate.candidates, dataset, splitter)
        with at("evaluate", "metrics"):
            check_metrics(experiment, candidates, f"{dataset.name} / {split_spec.title}")
        for seed, fold in product(split_spec.seeds, range(splitter.n_folds)):
            split = split_identity(
                fingerprint,
                dataset,
                split_spec.name,
                splitter,
                seed,
                fold,
                candidates,
                evaluate.sampling,
            )
            for spec in experiment.models:
                model = plan.models[spec.title]
                with at("models", spec.title):
                    check_capability(model, spec, dataset, splitter)
                side: dict[str, Any] = {}
                if model.needs_features:
                    have = plan.features[dataset.name]
                    with at("models", spec.title):
                        side["features"] = features_identity(model, spec, have, dataset.name)
                told = identities[spec.title]
                n_fits = 1 if model.deterministic else evaluate.fits
                for number in range(1, n_fits + 1):
                    if number == 1 and looks_back(experiment.tune if spec.tune else None, model):
                        hindsight = {"hindsight": True}
                    else:
                        hindsight = {}
                    searched = bool(told.space)
                    identity = Identity(
                        data=data,
                        split=split,
                        model=told,
                        tuning=tuning_identity(experiment, spec),
                        fit=fit_identity(experiment, spec, seed, number, searched=searched),
                        metrics=list(evaluate.metrics),
                        ranking=ranking,
                        harness=HARNESS_VERSION,
                        **side,
                        **hindsight,
                    )
                    name = CellName(
                        dataset=dataset.name,
                        split=split_spec.title,
                        model=spec.title,
                        seed=seed,
                        fold=None if splitter.n_folds == 1 else fold + 1,
                        fit=None if n_fits == 1 else number,
                    )
                    yield Cell(name, identity, spec)


def _check_distinct(cells: list[Cell]) -> None:
    """Refuse two names for the same thing: they would share one result."""
    known: dict[str, Cell] = {}
    for cell in cells:
        other = known.setdefault(cell.key, cell)
        if other is not cell:
            raise UsageError(
                f"two cells are the same in all that decides their numbers: {cell.name.path} and "
                f"{other.name.path}. Remove one of them."
            )
