"""What a run in MLflow says of its cell, and how it is recognised as whole and unaltered."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from recrepro.spec.budget import how
from recrepro.spec.identity import protocol_fingerprint
from recrepro.store.entries import CellStatus

COPY_VERSION = 3
"""Bumped when copies get other content: those of before are then made anew."""

CUT = " … [cut; whole in the artifacts]"


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
