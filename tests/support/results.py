"""Results of made-up values, without a run."""

import hashlib
import io
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from recrepro.spec.identity import Identity
from recrepro.store.entries import CellStatus
from recrepro.store.names import CellName
from recrepro.store.openings import Opening
from recrepro.store.records import Record, Trial
from recrepro.store.results import Result

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


def make_identity(
    model: str = "ease", *, dataset: str = "toy", split: str = "s", seed: int = 1, **more: Any
) -> Identity:
    """Make the identity of a cell."""
    whole = {
        "data": {"fingerprint": dataset, "preprocessing": []},
        "harness": 1,
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
    return Identity.model_validate(whole | more)


def make_record(
    model: str = "ease",
    *,
    dataset: str = "toy",
    split: str = "s",
    seed: int = 1,
    family: str = "simple",
    status: str = "tuned",
    validation: float = 0.3,
    users: int = 10,
    **more: Any,
) -> Record:
    """Make a whole record; `more` replaces its fields, as JSON has them."""
    name = CellName(dataset=dataset, split=split, model=model, seed=seed)
    identity = more.pop("identity", None)
    if not isinstance(identity, Identity):
        known = identity or {}
        identity = make_identity(model, dataset=dataset, split=split, seed=seed, **known)
    best = Trial(0, {}, "complete", validation)
    sizes = {"users": users, "items": 5, "interactions": 3 * users}
    whole = {
        "schema": 2,
        "cell": identity.key,
        "result_digest": "d" * 64,
        "titles": name,
        "identity": identity,
        "protocol": identity.protocol_fingerprint,
        "experiment": {},
        "base": ".",
        "model": {"name": model, "family": family, "version": 1, "params": {}, "status": status},
        "tuning": {
            "metric": "ndcg@10",
            "trials": 1,
            "failed": 0,
            "pruned": 0,
            "seconds": 1.0,
            "stopped": None,
            "best": best,
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
        "openings": [],
        "per_user": "0" * 64,
        "times": {name: {"wall_s": 1.0} for name in ("tune", "fit", "score")},
        "energy_joules": None,
        "peak_memory_bytes": 2**28,
        "started_at": ENDED,
        "ended_at": ENDED + seed,
        "provenance": PROVENANCE,
    }
    return Record.model_validate(whole | more)


def make_result(
    model: str,
    values: dict[str, ArrayLike],
    *,
    opened: tuple[Opening, ...] = (Opening(ENDED, "first"),),
    trials: list[Trial] | None = None,
    **more: Any,
) -> Result:
    """Make the result of a cell from the values of its users; `more` as in `make_record`."""
    frame = pd.DataFrame(values)
    frame.insert(0, "user", np.arange(len(frame)))
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    per_user = buffer.getvalue()
    metrics = {name: float(np.mean(column)) for name, column in values.items()}
    whole = {
        "users": len(frame),
        "metrics": metrics,
        "definitions": {name: {"id": name, "formula": "a formula"} for name in metrics},
        "per_user": hashlib.sha256(per_user).hexdigest(),
    } | more
    record = make_record(model, **whole)
    searched = [record.tuning.best] if trials is None and record.tuning else trials or []
    status = CellStatus(record.cell, "done", None, record, openings=opened)
    return Result(record.name, status, lambda: searched, lambda: per_user)
