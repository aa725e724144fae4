"""Pairwise comparison of the models of an experiment."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import stdev

import numpy as np

from recrepro.analysis.leaderboard import comparable
from recrepro.analysis.per_user import UserValues, by_model
from recrepro.analysis.significance import Comparison, PairedTests, bootstrap_intervals
from recrepro.errors import UnknownName
from recrepro.store.results import Result


@dataclass(frozen=True)
class ComparedModel:
    """One model beside the reference.

    Parameters
    ----------
    model : str
        Title.
    mean, low, high : float
        Mean over users (each user's mean over fits, seeds and folds), and its 95 % bootstrap
        interval.
    repeats : int
        Results: one for each seed and fold of the split and each final fit.
    spread : float or None
        Standard deviation of the means of the repeats; None for fewer than two.
    users : int
        Users that it shares with the reference.
    comparison : Comparison or None
        With the reference; None for the reference itself.
    corrected : dict of str to float
        P-values by test, corrected by Holm for the number of models in the table.
    """

    model: str
    mean: float
    low: float
    high: float
    repeats: int
    spread: float | None
    users: int
    comparison: Comparison | None
    corrected: dict[str, float]


@dataclass(frozen=True)
class ComparedBoard:
    """The models on one data set and split, best first; `sampled` as on leaderboards."""

    dataset: str
    split: str
    sampled: bool
    metric: str
    reference: str
    models: tuple[ComparedModel, ...]


def compare_models(
    results: Iterable[Result],
    metric: str,
    reference: str | None = None,
    *,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> list[ComparedBoard]:
    """Compare the models of an experiment, from the values of each user that its runs have kept.

    Parameters
    ----------
    results : iterable of Result
        Those of an experiment; cells without a record are left out.
    metric : str
        One that the runs have measured, with a value for each user.
    reference : str, optional
        The model that the others are compared with; by default the best of each table.
    n_resamples : int
        Bootstrap samples, and draws of the randomisation test.
    seed : int
        Of both.

    Raises
    ------
    UsageError
        If the metric has no values of users, or the reference is none of the models.
    """
    boards = []
    for (dataset, split), protocols in comparable(r for r in results if r.record).items():
        for found in protocols.values():
            sampled = any(r.record.sampled for r in found if r.record)
            boards.append((dataset, split, sampled, by_model(found, [metric])))
    if reference is not None and not any(reference in models for *_, models in boards):
        known = sorted({model for *_, models in boards for model in models})
        raise UnknownName("reference model", reference, known)
    return [
        _compare_board(dataset, split, sampled, metric, models, reference, n_resamples, seed)
        for dataset, split, sampled, models in boards
        if reference is None or reference in models
    ]


def _compare_board(
    dataset: str,
    split: str,
    sampled: bool,
    metric: str,
    models: dict[str, UserValues],
    reference: str | None,
    n_resamples: int,
    seed: int,
) -> ComparedBoard:
    means = {name: values.means[metric] for name, values in models.items()}
    order = sorted(means, key=lambda name: -float(means[name].mean()))
    against = reference or order[0]
    tests = PairedTests(models, n_resamples, seed).compare(order, against, metric)
    columns = {name: values.to_numpy(np.float64)[:, None] for name, values in means.items()}
    intervals = bootstrap_intervals(columns, n_resamples, seed)
    rows = []
    for name in order:
        low, high = (float(bound[0]) for bound in intervals[name])
        repeats = [float(fit[metric].mean()) for fits in models[name].fits.values() for fit in fits]
        rows.append(
            ComparedModel(
                name,
                float(means[name].mean()),
                low,
                high,
                len(repeats),
                stdev(repeats) if len(repeats) > 1 else None,
                tests[name].users,
                tests[name].comparison,
                tests[name].corrected,
            )
        )
    return ComparedBoard(dataset, split, sampled, metric, against, tuple(rows))
