"""From an experiment to its cells: names resolved, data loaded, impossible cells refused."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from recrepro.data.dataset import Dataset, content_checksum
from recrepro.data.filters import make_filter
from recrepro.data.load import load_dataset, load_features
from recrepro.errors import UsageError
from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.features import ALL, Features, FeatureSet, described
from recrepro.model import Recommender
from recrepro.models import MODELS
from recrepro.run.job import Job
from recrepro.run.protocol import check_items, check_metrics, ranking_identity, read_labels
from recrepro.spec.budget import Budget
from recrepro.spec.canonical import canonical_hash, canonical_json
from recrepro.spec.experiment import Experiment, ModelSpec, SplitSpec
from recrepro.spec.explain import explain
from recrepro.spec.identity import HARNESS_VERSION, cell_key
from recrepro.splits import SPLITS
from recrepro.splits.base import Splitter
from recrepro.splits.draw import (
    Drawn,
    ResolvedCandidates,
    draw_split,
    resolve_candidates,
    split_identity,
)
from recrepro.splits.keys import SplitKeys, data_secret
from recrepro.splits.sealed import StoredSplit
from recrepro.store.entries import Member
from recrepro.store.workspace import Workspace
from recrepro.tuning.hindsight import looks_back
from recrepro.tuning.suggestions import check_sampler
from recrepro.tuning.tuner import make_config, search_space, validate_metric


@dataclass(frozen=True)
class Cell:
    """A data set, a split with its seed and fold, and a model; `identity` decides its numbers.

    `fold` is None where a seed gives one split only.
    """

    identity: dict[str, Any]
    dataset: str
    split: str
    model: ModelSpec
    seed: int
    fold: int | None = None

    @property
    def key(self) -> str:
        """Hash of the identity."""
        return cell_key(self.identity)

    @property
    def titles(self) -> dict[str, Any]:
        """What the experiment calls the cell's parts; folds are counted from 1."""
        titles = {
            "dataset": self.dataset,
            "split": self.split,
            "model": self.model.title,
            "seed": self.seed,
        }
        return titles if self.fold is None else {**titles, "fold": self.fold + 1}

    @property
    def member(self) -> Member:
        """The cell as the ledger lists it under its experiment."""
        return Member(self.key, self.titles)


@dataclass
class Plan:
    """An experiment's cells, and what is needed to run them.

    Parameters
    ----------
    experiment : Experiment
        As read.
    cells : list of Cell
        In the order of the file: data sets, splits, seeds, models.
    datasets, splitters : dict
        By title.
    items : {"all", "train"} or list of str
        What may be recommended: a rule, or labels.
    base : Path
        Folder that file names start from.
    features : dict
        Side information by title of the data set, aligned to its labels, if a model needs some.
    repeated : Budget, optional
        What a search had spent that is repeated, in place of what is declared.
    """

    experiment: Experiment
    cells: list[Cell] = field(default_factory=list)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    splitters: dict[str, Splitter] = field(default_factory=dict)
    items: Literal["all", "train"] | list[str] = "all"
    base: Path = Path()
    repeated: Budget | None = None
    features: dict[str, Features] = field(default_factory=dict)
    _secrets: dict[str, bytes] = field(default_factory=dict, repr=False)

    def budget(self, cell: Cell) -> Budget:
        """Return what the search of a cell may spend: no trials if it is not tuned."""
        tune = self.experiment.tune
        if tune is None or not cell.model.tune:
            return Budget(0)
        return self.repeated or tune.budget(searched=bool(cell.identity["model"]["space"]))

    def n_trials(self, *cells: Cell) -> int:
        """Return how many trials the searches of cells have at most; 0 if only time ends one."""
        numbers = [self.budget(cell).trials for cell in cells]
        return sum(number or 0 for number in numbers) if None not in numbers else 0

    def memory_needed(self, cell: Cell) -> int:
        """Estimate the bytes that a cell's model needs besides the data; 0 where they are few.

        With the declared defaults of what is searched.
        """
        return self.model(cell).memory_needed(self.datasets[cell.dataset].interactions)

    def model(self, cell: Cell) -> Recommender:
        """Return the model of a cell, with the declared defaults of what is searched."""
        model_class = MODELS.resolve(cell.model.name)
        config = make_config(model_class, cell.model.title, cell.model.params)
        return model_class(config).with_features(self.needed_features(cell))

    def needed_features(self, cell: Cell) -> Features | None:
        """Return the side information that a cell's model gets, or None if it needs none."""
        wanted = cell.identity.get("features")
        if wanted is None:
            return None
        sets = self.features[cell.dataset].sets
        return Features(tuple(one for one in sets if f"{one.side} {one.name}" in wanted))

    def wants(self, cell: Cell) -> dict[str, int]:
        """Return what a cell needs of the machine that it runs on: bytes of MEMORY, a GPU."""
        memory = self.memory_needed(cell)
        gpu = getattr(self.model(cell).config, "device", "cpu") != "cpu"
        return ({"MEMORY": memory} if memory else {}) | ({"GPU": 1} if gpu else {})

    def stored_split(self, cell: Cell, workspace: Workspace) -> StoredSplit:
        """Return the split of a cell, drawing and storing it if the workspace lacks it."""
        stored = StoredSplit(workspace.split(cell.identity["split"]))
        if stored.is_whole:
            return stored
        return self.draw(cell).store(stored.folder, self.split_keys(cell))

    def stored_features(self, cell: Cell, workspace: Workspace) -> Path | None:
        """Return the folder of the features that a cell needs, storing them if they are not."""
        features = self.needed_features(cell)
        if features is None:
            return None
        folder = workspace.features(cell.identity["features"])
        if not folder.is_dir():
            features.store(folder)
        return folder

    def split_keys(self, cell: Cell) -> SplitKeys:
        """Return the keys of a cell's split, which are stored nowhere."""
        if cell.dataset not in self._secrets:
            self._secrets[cell.dataset] = data_secret(self.datasets[cell.dataset].interactions)
        return SplitKeys.derive(self._secrets[cell.dataset], _split_hash(cell))

    def draw_splits(self) -> Iterator[tuple[str, Drawn]]:
        """Draw every split in memory; yield its name and its parts."""
        for name, cells in self.by_split().items():
            yield name, self.draw(cells[0])

    def by_split(self) -> dict[str, list[Cell]]:
        """Return the cells of each split, by its name."""
        grouped: dict[str, list[Cell]] = {}
        for cell in self.cells:
            fold = "" if cell.fold is None else f" / fold {cell.fold + 1}"
            name = f"{cell.dataset} / {cell.split} / seed {cell.seed}{fold}"
            grouped.setdefault(name, []).append(cell)
        return grouped

    def draw(self, cell: Cell) -> Drawn:
        """Draw the split of a cell in memory."""
        candidates: ResolvedCandidates = cell.identity["split"]["candidates"]
        dataset, splitter = self.datasets[cell.dataset], self.splitters[cell.split]
        sampling = self.experiment.evaluate.sampling
        return draw_split(dataset, splitter, cell.seed, candidates, cell.fold or 0, sampling)

    def evaluator(self, seed: int) -> Evaluator:
        """Return what measures models on the splits of a seed."""
        evaluate = self.experiment.evaluate
        metrics = [parse_metric(metric) for metric in evaluate.metrics]
        return Evaluator(metrics, tie_seed=seed, items=self.items, outside=evaluate.outside)

    def job(self, cell: Cell, token: str, workspace: Workspace, ledger_url: str) -> Job:
        """Return a leased cell as it is handed to a process."""
        experiment = self.experiment
        tune = experiment.tune if cell.model.tune else None
        features = self.stored_features(cell, workspace)
        return Job(
            cell=cell.key,
            token=token,
            identity=cell.identity,
            titles=cell.titles,
            workspace=str(workspace.root),
            ledger=ledger_url,
            split_folder=str(self.stored_split(cell, workspace).folder),
            tuning_key=self.split_keys(cell).tuning.hex(),
            model=cell.model.model_dump(mode="json", exclude_unset=True),
            tune=tune.model_dump(mode="json") if tune else None,
            budget=asdict(self.budget(cell)),
            metrics=list(experiment.evaluate.metrics),
            selection_metric=experiment.selection_metric,
            items=self.items,
            outside=experiment.evaluate.outside,
            seed=cell.seed,
            experiment=experiment.one_cell(
                cell.dataset, cell.split, cell.model.title, cell.seed
            ).to_json(),
            base=str(self.base.resolve()),
            wants=self.wants(cell),
            features_folder=None if features is None else str(features),
        )


def _split_hash(cell: Cell) -> str:
    return canonical_hash(cell.identity["split"])


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


def make_plan(
    experiment: Experiment, base: Path, data_dir: Path | None, *, progress: bool = True
) -> Plan:
    """Resolve names, load the data and list the cells.

    Parameters
    ----------
    experiment : Experiment
        As read.
    base : Path
        Folder that the experiment's relative file names start from.
    data_dir : Path, optional
        Folder with local copies of named data sets.
    progress : bool
        Whether a download may draw a progress bar.
    """
    models, splitters = check_names(experiment)
    evaluate = experiment.evaluate
    items = evaluate.items if evaluate.item_file is None else read_labels(base / evaluate.item_file)
    plan = Plan(experiment, splitters=splitters, items=items, base=base)
    ranking = ranking_identity(experiment, items)
    for dataset_spec in experiment.datasets:
        dataset = load_dataset(dataset_spec, base, data_dir, progress=progress)
        plan.datasets[dataset.name] = dataset
        if any(model.needs_features for model in models.values()):
            whole = load_features(dataset_spec, base, data_dir, progress=progress)
            labels = dataset.interactions
            plan.features[dataset.name] = whole.aligned(labels.user_ids, labels.item_ids)
        fingerprint = content_checksum(dataset, times=True)
        check_items(items, dataset, evaluate.item_file)
        data = {"fingerprint": fingerprint, "preprocessing": list(dataset.preprocessing)}
        for split_spec in experiment.splits:
            splitter = splitters[split_spec.title]
            splitter.check(dataset)
            candidates = resolve_candidates(evaluate.candidates, dataset, splitter)
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
                    model = models[spec.title]
                    _check_capability(model, spec, dataset, splitter)
                    identity: dict[str, Any] = {
                        "data": data,
                        "split": split,
                        "model": _model_identity(model, spec),
                        "tuning": _tuning_identity(experiment, model, spec),
                        "metrics": list(evaluate.metrics),
                        "ranking": ranking,
                        "harness": HARNESS_VERSION,
                    }
                    if model.needs_features:
                        have = plan.features[dataset.name]
                        identity["features"] = _features_identity(model, spec, have, dataset.name)
                    one = splitter.n_folds == 1
                    plan.cells.append(
                        Cell(
                            identity,
                            dataset.name,
                            split_spec.title,
                            spec,
                            seed,
                            None if one else fold,
                        )
                    )
    _check_distinct(plan.cells)
    return plan


def _splitter(spec: SplitSpec) -> Splitter:
    strategy = SPLITS.resolve(spec.name)
    try:
        return strategy.model_validate_json(canonical_json(spec.options))
    except ValidationError as error:
        raise UsageError(explain(error, strategy, f"split {spec.title!r}")) from error


def _check_distinct(cells: list[Cell]) -> None:
    """Refuse two names for the same thing: they would share one result."""
    known: dict[str, Cell] = {}
    for cell in cells:
        other = known.setdefault(cell.key, cell)
        if other is not cell:
            raise UsageError(
                f"two cells are the same in all that decides their numbers: {cell.titles} and "
                f"{other.titles}. Remove one of them."
            )


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


def _check_capability(
    model: type[Recommender], spec: ModelSpec, dataset: Dataset, splitter: Splitter
) -> None:
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


def _features_identity(
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


def _model_identity(model: type[Recommender], spec: ModelSpec) -> dict[str, Any]:
    space = search_space(model, spec) if spec.tune else {}
    return {
        "name": spec.name,
        "version": model.version,
        "params": model.Config(**spec.params).model_dump(mode="json"),
        "space": {n: {"kind": r.kind, **asdict(r)} for n, r in space.items()},
    }


def _tuning_identity(
    experiment: Experiment, model: type[Recommender], spec: ModelSpec
) -> dict[str, Any] | None:
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
