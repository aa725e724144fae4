"""What a test part gave, as a record and a file of values of users keep it."""

import hashlib
import io
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluation
from recrepro.evaluation.groups import by_activity, by_popularity
from recrepro.interactions import Interactions
from recrepro.spec.canonical import canonical_json


def measured(evaluation: Evaluation, train: Interactions, shown: csr_array) -> dict[str, Any]:
    """Return the fields of a record that an evaluation gives.

    Parameters
    ----------
    evaluation : Evaluation
        Of the test part.
    train : Interactions
        Data that the model was fitted on.
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
