"""MLflow as people run it: a server on SQLite and one on PostgreSQL, and what arrives there."""

import json
import os
import re
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest

from recrepro.errors import RecreproError
from recrepro.tracking.client import connect
from recrepro.tracking.content import metric_key
from recrepro.tracking.store import CELLS, existing_target

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
ARTIFACTS = {"cell.json", "record.json", "experiment.toml", "audit.json", "per_user.parquet"}
ARTIFACTS |= {"model.npz"}
TUNING = {"trials.json", "trials.csv", "tuning.svg"}
SYNC = """
import sys
from pathlib import Path
from recrepro.spec.experiment import load_experiment
from recrepro.store.ledger import Ledger
from recrepro.tracking.mirror import MlflowMirror
from recrepro.store.workspace import Workspace
file, root = map(Path, sys.argv[1:])
hashed = load_experiment(file).grid_hash
MlflowMirror(Ledger.in_workspace(root), Workspace(root), "toy", hashed, file.read_text()).sync()
"""


@pytest.fixture
def sent(server, toy, monkeypatch):
    """The server, with the results of the small grid on it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    toy.sync()
    return server


def test_a_sync_that_is_killed_is_completed_by_the_next(
    server, toy, monkeypatch, tmp_path, until, run_until
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    before = existing_target(server, "toy")
    for run in before.runs("") if before else []:
        before.client.delete_run(run.info.run_id)

    def trials_there():
        target = existing_target(server, "toy")
        return target is not None and len(target.runs("tags.`recrepro.kind` = 'trial'")) >= 2

    command = [sys.executable, "-c", SYNC, str(toy.file), str(toy.workspace.root)]
    with run_until(command, tmp_path / "log") as process:
        until(trials_there, process, "the sync")
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    marks = [run.data.tags.get("recrepro.complete") for run in cells(server)]
    assert None in marks
    assert toy.sync() == 7 - len([mark for mark in marks if mark])
    check_copy(server, toy)


def test_the_copy_is_the_ledger_and_a_second_sync_sends_nothing(sent, toy):
    check_copy(sent, toy)
    assert toy.sync() == 0
    check_copy(sent, toy)


def test_a_run_whose_files_were_deleted_on_the_server_is_sent_again(sent, toy):
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    run = cells(sent)[0]
    get_artifact_repository(run.info.artifact_uri, sent).delete_artifacts("experiment.toml")
    (found,) = json.loads(toy.output("status", "--format", "json"))["experiments"]
    assert found["mlflow"]["unsent"] == 1
    assert toy.sync() == 1
    check_copy(sent, toy)


def cells(server):
    return existing_target(server, "toy").runs(CELLS)


def check_copy(server, toy):
    """Compare all runs of the server with the ledger."""
    target = existing_target(server, "toy")
    runs = {run.data.tags["recrepro.cell"]: run for run in target.runs(CELLS)}
    assert len(runs) == len(target.runs(CELLS)) == 7
    with toy.ledger() as ledger:
        members = ledger.members("toy", toy.experiment.grid_hash)
        expected_trials = 0
        for member in members:
            status, run = ledger.status(member.cell), runs.pop(member.cell)
            assert (
                run.data.params.items()
                >= {k: str(v) for k, v in member.name.model_dump().items()}.items()
            )
            trials = target.runs(f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
            if status.record is None:
                assert (run.info.status, trials) == ("FAILED", [])
                continue
            assert run.info.status == "FINISHED"
            files = {file.path for file in target.client.list_artifacts(run.info.run_id)}
            tuning = TUNING if ledger.trials(member.cell) else set()
            assert files == ARTIFACTS | tuning
            for name, value in status.record.metrics.items():
                assert run.data.metrics[metric_key(name)] == value
            by_number = {int(trial.data.tags["recrepro.trial"]): trial for trial in trials}
            stored = ledger.trials(member.cell)
            expected_trials += len(stored)
            assert len(trials) == len(by_number) == len(stored)
            for trial in stored:
                there = by_number[trial.number].data
                assert there.params.items() >= {k: str(v) for k, v in trial.params.items()}.items()
                for name, value in trial.metrics.items():
                    assert there.metrics[f"validation.{metric_key(name)}"] == value
                losses = [(row["epoch"], row["loss"]) for row in trial.curve]
                history = target.client.get_metric_history(
                    by_number[trial.number].info.run_id, "training.loss"
                )
                assert [(point.step, point.value) for point in history] == losses
        assert runs == {}
        assert len(target.runs("tags.`recrepro.kind` = 'trial'")) == expected_trials


NIGHTLY = pytest.mark.nightly
"""Formats are written after reading: one from each reader is enough on every push."""


@pytest.mark.parametrize(
    "form", ["text", "json", pytest.param("md", marks=NIGHTLY), pytest.param("csv", marks=NIGHTLY)]
)
def test_the_leaderboard_from_the_server_is_that_of_the_workspace(sent, toy, form):
    there = toy.output("leaderboard", "--format", form, "--mlflow", sent)
    assert there == toy.output("leaderboard", "--format", form)
    assert "lost" in there


def test_the_comparison_from_the_server_is_that_of_the_workspace(sent, toy):
    there = toy.output("compare", "--format", "json", "--mlflow", sent)
    assert json.loads(there) == json.loads(toy.output("compare", "--format", "json"))
    assert "low" in there


def documented_searches():
    """What docs/mlflow.md promises that searches find, and the searches."""
    text = (ROOT / "docs/mlflow.md").read_text().partition("## Searching")[2]
    rows = re.findall(r"^\| ([^|]+) \| `+([^|]+?)`+ \|$", text, re.MULTILINE)
    return [row for row in rows if set(row[0]) != {"-"}]


FOUND = {
    "tested models, without trials": lambda r: r.kind == "cell",
    "those above a value": lambda r: r.kind == "cell" and r.value > 0.3,
    "all trials of one model": lambda r: r.kind == "trial" and r.model == "ease",
    "its good trials": lambda r: r.kind == "trial" and r.model == "ease" and r.validation > 0.2,
    "trials of one run": lambda r: r.kind == "trial" and r.model == "ease" and r.seed == 1,
    "tuned models on one data set": lambda r: r.kind == "cell" and r.model in ("ease", "gmf"),
    "all on one data set, as MLflow lists it": lambda r: r.kind == "cell" and r.done,
    "neural models": lambda r: r.kind == "cell" and r.model == "gmf",
    "what may stand in one table": lambda r: r.kind == "cell" and r.done,
    "splits that are not clean": lambda r: r.kind == "cell" and r.done and r.audit != "clean",
    "test part opened more than once": lambda _: False,
    "run from a checkout with uncommitted changes": lambda r: r.kind == "cell" and r.dirty,
    "what failed": lambda r: not r.done,
}


def everything(toy):
    """What the ledger says that there is, one row for each run."""
    rows = []
    with toy.ledger() as ledger:
        for member in ledger.members("toy", toy.experiment.grid_hash):
            record = ledger.status(member.cell).record
            row = {
                **member.name.model_dump(),
                "kind": "cell",
                "trial": "",
                "done": record is not None,
            }
            row |= {"value": float("nan"), "validation": float("nan"), "audit": "", "dirty": False}
            if record is not None:
                row["value"] = record.metrics["ndcg@10"]
                row["audit"] = record.split.audit.verdict
                row["dirty"] = bool(record.provenance.code.dirty)
            rows.append(row)
            for trial in ledger.trials(member.cell):
                value = trial.metrics["ndcg@10"]
                rows.append(row | {"kind": "trial", "trial": str(trial.number), "done": True})
                rows[-1] |= {"validation": value}
    return pd.DataFrame(rows)


def test_the_searches_of_the_docs_find_what_they_say(sent, toy):
    searches = documented_searches()
    assert [what for what, _ in searches] == list(FOUND)
    target, rows = existing_target(sent, "toy"), everything(toy)
    (parent,) = target.runs(f"{CELLS} AND params.model = 'ease' AND params.seed = '1'")
    for what, written in searches:
        text = written.replace("<run id>", parent.info.run_id)
        text = text.replace("<fingerprint>", parent.data.tags["recrepro.protocol"])
        text = text.replace("'tuned'", "'searched'")  # this grid has few trials
        found = {
            (tags["recrepro.kind"], tags["recrepro.model"], tags["recrepro.seed"], number)
            for tags in (run.data.tags for run in target.runs(text))
            for number in [tags.get("recrepro.trial", "")]
        }
        expected = {
            (row.kind, row.model, str(row.seed), row.trial)
            for row in rows.itertuples()
            if FOUND[what](row)
        }
        assert found == expected, f"{what}: {text}"


def test_a_server_that_has_never_heard_of_the_experiment_is_told_apart(server, toy, tmp_path):
    other = toy.copied(tmp_path)
    other.file = other.file.rename(tmp_path / "unknown.toml")
    with pytest.raises(RecreproError, match="has nothing of 'unknown'"):
        other.output("leaderboard", "--mlflow", server)
    assert connect(server).get_experiment_by_name("unknown") is None
