"""A leased cell as it is handed to the process that runs it."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator, Outside
from recrepro.features import Features
from recrepro.spec.canonical import canonical_json
from recrepro.spec.experiment import ModelSpec, TuneSpec


@dataclass(frozen=True)
class Job:
    """A cell as it is handed to a process: all it needs, as plain values.

    Parameters
    ----------
    cell : str
        Key of the cell: SHA-256 of its identity.
    token : str
        The lease.
    identity : dict
        What decides the numbers.
    titles : dict
        What the experiment calls data set, split, model, and the seed.
    workspace, ledger : str
        Folder and address.
    split_folder : str
        Where the split is stored.
    tuning_key : str
        Opens what tuning and the final fit read of the split, in hexadecimal; not the test part.
    model, tune : dict
        `ModelSpec` and `TuneSpec` (or None) as written.
    budget : dict
        What the search may spend, as `Budget` has it.
    metrics : list of str
        What to evaluate.
    selection_metric : str
        What tuning maximises.
    items : str or list of str
        What may be recommended, as `recrepro.evaluation.evaluator.Evaluator` takes it.
    outside : str
        What becomes of held-out items that may not be.
    seed : int
        Of split, search and fits.
    experiment : dict
        An experiment file that has this cell only (and the other folds), as JSON.
    base : str
        Folder that its file names start from.
    keep_model : bool
        Whether to store what the final model has learned.
    wants : dict of str to int
        What it needs of a machine: bytes of `MEMORY`, a `GPU`.
    features_folder : str or None
        Where the features are stored that the model needs.
    deliver_blobs : bool
        Whether the coordinator has to fetch blobs, because it does not see the workspace.
    log : str
        File that gets what the process prints; if empty, it stays with the standard error.
    """

    cell: str
    token: str
    identity: dict[str, Any]
    titles: dict[str, Any]
    workspace: str
    ledger: str
    split_folder: str
    tuning_key: str = field(repr=False)
    model: dict[str, Any]
    tune: dict[str, Any] | None
    budget: dict[str, Any]
    metrics: list[str]
    selection_metric: str
    items: Literal["all", "train"] | list[str]
    outside: Outside
    seed: int
    experiment: dict[str, Any]
    base: str
    keep_model: bool = False
    wants: dict[str, int] = field(default_factory=dict)
    features_folder: str | None = None
    deliver_blobs: bool = False
    log: str = ""

    def to_json(self) -> str:
        """Write as one line."""
        return canonical_json(asdict(self))

    @property
    def evaluator(self) -> Evaluator:
        """What measures the models of the cell, on validation and on test."""
        metrics = [parse_metric(name) for name in self.metrics]
        return Evaluator(metrics, tie_seed=self.seed, items=self.items, outside=self.outside)

    @property
    def model_spec(self) -> ModelSpec:
        """The model as the experiment file gives it."""
        return ModelSpec.model_validate_json(canonical_json(self.model))

    @property
    def features(self) -> Features | None:
        """The side information that the model needs, read from where it is stored."""
        folder = self.features_folder
        return None if folder is None else Features.stored(Path(folder))

    @property
    def tune_spec(self) -> TuneSpec | None:
        """The tuning budget, or None if nothing is tuned."""
        if self.tune is None:
            return None
        return TuneSpec.model_validate_json(canonical_json(self.tune))
