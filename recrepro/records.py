"""What a cell is, and what is written down when it is done."""

import hashlib
import io
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluation, Evaluator, Outside
from recrepro.evaluation.groups import by_activity, by_popularity
from recrepro.experiment import ModelSpec, TuneSpec, canonical_json
from recrepro.features import Features
from recrepro.interactions import Interactions

RECORD_SCHEMA = 2

HARNESS_VERSION = 3
"""Part of a cell's identity; bumped whenever the harness can give other numbers than before."""


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


def measured(evaluation: Evaluation, train: Interactions, shown: csr_array) -> dict[str, Any]:
    """Return what a record says of an evaluation.

    Parameters
    ----------
    evaluation : Evaluation
        Of the test part.
    train : Interactions
        What the model was fitted on.
    shown : csr_array, shape (n_users, n_items)
        The histories.
    """
    names = [name.partition("@")[2] for name in evaluation.means]
    cutoffs = sorted({int(k) for k in names if k})
    return {
        "metrics": evaluation.means,
        "definitions": {name: _definition(name) for name in evaluation.means},
        "users": len(evaluation.users),
        "users_without_holdout": evaluation.n_skipped,
        "groups": {
            "activity": by_activity(evaluation, np.diff(shown.indptr)),
            "popularity": by_popularity(evaluation, train.item_counts, cutoffs),
        },
    }


def _definition(metric: str) -> dict[str, str]:
    """Say whose formula a metric is, in one line."""
    definition = parse_metric(metric).definition
    return {"id": definition.id, "formula": definition.formula}


def per_user_table(evaluation: Evaluation, holdout: Interactions) -> bytes:
    """Write per-user values as Parquet: the users' own labels, one column a metric."""
    frame = pd.DataFrame({"user": holdout.user_ids[evaluation.users], **evaluation.per_user})
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def result_digest(cell: str, params: dict[str, Any], evaluation: Evaluation) -> str:
    """Hash a cell's outcome bit for bit, without its times and its machine."""
    digest = hashlib.sha256(canonical_json({"cell": cell, "params": params}).encode())
    digest.update(evaluation.users.astype("int64").tobytes())
    for name, values in sorted(evaluation.per_user.items()):
        digest.update(name.encode())
        digest.update(values.tobytes())
    digest.update(canonical_json(evaluation.overall).encode())
    return digest.hexdigest()
