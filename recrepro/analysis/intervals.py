"""Intervals of the values of a leaderboard, and which of its differences are more than chance."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from recrepro.analysis.bootstrap import mean_intervals
from recrepro.analysis.leaderboard import Chance, Leaderboard, best_values, comparable
from recrepro.analysis.per_user import by_model
from recrepro.analysis.reference import best_on_validation, records_of
from recrepro.analysis.significance import PairedTests
from recrepro.errors import UnknownName
from recrepro.store.results import Result


def with_chance(
    boards: Iterable[Leaderboard],
    results: Iterable[Result],
    reference: str | None = None,
    *,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> list[Leaderboard]:
    """Add intervals and p-values, from the values of users that runs have kept.

    Samples and draws are those of `recrepro compare`: where it compares the same models, it gives
    the same intervals and p-values before correction.

    Parameters
    ----------
    boards : iterable of Leaderboard
        As `recrepro.analysis.leaderboard.build` makes them of the results.
    results : iterable of Result
        The same.
    reference : str, optional
        A model that the others are compared with, beside the best of each column; by default
        the best on validation, if a model was tuned.
    n_resamples : int
        Bootstrap samples, and draws of the tests.
    seed : int
        Of both.

    Raises
    ------
    UnknownName
        If the reference is none of the models.
    """
    known = list(boards)
    models = {row.model for board in known for row in board.rows}
    if reference is not None and reference not in models:
        raise UnknownName("reference model", reference, models)
    groups = [found for protocols in comparable(results).values() for found in protocols.values()]
    return [
        _add(board, found, reference, n_resamples, seed)
        for board, found in zip(known, groups, strict=True)
    ]


def _add(
    board: Leaderboard, results: list[Result], reference: str | None, n_resamples: int, seed: int
) -> Leaderboard:
    values = by_model(results)
    if not values:
        return board
    columns = set.intersection(
        *(set(fit) for found in values.values() for fits in found.fits.values() for fit in fits)
    )
    metrics = [metric for metric in board.metrics if metric in columns]
    best = {
        metric: next(row.model for row in board.rows if row.means.get(metric) == value)
        for metric, value in best_values(board).items()
        if metric in metrics
    }
    chosen_by: Literal["name", "validation"] = "name"
    if reference is None and (chosen := best_on_validation(records_of(results))):
        reference, chosen_by = chosen[0], "validation"
    tests = PairedTests(values, n_resamples, seed)
    p_best = {
        metric: tests.corrected_t(metric, model, best_on_test=True)
        for metric, model in best.items()
    }
    against = reference if reference in values else None
    p_reference = {metric: tests.corrected_t(metric, against) for metric in metrics if against}
    intervals = mean_intervals(values, metrics, n_resamples, seed) if metrics else {}
    rows = []
    for row in board.rows:
        chance = {}
        for metric, (low, high) in intervals.get(row.model, {}).items():
            first, _ = p_best.get(metric, {}).get(row.model, (None, False))
            second, higher = p_reference.get(metric, {}).get(row.model, (None, False))
            chance[metric] = Chance(low, high, first, second, higher)
        rows.append(replace(row, chance=chance))
    return replace(board, rows=rows, reference=against, chosen_by=chosen_by if against else None)
