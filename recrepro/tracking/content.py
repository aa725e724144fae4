"""What a run in MLflow says of its cell: tags, metrics, curves, data sets, and its mark.

The mark is the hash of the facts that the ledger has; a run that carries it is a whole copy.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from recrepro.spec.budget import how
from recrepro.spec.canonical import canonical_json
from recrepro.spec.identity import protocol_fingerprint
from recrepro.store.entries import CellStatus

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


def run_name(titles: dict[str, Any]) -> str:
    """Return what lists of runs call a cell: ``ease · temporal · movielens-100k · seed 1``."""
    split, *draw = split_parts(titles)
    return " · ".join([titles["model"], split, titles["dataset"], *draw])


def split_parts(titles: Mapping[str, Any]) -> list[str]:
    """Return split, seed, and fold if there is one, in words."""
    parts = [titles["split"], f"seed {titles['seed']}"]
    return [*parts, f"fold {titles['fold']}"] if "fold" in titles else parts


def cell_facts(titles: dict[str, Any], status: CellStatus) -> dict[str, Any]:
    """Return what the ledger knows of an ended cell, with the hash of its record.

    The hash of these facts is the mark of a whole copy.

    Parameters
    ----------
    titles : dict
        What the experiment calls its parts.
    status : CellStatus
        What is known of it.
    """
    return {
        "copy": COPY_VERSION,
        "cell": status.cell,
        "titles": titles,
        "state": status.state,
        "reason": status.reason,
        "alarmed": status.alarmed,
        "openings": [asdict(opening) for opening in status.openings],
        "record": None if status.record is None else json_hash(status.record),
    }


def json_hash(value: Any) -> str:
    """Return the SHA-256 of plain values, in hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def title_tags(titles: dict[str, Any]) -> dict[str, str]:
    """Return the tags that cells and trials share."""
    return {f"recrepro.{key}": str(value) for key, value in titles.items()}


def record_tags(record: dict[str, Any]) -> dict[str, str]:
    """Return the tags of a cell that has a result."""
    identity, model = record["identity"], record["model"]
    code = record["provenance"]["code"]
    tags = {
        "recrepro.status": model["status"],
        "recrepro.budget": how(identity["tuning"]) if identity.get("tuning") else None,
        "recrepro.family": model.get("family"),
        "recrepro.ranking": "sampled" if record["sampled"] else "full",
        "recrepro.audit": record["split"]["audit"]["verdict"],
        "recrepro.protocol": record.get("protocol") or protocol_fingerprint(identity),
        "recrepro.split_fingerprint": record["split"]["fingerprint"],
        "recrepro.data_fingerprint": identity["data"]["fingerprint"],
        "recrepro.version": record["provenance"]["recrepro"],
        "mlflow.source.git.commit": code["commit"],
        "mlflow.source.git.dirty": str(code["dirty"]).lower() if code["commit"] else None,
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
