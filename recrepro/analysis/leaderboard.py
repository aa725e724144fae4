"""From records to tables: one for each data set and split, and expected against got."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev
from typing import Literal

from recrepro.analysis.notes import (
    budget_notes,
    notes_on_results,
    notes_on_runs,
    ranking_notes,
    sampled_notes,
    split_notes,
    trials_made,
    withdrawn_notes,
    worst_audit,
)
from recrepro.evaluation.definitions import parse_metric
from recrepro.models import Role, default_role
from recrepro.spec.experiment import Expected, Experiment, Printed
from recrepro.spec.identity import differences
from recrepro.store.records import STATES, Groups, Record, State
from recrepro.store.results import Result


@dataclass(frozen=True)
class Chance:
    """How much of a value the choice of users explains, and that of seeds and splits.

    Parameters
    ----------
    low, high : float
        95 % interval.
    p_best : float or None
        P-value of the paired t-test against the best of the column, corrected for all pairs of
        models in the column; None for the best itself, and where more is not better.
    p_reference : float or None
        The same against the reference, corrected by Holm for the models that are compared with it;
        None without one, and for the reference itself.
    higher : bool
        Whether it is higher than that of the reference, on the users that both have.
    """

    low: float
    high: float
    p_best: float | None = None
    p_reference: float | None = None
    higher: bool = False


@dataclass(frozen=True)
class Row:
    """One model: its metrics, averaged over seeds and folds.

    Parameters
    ----------
    model : str
        Title of the model.
    means : dict of str to float
        Empty if there is no result.
    spreads : dict of str to float
        Standard deviation over seeds and folds; empty for fewer than two.
    repeats : int
        How many of its seeds and folds have a result.
    status : str
        tuned, searched, fixed, untuned or parameter-free; or failed, running, not run; or
        printed, of values from elsewhere.
    notes : tuple of str
        What a reader has to know, such as values at the edge of a search range.
    reopened : int
        How often a test part was opened again on request, though there was a result.
    groups : Groups or None
        Values of users by activity and of items by popularity, of the first repeat.
    chance : dict of str to Chance
        By metric, where users have values; empty if it was not asked for.
    trials : tuple of int
        How many trials each of its repeats was tuned with.
    role : {"baseline", "judged"} or None
        Whether it is judged, or others are compared with it; None if nothing is known of it.
    """

    model: str
    means: dict[str, float]
    spreads: dict[str, float]
    repeats: int
    status: str
    notes: tuple[str, ...] = ()
    reopened: int = 0
    groups: Groups | None = None
    chance: dict[str, Chance] = field(default_factory=dict)
    trials: tuple[int, ...] = ()
    role: Role | None = None


@dataclass(frozen=True)
class Leaderboard:
    """The models on one data set and split, best first.

    Parameters
    ----------
    dataset, split : str
        Titles.
    metrics : tuple of str
        Columns; the first decides the order.
    rows : list of Row
        Best first; rows without a result last.
    users : int or None
        Number of users evaluated, in the first repeat.
    sampled : bool or None
        Whether held-out items were ranked against sampled negatives only; None without a result.
    audit : str or None
        Verdict of the leakage audit: clean, suspicious or leaking, the worst of its repeats.
    notes : tuple of str
        What a reader has to know of tuning and split.
    protocol : str or None
        Fingerprint of what all rows share: data, split, metrics, ranking; None without a result.
    printed : tuple of Row
        Values that others have printed; best first. They are in no test and no comparison.
    reference : str or None
        The model that `Chance.p_reference` compares with.
    chosen_by : {"name", "validation"} or None
        How: it was asked for, or it is the best on validation.
    """

    dataset: str
    split: str
    metrics: tuple[str, ...]
    rows: list[Row]
    users: int | None
    sampled: bool | None
    audit: str | None = None
    notes: tuple[str, ...] = ()
    protocol: str | None = None
    reference: str | None = None
    chosen_by: Literal["name", "validation"] | None = None
    printed: tuple[Row, ...] = ()

    @property
    def shown(self) -> list[Row]:
        """All rows that a reader sees: the models of the experiment, then printed values."""
        return [*self.rows, *self.printed]


@dataclass(frozen=True)
class ExpectationCheck:
    """An expected value and what was got; `reopened` is that of the model's row."""

    expected: Expected
    dataset: str
    split: str
    got: float | None
    reopened: int = 0
    verdict: Literal["ok", "off", "missing"] = field(init=False)

    def __post_init__(self) -> None:
        verdict: Literal["ok", "off", "missing"] = "missing"
        if self.got is not None:
            # Published values are rounded; a difference of exactly the tolerance is within it.
            off = abs(self.got - self.expected.value)
            verdict = "ok" if off <= self.expected.tolerance + 1e-12 else "off"
        object.__setattr__(self, "verdict", verdict)


def build(
    experiment: Experiment, results: Iterable[Result]
) -> tuple[list[Leaderboard], list[ExpectationCheck]]:
    """Build the tables of an experiment from its results.

    Returns
    -------
    leaderboards : list of Leaderboard
        One for each data set, split and protocol.
    checks : list of ExpectationCheck
        One for each expected value and each table that it applies to.
    """
    metrics = _columns(experiment)
    boards = []
    for (dataset, split), protocols in comparable(results).items():
        first = next(iter(protocols))
        for protocol, found in protocols.items():
            models: dict[str, list[Result]] = {}
            for result in found:
                models.setdefault(result.name.model, []).append(result)
            board = _board(dataset, split, metrics, models, experiment.roles)
            is_main = protocol == first
            notes = () if is_main else (_apart(protocols[first], found),)
            printed = _printed(experiment, board) if is_main else ()
            notes = (*notes, *board.notes)
            boards.append(replace(board, protocol=protocol, notes=notes, printed=printed))
    return boards, [v for board in boards for v in _checks(experiment.expected, board)]


def comparable(
    results: Iterable[Result],
) -> dict[tuple[str, str], dict[str | None, list[Result]]]:
    """Group results by data set and split, and then by what must be equal to compare them.

    Returns
    -------
    dict of (str, str) to dict of str to list of Result
        By titles, then by the fingerprint of the protocol, the most frequent first. What has no
        record stands with the most frequent.
    """
    places: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        place = (result.name.dataset, result.name.split)
        places.setdefault(place, []).append(result)
    answer: dict[tuple[str, str], dict[str | None, list[Result]]] = {}
    for place, found in places.items():
        known = Counter(_protocol(result) for result in found if result.record)
        order: list[str | None] = [name for name, _ in known.most_common()] or [None]
        answer[place] = {
            name: [r for r in found if (_protocol(r) if r.record else order[0]) == name]
            for name in order
        }
    return answer


def _protocol(result: Result) -> str | None:
    return None if result.record is None else result.record.identity.protocol_fingerprint


def _apart(main: list[Result], others: list[Result]) -> str:
    """Say why results are not in the table of the others of their data set and split."""
    one, other = (
        next(r.record.identity.protocol for r in found if r.record) for found in (main, others)
    )
    where = ", ".join(differences(one, other))
    return f"Not comparable with the table above, from which it differs in {where}"


def _columns(experiment: Experiment) -> tuple[str, ...]:
    first = experiment.selection_metric
    return (first, *(m for m in experiment.evaluate.metrics if m != first))


def _board(
    dataset: str,
    split: str,
    metrics: tuple[str, ...],
    models: dict[str, list[Result]],
    roles: Mapping[str, Role],
) -> Leaderboard:
    rows = [
        _row(model, metrics, results, roles.get(model))
        for model, results in models.items()
        if not all(result.status.withdrawn for result in results)
    ]
    rows.sort(key=lambda row: (metrics[0] not in row.means, -row.means.get(metrics[0], 0.0)))
    records = [r.record for results in models.values() for r in results if r.record]
    return Leaderboard(
        dataset,
        split,
        metrics,
        rows,
        records[0].users if records else None,
        any(record.sampled for record in records) if records else None,
        worst_audit(records).verdict if records else None,
        (
            *(budget_notes(models) if records else ()),
            *(split_notes(records) if records else ()),
            *(ranking_notes(records[0]) if records else ()),
            *(sampled_notes(records[0], metrics) if records else ()),
            *withdrawn_notes(models),
        ),
    )


def _row(model: str, metrics: Sequence[str], results: list[Result], given: Role | None) -> Row:
    statuses = [result.status for result in results]
    records = [result.record for result in results if result.record]
    role, notes = given, notes_on_runs(results)
    if not records:
        words = {"failed": "failed", "leased": "running"}
        state = words.get(statuses[0].state, "not run")
        return Row(model, {}, {}, 0, state, tuple(notes), role=role)
    first = records[0].model
    values = {m: [r.metrics[m] for r in records] for m in metrics}
    return Row(
        model,
        {m: fmean(v) for m, v in values.items()},
        {m: stdev(v) for m, v in values.items()} if len(records) > 1 else {},
        len(records),
        worst_state(records),
        (*notes, *notes_on_results(results)),
        sum(s.reopened for s in statuses),
        records[0].groups,
        trials=trials_made(records),
        role=role or first.role or default_role(first.family),
    )


def _printed(experiment: Experiment, board: Leaderboard) -> tuple[Row, ...]:
    """Return a row for each model and source of printed values of a table."""
    sources: dict[tuple[str, str, str], list[Printed]] = {}
    for value in experiment.printed:
        if value.dataset in (None, board.dataset) and value.split in (None, board.split):
            sources.setdefault((value.model, value.source, value.protocol), []).append(value)
    rows = [
        Row(
            model,
            {one.metric: one.value for one in found},
            {one.metric: one.spread for one in found if one.spread is not None},
            found[0].seeds or 0,
            "printed",
            tuple(filter(None, (source, protocol))),
        )
        for (model, source, protocol), found in sources.items()
    ]
    first = board.metrics[0]
    return tuple(sorted(rows, key=lambda row: -row.means.get(first, float("-inf"))))


def worst_state(records: Iterable[Record]) -> State:
    """Return the state of the result that was tuned least."""
    return min((record.state for record in records), key=STATES.index)


def _checks(expected: Iterable[Expected], board: Leaderboard) -> list[ExpectationCheck]:
    rows = {row.model: row for row in board.rows}
    return [
        ExpectationCheck(
            e,
            board.dataset,
            board.split,
            rows[e.model].means.get(e.metric) if e.model in rows else None,
            rows[e.model].reopened if e.model in rows else 0,
        )
        for e in expected
        if e.dataset in (None, board.dataset) and e.split in (None, board.split)
    ]


def best_values(board: Leaderboard) -> dict[str, float]:
    """Return the highest value of each column; of no column where higher is not better."""
    best: dict[str, float] = {}
    for metric in board.metrics:
        if parse_metric(metric).definition.kind == "lists":
            continue
        values = [row.means[metric] for row in board.rows if metric in row.means]
        if values:
            best[metric] = max(values)
    return best
