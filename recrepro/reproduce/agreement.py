"""Do two results of one cell agree? Every metric and every user's value, bit by bit."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from recrepro.errors import RecreproError
from recrepro.store.records import Record
from recrepro.store.results import values_of_users

AgreementLevel = Literal["identical", "within tolerance", "different"]


@dataclass(frozen=True)
class MetricAgreement:
    """One metric, as recorded and as computed now.

    `users` counts those whose values differ, `mean` and `largest` are of the absolute differences
    over users; all are None where there is nothing to compare user by user.
    """

    metric: str
    recorded: float
    now: float
    users: int | None = None
    mean: float | None = None
    largest: float | None = None

    @property
    def same(self) -> bool:
        """Whether all is equal bit by bit."""
        return _bits(self.recorded) == _bits(self.now) and not self.users

    def within(self, tolerance: float) -> bool:
        """Whether value and mean difference over users are within a tolerance.

        The tolerance is absolute for values up to 1, and relative for larger ones. That of means
        over users lets a few users' ranks flip, and sees users that differ though means agree.
        """
        if self.same:
            return True
        allowed = tolerance * max(1.0, abs(self.recorded))
        return bool(abs(self.recorded - self.now) <= allowed and (self.mean or 0.0) <= allowed)


@dataclass(frozen=True)
class Agreement:
    """What the comparison of two results found.

    Parameters
    ----------
    verdict : {"identical", "within tolerance", "different"}
        Of all together.
    metrics : list of MetricAgreement
        In the order of the record.
    users : int or None
        How many users were compared; None without per-user values.
    notes : list of str
        What else differs, or could not be compared.
    """

    verdict: AgreementLevel
    metrics: list[MetricAgreement]
    users: int | None
    notes: list[str]


def compare_results(
    recorded: Record,
    recorded_users: bytes | None,
    now: Record,
    now_users: bytes,
    tolerance: float,
    *,
    retuned: bool = False,
) -> Agreement:
    """Compare a recorded result with one that was computed again.

    Parameters
    ----------
    recorded, now : Record
        Records.
    recorded_users, now_users : bytes
        Their per-user values as Parquet; None if they are not there.
    tolerance : float
        See `MetricAgreement.within`.
    retuned : bool
        Whether hyperparameters were searched for again, so that others may be within tolerance.
    """
    notes: list[str] = []
    names = list(dict.fromkeys([*recorded.metrics, *now.metrics]))
    pairs = {
        name: (_value(recorded.metrics.get(name)), _value(now.metrics.get(name))) for name in names
    }
    metrics = {name: MetricAgreement(name, *pair) for name, pair in pairs.items()}
    users = None
    same_users = True
    if recorded_users is not None:
        one, other = _table(recorded_users), _table(now_users)
        users = len(one)
        same_users = one.index.equals(other.index) and set(one.columns) == set(other.columns)
        if not same_users:
            notes.append(
                f"users or metrics of the per-user values differ: {len(one)} users recorded, "
                f"{len(other)} now"
            )
        else:
            for name in one.columns:
                pair = pairs.get(name, (np.nan, np.nan))
                metrics[name] = _by_user(name, pair, one[name], other[name])
    exact = same_users and all(metric.same for metric in metrics.values())
    near = same_users and all(metric.within(tolerance) for metric in metrics.values())
    if recorded.model.params != now.model.params:
        notes.append(f"hyperparameters: recorded {recorded.model.params}, now {now.model.params}")
        exact, near = False, near and retuned
    elif recorded.cell == now.cell:
        equal = recorded.result_digest == now.result_digest
        if not equal and exact and recorded_users is not None:
            notes.append("the record's digest is not that of its values: the record was altered")
            near = False
        elif not equal:
            notes.append("the digest of the result differs: some values do")
        exact = exact and equal
    elif recorded_users is None:
        notes.append("the digests cannot be compared: they are of different identities")
        exact = False
    if recorded_users is None:
        notes.append(
            "the record came without per-user values: its metrics and its digest were compared"
        )
    contradictions = [
        f"the record's model has another {name} than its best trial: the record was altered"
        for name in recorded.otherwise
    ]
    notes += contradictions
    return Agreement(
        _verdict(exact=exact, near=near, altered=bool(contradictions)),
        list(metrics.values()),
        users,
        notes,
    )


def _verdict(*, exact: bool, near: bool, altered: bool) -> AgreementLevel:
    if altered or not (exact or near):
        return "different"
    return "identical" if exact else "within tolerance"


def _by_user(
    name: str, pair: tuple[float, float], one: "pd.Series[Any]", other: "pd.Series[Any]"
) -> MetricAgreement:
    first, second = (np.asarray(values, np.float64) for values in (one, other))
    differ = first.view(np.int64) != second.view(np.int64)
    size = np.where(differ, np.abs(first - second), 0.0)
    mean, largest = (float(size.mean()), float(size.max())) if len(size) else (0.0, 0.0)
    return MetricAgreement(name, *pair, int(differ.sum()), mean, largest)


def _table(content: bytes) -> pd.DataFrame:
    try:
        return values_of_users(content, "per_user.parquet of the record").set_index("user")
    except (ValueError, KeyError, OSError) as error:
        raise RecreproError(f"the per-user values of the record cannot be read: {error}") from error


def _value(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _bits(value: float) -> bytes:
    return np.float64(value).tobytes()
