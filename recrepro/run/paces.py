"""How long a model takes: from its own trials, from earlier cells, or from a timed trial.

A model's trial takes as long as its trials in this workspace took (the median), those with equal
settings and on the same data if there are any, in proportion to the interactions in train. Where
there are none, a trial on a sample may be timed (`seconds_a_trial`); else it is not known. The
final fit and its test take what they took there, or as long as a trial.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.compute.threads import limited
from recrepro.errors import RecreproError
from recrepro.evaluation.evaluator import Evaluator
from recrepro.interactions import Interactions
from recrepro.model import IterativeRecommender, Recommender, training_data
from recrepro.randomness import generator
from recrepro.run.job import evaluator_of
from recrepro.run.materials import model_of
from recrepro.run.plan import Cell, Plan
from recrepro.spec.experiment import TuneSpec
from recrepro.splits.draw import Drawn
from recrepro.splits.sealed import TuningView
from recrepro.store.entries import CellWork
from recrepro.store.ledger import Ledger
from recrepro.store.records import Record

OTHER = {"model": "settings", "data": "data"}
"""What two cells may differ in, and what that is called."""

SAMPLE = 50_000
"""Interactions in train that the larger of two samples has, about."""


@dataclass(frozen=True)
class Pace:
    """How long a model takes: a trial, the final fit with its test, and how that is known."""

    trial: float
    final: float
    source: str

    def times(self, factor: float) -> "Pace":
        """Return it for more data."""
        return Pace(self.trial * factor, self.final * factor, self.source)


class Paces:
    """How long models took in a workspace.

    Parameters
    ----------
    records : iterable of Record
        Records of done cells.
    ledger : Ledger, optional
        Has their trials.
    """

    def __init__(self, records: Iterable[Record], ledger: Ledger | None) -> None:
        self._ledger = ledger
        self._records: dict[str, list[Record]] = {}
        for record in records:
            self._records.setdefault(record.model.name, []).append(record)
        self._trials: dict[str, float | None] = {}

    def of(self, cell: Cell, n_train: int) -> Pace | None:
        """Return how long a cell's model takes on so many interactions; None without records."""
        records = self._records.get(cell.model.name, [])
        source = "earlier cells"
        for part in ("model", "data"):
            own = getattr(cell.identity, part)
            same = [r for r in records if getattr(r.identity, part) == own]
            source += "" if same else f", other {OTHER[part]}"
            records = same or records
        paces = [pace for r in records if (pace := self._pace(r, n_train)) is not None]
        if not paces:
            return None
        return Pace(median(p.trial for p in paces), median(p.final for p in paces), source)

    def _pace(self, record: Record, n_train: int) -> Pace | None:
        before = record.split.parts["train"].interactions
        if not before or "fit" not in record.times:
            return None
        final = sum(record.times[lap].wall_s for lap in ("fit", "score"))
        trial = self.finished(record.cell)
        return Pace(final if trial is None else trial, final, "").times(n_train / before)

    def finished(self, cell: str) -> float | None:
        """Return how long a finished trial of a cell took; None if there is none."""
        if cell not in self._trials:
            trials = [] if self._ledger is None else self._ledger.trials(cell)
            seconds = [t.seconds for t in trials if t.state == "complete"]
            self._trials[cell] = median(seconds) if seconds else None
        return self._trials[cell]


class Pacer:
    """Finds out how long a cell takes: from its own trials, from records, or by trying."""

    def __init__(self, plan: Plan, known: Paces, threads: int, *, time_trials: bool) -> None:
        self._plan = plan
        self._known = known
        self._threads = threads
        self._time_trials = time_trials
        self._timed: dict[tuple[str, str], tuple[Pace | None, int]] = {}

    def of(self, cell: Cell, drawn: Drawn, work: CellWork | None) -> Pace | None:
        """Return how long a trial of a cell and its final fit take; None if that is not known."""
        if work is not None and work.state == "done":
            return None
        n_train = len(drawn.parts.train)
        pace = self._known.of(cell, n_train)
        if work is not None and work.state != "failed":
            own = self._known.finished(cell.key)
            if own is not None:
                return Pace(own, own if pace is None else pace.final, "its own trials")
        if pace is not None or not self._time_trials or not len(drawn.parts.validation):
            return pace
        of = (cell.name.dataset, cell.name.model)
        if of not in self._timed:
            self._timed[of] = (self._try(cell, drawn.tuning_view), n_train)
        timed, before = self._timed[of]
        return None if timed is None else timed.times(n_train / before)

    def _try(self, cell: Cell, view: TuningView) -> Pace | None:
        model = model_of(self._plan, cell)
        tune = self._plan.experiment.tune or TuneSpec(trials=1)
        evaluator = evaluator_of(self._plan.experiment, self._plan.items, cell.name.seed)
        try:
            with limited(self._threads):
                seconds = seconds_a_trial(model, view, evaluator, tune, cell.name.seed)
        except (ArithmeticError, MemoryError, RecreproError, RuntimeError, ValueError):
            return None  # as a trial that fails: a run will say why
        return Pace(seconds, seconds, "a timed trial")


def seconds_a_trial(
    model: Recommender, view: TuningView, evaluator: Evaluator, tune: TuneSpec, seed: int
) -> float:
    """Estimate how long it takes to fit a model and to rank the validation part.

    Two samples of the users are tried, one with half of the other's, and the line through both
    times is followed to all users. All items stay, because much depends on their number.

    Parameters
    ----------
    model : Recommender
        With the hyperparameters to be timed. One that learns in epochs is timed for two of them,
        and counted as if it never stopped before its last.
    view : TuningView
        Train and validation.
    evaluator : Evaluator
        What ranks.
    tune : TuneSpec
        Epochs between two validations, and how many users they look at.
    seed : int
        Draws the sample.
    """
    share = min(1.0, SAMPLE / max(1, len(view.train)))
    n_users = view.train.n_users
    place = generator(seed, "timing").permutation(n_users)
    n_looks = _looks(model, view, tune)

    def timed(part: float) -> float:
        sample = _sampled(view, place < part * n_users)
        return _timed(model, sample, evaluator, n_looks, seed)

    timed(share / 2)  # compiles loops, loads libraries
    larger = timed(share)
    if share == 1.0:
        return larger
    slope = max(0.0, larger - timed(share / 2)) / (share / 2)
    return larger + slope * (1 - share)


def _sampled(view: TuningView, users: NDArray[np.bool_]) -> TuningView:
    def some(part: Interactions) -> Interactions:
        return part.select(users[part.users])

    negatives = view.validation_negatives
    if negatives is not None:
        negatives = csr_array(negatives.multiply(users[:, None]))
        negatives.eliminate_zeros()
    shown = None if view.shown is None else some(view.shown)
    return TuningView(some(view.train), some(view.validation), negatives, shown)


def _looks(model: Recommender, view: TuningView, tune: TuneSpec) -> float:
    """Return how many validations on all users a trial takes as long as at most."""
    if not isinstance(model, IterativeRecommender):
        return 1.0
    n_looks = float(-(-model.config.epochs // tune.evaluate_every))
    n_users = np.count_nonzero(view.validation.user_counts)
    if tune.validation_users is None or tune.validation_users >= n_users:
        return n_looks
    return n_looks * tune.validation_users / n_users + (tune.compare_trials == "all")


def _timed(
    model: Recommender, view: TuningView, evaluator: Evaluator, n_looks: float, seed: int
) -> float:
    rng = generator(seed, "timing", "fit")
    marks = [time.perf_counter()]
    if isinstance(model, IterativeRecommender):
        epochs = model.fit_epochs(training_data(model, view.train), rng)
        for _ in range(min(2, model.config.epochs)):
            next(epochs)
            marks.append(time.perf_counter())
    else:
        model.fit(training_data(model, view.train), rng)
        marks.append(time.perf_counter())
    evaluator.evaluate(
        model,
        view.train,
        view.histories,
        view.validation,
        view.validation_negatives,
        seen=view.seen,
    )
    validation = time.perf_counter() - marks[-1]
    if not isinstance(model, IterativeRecommender):
        return marks[-1] - marks[0] + validation
    n_epochs: int = model.config.epochs
    rest = (n_epochs - 1) * (marks[-1] - marks[-2])
    return marks[1] - marks[0] + rest + n_looks * validation
