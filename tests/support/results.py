"""Results of made-up values, without a run."""

import hashlib
import io
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from recrepro.spec.identity import cell_key
from recrepro.store.entries import CellStatus
from recrepro.store.openings import Opening
from recrepro.store.results import Result


def make_result(
    model: str,
    values: dict[str, ArrayLike],
    *,
    dataset: str = "toy",
    split: str = "s",
    seed: int = 1,
    family: str = "simple",
    status: str = "tuned",
    validation: float = 0.3,
    **more: Any,
) -> Result:
    """Make the result of a cell from the values of its users, with all that a record has."""
    frame = pd.DataFrame(values)
    frame.insert(0, "user", np.arange(len(frame)))
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    per_user = buffer.getvalue()
    identity = {"data": dataset, "split": {"name": split, "seed": seed}, "model": model}
    best = {"number": 0, "params": {}, "state": "complete", "value": validation}
    record = {
        "cell": cell_key(identity),
        "identity": identity,
        "model": {
            "name": model,
            "family": family,
            "version": 1,
            "params": {},
            "status": status,
        },
        "tuning": {"trials": 1, "failed": 0, "best": best, "at_edge": []},
        "metrics": {name: float(np.mean(column)) for name, column in values.items()},
        "users": len(frame),
        "groups": {"activity": [], "popularity": []},
        "sampled": False,
        "split": {
            "dropped": {},
            "parts": {"test": {"interactions": 3 * len(frame)}},
            "audit": {"verdict": "clean", "findings": []},
        },
        "per_user": hashlib.sha256(per_user).hexdigest(),
        "times": {name: {"wall_s": 1.0} for name in ("tune", "fit", "score")},
        "ended_at": 1_750_000_000.0 + seed,
    } | more
    titles = {"dataset": dataset, "split": split, "model": model, "seed": seed}
    opened = (Opening(1_750_000_000.0, "first"),)
    found = CellStatus(record["cell"], "done", None, record, openings=opened)
    return Result(titles, found, lambda: [best], lambda: per_user)
