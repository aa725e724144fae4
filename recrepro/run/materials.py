"""What cells work on: models, features, drawn splits, and splits stored under their keys."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from recrepro.features import Features
from recrepro.labels import Labels, as_text, places
from recrepro.model import Recommender
from recrepro.run.job import Job
from recrepro.run.plan import Cell, Plan
from recrepro.spec.experiment import Promise
from recrepro.splits.audit import AUDIT_VERSION
from recrepro.splits.draw import Drawn, draw_split
from recrepro.splits.keys import SplitKeys, data_secret
from recrepro.splits.numbers import SecretNumbers, hidden_labels, in_secret_order
from recrepro.splits.sealed import StoredSplit
from recrepro.store.workspace import Workspace
from recrepro.tuning.tuner import make_config


def model_of(plan: Plan, cell: Cell) -> Recommender:
    """Return the model of a cell, with the declared defaults of what is searched."""
    model_class = plan.models[cell.name.model]
    config = make_config(model_class, cell.model.title, cell.model.params)
    return model_class(config).with_features(needed_features(plan, cell))


def needed_features(plan: Plan, cell: Cell) -> Features | None:
    """Return the side information that a cell's model gets, or None if it needs none."""
    wanted = cell.identity.features
    if wanted is None:
        return None
    sets = plan.features[cell.name.dataset].sets
    return Features(tuple(one for one in sets if f"{one.side} {one.name}" in wanted))


def memory_needed(plan: Plan, cell: Cell) -> int:
    """Estimate the bytes that a cell's model needs besides the data; 0 where they are few.

    The estimate is for the declared defaults of what is searched.
    """
    return model_of(plan, cell).memory_needed(plan.datasets[cell.name.dataset].interactions)


def wants(plan: Plan, cell: Cell) -> dict[str, int]:
    """Return what a cell needs of the machine that it runs on: bytes of MEMORY, a GPU."""
    memory = memory_needed(plan, cell)
    gpu = getattr(model_of(plan, cell).config, "device", "cpu") != "cpu"
    return ({"MEMORY": memory} if memory else {}) | ({"GPU": 1} if gpu else {})


def draw(plan: Plan, cell: Cell) -> Drawn:
    """Draw the split of a cell in memory."""
    identity, name = cell.identity.split, cell.name
    drawn = draw_split(
        plan.datasets[name.dataset],
        plan.splitters[name.split],
        name.seed,
        identity.candidates,
        identity.fold,
        plan.experiment.evaluate.sampling,
    )
    return replace(drawn, promise=_promise(plan, cell), features=_features(plan, cell))


def _promise(plan: Plan, cell: Cell) -> Promise | None:
    """Return what the split of a cell is judged by: as declared, or as its strategy says."""
    declared = {split.title: split.promise for split in plan.experiment.splits}
    return declared[cell.name.split] or plan.splitters[cell.name.split].promise


def _features(plan: Plan, cell: Cell) -> Features:
    """Return the side information of a cell's data set, whichever models use it."""
    return plan.features.get(cell.name.dataset, Features())


def by_split(plan: Plan) -> dict[str, list[Cell]]:
    """Return the cells of each split, by its name."""
    grouped: dict[str, list[Cell]] = {}
    for cell in plan.cells:
        name = " / ".join([cell.name.dataset, cell.name.split, *cell.name.draw])
        grouped.setdefault(name, []).append(cell)
    return grouped


def draw_splits(plan: Plan) -> Iterator[tuple[str, Drawn]]:
    """Draw every split in memory; yield its name and its parts."""
    for name, cells in by_split(plan).items():
        yield name, draw(plan, cells[0])


class Materials:
    """Splits and features of a plan's cells as a workspace stores them, and the splits' keys.

    Parameters
    ----------
    plan : Plan
        The cells and their data.
    workspace : Workspace
        The folder that stores them.
    """

    def __init__(self, plan: Plan, workspace: Workspace) -> None:
        self._plan = plan
        self._workspace = workspace
        self._secrets: dict[str, bytes] = {}

    def split(self, cell: Cell) -> StoredSplit:
        """Return the split of a cell, drawing and storing it if the workspace lacks it."""
        stored = StoredSplit(self._workspace.split(cell.identity.split))
        if not stored.is_whole:
            return draw(self._plan, cell).store(stored.folder, self.keys(cell))
        if not self._is_audited(stored, cell):
            stored.audit_again(draw(self._plan, cell).audit.as_dict())
        return stored

    def _is_audited(self, stored: StoredSplit, cell: Cell) -> bool:
        """Say whether a stored split was judged as it would be now, by what it promises now."""
        audit = stored.facts["audit"]
        if audit["version"] != AUDIT_VERSION or audit["promise"] != _promise(self._plan, cell):
            return False
        looked_at, features = audit["features"], _features(self._plan, cell)
        return all(looked_at.get(name) == own for name, own in features.fingerprints.items())

    def features(self, cell: Cell) -> Path | None:
        """Return the folder of the features that a cell needs, storing them if they are not."""
        features = needed_features(self._plan, cell)
        if features is None or cell.identity.features is None:
            return None
        folder = self._workspace.features(cell.identity.features, cell.identity.split)
        if not folder.is_dir():
            self.numbers(cell).hide_features(features).store(folder)
        return folder

    def numbers(self, cell: Cell) -> SecretNumbers:
        """Return the numbers that the process of a cell knows users and items by."""
        whole = self._plan.datasets[cell.name.dataset].interactions
        return SecretNumbers.derive(self.keys(cell).test, *whole.shape)

    def user_ids(self, cell: Cell) -> Labels:
        """Return the labels of users by secret number."""
        whole = self._plan.datasets[cell.name.dataset].interactions
        return in_secret_order(whole.user_ids, self.numbers(cell).users)

    def items(self, cell: Cell) -> Literal["all", "train", "cold"] | list[str]:
        """Return the items that may be recommended: in words, or by their hidden labels."""
        wanted = self._plan.items
        if isinstance(wanted, str):
            return wanted
        whole = self._plan.datasets[cell.name.dataset].interactions
        at = places(as_text(whole.item_ids), as_text(wanted))
        labels: list[str] = hidden_labels(whole.n_items)[
            self.numbers(cell).items[at[at >= 0]]
        ].tolist()
        return labels

    def keys(self, cell: Cell) -> SplitKeys:
        """Return the keys of a cell's split, which are stored nowhere."""
        dataset = cell.name.dataset
        if dataset not in self._secrets:
            self._secrets[dataset] = data_secret(self._plan.datasets[dataset].interactions)
        return SplitKeys.derive(self._secrets[dataset], cell.identity.split.key)

    def job(self, cell: Cell, token: str, ledger: str) -> Job:
        """Return a leased cell as it is handed to a process; its split is stored if it was not.

        Parameters
        ----------
        cell : Cell
            The cell.
        token : str
            The lease.
        ledger : str
            Address of the ledger.
        """
        plan, name, features = self._plan, cell.name, self.features(cell)
        alone = plan.experiment.one_cell(name.dataset, name.split, name.model, name.seed)
        return Job(
            cell=cell.key,
            token=token,
            name=name,
            identity=cell.identity,
            workspace=str(self._workspace.root),
            ledger=ledger,
            split_folder=str(self.split(cell).folder),
            tuning_key=self.keys(cell).tuning.hex(),
            experiment=alone.to_json(),
            base=str(plan.base.resolve()),
            budget=plan.budget(cell),
            sealed=list(dict.fromkeys(str(place.resolve()) for place in plan.raw)),
            items=self.items(cell),
            wants=wants(plan, cell),
            features_folder=None if features is None else str(features),
        )
