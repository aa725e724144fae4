"""What a run in MLflow says of its cell: tags, metrics, curves, data sets, and its mark.

The mark is the hash of the facts that the ledger has; a run that carries it is a whole copy.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recrepro.spec.budget import how
from recrepro.spec.canonical import canonical_json
from recrepro.store.entries import CellStatus
from recrepro.store.names import CellName
from recrepro.store.records import Record, Trial

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

COPY_VERSION = 3
"""Bumped when copies get other content: those of before are then made anew."""

CUT = " … [cut; whole in the artifacts]"

DIGEST = 32
"""Characters of a hash that MLflow has room for, as the digest of a data set."""

StepValue = tuple[str, float, int]
"""Name of a metric in MLflow, value, step."""


def shortened(text: str, longest: int) -> str:
    """Cut a text that is too long for MLflow, which would cut it without a word."""
    return text if len(text) <= longest else text[: longest - len(CUT)] + CUT


def place_tag(grid_hash: str) -> str:
    """Name the tag that says where a cell stands in one version of an experiment."""
    return f"recrepro.place.{grid_hash[:16]}"


def run_name(name: CellName) -> str:
    """Return what lists of runs call a cell: ``ease · temporal · movielens-100k · seed 1``."""
    return " · ".join([name.model, name.split, name.dataset, *name.numbers])


def cell_facts(name: CellName, status: CellStatus) -> dict[str, Any]:
    """Return what the ledger knows of an ended cell, with the hash of its record.

    The hash of these facts is the mark of a whole copy.

    Parameters
    ----------
    name : CellName
        Titles of its parts in the experiment.
    status : CellStatus
        State, reason, openings and record.
    """
    return {
        "copy": COPY_VERSION,
        "cell": status.cell,
        "titles": name.model_dump(),
        **status.facts(),
        "record": None if status.record is None else json_hash(status.record.to_json()),
    }


def json_hash(value: Any) -> str:
    """Return the SHA-256 of plain values, in hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def title_tags(name: CellName) -> dict[str, str]:
    """Return the tags that cells and trials share."""
    return {f"recrepro.{key}": str(value) for key, value in name.model_dump().items()}


def record_tags(record: Record) -> dict[str, str]:
    """Return the tags of a cell that has a result."""
    identity, code, own = record.identity, record.provenance.code, record.model.code
    tags = {
        "recrepro.status": record.state,
        "recrepro.budget": how(identity.budget, identity.tuning) if identity.tuning else None,
        "recrepro.family": record.model.family,
        "recrepro.role": record.model.role,
        "recrepro.rescored": record.rescored,
        "recrepro.ranking": "sampled" if record.sampled else "full",
        "recrepro.audit": record.split.audit.verdict,
        "recrepro.protocol": record.protocol,
        "recrepro.split_fingerprint": record.split.fingerprint,
        "recrepro.data_fingerprint": identity.data.fingerprint,
        "recrepro.version": record.provenance.recrepro,
        "mlflow.source.git.commit": code.commit,
        "mlflow.source.git.dirty": str(code.dirty).lower() if code.commit else None,
    }
    if own is not None:
        tags |= {
            "recrepro.model.place": own.place,
            "recrepro.model.code": own.fingerprint,
            "recrepro.model.commit": own.repository.commit,
            "recrepro.model.dirty": str(own.repository.dirty).lower(),
        }
    return {key: value for key, value in tags.items() if value}


def opening_tags(status: CellStatus) -> dict[str, str]:
    """Count the openings of the test part, and mark a cell where one was asked for."""
    opened = sum(opening.reason != "refused" for opening in status.openings)
    tags = {"recrepro.test_openings": str(opened)}
    return tags | {"recrepro.reopened": "true"} if status.reopened else tags


def metric_key(name: str) -> str:
    """Write a metric's name with the characters that MLflow allows.

    ``ndcg@10`` becomes ``ndcg_at_10``, ``ndcg[recsys2019]@10`` becomes ``ndcg.recsys2019_at_10``.
    """
    readable = name.replace("[", ".").replace("]", "").replace("@", "_at_")
    return re.sub(r"[^\w./: -]", "_", readable)


def record_values(record: Record) -> list[StepValue]:
    """Return the metrics of a cell: test, validation of the best trial, times, curves."""
    values = [(metric_key(metric), value, 0) for metric, value in record.metrics.items()]
    values += [(f"{lap}_seconds", spent.wall_s, 0) for lap, spent in record.times.items()]
    values += curve("training", record.curve, ())
    if record.hindsight is not None and record.hindsight.gain is not None:
        values.append(("hindsight_gain", record.hindsight.gain, 0))
    if record.tuning is not None:
        best = record.tuning.best
        values += validation_values(best)
        values += curve("training.best_trial", best.curve, record.metrics)
    return values


def validation_values(trial: Trial) -> list[StepValue]:
    """Return the validation metrics of a trial."""
    return [(f"validation.{metric_key(k)}", v, 0) for k, v in trial.metrics.items()]


def curve(
    prefix: str, rows: Sequence[Mapping[str, float]], measured: Collection[str]
) -> list[StepValue]:
    """Return the epochs of a training, the number of the epoch being the step.

    Parameters
    ----------
    prefix : str
        Beginning of the names.
    rows : sequence of mapping
        One for each epoch.
    measured : collection of str
        Names of the validation metrics; the other values are what the model reports.
    """
    # Not under `validation.<metric>` itself: MLflow shows a metric's last step, but a trial counts
    # with its best epoch.
    return [
        (f"{prefix}.{'validation.' if name in measured else ''}{metric_key(name)}", value, epoch)
        for row in rows
        for epoch in [int(row["epoch"])]
        for name, value in row.items()
        if name != "epoch"
    ]


def dataset_inputs(name: CellName, record: Record) -> "list[DatasetInput]":
    """Return data set and split as MLflow lists them, with the digests that recrepro gives them."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.entities import Dataset, DatasetInput, InputTag

    split, whole = record.split.to_json(), record.identity.to_json()
    inputs = []
    for title, context, digest, made, profile in (
        (
            name.dataset,
            "training",
            record.identity.data.fingerprint,
            {"datasets": (record.experiment or {}).get("datasets"), "data": whole["data"]},
            {key: split[key] for key in ("users", "items")},
        ),
        (
            " · ".join([name.dataset, name.split, *name.numbers]),
            "testing",
            record.split.fingerprint,
            {"split": whole["split"]},
            {key: split[key] for key in ("parts", "dropped")},
        ),
    ):
        source = CodeDatasetSource({f"recrepro.{k}": canonical_json(v) for k, v in made.items()})
        data = Dataset(
            title, digest[:DIGEST], "code", source.to_json(), profile=canonical_json(profile)
        )
        inputs.append(DatasetInput(data, [InputTag("mlflow.data.context", context)]))
    return inputs
