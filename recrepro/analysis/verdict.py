"""Is a model better than the best tuned baseline, worse, equivalent, or is evidence missing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Literal

import numpy as np

from recrepro.analysis import costs, evidence
from recrepro.analysis.costs import Clock
from recrepro.analysis.families import holm
from recrepro.analysis.inference import LEVEL
from recrepro.analysis.leaderboard import comparable
from recrepro.analysis.per_user import by_model
from recrepro.analysis.reference import best_on_validation, records_of
from recrepro.analysis.significance import Comparison, PairedTests
from recrepro.errors import UsageError
from recrepro.evaluation.definitions import parse_metric
from recrepro.models import Role, default_role
from recrepro.spec.experiment import Experiment
from recrepro.store.records import Record
from recrepro.store.results import Result

Outcome = Literal["better", "worse", "equivalent", "not enough evidence"]
OUTCOMES: tuple[Outcome, ...] = ("better", "worse", "equivalent", "not enough evidence")


@dataclass(frozen=True)
class Reference:
    """The baseline that a model is compared with.

    Parameters
    ----------
    model : str
        Title.
    chosen_by : {"validation", "test"}
        How it was chosen among the baselines that use at least what the model uses. By its value
        on validation, so that the choice does not favour it; on test only where none was tuned.
    value : float
        The value by which it was chosen.
    """

    model: str
    chosen_by: Literal["validation", "test"]
    value: float


@dataclass(frozen=True)
class ModelVerdict:
    """A judged model, compared with a baseline of its table.

    Parameters
    ----------
    model : str
        Title.
    family : str
        Where it is from: simple, neural, custom or external.
    outcome : {"better", "worse", "equivalent", "not enough evidence"}
        What is shown. Equivalent: the difference is shown to be smaller than the margin.
    missing : tuple of str
        Why there is not enough evidence, whatever the values are. Empty if all that a verdict
        needs is there; the outcome then depends on the values alone.
    reference : Reference or None
        The baseline; None if no baseline uses what the model uses.
    users : int
        Those that it shares with the baseline.
    comparison : Comparison or None
        Model less baseline, with its chance over users and seeds. None if they share no users.
    p : float or None
        P-value of no difference, corrected by Holm for the models that are judged in this table.
    p_equivalent : float or None
        P-value of a difference of at least the margin, corrected likewise.
    fit_ratio, tune_ratio : float or None
        Seconds that its final fit, and its tuning, took, for each second of the baseline's; None
        if one of the two is not known or 0.
    energy_ratio : float or None
        The same of the joules that the machine took in the whole cell.
    notes : tuple of str
        What a reader has to know.
    clock : {"processor", "wall"} or None
        Which seconds those are. Those of the processor, which other work on the machine does not
        lengthen, where both models have them and neither used a GPU. None if no ratio is known.
    """

    model: str
    family: str
    outcome: Outcome
    missing: tuple[str, ...]
    reference: Reference | None = None
    users: int = 0
    comparison: Comparison | None = None
    p: float | None = None
    p_equivalent: float | None = None
    fit_ratio: float | None = None
    tune_ratio: float | None = None
    energy_ratio: float | None = None
    notes: tuple[str, ...] = ()
    clock: Clock | None = "wall"


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
    margin : float
        The smallest effect of interest, as a share of the baseline's value.
    models : tuple of ModelVerdict
        In the order of the experiment; empty if the table has no model that is judged.
    notes : tuple of str
        What a reader has to know.
    """

    dataset: str
    split: str
    protocol: str | None
    metric: str
    margin: float
    models: tuple[ModelVerdict, ...]
    notes: tuple[str, ...] = ()


def may_be_judged(metric: str) -> bool:
    """Say whether more of a metric is better."""
    return parse_metric(metric).definition.kind != "lists"


def judge(
    results: Iterable[Result],
    experiment: Experiment,
    *,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> list[BoardVerdict]:
    """Compare each judged model of an experiment with the best baseline that uses as much.

    Parameters
    ----------
    results : iterable of Result
        Those of an experiment; cells without a record are left out.
    experiment : Experiment
        The experiment as it is now: metric, margin, and roles where it gives some.
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
    metric = experiment.selection_metric
    if not may_be_judged(metric):
        raise UsageError(
            f"{metric!r} has no better and worse: a verdict needs a metric of accuracy, such as "
            "ndcg@10."
        )
    boards = []
    for (dataset, split), protocols in comparable(r for r in results if r.record).items():
        for protocol, found in protocols.items():
            table = _Table(found, experiment, n_resamples, seed)
            margin = experiment.verdict.margin
            models = table.verdicts()
            boards.append(BoardVerdict(dataset, split, protocol, metric, margin, models))
    return boards


class _Table:
    """The results of one table, of which models are judged."""

    def __init__(
        self, results: list[Result], experiment: Experiment, n_resamples: int, seed: int
    ) -> None:
        self._results = results
        self._metric = experiment.selection_metric
        self._margin = experiment.verdict.margin
        self._n_resamples, self._seed = n_resamples, seed
        self._records = records_of(results)
        given = {
            title: experiment.roles.get(title) or _role(found[0])
            for title, found in self._records.items()
        }
        self._judged = [title for title, role in given.items() if role == "judged"]
        self._baselines = {t: r for t, r in self._records.items() if given[t] == "baseline"}

    @cached_property
    def _tests(self) -> PairedTests:
        """Tests on the values of the judged models and their references, each read once."""
        pools = (evidence.peers(self._baselines, self._records[title]) for title in self._judged)
        references = {r.model for pool in pools if (r := _best_baseline(pool, self._metric))}
        needed = [r for r in self._results if r.name.model in {*self._judged, *references}]
        values = by_model(needed, [self._metric])
        return PairedTests(values, self._n_resamples, self._seed)

    def verdicts(self) -> tuple[ModelVerdict, ...]:
        found = [self._compared(title) for title in self._judged]
        compared = [verdict for verdict in found if verdict.p is not None]
        for name in ("p", "p_equivalent"):
            corrected = holm(np.array([getattr(verdict, name) for verdict in compared]))
            compared = [
                replace(verdict, **{name: p})
                for verdict, p in zip(compared, corrected.tolist(), strict=True)
            ]
        corrected_of = {verdict.model: verdict for verdict in compared}
        whole = [corrected_of.get(verdict.model, verdict) for verdict in found]
        return tuple(replace(verdict, outcome=_outcome(verdict)) for verdict in whole)

    def _compared(self, title: str) -> ModelVerdict:
        """Compare a model with its baseline; p-values are not corrected yet."""
        own = self._records[title]
        pool = evidence.peers(self._baselines, own)
        every = [record for found in self._records.values() for record in found]
        missing = [
            *evidence.missing_of_gate(own),
            *evidence.missing_of_split(every),
            *evidence.missing_of_pool(own, self._baselines, pool),
        ]
        family = own[0].model.family
        reference = _best_baseline(pool, self._metric)
        if reference is None:
            missing = [*evidence.missing_of_model(own, title), *missing]
            return ModelVerdict(title, family, "not enough evidence", tuple(missing))
        if reference.chosen_by == "test":
            missing.append("no baseline was tuned")
        # The comparison is made on the repeats that both have: other repeats are no evidence in it.
        own, baseline = _in_shared_repeats(own, pool[reference.model])
        if not own:
            nothing = (
                f"{title} and the baseline {reference.model} share no seed or fold of the split"
            )
            missing = [nothing, *missing]
            return ModelVerdict(title, family, "not enough evidence", tuple(missing), reference)
        missing = [
            *evidence.missing_of_model(own, title),
            *missing,
            *evidence.missing_of_model(baseline, f"the baseline {reference.model}"),
        ]
        (fit, tune, joules), clock = costs.ratios(own, baseline)
        test = self._tests.compare([title], reference.model, self._metric)[title]
        p = p_equivalent = None
        if test.comparison is not None:
            margin = self._margin * abs(fmean(record.metrics[self._metric] for record in baseline))
            p, p_equivalent = test.comparison.t, test.comparison.estimate.equivalence(margin)
        return ModelVerdict(
            title,
            family,
            "not enough evidence",
            tuple(dict.fromkeys(missing)),
            reference,
            test.users,
            test.comparison,
            p,
            p_equivalent,
            fit,
            tune,
            joules,
            tuple(costs.notes(own, baseline)),
            clock,
        )


def _role(record: Record) -> Role:
    return record.model.role or default_role(record.model.family)


def _in_shared_repeats(
    first: Sequence[Record], second: Sequence[Record]
) -> tuple[list[Record], list[Record]]:
    shared = {r.name.repeat for r in first} & {r.name.repeat for r in second}
    one, other = ([r for r in found if r.name.repeat in shared] for found in (first, second))
    return one, other


def _best_baseline(pool: Mapping[str, Sequence[Record]], metric: str) -> Reference | None:
    """Choose by the value on validation among what was tuned; else by that on test."""
    if chosen := best_on_validation(pool):
        return Reference(chosen[0], "validation", chosen[1])
    test = {title: fmean(r.metrics[metric] for r in found) for title, found in pool.items()}
    if not test:
        return None
    best = max(test, key=lambda title: test[title])
    return Reference(best, "test", test[best])


def _outcome(verdict: ModelVerdict) -> Outcome:
    found = verdict.comparison
    if verdict.missing or found is None or verdict.p is None or verdict.p_equivalent is None:
        return "not enough evidence"
    if verdict.p_equivalent < LEVEL:
        return "equivalent"
    if verdict.p < LEVEL:
        return "better" if found.difference > 0 else "worse"
    return "not enough evidence"


def tally(boards: Iterable[BoardVerdict]) -> dict[str, dict[Outcome, int]]:
    """Count, for each model, the tables with each outcome."""
    counts: dict[str, dict[Outcome, int]] = {}
    for board in boards:
        for model in board.models:
            row = counts.setdefault(model.model, dict.fromkeys(OUTCOMES, 0))
            row[model.outcome] += 1
    return counts
