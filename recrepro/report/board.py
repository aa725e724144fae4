"""A table of an experiment on the page: leaderboard, intervals, costs, ranks, groups."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import pandas as pd

from recrepro.analysis.leaderboard import Leaderboard, Row, best_values
from recrepro.analysis.per_user import by_model
from recrepro.analysis.ranks import RankTest, rank_test
from recrepro.charts import figures as charts
from recrepro.report.parts import (
    Chart,
    Column,
    Section,
    Table,
    TableCell,
    columns,
    number,
    p_value,
    seconds,
)
from recrepro.store.records import Record
from recrepro.store.results import Result
from recrepro.tables.cells import NOT_TUNED, group_cells, heading, interval, is_best, legend, marks
from recrepro.tables.cells import number as with_spread
from recrepro.text.words import audit_in_words


@dataclass(frozen=True)
class Board:
    """A leaderboard with the results that it was made of, and its place on the page."""

    id: str
    table: Leaderboard
    results: Sequence[Result]

    @property
    def title(self) -> str:
        """Data set and split."""
        return f"{self.table.dataset} · {self.table.split}"

    @property
    def records(self) -> dict[str, list[Record]]:
        """By model, in the order of the leaderboard."""
        found: dict[str, list[Record]] = {row.model: [] for row in self.table.rows}
        for result in self.results:
            if result.record:
                found[result.name.model].append(result.record)
        return {model: records for model, records in found.items() if records}

    @property
    def families(self) -> dict[str, str]:
        """By model: simple, neural, custom or external."""
        return {model: records[0].model.family for model, records in self.records.items()}

    @property
    def fit_seconds(self) -> dict[str, float]:
        """By model: seconds of the final fit, mean over repeats; of those that have been fitted."""
        times = {
            model: [r.times["fit"].wall_s for r in records if "fit" in r.times]
            for model, records in self.records.items()
        }
        return {model: fmean(found) for model, found in times.items() if found}

    @property
    def metric(self) -> str:
        """The first metric that has intervals; else the first one."""
        with_chance = {metric for row in self.table.rows for metric in row.chance}
        return next((m for m in self.table.metrics if m in with_chance), self.table.metrics[0])


def board_badges(table: Leaderboard) -> tuple[tuple[str, str], ...]:
    """Return the marks of a whole table: how its split was audited, and sampled ranking."""
    kinds = {"clean": "good", "suspicious": "warn", "leaking": "bad"}
    found = [(kinds[table.audit], f"audit: {audit_in_words(table.audit)}")] if table.audit else []
    return (*found, ("warn", "sampled ranking")) if table.sampled else tuple(found)


def leaderboard(board: Board) -> Section:
    """Return the leaderboard itself."""
    table, fits, families = board.table, board.fit_seconds, board.families
    best = best_values(table)
    rows = []
    for place, row in enumerate(table.shown, 1):
        family = families.get(row.model, "")
        words = [family] if family not in ("", "simple") else []
        words += ["judged"] if row.role == "judged" else []
        badges = tuple(("plain", word) for word in words)
        values = [
            TableCell(
                with_spread(row, metric) + marks(row, metric),
                row.means.get(metric, float("-inf")),
                below=interval(row, metric),
                strong=is_best(row, metric, best),
            )
            for metric in table.metrics
        ]
        rows.append(
            (
                TableCell(row.model, float(place), badges=badges),
                *values,
                TableCell("", badges=_status(row)),
                seconds(fits.get(row.model)),
                TableCell("; ".join(row.notes)),
            )
        )
    head = (
        Column("model"),
        *(Column(metric, numeric=True) for metric in table.metrics),
        *(Column("tuning"), Column("final fit", numeric=True), Column("notes")),
    )
    notes = tuple(f"{note}." for note in (*legend(table), *table.notes))
    content = Table(f"{board.id}-table", heading(table), head, tuple(rows), notes, tools=True)
    return Section(f"{board.id}-leaderboard", "Leaderboard", items=(content,))


def _status(row: Row) -> tuple[tuple[str, str], ...]:
    bad = {
        "failed": "bad",
        "untuned": "warn",
        "searched": "warn",
        "fixed": "warn",
        "external": "warn",
    }
    kind = bad.get(row.status, "plain") if row.status in NOT_TUNED else "good"
    found = [(kind, row.status)]
    if row.reopened:
        found.append(("warn", "reopened"))
    marked = (("determinism alarm", "bad"), ("at the edge", "warn"), ("repeats failed", "bad"))
    for words, how in marked:
        if any(words in note for note in row.notes):
            found.append((how, words))
    return tuple(found)


def intervals(board: Board) -> Section:
    """Return the means with their intervals, drawn."""
    metric, families = board.metric, board.families
    rows = [row for row in board.table.rows if metric in row.chance]
    section = f"{board.id}-intervals"
    if not rows:
        why = "No intervals: none of the metrics has a value for each user."
        return Section(section, "Intervals", (why,))
    points = [
        charts.Point(
            row.model,
            families[row.model],
            row.means[metric],
            row.chance[metric].low,
            row.chance[metric].high,
        )
        for row in rows
    ]
    head = columns(["model"], ["mean", "95 % from", "to", "p, against the best (all pairs)"])
    cells = tuple(
        (TableCell(p.model), number(p.value), number(p.low), number(p.high), p_value(c.p_best))
        for p, c in zip(points, (row.chance[metric] for row in rows), strict=True)
    )
    caption = f"{metric}: means over users and 95 % intervals"
    numbers = Table(f"{section}-table", caption, head, cells, folded="Numbers")
    why = (
        "Intervals and p-values account for the choice of users; for seeds of the fit where there "
        "are several fits; for splits where there are three or more seeds or folds. P-values are "
        "corrected for all pairs of models in this table and metric."
    )
    drawn = charts.intervals(f"{section}-svg", points, metric)
    chart = Chart(f"{board.title}: {metric} with 95 % intervals", drawn, numbers)
    return Section(section, "Intervals", (why,), (chart,))


def costs(board: Board) -> Section:
    """Return accuracy against the time of the final fit, drawn."""
    metric, families, fits = board.table.metrics[0], board.families, board.fit_seconds
    section, title = f"{board.id}-costs", "Accuracy against training time"
    rows = [row for row in board.table.rows if row.model in fits]
    if not rows:
        return Section(section, title, ("No model was fitted here.",))
    points = [
        # Times are kept in milliseconds; a logarithm has no zero.
        charts.Point(r.model, families[r.model], r.means[metric], seconds=max(fits[r.model], 1e-3))
        for r in rows
    ]
    tuned = {
        model: fmean(r.times["tune"].wall_s for r in records)
        for model, records in board.records.items()
        if all(r.tuning and "tune" in r.times for r in records)
    }
    cells = tuple(
        (
            TableCell(row.model),
            number(row.means[metric]),
            seconds(fits[row.model]),
            seconds(tuned.get(row.model)),
        )
        for row in rows
    )
    head = columns(["model"], [metric, "final fit", "tuning, all trials"])
    numbers = Table(f"{section}-table", f"{metric} and wall time", head, cells, folded="Numbers")
    absent = [row.model for row in board.table.rows if row.means and row.model not in fits]
    why = (
        "Wall time of the final fit, mean over repeats; the line joins the best for each time. "
        "Names that would overlap stand in the table only."
    )
    more = (f"Without a fit here: {', '.join(absent)}.",) if absent else ()
    drawn = charts.costs(f"{section}-svg", points, metric)
    chart = Chart(f"{board.title}: {metric} against seconds of the final fit", drawn, numbers)
    return Section(section, title, (why, *more), (chart,))


def ranks(board: Board) -> Section:
    """Return mean ranks over users and which models they do not tell apart, drawn."""
    section, metric = f"{board.id}-ranks", board.metric
    title = "Critical differences over users"
    found = [r for r in board.results if r.record]
    values = values_of_users(found, metric) if any(r.chance for r in board.table.rows) else None
    test = None if values is None else rank_test(values, "wilcoxon")
    if test is None:
        why = "Not drawn: this takes two models with values of the same users in the same repeats."
        return Section(section, title, (why,))
    why = (
        f"Blocks are the {test.blocks:,} users of this table that all models share (values of "
        f"{metric}, averaged over fits and repeats). They say what chance in these users explains, "
        "not what other seeds or other data would show."
    )
    chart = rank_chart(section, f"{board.title}: mean ranks over users", test)
    return Section(section, title, (why, *rank_sentences(test)), (chart,))


def values_of_users(results: Iterable[Result], metric: str) -> pd.DataFrame | None:
    """Return a row for each user and a column for each model, of repeats and users that all share.

    None if there are no such repeats.
    """
    models = by_model(results, [metric])
    shared = set.intersection(*(set(found.fits) for found in models.values())) if models else set()
    if not shared:
        return None
    means = {model: found.of(shared).means[metric] for model, found in models.items()}
    return pd.concat(means, axis=1, join="inner")


def rank_sentences(test: RankTest) -> tuple[str, ...]:
    """Say which tests were made, and what Friedman's found."""
    how = "Wilcoxon's signed-rank test of each pair, Holm's correction for all pairs"
    if test.critical_difference is not None:
        how = (
            f"Nemenyi's test of all pairs, critical difference {test.critical_difference:.2f} of "
            "mean ranks"
        )
    pairs = f"Bars join models of which no two differ ({how}, p of 0.05 or more)."
    if test.friedman is None:
        return (pairs,)
    p = p_value(test.friedman).text
    return (f"Friedman's test that all are alike: p {p if p[0] == '<' else f'= {p}'}.", pairs)


def rank_chart(section: str, title: str, test: RankTest) -> Chart:
    """Draw mean ranks, with all pairwise p-values in the table."""
    head = columns(["model"], ["mean rank", *(f"p, {model}" for model in test.models)])
    cells = tuple(
        (
            TableCell(model),
            number(rank, ".3f"),
            *(TableCell("-") if i == j else p_value(test.p[i, j]) for j in range(len(test.models))),
        )
        for i, (model, rank) in enumerate(zip(test.models, test.mean_ranks, strict=True))
    )
    caption = "Mean ranks, and corrected p-values of all pairs"
    numbers = Table(f"{section}-table", caption, head, cells, folded="Numbers")
    return Chart(title, charts.critical_difference(f"{section}-svg", test), numbers)


def groups(board: Board) -> Section:
    """Return values by the activity of users and by the popularity of items."""
    captions = {
        "activity": f"{board.table.metrics[0]} of users by the length of their history",
        "popularity": "Recall of held-out items by their popularity in train",
    }
    tables = []
    for by, caption in captions.items():
        names, cells = group_cells(board.table, by)
        if not cells:
            continue
        rows = tuple(
            (
                TableCell(model),
                *(TableCell(v, float("-inf") if v == "-" else float(v)) for v in values),
            )
            for model, values in cells.items()
        )
        head = columns(["model"], names)
        tables.append(Table(f"{board.id}-{by}", caption, head, rows, tools=True))
    why = "Of the first repeat. A mean over all users hides for whom a model works, and on what."
    return Section(f"{board.id}-groups", "Groups of users and items", (why,), tuple(tables))
