"""Pairwise comparison of the models of an experiment."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import stdev
from typing import Literal

from recrepro.analysis.bootstrap import mean_intervals
from recrepro.analysis.inference import estimate_mean
from recrepro.analysis.leaderboard import comparable
from recrepro.analysis.per_user import UserValues, by_model
from recrepro.analysis.reference import best_on_validation, records_of
from recrepro.analysis.significance import Comparison, PairedTests
from recrepro.errors import UnknownName
from recrepro.store.records import Record
from recrepro.store.results import Result


@dataclass(frozen=True)
class ComparedModel:
    """One model beside the reference.

    Parameters
    ----------
    model : str
        Title.
    mean, low, high : float
        Mean over users (each user's mean over fits, seeds and folds), and its 95 % interval.
    repeats : int
        Results: one for each seed and fold of the split and each final fit.
    spread : float or None
        Standard deviation of the means of the repeats; None for fewer than two.
    seeds_known : bool
        False if it is not deterministic and was fitted once.
    users : int
        Users that it shares with the reference.
    comparison : Comparison or None
        With the reference; None for the reference itself.
    corrected : dict of str to float
        P-values by test, corrected for the family of the table.
    """

    model: str
    mean: float
    low: float
    high: float
    repeats: int
    spread: float | None
    seeds_known: bool
    users: int
    comparison: Comparison | None
    corrected: dict[str, float]


@dataclass(frozen=True)
class ComparedBoard:
    """The models on one data set and split, best first.

    Parameters
    ----------
    dataset, split : str
        Titles.
    sampled : bool
        As on leaderboards.
    metric : str
        What was compared.
    reference : str
        The model that the others are compared with.
    chosen_by : {"name", "validation", "test"}
        How: it was asked for; it is the best on validation; or, where no model was tuned, it is
        the best on test. P-values are corrected for all pairs of models in the last case, else by
        Holm for the comparisons with the reference.
    models : tuple of ComparedModel
        Best first.
    """

    dataset: str
    split: str
    sampled: bool
    metric: str
    reference: str
    chosen_by: Literal["name", "validation", "test"]
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
        The model that the others are compared with; by default the best on validation in each
        table, or the best on test where no model was tuned.
    n_resamples : int
        Bootstrap samples, and draws of the tests.
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
            records = records_of(found)
            boards.append((dataset, split, sampled, records, by_model(found, [metric])))
    if reference is not None and not any(reference in models for *_, models in boards):
        known = sorted({model for *_, models in boards for model in models})
        raise UnknownName("reference model", reference, known)
    return [
        _compare_board(
            dataset, split, sampled, metric, records, models, reference, n_resamples, seed
        )
        for dataset, split, sampled, records, models in boards
        if reference is None or reference in models
    ]


def _compare_board(
    dataset: str,
    split: str,
    sampled: bool,
    metric: str,
    records: dict[str, list[Record]],
    models: dict[str, UserValues],
    reference: str | None,
    n_resamples: int,
    seed: int,
) -> ComparedBoard:
    means = {name: float(values.means[metric].mean()) for name, values in models.items()}
    order = sorted(means, key=lambda name: -means[name])
    chosen_by: Literal["name", "validation", "test"] = "name"
    if reference is None and (best := best_on_validation(records)):
        reference, chosen_by = best[0], "validation"
    elif reference is None:
        reference, chosen_by = order[0], "test"
    paired = PairedTests(models, n_resamples, seed)
    tests = paired.compare(order, reference, metric, best_on_test=chosen_by == "test")
    intervals = mean_intervals(models, [metric], n_resamples, seed)
    rows = []
    for name in order:
        low, high = intervals[name][metric]
        fits = [float(fit[metric].mean()) for found in models[name].fits.values() for fit in found]
        rows.append(
            ComparedModel(
                name,
                means[name],
                low,
                high,
                len(fits),
                stdev(fits) if len(fits) > 1 else None,
                estimate_mean(models[name], metric).seeds_known,
                tests[name].users,
                tests[name].comparison,
                tests[name].corrected,
            )
        )
    return ComparedBoard(dataset, split, sampled, metric, reference, chosen_by, tuple(rows))
