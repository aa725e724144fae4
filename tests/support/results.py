"""Results of made-up values, without a run."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from recrepro.spec.identity import HARNESS_VERSION, Identity
from recrepro.store.entries import CellStatus
from recrepro.store.names import CellName
from recrepro.store.openings import Opening
from recrepro.store.records import Record, Trial
from recrepro.store.results import Result, result_digest
from recrepro.store.schema import CellState

ENDED = 1_750_000_000.0
PROVENANCE = {
    "recrepro": "0.1.0",
    "code": {"commit": None, "dirty": None, "diff": None},
    "python": "3.11.0",
    "packages": {"numpy": "2"},
    "locks": {},
    "system": "a system",
    "processor": "a CPU",
    "cores": 2,
    "memory_bytes": 8 * 2**30,
    "threads": 1,
    "thread_pools": [],
    "gpus": [],
}


def merged(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values with changes; a dict is merged into the one it replaces."""
    answer = dict(content)
    for key, value in changes.items():
        known = answer.get(key)
        both = isinstance(known, dict) and isinstance(value, dict)
        answer[key] = merged(known, value) if both else value
    return answer


def make_name(
    model: str = "ease",
    *,
    dataset: str = "toy",
    split: str = "s",
    seed: int = 1,
    fold: int | None = None,
    fit: int | None = None,
) -> CellName:
    """Make the name of a cell."""
    return CellName(dataset=dataset, split=split, model=model, seed=seed, fold=fold, fit=fit)


def make_identity(
    model: str = "ease",
    *,
    dataset: str = "toy",
    split: str = "s",
    seed: int = 1,
    changes: Mapping[str, Any] | None = None,
) -> Identity:
    """Make the identity of a cell; `changes` are other fields in JSON, as in `merged`."""
    whole = {
        "data": {"fingerprint": dataset, "preprocessing": []},
        "fit": {"seconds": None, "seed": seed, "trials": 100},
        "harness": HARNESS_VERSION,
        "metrics": ["ndcg@10"],
        "model": {"name": model, "params": {}, "space": {}, "version": 1},
        "ranking": {},
        "split": {
            "candidates": "full",
            "data": dataset,
            "fold": 0,
            "options": {},
            "sampling": "uniform",
            "seed": seed,
            "strategy": split,
            "train_filters": [],
            "version": 1,
        },
        "tuning": None,
    }
    return Identity.model_validate(merged(whole, changes or {}))


def external_identity(name: str, sha256: str = "e" * 64, **more: Any) -> Identity:
    """Make the identity of a run file; `more` as in `make_identity`."""
    whole = make_identity(name, **more).to_json()
    del whole["model"], whole["tuning"], whole["fit"]
    return Identity.model_validate({**whole, "external": {"name": name, "sha256": sha256}})


def make_record(
    model: str = "ease",
    *,
    dataset: str = "toy",
    split: str = "s",
    seed: int = 1,
    family: str = "simple",
    status: str = "tuned",
    validation: float | None = 0.3,
    users: int = 10,
    identity: Identity | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Record:
    """Make a whole record of a cell.

    Parameters
    ----------
    model, dataset, split : str
        Titles.
    seed : int
        Seed of the split.
    family, status : str
        Family and status of the model; "external" for a run file.
    validation : float, optional
        Value of the best trial; None for a cell without a search.
    users : int
        Number of users.
    identity : Identity, optional
        By default one that fits the names.
    changes : mapping, optional
        Other fields in JSON, as in `merged`.
    """
    names = {"dataset": dataset, "split": split, "seed": seed}
    external = status == "external"
    if identity is None:
        identity = (external_identity if external else make_identity)(model, **names)
    sizes = {"users": users, "items": 5, "interactions": 3 * users}
    whole = {
        "schema": 3,
        "cell": identity.key,
        "result_digest": "d" * 64,
        "titles": make_name(model, **names).model_dump(),
        "identity": identity.to_json(),
        "protocol": identity.protocol_fingerprint,
        "model": {
            "name": model,
            "family": "external" if external else family,
            "version": None if external else 1,
            "params": {},
            "status": status,
        },
        "tuning": {
            "metric": "ndcg@10",
            "trials": 1,
            "failed": 0,
            "pruned": 0,
            "seconds": 1.0,
            "stopped": None,
            "best": Trial(0, {}, "complete", validation).to_json(),
            "at_edge": [],
        },
        "metrics": {},
        "definitions": {},
        "users": users,
        "users_without_holdout": 0,
        "groups": {"activity": [], "popularity": []},
        "sampled": False,
        "split": {
            "users": users,
            "items": 5,
            "parts": dict.fromkeys(("train", "validation", "test"), sizes),
            "dropped": {},
            "sampled": False,
            "fingerprint": "f" * 64,
            "audit": {
                "version": 1,
                "verdict": "clean",
                "findings": [],
                "popularity": {part: {} for part in ("train", "test", "random")},
            },
        },
        "per_user": "0" * 64,
        "times": {"score": {"wall_s": 1.0}},
        "peak_memory_bytes": 2**28,
        "started_at": ENDED,
        "ended_at": ENDED + seed,
        "provenance": PROVENANCE,
    }
    if not external:
        whole |= {"experiment": {}, "base": ".", "openings": [], "energy_joules": None}
        whole["times"] |= {"tune": {"wall_s": 1.0}, "fit": {"wall_s": 1.0}}
    if external or validation is None:
        whole["tuning"] = None
    return Record.model_validate(merged(whole, changes or {}))


def result_of(
    record: Record,
    *,
    openings: Sequence[Opening] = (),
    alarmed: bool = False,
    trials: Sequence[Trial] = (),
    per_user: bytes = b"",
) -> Result:
    """Make the result of a cell from its record."""
    status = CellStatus(record.cell, "done", None, record, alarmed, tuple(openings))
    return Result(record.name, status, lambda: list(trials), lambda: per_user)


def make_result(
    model: str,
    values: Mapping[str, ArrayLike],
    *,
    openings: Sequence[Opening] = (Opening(ENDED, "first"),),
    trials: Sequence[Trial] | None = None,
    changes: Mapping[str, Any] | None = None,
    **more: Any,
) -> Result:
    """Make the result of a cell from the values of its users.

    Parameters
    ----------
    model : str
        Title of the model.
    values : mapping of str to array-like, shape (n_users,)
        Values of users by metric; `user` has their labels, by default their numbers.
    openings : sequence of Opening
        Openings of the test part.
    trials : sequence of Trial, optional
        Finished trials; by default the best one.
    changes : mapping, optional
        Other fields of the record in JSON, as in `merged`.
    **more
        As in `make_record`.
    """
    frame = pd.DataFrame(values)
    if "user" not in frame:
        frame.insert(0, "user", np.arange(len(frame)))
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    per_user = buffer.getvalue()
    metrics = {name: float(np.mean(values[name])) for name in frame.columns.drop("user")}
    identity = more.get("identity") or make_record(model, users=len(frame), **more).identity
    params = merged({}, changes or {}).get("model", {}).get("params", {})
    fields = {
        "metrics": metrics,
        "result_digest": result_digest(identity.key, params, metrics, per_user),
        "definitions": {name: {"id": name, "formula": "a formula"} for name in metrics},
        "per_user": hashlib.sha256(per_user).hexdigest(),
    }
    changes = merged(fields, changes or {})
    record = make_record(model, users=len(frame), changes=changes, **more)
    if trials is None:
        trials = [record.tuning.best] if record.tuning else []
    return result_of(record, openings=openings, trials=trials, per_user=per_user)


def unfinished(
    model: str, state: CellState = "pending", reason: str | None = None, **names: Any
) -> Result:
    """Make a cell without a result; `names` as in `make_name`."""
    status = CellStatus(hashlib.sha256(model.encode()).hexdigest(), state, reason, None)
    return Result(make_name(model, **names), status, list, bytes)
