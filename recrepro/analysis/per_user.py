"""Values of users, as tests and intervals take them.

They are averaged over final fits and repeats (seeds and folds of the split), and paired by label.
"""

from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from recrepro.errors import UnknownName, UsageError
from recrepro.store.results import Result

Repeats = dict[str, list[pd.DataFrame]]
"""By seed and fold of the split, for each final fit: a row for each user, a column a metric."""


def by_model(
    results: Iterable[Result], metrics: Collection[str] | None = None
) -> dict[str, Repeats]:
    """Read the values of users of each model.

    Parameters
    ----------
    results : iterable of Result
        Of one data set, split and protocol; all have a record.
    metrics : collection of str, optional
        Those to read; by default all that have values of users.

    Raises
    ------
    UsageError
        If a metric was not measured, or has no values of users.
    """
    models: dict[str, Repeats] = {}
    for result in results:
        name = result.name
        fits = models.setdefault(name.model, {}).setdefault(name.repeat, [])
        fits.append(_values(result, metrics))
    return models


def _values(result: Result, metrics: Collection[str] | None) -> pd.DataFrame:
    frame = result.per_user()
    if metrics is None:
        return frame.set_index("user")
    for metric in metrics:
        if metric in frame:
            continue
        known = [column for column in frame.columns if column != "user"]
        if result.record and metric in result.record.metrics:
            raise UsageError(
                f"{metric!r} is one value for all users together, which paired tests cannot "
                f"compare. Metrics with a value for each user here: {', '.join(known)}."
            )
        raise UnknownName("metric", metric, known, "Or add it to evaluate.metrics and run again.")
    return frame.set_index("user")[list(metrics)]


def user_means(repeats: Repeats, which: Iterable[str] | None = None) -> pd.DataFrame:
    """Return each user's mean over the fits of some repeats (all, if not said which), by user."""
    chosen = [_mean(repeats[repeat]) for repeat in sorted(repeats if which is None else which)]
    return _mean(chosen) if chosen else pd.DataFrame(dtype=float)


def _mean(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return frames[0] if len(frames) == 1 else pd.concat(frames).groupby(level=0).mean()


def paired(first: Repeats, second: Repeats) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the values of two models for the same users, in the repeats that both have.

    Returns
    -------
    two data frames
        With the same users in the same order; empty if they have no repeat or no user in common.
    """
    shared = first.keys() & second.keys()
    one, other = (user_means(repeats, shared) for repeats in (first, second))
    users = one.index.intersection(other.index)
    return one.loc[users], other.loc[users]
