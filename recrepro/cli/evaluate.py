"""What `recrepro evaluate` does: run files of other programs, scored by the one evaluator."""

import contextlib
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from recrepro.cli.run import finish_mirror, print_leaderboard
from recrepro.data.formats.files import read_bytes
from recrepro.data.runs import read_run
from recrepro.errors import UsageError
from recrepro.run.external import Choice, _chosen, _score
from recrepro.run.plan import make_plan
from recrepro.run.provenance import environment, peak_memory_bytes
from recrepro.spec.experiment import ModelSpec, load_experiment
from recrepro.spec.explain import explain
from recrepro.spec.identity import cell_key, protocol_fingerprint
from recrepro.splits.sealed import histories
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.records import RECORD_SCHEMA, measured, per_user_table, result_digest
from recrepro.store.workspace import Workspace
from recrepro.tracking.background import BackgroundMirror
from recrepro.tracking.mirror import MlflowMirror


def evaluate_on_experiment(
    console: Console,
    run: Path,
    name: str,
    experiment_file: Path,
    choice: Choice,
    data_dir: Path | None,
    workspace: Path,
    *,
    file_format: str | None = None,
    columns: Mapping[str, str] | None = None,
    ledger_url: str | None = None,
) -> None:
    """Score a run file on the test part of an experiment's split; print the leaderboard with it.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    run : Path
        The file.
    name : str
        What tables call it.
    experiment_file : Path
        The experiment; nothing of it has to be run before.
    choice : Choice
        Which of its splits.
    data_dir, workspace, ledger_url
        As for `recrepro run`.
    file_format, columns
        As in `recrepro.data.runs.read_run`.
    """
    experiment = load_experiment(experiment_file)
    try:
        ModelSpec(name=name)
    except ValidationError as error:
        raise UsageError(explain(error, ModelSpec, "--name")) from error
    if name in {model.title for model in experiment.models}:
        raise UsageError(
            f"{name!r} is a model of {experiment_file.name}: give the run file another --name."
        )
    frame = read_run(run, file_format, columns)
    plan = make_plan(experiment, experiment_file.parent, data_dir, progress=False)
    cell = _chosen(plan.cells, choice)
    drawn = plan.draw(cell)
    parts = drawn.parts
    evaluator = plan.evaluator(cell.seed)
    started = time.time()
    shown = histories(parts.known, parts.test_shown)
    scored = _score(frame, run, evaluator, parts.known, shown, parts.test, drawn.test_negatives)
    shared = {k: v for k, v in cell.identity.items() if k not in ("model", "tuning")}
    digest = hashlib.sha256(read_bytes(run)).hexdigest()
    identity = {**shared, "external": {"name": name, "sha256": digest}}
    member = Member(cell_key(identity), {**cell.titles, "model": name})
    place = Workspace.create(workspace)
    record = {
        "schema": RECORD_SCHEMA,
        "cell": member.cell,
        "result_digest": result_digest(member.cell, {}, scored.evaluation),
        "titles": member.titles,
        "identity": identity,
        "protocol": protocol_fingerprint(identity),
        "model": {
            "name": name,
            "family": "external",
            "version": None,
            "params": {},
            "status": "external",
            "notes": list(scored.notes),
        },
        "tuning": None,
        **measured(scored.evaluation, parts.known, shown),
        "sampled": scored.sampled,
        "split": drawn.facts,
        "per_user": place.write_blob(per_user_table(scored.evaluation, parts.test)),
        "times": {"score": {"wall_s": round(time.time() - started, 3)}},
        "peak_memory_bytes": peak_memory_bytes(),
        "started_at": started,
        "ended_at": time.time(),
        "provenance": environment(),
    }
    with contextlib.closing(Ledger.in_workspace(place.root, ledger_url)) as ledger:
        source = experiment_file.read_text(encoding="utf-8")
        planned = [(one.member, one.identity) for one in plan.cells]
        ledger.plan(experiment_file.stem, experiment.grid_hash, source, planned)
        ledger.add_external(experiment_file.stem, member, identity, record)
        mirror = BackgroundMirror(
            MlflowMirror(ledger, place, experiment_file.stem, experiment.grid_hash, source)
        )
        mirror.poke()
        print_leaderboard(console, experiment, experiment_file.stem, ledger, place)
        finish_mirror(console, mirror, place, workspace)
