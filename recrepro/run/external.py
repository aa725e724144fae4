"""Recommendations of other programs, scored like the cells of an experiment."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.sparse import csr_array

from recrepro.data.formats.files import read_bytes
from recrepro.data.formats.read import read_published
from recrepro.data.runs import read_run
from recrepro.errors import DataError, UnknownName, UsageError
from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.evaluation.rankings import Evaluation
from recrepro.interactions import Interactions
from recrepro.labels import as_text, to_pandas
from recrepro.model import ModelConfig, Recommender
from recrepro.run.job import evaluator_of
from recrepro.run.materials import draw
from recrepro.run.outcome import measured, per_user_table, require_finite
from recrepro.run.plan import Cell, Plan
from recrepro.run.provenance import environment, peak_memory_bytes
from recrepro.spec.experiment import Experiment, ModelSpec
from recrepro.spec.explain import refusal
from recrepro.spec.identity import ExternalIdentity, Identity
from recrepro.store.ledger import Ledger
from recrepro.store.records import (
    Lap,
    Record,
    RecordedModel,
    SplitFacts,
)
from recrepro.store.results import result_digest
from recrepro.store.workspace import Workspace


class RunFile(Recommender):
    """Scores what a run file lists; nothing else is recommended.

    Parameters
    ----------
    scores : csr_array of float32, shape (n_users, n_items)
        Stored entries are the listed pairs, also where the score is 0.
    """

    class Config(ModelConfig):
        """Nothing to set."""

    def __init__(self, scores: csr_array) -> None:
        super().__init__()
        self.scores = scores

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:
        """Nothing is learned here."""
        del train, rng
        return self

    def score(self, users: NDArray[np.int32], histories: csr_array) -> NDArray[np.float32]:
        """Fill in the listed scores."""
        del histories
        listed = self.scores[users]
        rows = np.repeat(np.arange(len(users)), np.diff(listed.indptr))
        answer = np.full(listed.shape, -np.inf, np.float32)
        answer[rows, listed.indices] = listed.data
        return answer


@dataclass(frozen=True)
class SplitChoice:
    """Which of an experiment's splits a run file is for; None where there is only one."""

    dataset: str | None = None
    split: str | None = None
    seed: int | None = None
    fold: int | None = None


@dataclass(frozen=True, eq=False)
class Scored:
    """A run file that was scored.

    Parameters
    ----------
    evaluation : Evaluation
        Its values.
    notes : tuple of str
        What a reader has to know of the file.
    sampled : bool
        Whether held-out items were ranked against sampled negatives only.
    """

    evaluation: Evaluation
    notes: tuple[str, ...]
    sampled: bool


def evaluate_on_files(
    run: Path,
    train: Path,
    test: Path,
    metrics: Sequence[str],
    *,
    validation: Path | None = None,
    negatives: Path | None = None,
    file_format: str | None = None,
    run_format: str | None = None,
    columns: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Scored:
    """Score a run file on a split that lies in files; nothing is kept.

    Parameters
    ----------
    run, train, test, validation, negatives : Path
        The run file; the parts, as `recrepro.data.read_published` takes them. What is in train or
        validation is not recommended.
    metrics : sequence of str
        What to measure.
    file_format, columns
        Of the parts, as in `read_published`.
    run_format, columns
        Of the run file.
    seed : int
        Of the order of equal scores.
    """
    evaluator = Evaluator([parse_metric(metric) for metric in metrics], tie_seed=seed)
    frame = read_run(run, run_format, columns)
    parts_columns = {k: v for k, v in (columns or {}).items() if k not in ("score", "rank")}
    dataset = read_published(
        run.name, train, test, negatives, file_format, parts_columns, validation=validation
    )
    split = dataset.published
    assert split is not None
    known = split.train if split.validation is None else split.train.union(split.validation)
    return _score(frame, run, evaluator, known, known, split.test, split.negatives)


def check_title(name: str, experiment: Experiment, file: Path) -> None:
    """Check what tables are going to call a run file.

    Raises
    ------
    UsageError
        If a model could not have this name, or one of the experiment has it.
    """
    try:
        ModelSpec(name=name)
    except ValidationError as error:
        raise refusal(error, ModelSpec, "--name") from error
    if name in {model.title for model in experiment.models}:
        raise UsageError(f"{name!r} is a model of {file.name}: give the run file another --name.")


def score_on_plan(
    plan: Plan,
    ledger: Ledger,
    workspace: Workspace,
    frame: pd.DataFrame,
    run: Path,
    name: str,
    choice: SplitChoice,
) -> Record:
    """Score a run file on the test part of one of an experiment's splits.

    Parameters
    ----------
    plan : Plan
        The experiment with its data.
    ledger, workspace
        Where the values of users are stored.
    frame : DataFrame
        The run file as `recrepro.data.runs.read_run` returns it.
    run : Path
        The file itself, for its hash and for messages.
    name : str
        Its name in tables.
    choice : SplitChoice
        The split to score it on.

    Returns
    -------
    Record
        The result, for `Ledger.add_external`.

    Raises
    ------
    UsageError
        If the experiment has no such split, or several.
    DataError
        If the file does not fit the data.
    """
    cell = _chosen(plan.cells, choice)
    drawn = draw(plan, cell)
    parts = drawn.parts
    evaluator = evaluator_of(plan.experiment, plan.items, cell.name.seed)
    started = time.time()
    shown = parts.known if parts.test_shown is None else parts.known.union(parts.test_shown)
    fitted = parts.known if plan.experiment.evaluate.validation == "refit" else parts.train
    scored = _score(frame, run, evaluator, fitted, shown, parts.test, drawn.test_negatives)
    whole = cell.identity
    identity = Identity(
        data=whole.data,
        external=ExternalIdentity(name=name, sha256=hashlib.sha256(read_bytes(run)).hexdigest()),
        harness=whole.harness,
        metrics=whole.metrics,
        ranking=whole.ranking,
        split=whole.split,
        **({} if whole.features is None else {"features": whole.features}),
    )
    per_user = per_user_table(scored.evaluation, parts.test.user_ids)
    return Record(
        schema_version=3,
        cell=identity.key,
        result_digest=result_digest(identity.key, {}, scored.evaluation.means, per_user),
        name=cell.name.model_copy(update={"model": name}),
        identity=identity,
        protocol=identity.protocol_fingerprint,
        model=RecordedModel(
            name=name,
            family="external",
            role="judged",
            version=None,
            params={},
            status="external",
            notes=list(scored.notes),
        ),
        tuning=None,
        **measured(scored.evaluation, fitted),
        sampled=scored.sampled,
        split=SplitFacts.model_validate(drawn.facts),
        per_user=workspace.write_blob(per_user, partial(ledger.announce, identity.key)),
        times={"score": Lap(wall_s=round(time.time() - started, 3))},
        peak_memory_bytes=peak_memory_bytes(),
        started_at=started,
        ended_at=time.time(),
        provenance=environment(),
    )


def _chosen(cells: Sequence[Cell], choice: SplitChoice) -> Cell:
    """Return a cell of the split that is meant, or say which there are."""
    left = list(cells)
    for what, wanted in (
        ("dataset", choice.dataset),
        ("split", choice.split),
        ("seed", choice.seed),
        ("fold", choice.fold),
    ):
        known = list(dict.fromkeys(getattr(cell.name, what) for cell in left))
        if wanted is None and len(known) > 1:
            raise UsageError(
                f"the experiment has {len(known)} {what}s, {', '.join(map(str, known))}: say which "
                f"one the run file is for with --{what}."
            )
        if wanted is not None:
            left = [cell for cell in left if getattr(cell.name, what) == wanted]
            if not left:
                raise UnknownName(what, str(wanted), [str(k) for k in known if k is not None])
    return left[0]


def _score(
    frame: pd.DataFrame,
    run: Path,
    evaluator: Evaluator,
    fitted: Interactions,
    shown: Interactions,
    test: Interactions,
    negatives: csr_array | None,
) -> Scored:
    rows = {
        "user": pd.Index(to_pandas(as_text(test.user_ids))).get_indexer(pd.Index(frame["user"])),
        "item": pd.Index(to_pandas(as_text(test.item_ids))).get_indexer(pd.Index(frame["item"])),
    }
    for what, found in rows.items():
        if (found < 0).any():
            unknown = frame.loc[found < 0, what]
            raise DataError(
                f"{run} names {unknown.nunique()} {what}s that the data set does not have, first "
                f"{unknown.iloc[0]!r}. Labels must be those of the data."
            )
    # Places instead of scores: in float32, scores that differ could be equal.
    order = frame.groupby("user", sort=False)["score"].rank(method="dense", ascending=False)
    scores = csr_array(
        (-order.to_numpy(np.float32), (rows["user"], rows["item"])), shape=test.shape
    )
    scores.sort_indices()
    evaluation = evaluator.evaluate(RunFile(scores), fitted, shown, test, negatives)
    require_finite(evaluation)
    notes = tuple(_notes(evaluator, evaluation, scores, shown.matrix))
    return Scored(evaluation, notes, sampled=negatives is not None)


def _notes(
    evaluator: Evaluator, evaluation: Evaluation, scores: csr_array, shown: csr_array
) -> Iterator[str]:
    lengths = np.diff(scores.indptr)[evaluation.users]
    without = int((lengths == 0).sum())
    if without == len(lengths):
        raise DataError(
            f"none of the {without} users with held-out items is in the run file. Does it belong "
            "to this split?"
        )
    if without:
        yield f"{without:,} of {len(lengths):,} test users have no list and score 0"
    listed = csr_array((np.ones(scores.nnz, np.int8), scores.indices, scores.indptr), scores.shape)
    seen = csr_array((np.ones(shown.nnz, np.int8), shown.indices, shown.indptr), shown.shape)
    n_seen = int((listed[evaluation.users] * seen[evaluation.users]).sum())
    if n_seen and evaluator.seen == "removed":
        yield f"{n_seen:,} listed items are in the user's history and are left out"
    cutoffs = [metric.k for metric in evaluator.metrics if metric.k is not None]
    shortest = int(lengths[lengths > 0].min())
    if cutoffs and shortest < max(cutoffs):
        yield f"some lists have {shortest} items only, and metrics reach to {max(cutoffs)}"
    uncut = [metric.name for metric in evaluator.metrics if metric.k is None]
    if uncut:
        yield f"{', '.join(uncut)} of what is listed: a run file does not rank everything"
