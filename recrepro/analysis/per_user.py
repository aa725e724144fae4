"""Values of users, as tests and intervals take them: averaged over repeats, paired by label."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from recrepro.errors import UnknownName, UsageError
from recrepro.store.results import Result


@dataclass(frozen=True, eq=False)
class UserValues:
    """Values of the users of a model.

    Parameters
    ----------
    fits : dict of str to sequence of data frame
        By repeat (seed and fold of the split), one data frame for each final fit: a row for each
        user, a column for each metric.
    deterministic : bool
        Whether another seed would have given the same fit.
    """

    fits: dict[str, Sequence[pd.DataFrame]]
    deterministic: bool = False

    @cached_property
    def repeats(self) -> dict[str, pd.DataFrame]:
        """Each user's means over the fits of a repeat, by repeat."""
        return {repeat: _mean(self.fits[repeat]) for repeat in sorted(self.fits)}

    @cached_property
    def means(self) -> pd.DataFrame:
        """Each user's means over repeats, by user."""
        return _mean(list(self.repeats.values()))

    def of(self, repeats: Collection[str], users: pd.Index | None = None) -> "UserValues":
        """Return the values in some repeats, of some users (all, if not said which)."""
        return UserValues(
            {
                repeat: [f if users is None else f[f.index.isin(users)] for f in frames]
                for repeat, frames in self.fits.items()
                if repeat in repeats
            },
            self.deterministic,
        )


def _mean(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    if not frames:
        return pd.DataFrame(dtype=float)
    return frames[0] if len(frames) == 1 else pd.concat(frames).groupby(level=0).mean()


def by_model(
    results: Iterable[Result], metrics: Collection[str] | None = None
) -> dict[str, UserValues]:
    """Read the values of users of each model.

    Parameters
    ----------
    results : iterable of Result
        Of one data set, split and protocol; those without a record are left out.
    metrics : collection of str, optional
        Those to read; by default all that have values of users.

    Raises
    ------
    UsageError
        If a metric was not measured, or has no values of users.
    """
    models: dict[str, dict[str, dict[int | None, pd.DataFrame]]] = {}
    deterministic: dict[str, bool] = {}
    for result in results:
        if result.record is None:
            continue
        name = result.name
        fits = models.setdefault(name.model, {}).setdefault(name.repeat, {})
        fits[name.fit] = _values(result, metrics)
        known = deterministic.get(name.model, True)
        deterministic[name.model] = known and result.record.model.deterministic
    return {
        model: UserValues(
            {r: list(fits.values()) for r, fits in found.items()}, deterministic[model]
        )
        for model, found in models.items()
    }


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


def paired(first: UserValues, second: UserValues) -> tuple[UserValues, UserValues]:
    """Return the values of two models for the same users, in the repeats that both have.

    All fits of these repeats count: one fit of the first model is paired with three of the second
    where they have so many.

    Returns
    -------
    two UserValues
        Whose means have the same users; without repeats or users if none are shared.
    """
    shared = first.fits.keys() & second.fits.keys()
    one, other = first.of(shared), second.of(shared)
    users = one.means.index.intersection(other.means.index)
    one, other = (
        values if len(values.means) == len(users) else values.of(shared, users)
        for values in (one, other)
    )
    return one, other
