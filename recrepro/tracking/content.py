"""The numbers that a run in MLflow has: metrics, curves by epoch, data sets with their digests."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recrepro.spec.canonical import canonical_json
from recrepro.tracking.facts import split_parts

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

DIGEST = 32
"""Characters of a hash that MLflow has room for, as the digest of a data set."""

StepValue = tuple[str, float, int]
"""Name of a metric in MLflow, value, step."""


def metric_key(name: str) -> str:
    """Write a metric's name with the characters that MLflow allows.

    ``ndcg@10`` becomes ``ndcg_at_10``, ``ndcg[recsys2019]@10`` becomes ``ndcg.recsys2019_at_10``.
    """
    readable = name.replace("[", ".").replace("]", "").replace("@", "_at_")
    return re.sub(r"[^\w./: -]", "_", readable)


def record_values(record: Mapping[str, Any]) -> list[StepValue]:
    """Return the metrics of a cell: test, validation of the best trial, times, curves."""
    values = [(metric_key(k), float(v), 0) for k, v in record.get("metrics", {}).items()]
    values += [(f"{lap}_seconds", t["wall_s"], 0) for lap, t in record.get("times", {}).items()]
    values += curve("training", record.get("curve"), ())
    gain = (record.get("hindsight") or {}).get("gain")
    values += [] if gain is None else [("hindsight_gain", float(gain), 0)]
    tuning = record.get("tuning")
    if tuning is not None:
        values += validation_values(tuning["best"])
        values += curve("training.best_trial", tuning["best"].get("curve"), record["metrics"])
    return values


def validation_values(trial: Mapping[str, Any]) -> list[StepValue]:
    """Return the validation metrics of a trial."""
    return [(f"validation.{metric_key(k)}", float(v), 0) for k, v in trial["metrics"].items()]


def curve(
    prefix: str, rows: Sequence[Mapping[str, float]] | None, measured: Mapping[str, Any] | tuple[()]
) -> list[StepValue]:
    """Return the epochs of a training, the number of the epoch being the step.

    Parameters
    ----------
    prefix : str
        Of the names.
    rows : sequence of dict, optional
        As `recrepro.tuning.tuner.Trial` keeps them.
    measured : container of str
        Which of the names are validation metrics; the others are what the model reports.
    """
    # Not under `validation.<metric>` itself: MLflow shows a metric's last step, but a trial counts
    # with its best epoch.
    return [
        (f"{prefix}.{'validation.' if name in measured else ''}{metric_key(name)}", value, epoch)
        for row in rows or ()
        for epoch in [int(row["epoch"])]
        for name, value in row.items()
        if name != "epoch"
    ]


def dataset_inputs(titles: Mapping[str, Any], record: Mapping[str, Any]) -> "list[DatasetInput]":
    """Return data set and split as MLflow lists them, with the digests that recrepro gives them."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.entities import Dataset, DatasetInput, InputTag

    split, identity = record["split"], record["identity"]
    described = record.get("experiment", {})
    whole = " · ".join([titles["dataset"], *split_parts(titles)])
    inputs = []
    for name, context, digest, made, profile in (
        (
            titles["dataset"],
            "training",
            identity["data"]["fingerprint"],
            {"datasets": described.get("datasets"), "data": identity["data"]},
            {key: split.get(key) for key in ("users", "items")},
        ),
        (
            whole,
            "testing",
            split["fingerprint"],
            {"split": identity.get("split")},
            {key: split.get(key) for key in ("parts", "dropped")},
        ),
    ):
        source = CodeDatasetSource({f"recrepro.{k}": canonical_json(v) for k, v in made.items()})
        data = Dataset(
            name, digest[:DIGEST], "code", source.to_json(), profile=canonical_json(profile)
        )
        inputs.append(DatasetInput(data, [InputTag("mlflow.data.context", context)]))
    return inputs
