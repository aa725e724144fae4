"""One cell: split -> tune -> refit -> open the test part once -> record.

All of it runs in a process that cannot open the test part by itself: the key is asked for when the
final model is fitted, and whoever has it writes the opening to the ledger first.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from recrepro.compute.checkpoint import Checkpoint
from recrepro.compute.failpoints import reach
from recrepro.custom.fingerprint import fingerprint
from recrepro.custom.load import resolve_model
from recrepro.errors import ModelError
from recrepro.evaluation.evaluator import Evaluator
from recrepro.features import Features
from recrepro.interactions import Interactions
from recrepro.model import EpochStats, IterativeRecommender, Recommender, training_data
from recrepro.models import default_role, family_of
from recrepro.randomness import generator
from recrepro.run.confinement import Means
from recrepro.run.energy import EnergyMeter
from recrepro.run.events import EpochFinished, FitKnown, Said, StageBegun, TrialFinished
from recrepro.run.first_look import first_look
from recrepro.run.job import Job
from recrepro.run.outcome import (
    RANKINGS,
    can_rescore,
    measured,
    per_user_table,
    search_outcome,
)
from recrepro.run.provenance import code_of, code_state, environment, packages, peak_memory_bytes
from recrepro.run.weights import weights_of
from recrepro.space import contains, declared_space
from recrepro.spec.budget import Budget
from recrepro.spec.experiment import ModelSpec
from recrepro.splits.keys import lock
from recrepro.splits.sealed import StoredSplit, TuningView
from recrepro.store.ledger import Ledger
from recrepro.store.records import (
    Hindsight,
    Lap,
    Record,
    RecordedCode,
    RecordedModel,
    RecordedRankings,
    SplitFacts,
    Trial,
)
from recrepro.store.results import result_digest
from recrepro.store.workspace import Workspace
from recrepro.tuning.hindsight import look_back
from recrepro.tuning.suggestions import load_ahead
from recrepro.tuning.tuner import Tuner, best_of, chosen_params, search_space

Emit = Callable[[Said], None]


class _Stopwatch:
    """Wall and processor seconds since the last lap."""

    def __init__(self) -> None:
        self.laps: dict[str, Lap] = {}
        self._mark = (time.perf_counter(), time.process_time())

    def lap(self, name: str) -> None:
        now = (time.perf_counter(), time.process_time())
        wall, processor = (b - a for a, b in zip(self._mark, now, strict=True))
        self.laps[name] = Lap(wall_s=round(wall, 3), cpu_s=round(processor, 3))
        self._mark = now


def get_ready() -> None:
    """Do what every cell needs and takes a while, as long as there is no cell yet."""
    load_ahead()
    packages()


def run_cell(
    job: Job,
    unseal: Callable[[], bytes],
    emit: Emit = lambda _: None,
    deliver: Callable[[str], None] = lambda _: None,
    confined_by: Sequence[Means] = (),
) -> None:
    """Run a leased cell and commit its record.

    Parameters
    ----------
    job : Job
        What to do.
    unseal : callable
        Has the opening of the test part written to the ledger, then returns its key; raises
        `SealError` if it must not be opened.
    emit : callable
        Is told about stages and trials as they happen, as plain values.
    deliver : callable
        Has a blob, named by its hash, where the coordinator finds it when it returns.
    confined_by : sequence of {"audit hook", "landlock"}
        What keeps this process from reading the raw data.
    """
    ledger = Ledger(job.ledger, patient=True)
    workspace = Workspace(Path(job.workspace))
    model_class = _model_of(job)
    split, evaluator = StoredSplit(Path(job.split_folder)), job.evaluator
    started = time.time()
    # Looked at now, because files may be edited while the cell runs.
    code_state()
    own_code = code_of(model_class, job.model_spec.target, job.identity.model)
    notes = first_look(job, model_class, split, ledger, emit)
    watch, energy = _Stopwatch(), EnergyMeter()

    def say(event: Said) -> None:
        energy.read()
        emit(event)

    trials = _tune(job, model_class, split, evaluator, ledger, workspace, say, job.features)
    watch.lap("tune")

    config = chosen_params(model_class, job.model_spec, trials)
    params = config.model_dump(mode="json")
    fit = job.identity.fit_key(params)
    if not job.anew and can_rescore(job.identity, evaluator, ledger.fitted(job.cell, fit)):
        ledger.close()
        say(FitKnown())  # the coordinator, which has the key of the rankings, does the rest
        return
    say(StageBegun(stage="final fit"))
    fitted, known = split.fitted(bytes.fromhex(job.tuning_key), job.spec.evaluate.validation)
    model = model_class(config).with_features(job.features)
    _fit(job, model, fitted, workspace, say)
    watch.lap("fit")

    say(StageBegun(stage="test"))
    opened = split.sealed(unseal).open()
    task = opened.view(fitted, known, job.spec.evaluate.validation)
    rankings = evaluator.rank(
        model,
        fitted,
        task.histories,
        opened.test,
        opened.negatives,
        seen=task.seen,
        keep=True,
    )
    evaluation = evaluator.measure(rankings, fitted)
    watch.lap("score")

    joules, peak, ended = energy.read(), peak_memory_bytes(), time.time()

    optional: dict[str, Any] = {}
    store = partial(workspace.write_blob, announce=partial(ledger.announce, job.cell))
    if job.identity.hindsight:
        say(StageBegun(stage="hindsight"))
        optional["hindsight"] = _look_back(job, model, task, evaluator, say)
        watch.lap("hindsight")
    if job.keep_model:
        weights = weights_of(model)
        optional["weights"] = None if weights is None else store(weights)
    per_user = per_user_table(evaluation, opened.user_ids)
    kept = RecordedRankings(
        sha256=store(lock(RANKINGS, opened.rankings_key, rankings.arrays())),
        depth=rankings.lists.shape[1],
    )
    record = Record(
        schema_version=3,
        cell=job.cell,
        result_digest=result_digest(job.cell, params, evaluation.means, per_user),
        name=job.name,
        identity=job.identity,
        protocol=job.identity.protocol_fingerprint,
        experiment=job.experiment,
        base=job.base,
        model=_recorded_model(job, model, own_code, notes, timed=fitted.times is not None),
        tuning=search_outcome(model_class, job.model_spec, job.spec.selection_metric, trials),
        curve=list(model.curve) if isinstance(model, IterativeRecommender) else [],
        **measured(evaluation, fitted),
        sampled=opened.negatives is not None,
        split=SplitFacts.model_validate(split.facts),
        openings=list(ledger.openings(job.cell)),
        per_user=store(per_user),
        times=watch.laps,
        energy_joules=joules,
        peak_memory_bytes=peak,
        started_at=started,
        ended_at=ended,
        provenance=environment(),
        fit=fit,
        rankings=kept,
        **({"confined_by": list(confined_by)} if confined_by else {}),
        **optional,
    )
    for blob in filter(None, (record.per_user, kept.sha256, record.weights)):
        deliver(blob)
    ledger.commit(job.token, record)
    reach("record-committed")
    ledger.close()
    shutil.rmtree(workspace.checkpoints(job.cell), ignore_errors=True)


def _model_of(job: Job) -> type[Recommender]:
    """Return the class of the model, unless its code has changed since the run began."""
    spec = job.model_spec
    model = resolve_model(spec.name, spec.target, Path(job.base))
    planned = job.identity.model
    if planned is not None and planned.code not in (None, fingerprint(model)):
        raise ModelError(
            f"the code of {spec.title!r} was changed after the run began. Run the same command "
            "again, which takes the new code."
        )
    return model


def _fit(
    job: Job, model: Recommender, train: Interactions, workspace: Workspace, say: Emit
) -> None:
    """Fit the final model; a long training goes on from where an interrupted one has stopped."""
    assert job.identity.fit is not None
    train, fit = training_data(model, train), job.identity.fit
    # The first fit has the seed that it has where it is the only one.
    rng = generator(fit.seed, "fit", *(() if fit.number is None else (fit.number,)))
    if isinstance(model, IterativeRecommender):
        model.checkpoint = Checkpoint(workspace.checkpoints(job.cell) / "fit.npz")
        model.fit(train, rng, lambda stats: say(_epoch(stats)))
    else:
        model.fit(train, rng)


def _look_back(
    job: Job, model: Recommender, task: TuningView, evaluator: Evaluator, say: Emit
) -> Hindsight:
    assert job.tune_spec is not None
    return look_back(
        type(model),
        job.model_spec,
        model.config,
        job.tune_spec,
        task,
        evaluator,
        job.spec.selection_metric,
        job.name.seed,
        features=model.features,
        on_epoch=lambda stats: say(_epoch(stats)),
    )


def _recorded_model(
    job: Job,
    model: Recommender,
    code: RecordedCode | None,
    notes: list[str],
    *,
    timed: bool,
) -> RecordedModel:
    family, status = family_of(type(model)), _status(job, type(model))
    uses = [kind for kind in model.information() if timed or kind not in ("order", "times")]
    if status == "tuned":
        notes = [*notes, *_fixed_outside(model, job.model_spec)]
    return RecordedModel(
        name=job.model_spec.name,
        family=family,
        role=job.model_spec.role or default_role(family),
        version=model.version,
        params=model.config.model_dump(mode="json"),
        status=status,
        **({} if code is None else {"code": code}),
        **({"notes": notes} if notes else {}),
        **({"deterministic": True} if model.deterministic else {}),
        **({"uses": uses} if uses else {}),
    )


def _fixed_outside(model: Recommender, spec: ModelSpec) -> Iterator[str]:
    """Name hyperparameters of a tuned model that are fixed outside of what it would search."""
    for name, declared in declared_space(model.Config).items():
        if name in spec.params and not contains(declared, spec.params[name]):
            yield f"{name} is fixed at {spec.params[name]}, outside of its own range"


def _tune(
    job: Job,
    model_class: type[Recommender],
    split: StoredSplit,
    evaluator: Evaluator,
    ledger: Ledger,
    workspace: Workspace,
    emit: Emit,
    features: Features | None,
) -> list[Trial]:
    tune = job.tune_spec
    if tune is None:
        return []
    tuner = Tuner(
        model_class,
        job.model_spec,
        tune,
        split.tuning_view(bytes.fromhex(job.tuning_key)),
        evaluator,
        job.spec.selection_metric,
        job.name.seed,
        budget=job.budget,
        checkpoints=workspace.checkpoints(job.cell),
        on_epoch=lambda stats: emit(_epoch(stats)),
        features=features,
    )
    trials = ledger.trials(job.cell)

    def on_trial(trial: Trial) -> None:
        reach("trial-finished")
        ledger.add_trial(job.cell, job.token, trial)
        reach("trial-stored")
        trials.append(trial)
        emit(_progress(trials, tuner.budget))

    emit(_progress(trials, tuner.budget))
    return tuner.run(tuple(trials), on_trial)


def _progress(trials: list[Trial], budget: Budget) -> TrialFinished:
    best = best_of(trials)
    return TrialFinished(
        finished=len(trials),
        total=budget.trials,
        share=budget.share([trial.seconds for trial in trials]),
        best=best.value if best else None,
        seconds=trials[-1].seconds if trials else None,
    )


def _epoch(stats: EpochStats) -> EpochFinished:
    return EpochFinished(epoch=stats.epoch, values=dict(stats.values))


def _status(
    job: Job, model_class: type[Recommender]
) -> Literal["tuned", "fixed", "untuned", "parameter-free"]:
    """Say how the hyperparameters came about: tuned, fixed, untuned, or there are none."""
    if not model_class.Config.model_fields:
        return "parameter-free"
    if job.tune_spec is not None and search_space(model_class, job.model_spec):
        return "tuned"
    return "fixed" if job.model_spec.params else "untuned"
