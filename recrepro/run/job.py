"""A leased cell as it is handed to the process that runs it."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.features import Features
from recrepro.spec.budget import Budget
from recrepro.spec.canonical import canonical_json
from recrepro.spec.experiment import Experiment, ModelSpec, TuneSpec
from recrepro.spec.identity import Identity, Plain
from recrepro.store.names import CellName


class Job(Plain):
    """A cell as it is handed to a process: all it needs, as plain values.

    Parameters
    ----------
    cell : str
        Key of the cell.
    token : str
        The lease.
    name : CellName
        Titles of its parts in the experiment.
    identity : Identity
        All that decides the numbers.
    workspace, ledger : str
        Folder and address.
    split_folder : str
        Folder of the stored split.
    tuning_key : str
        Key to what tuning and the final fit read of the split, in hexadecimal; it does not open
        the test part.
    experiment : dict
        An experiment file that has this cell only (and the other folds), as JSON.
    base : str
        Folder that its file names start from.
    budget : Budget
        What the search may spend.
    sealed : list of str
        Files and folders that its model may not read, beside the workspace.
    items : {"all", "train", "cold"} or list of str
        Items that may be recommended, by hidden label.
    keep_model : bool
        True to store what the final model has learned.
    anew : bool
        True to fit and test again though the same fit was tested before.
    wants : dict of str to int
        What it needs of a machine: bytes of `MEMORY`, a `GPU`.
    features_folder : str or None
        Folder of the features that the model needs.
    deliver_blobs : bool
        True if the coordinator has to fetch blobs, because it does not see the workspace.
    log : str
        File for what the process prints; if empty, it stays with the standard error.
    """

    cell: str
    token: str
    name: CellName
    identity: Identity
    workspace: str
    ledger: str
    split_folder: str
    tuning_key: str = Field(repr=False)
    experiment: dict[str, Any]
    base: str
    budget: Budget
    sealed: list[str]
    items: Literal["all", "train", "cold"] | list[str]
    keep_model: bool = False
    anew: bool = False
    wants: dict[str, int] = Field({})
    features_folder: str | None = None
    deliver_blobs: bool = False
    log: str = ""

    def to_line(self) -> str:
        """Write as one line of JSON."""
        return canonical_json(self.to_json())

    @cached_property
    def spec(self) -> Experiment:
        """The experiment of this cell."""
        return Experiment.model_validate_json(canonical_json(self.experiment))

    @property
    def model_spec(self) -> ModelSpec:
        """The model as the experiment file gives it."""
        return self.spec.models[0]

    @property
    def tune_spec(self) -> TuneSpec | None:
        """The rules of the search, or None if nothing is tuned."""
        return self.spec.tune if self.model_spec.tune else None

    @property
    def evaluator(self) -> Evaluator:
        """The evaluator of the cell's models, on validation and on test."""
        return evaluator_of(self.spec, self.items, self.name.seed)

    @property
    def features(self) -> Features | None:
        """The side information that the model needs, read from where it is stored."""
        folder = self.features_folder
        return None if folder is None else Features.stored(Path(folder))


def evaluator_of(
    experiment: Experiment, items: Literal["all", "train", "cold"] | list[str], seed: int
) -> Evaluator:
    """Return the evaluator of models on the splits of a seed."""
    metrics = [parse_metric(metric) for metric in experiment.evaluate.metrics]
    evaluate = experiment.evaluate
    return Evaluator(
        metrics, tie_seed=seed, items=items, outside=evaluate.outside, seen=evaluate.seen
    )
