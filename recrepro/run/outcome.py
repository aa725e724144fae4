"""What a test part gave, as a record and a file of values of users keep it."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from recrepro.errors import DataError
from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.evaluation.groups import by_activity, by_popularity
from recrepro.evaluation.rankings import Evaluation
from recrepro.interactions import Interactions
from recrepro.labels import Labels, to_pandas
from recrepro.model import Recommender
from recrepro.space import at_edge
from recrepro.spec.experiment import ModelSpec
from recrepro.spec.identity import Identity
from recrepro.store.records import Record, RecordedSearch, Trial
from recrepro.text.words import count
from recrepro.tuning.tuner import best_of, search_space

RANKINGS = "rankings"
"""The name that kept rankings are locked under."""


def can_rescore(identity: Identity, evaluator: Evaluator, source: Record | None) -> bool:
    """Say whether the metrics of a cell can be computed from what another one has kept.

    Parameters
    ----------
    identity : Identity
        Of the cell.
    evaluator : Evaluator
        With the metrics of the cell.
    source : Record or None
        Result of a cell with the same fit, if there is one.
    """
    if source is None or source.rankings is None or identity.hindsight:
        return False
    return evaluator.can_measure(source.rankings.depth, source.split.items)


def measured(evaluation: Evaluation, train: Interactions) -> dict[str, Any]:
    """Return the fields of a record that an evaluation gives.

    Parameters
    ----------
    evaluation : Evaluation
        Of the test part.
    train : Interactions
        Data that the model was fitted on.

    Raises
    ------
    DataError
        If a value is not finite: as `require_finite`.
    """
    require_finite(evaluation)
    names = [name.partition("@")[2] for name in evaluation.means]
    cutoffs = sorted({int(k) for k in names if k})
    return {
        "metrics": evaluation.means,
        "definitions": {name: _definition(name) for name in evaluation.means},
        "users": len(evaluation.users),
        "users_without_holdout": evaluation.n_skipped,
        "groups": {
            "activity": by_activity(evaluation),
            "popularity": by_popularity(evaluation, train.item_counts, cutoffs),
        },
    }


def require_finite(evaluation: Evaluation) -> None:
    """Refuse values that are not finite: they would be written as results.

    Raises
    ------
    DataError
        Naming the metric.
    """
    for name, values in evaluation.per_user.items():
        if not np.isfinite(values).all():
            n_wrong = int((~np.isfinite(values)).sum())
            raise DataError(
                f"the metric {name!r} is not a finite number for {n_wrong:,} of "
                f"{count(len(values), 'user')}. Nothing is written. Are values of the data too "
                'large for it? Use values = "binary", or another metric.'
            )
    for name, value in evaluation.overall.items():
        if not np.isfinite(value):
            raise DataError(
                f"the metric {name!r} is not a finite number: {value}. Nothing is written. Use "
                "another metric."
            )


def _definition(metric: str) -> dict[str, str]:
    """Say whose formula a metric is, in one line."""
    definition = parse_metric(metric).definition
    return {"id": definition.id, "formula": definition.formula}


def search_outcome(
    model: type[Recommender], spec: ModelSpec, metric: str, trials: Sequence[Trial]
) -> RecordedSearch | None:
    """Return what a record tells of a search; None if there was none.

    Parameters
    ----------
    model : type of Recommender
        The model.
    spec : ModelSpec
        The model as the experiment gives it.
    metric : str
        The selection metric.
    trials : sequence of Trial
        The trials that the cell uses.
    """
    best = best_of(trials)
    if best is None:
        return None
    space = search_space(model, spec)
    return RecordedSearch(
        metric=metric,
        trials=len(trials),
        failed=sum(t.state == "failed" for t in trials),
        pruned=sum(t.state == "pruned" for t in trials),
        seconds=sum(t.seconds for t in trials),
        stopped=trials[-1].stopped,
        best=best,
        at_edge=[n for n, value in best.params.items() if at_edge(space[n], value)],
    )


def per_user_table(evaluation: Evaluation, user_ids: Labels) -> bytes:
    """Write per-user values as Parquet: the users' own labels, sorted, and one column a metric.

    Parameters
    ----------
    evaluation : Evaluation
        Of the test part.
    user_ids : array, shape (n_users,)
        The label of each user index.
    """
    users = to_pandas(user_ids[evaluation.users])
    frame = pd.DataFrame({"user": users, **evaluation.per_user})
    frame = frame.sort_values("user", kind="stable", ignore_index=True)
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
