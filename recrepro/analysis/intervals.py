"""Intervals of the values of a leaderboard, and which of its differences are more than chance."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from recrepro.analysis.leaderboard import Chance, Leaderboard, best_values, comparable
from recrepro.analysis.per_user import Repeats, by_model, paired, user_means
from recrepro.analysis.significance import bootstrap_intervals, holm, randomisation_tests
from recrepro.errors import UnknownName
from recrepro.randomness import generator
from recrepro.store.results import Result

PValues = dict[str, tuple[float, bool]]
"""By model: the p-value, and whether it is the higher one."""


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
        A model that the others are compared with, beside the best of each column.
    n_resamples : int
        Bootstrap samples, and draws of the randomisation test.
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
    values = by_model(result for result in results if result.record)
    if not values:
        return board
    columns = set.intersection(
        *(set(frame.columns) for repeats in values.values() for frame in repeats.values())
    )
    metrics = [metric for metric in board.metrics if metric in columns]
    values = {m: {r: frame[metrics] for r, frame in f.items()} for m, f in values.items()}
    best = {
        metric: next(row.model for row in board.rows if row.means.get(metric) == value)
        for metric, value in best_values(board).items()
        if metric in metrics
    }
    tests = _Tests(values, metrics, n_resamples, seed)
    p_best = {metric: tests.corrected(metric, model) for metric, model in best.items()}
    against = reference if reference in values else None
    p_reference = {metric: tests.corrected(metric, against) for metric in metrics if against}
    means = {
        model: user_means(repeats)[metrics].to_numpy(np.float64)
        for model, repeats in values.items()
    }
    intervals = bootstrap_intervals(means, n_resamples, seed) if metrics else {}
    rows = []
    for row in board.rows:
        chance = {}
        for metric, low, high in zip(metrics, *intervals.get(row.model, ((), ())), strict=False):
            first, _ = p_best.get(metric, {}).get(row.model, (None, False))
            second, higher = p_reference.get(metric, {}).get(row.model, (None, False))
            chance[metric] = Chance(float(low), float(high), first, second, higher)
        rows.append(replace(row, chance=chance))
    return replace(board, rows=rows, reference=against)


class _Tests:
    """Paired tests of all metrics at once, each pair of models once."""

    def __init__(
        self, values: dict[str, Repeats], metrics: list[str], n_resamples: int, seed: int
    ) -> None:
        self._values = values
        self._metrics = metrics
        self._n_resamples = n_resamples
        self._seed = seed
        self._known: dict[tuple[str, str], dict[str, tuple[float, bool]]] = {}

    def corrected(self, metric: str, against: str) -> PValues:
        """Return the p-values of a column; models without a user in common are left out."""
        found = {
            model: tested[metric]
            for model in self._values
            if model != against and (tested := self._pair(model, against))
        }
        adjusted = holm(np.array([p for p, _ in found.values()]))
        return {
            model: (p, higher)
            for (model, (_, higher)), p in zip(found.items(), adjusted.tolist(), strict=True)
        }

    def _pair(self, model: str, against: str) -> PValues:
        """Test a model against another one; the answer is by metric, empty without users."""
        if (model, against) not in self._known:
            first, second = paired(self._values[model], self._values[against])
            answer: PValues = {}
            if len(first):
                differences = (first - second).to_numpy(np.float64)
                rng = generator(self._seed, "compare", model)
                p_values = randomisation_tests(differences, self._n_resamples, rng)
                higher = differences.mean(axis=0) > 0
                pairs = zip(p_values.tolist(), higher.tolist(), strict=True)
                answer = dict(zip(self._metrics, pairs, strict=True))
            self._known[model, against] = answer
        return self._known[model, against]
