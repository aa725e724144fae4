"""Is a model better than the best tuned baseline: yes, no, or not shown."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from recrepro.analysis.leaderboard import comparable
from recrepro.analysis.per_user import by_model
from recrepro.analysis.reference import best_on_validation, records_of
from recrepro.analysis.significance import Comparison, PairedTests
from recrepro.errors import UsageError
from recrepro.evaluation.definitions import parse_metric
from recrepro.models import Role, default_role
from recrepro.store.records import Record
from recrepro.store.results import Result

Answer = Literal["yes", "no", "not shown"]

LEVEL = 0.05
"""Corrected p-values below this count as shown."""


@dataclass(frozen=True)
class ModelVerdict:
    """A judged model, compared with the baseline of its table.

    Parameters
    ----------
    model : str
        Title.
    family : str
        Where it is from: simple, neural, custom or external.
    answer : {"yes", "no", "not shown"}
        Is it better? "yes" and "no" (it is worse) only where the corrected p-value is below 0.05.
    users : int
        Those that it shares with the baseline.
    comparison : Comparison or None
        Model less baseline; its `randomisation` is the p-value of the paired test. None if they
        share no users.
    p : float or None
        That p-value, corrected by Holm for the models that are judged in this table.
    fit_ratio, tune_ratio : float or None
        Seconds that its final fit, and its tuning, took, for each second of the baseline's; None
        if one of the two is not known or 0.
    energy_ratio : float or None
        The same of the joules that the machine took in the whole cell.
    notes : tuple of str
        What a reader has to know.
    """

    model: str
    family: str
    answer: Answer
    users: int
    comparison: Comparison | None
    p: float | None
    fit_ratio: float | None
    tune_ratio: float | None
    energy_ratio: float | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BoardVerdict:
    """The verdicts of one table: a data set, a split and a protocol.

    Parameters
    ----------
    dataset, split : str
        Titles.
    protocol : str or None
        Fingerprint, as on leaderboards.
    metric : str
        What was compared.
    baseline : str or None
        The simple model that the others were compared with; None if there is none.
    chosen_by : {"validation", "test"} or None
        How it was chosen. By its value on validation, so that the choice does not favour it; on
        test only where no simple model was tuned.
    baseline_value : float or None
        The value by which it was chosen.
    models : tuple of ModelVerdict
        In the order of the experiment; empty if the table has no model that is judged.
    notes : tuple of str
        What a reader has to know.
    """

    dataset: str
    split: str
    protocol: str | None
    metric: str
    baseline: str | None
    chosen_by: Literal["validation", "test"] | None
    baseline_value: float | None
    models: tuple[ModelVerdict, ...]
    notes: tuple[str, ...] = ()


def may_be_judged(metric: str) -> bool:
    """Say whether more of a metric is better."""
    return parse_metric(metric).definition.kind != "lists"


def judge(
    results: Iterable[Result],
    metric: str,
    roles: Mapping[str, Role] | None = None,
    *,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> list[BoardVerdict]:
    """Compare each judged model of an experiment with its best baseline.

    Parameters
    ----------
    results : iterable of Result
        Those of an experiment; cells without a record are left out.
    metric : str
        Metric that is compared, where more is better.
    roles : mapping of str to {"baseline", "judged"}, optional
        Roles that the experiment gives now, by title; the others are those of the records.
    n_resamples : int
        Bootstrap samples, and draws of the randomisation test.
    seed : int
        Of both.

    Returns
    -------
    list of BoardVerdict
        One for each data set, split and protocol, in the order of the leaderboards.

    Raises
    ------
    UsageError
        If the metric has no better and worse, or no values of users.
    """
    if not may_be_judged(metric):
        raise UsageError(
            f"{metric!r} has no better and worse: a verdict needs a metric of accuracy, such as "
            "ndcg@10."
        )
    return [
        _judge_board(dataset, split, protocol, found, metric, roles or {}, n_resamples, seed)
        for (dataset, split), protocols in comparable(r for r in results if r.record).items()
        for protocol, found in protocols.items()
    ]


def _judge_board(
    dataset: str,
    split: str,
    protocol: str | None,
    results: list[Result],
    metric: str,
    roles: Mapping[str, Role],
    n_resamples: int,
    seed: int,
) -> BoardVerdict:
    records = records_of(results)
    families = {model: found[0].model.family for model, found in records.items()}
    given = {
        model: roles.get(model) or found[0].model.role or default_role(families[model])
        for model, found in records.items()
    }
    judged = [model for model, role in given.items() if role == "judged"]
    simple = {m: found for m, found in records.items() if given[m] == "baseline"}
    notes = []
    baseline, chosen_by, value = _best_baseline(simple, metric)
    if chosen_by == "test":
        notes.append(
            "no baseline was tuned: the baseline is the best on test, which favours it, and is "
            "weaker than a tuned one may be"
        )
    place = (dataset, split, protocol, metric, baseline, chosen_by, value)
    if baseline is None or not judged:
        if judged:
            notes.append("no baseline has a result: there is nothing to compare with")
        nothing = [
            ModelVerdict(m, families[m], "not shown", 0, None, None, None, None, None)
            for m in judged
        ]
        return BoardVerdict(*place, tuple(nothing), tuple(notes))
    needed = [r for r in results if r.name.model in {baseline, *judged}]
    tests = PairedTests(by_model(needed, [metric]), n_resamples, seed)
    verdicts = []
    for model, test in tests.compare(judged, baseline, metric).items():
        p = test.corrected.get("randomisation")
        fit, tune, joules = (_ratio(records[model], records[baseline], cost) for cost in COSTS)
        verdicts.append(
            ModelVerdict(
                model,
                families[model],
                _answer(test.comparison, p),
                test.users,
                test.comparison,
                p,
                fit,
                tune,
                joules,
                tuple(_notes(records[model], records[baseline])),
            )
        )
    return BoardVerdict(*place, tuple(verdicts), tuple(notes))


def _best_baseline(
    simple: dict[str, list[Record]], metric: str
) -> tuple[str | None, Literal["validation", "test"] | None, float | None]:
    """Choose by the value on validation among what was tuned; else by that on test."""
    if chosen := best_on_validation(simple):
        return chosen[0], "validation", chosen[1]
    test = {m: fmean(r.metrics[metric] for r in found) for m, found in simple.items()}
    if not test:
        return None, None, None
    best = max(test, key=lambda model: test[model])
    return best, "test", test[best]


def _answer(comparison: Comparison | None, p: float | None) -> Answer:
    if comparison is None or p is None or p >= LEVEL:
        return "not shown"
    return "yes" if comparison.difference > 0 else "no"


def _seconds(lap: str) -> Callable[[Record], float | None]:
    return lambda record: record.times[lap].wall_s if lap in record.times else None


COSTS: tuple[Callable[[Record], float | None], ...] = (
    _seconds("fit"),
    _seconds("tune"),
    lambda record: record.energy_joules,
)
"""Costs of a model in a record: of its final fit, of its tuning, and in energy."""


def _ratio(
    records: list[Record], baseline: list[Record], cost: Callable[[Record], float | None]
) -> float | None:
    own, other = ([known for r in found if (known := cost(r))] for found in (records, baseline))
    if len(own) < len(records) or len(other) < len(baseline):
        return None
    return fmean(own) / fmean(other)


def _notes(records: list[Record], baseline: list[Record]) -> Iterable[str]:
    status = records[0].model.status
    if status in ("fixed", "untuned"):
        yield f"{status}: its hyperparameters were not searched"
    if status == "external":
        yield "scored from a run file: nobody knows how it was tuned"
    machines = {r.provenance.processor for r in [*records, *baseline]}
    if len(machines) > 1 and status != "external":
        yield "times are from different machines"


def tally(boards: Iterable[BoardVerdict]) -> dict[str, dict[Answer, int]]:
    """Count, for each model, the tables in which it is better, is not, or neither is shown."""
    counts: dict[str, dict[Answer, int]] = {}
    for board in boards:
        for model in board.models:
            row = counts.setdefault(model.model, {"yes": 0, "no": 0, "not shown": 0})
            row[model.answer] += 1
    return counts
