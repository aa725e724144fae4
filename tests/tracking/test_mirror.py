"""The MLflow copy: complete, found by search, made once, made again after it was torn."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click
import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from mlflow.entities import FileInfo
from support.results import make_identity, make_name, make_record

from recrepro.cli import ui
from recrepro.errors import RecreproError, first_line
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.records import Trial
from recrepro.store.workspace import Workspace
from recrepro.text.redact import redacted
from recrepro.tracking.background import BackgroundMirror
from recrepro.tracking.client import connect
from recrepro.tracking.content import metric_key
from recrepro.tracking.copies import Copy, WholeCopies, mark_of
from recrepro.tracking.mirror import MlflowMirror
from recrepro.tracking.store import runs_pages, set_up_store
from recrepro.tracking.writer import RunWriter

EASE, BROKEN = (make_name(model, split="temporal") for model in ("ease", "broken"))
PARTS = {
    "data": {"fingerprint": "f" * 64},
    "tuning": {"sampler": "tpe", "metric": "ndcg@10"},
    "fit": {"trials": 3},
}
IDENTITIES = {
    identity.key: identity
    for identity in (make_identity(changes={**PARTS, "hindsight": look}) for look in (False, True))
}
"""Two cells that share the trials of a search."""
CELL, OTHER = IDENTITIES


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def workspace(tmp_path, empty_store):
    workspace = Workspace.create(tmp_path / "runs")
    shutil.copy(empty_store, workspace.root / "mlflow.db")
    return workspace


@pytest.fixture
def ledger(workspace):
    ledger = Ledger.in_workspace(workspace.root)
    plan(ledger, "hash", (CELL, EASE), (OTHER, BROKEN))
    token = ledger.lease(CELL)
    for number, value in enumerate([0.1, 0.3, None]):
        ledger.add_trial(CELL, token, trial(number, value))
    ledger.commit(token, record(workspace))
    ledger.fail(OTHER, ledger.lease(OTHER), "no memory")
    yield ledger
    ledger.close()


def plan(ledger, grid_hash, *cells):
    """List cells, by key and name, in a version of the experiment."""
    members = [(Member(*cell), IDENTITIES[cell[0]]) for cell in cells]
    ledger.plan("toy", grid_hash, "text", members)


def trial(number, value):
    failed = value is None
    return Trial(
        number,
        {"l2": 10.0 + number},
        "failed" if failed else "complete",
        value,
        {} if failed else {"ndcg@10": value},
        reason="LinAlgError: singular" if failed else "",
        seconds=0.5,
        curve=[
            {"epoch": 1, "loss": 9.0},
            {"epoch": 2, "loss": 4.0, "ndcg@10": 0.35},
            {"epoch": 3, "loss": 2.0, "ndcg@10": 0.2},
        ],
    )


def record(workspace, cell=CELL, **more):
    frame = pd.DataFrame({"user": [1, 2], "ndcg@10": [0.5, 0.0]})
    changes = {
        "protocol": "p" * 64,
        "split": {"fingerprint": "s" * 64},
        "result_digest": "digest",
        "model": {"params": {"l2": 11.0, "long": "x" * 300}},
        "tuning": {"trials": 3, "failed": 1, "best": trial(1, 0.3).to_json()},
        "curve": [{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 1.0}],
        "metrics": {"ndcg@10": 0.25, "ndcg[recsys2019]@5": 0.125},
        "per_user": workspace.write_blob(frame.to_parquet()),
        "times": {"fit": {"wall_s": 1.5, "cpu_s": 1.0}},
        "started_at": 1_700_000_000.0,
        "ended_at": 1_700_000_060.0,
        "provenance": {"code": {"commit": "abc", "dirty": True, "diff": "e" * 64}},
    }
    return make_record(identity=IDENTITIES[cell], split="temporal", changes=changes | more)


@pytest.fixture
def mirror(ledger, workspace):
    return MlflowMirror(ledger, workspace, "toy", "hash", "claim = 1\n")


def client(workspace):
    from mlflow import MlflowClient

    return MlflowClient(workspace.mlflow_store)


def search(workspace, text=""):
    mlflow = client(workspace)
    experiment = mlflow.get_experiment_by_name("toy")
    return mlflow.search_runs([experiment.experiment_id], filter_string=text)


def cell_run(workspace, model="ease"):
    """The run of a cell."""
    (run,) = search(
        workspace, f"tags.`recrepro.kind` = 'cell' and tags.`recrepro.model` = '{model}'"
    )
    return run


def test_a_cell_is_a_parent_run_with_a_child_for_each_trial(mirror, workspace):
    assert mirror.sync() == 2
    (parent,) = search(
        workspace, "tags.`recrepro.kind` = 'cell' and attributes.status = 'FINISHED'"
    )
    assert parent.data.params["l2"] == "11.0"
    assert parent.data.params["long"] == "x" * 300
    assert parent.data.metrics["ndcg_at_10"] == 0.25
    assert parent.data.metrics["ndcg.recsys2019_at_5"] == 0.125
    assert parent.data.metrics["validation.ndcg_at_10"] == 0.3
    assert len(parent.data.tags["recrepro.complete"]) == 64
    assert parent.data.tags["recrepro.budget"] == "3 trials each (TPE)"
    assert parent.data.tags["mlflow.source.git.commit"] == "abc"
    assert parent.info.start_time == 1_700_000_000_000
    assert parent.info.end_time == 1_700_000_060_000
    children = search(workspace, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert len(children) == 3
    assert sorted(c.info.status for c in children) == ["FAILED", "FINISHED", "FINISHED"]
    assert {c.data.params["l2"] for c in children} == {"10.0", "11.0", "12.0"}


def test_a_pruned_trial_is_marked_with_its_reason(mirror, ledger, workspace, monkeypatch):
    pruned = replace(trial(0, 0.1), state="pruned", reason="below the median")
    monkeypatch.setattr(ledger, "trials", lambda _: [pruned])
    mirror.sync()
    (child,) = search(workspace, "tags.`recrepro.kind` = 'trial'")
    assert child.info.status == "KILLED"
    assert child.data.tags["mlflow.note.content"] == "Pruned: below the median"


def test_a_trial_has_its_epochs_as_steps_beside_the_value_that_counts(mirror, workspace):
    mirror.sync()
    (child,) = search(workspace, "tags.`recrepro.trial` = '1'")
    assert child.data.metrics["validation.ndcg_at_10"] == 0.3
    history = client(workspace).get_metric_history
    steps = [
        (m.step, m.value) for m in history(child.info.run_id, "training.validation.ndcg_at_10")
    ]
    assert steps == [(2, 0.35), (3, 0.2)]
    steps = [(m.step, m.value) for m in history(child.info.run_id, "training.loss")]
    assert steps == [(1, 9.0), (2, 4.0), (3, 2.0)]


def test_a_cell_has_the_epochs_of_its_final_fit_and_of_its_best_trial(mirror, workspace):
    mirror.sync()
    parent = cell_run(workspace)
    history = client(workspace).get_metric_history
    steps = [(m.step, m.value) for m in history(parent.info.run_id, "training.loss")]
    assert steps == [(1, 3.0), (2, 1.0)]
    steps = [(m.step, m.value) for m in history(parent.info.run_id, "training.best_trial.loss")]
    assert steps == [(1, 9.0), (2, 4.0), (3, 2.0)]
    assert parent.data.metrics["training.best_trial.validation.ndcg_at_10"] == 0.2


def test_tags_say_how_a_cell_was_measured(mirror, workspace):
    mirror.sync()
    tags = cell_run(workspace).data.tags
    assert tags["recrepro.protocol"] == "p" * 64
    assert tags["recrepro.family"] == "simple"
    assert tags["recrepro.status"] == "searched"  # two complete trials
    assert tags["recrepro.ranking"] == "full"
    assert tags["recrepro.audit"] == "clean"
    assert tags["mlflow.runName"] == "ease · temporal · toy · seed 1"
    assert tags["mlflow.source.name"] == "recrepro run (toy)"


def test_data_set_and_split_are_inputs_with_our_digests(mirror, workspace):
    from mlflow.data import get_source

    mirror.sync()
    inputs = cell_run(workspace).inputs.dataset_inputs
    listed = {(i.dataset.name, i.dataset.digest, i.tags[0].value) for i in inputs}
    assert listed == {
        ("toy", "f" * 32, "training"),
        ("toy · temporal · seed 1", "s" * 32, "testing"),
    }
    for found in inputs:
        assert get_source(found.dataset).to_dict()["tags"]


def test_what_is_too_long_for_mlflow_is_cut_and_says_so(ledger, workspace, mirror):
    params = {f"p{n}": "y" * 7000 for n in range(120)}
    long = record(workspace, OTHER, model={"params": params})
    ledger.commit(ledger.lease(OTHER), long)
    mirror.sync()
    params = cell_run(workspace, "broken").data.params
    assert len([name for name in params if name.startswith("p")]) == 120
    assert len(params["p7"]) == 6000
    assert params["p7"].endswith("[cut; whole in the artifacts]")


def test_more_epochs_than_a_call_takes_all_arrive(ledger, workspace, mirror):
    curve = [{"epoch": n, "loss": float(n), "rate": 0.5} for n in range(1, 1201)]
    ledger.commit(ledger.lease(OTHER), record(workspace, OTHER, curve=curve))
    mirror.sync()
    run_id = cell_run(workspace, "broken").info.run_id
    values = [m.value for m in client(workspace).get_metric_history(run_id, "training.loss")]
    assert sorted(values) == list(range(1, 1201))


def test_a_cell_that_two_workspaces_sent_at_once_stays_one_run(mirror, workspace):
    mirror.sync()
    mlflow, parent = client(workspace), cell_run(workspace)
    twin = mlflow.create_run(parent.info.experiment_id, tags=parent.data.tags)
    assert mirror.sync() == 0
    (left,) = search(workspace, "tags.`recrepro.model` = 'ease' and tags.`recrepro.kind` = 'cell'")
    assert left.info.run_id in (parent.info.run_id, twin.info.run_id)


def test_a_cell_that_is_sent_while_another_workspace_sends_it_stays_one_run(
    mirror, ledger, workspace, monkeypatch
):
    class Other(RunWriter):
        """Another workspace ends its copy of the same cell just before ours is done."""

        def write(self, member, status, tags):
            super().write(member, status, tags)
            super().write(member, status, tags)

    monkeypatch.setattr("recrepro.tracking.writer.RunWriter", Other)
    assert mirror.sync() == 2
    assert len(search(workspace, "tags.`recrepro.kind` = 'cell'")) == 2
    assert len(search(workspace, "tags.`recrepro.kind` = 'trial'")) == 3


def test_a_cell_says_where_it_stands_in_each_version_of_the_experiment(mirror, ledger, workspace):
    mirror.sync()
    plan(ledger, "other", (OTHER, BROKEN), (CELL, EASE))
    MlflowMirror(ledger, workspace, "toy", "other", "claim = 2\n").sync()
    tags = cell_run(workspace).data.tags
    assert (tags["recrepro.place.hash"], tags["recrepro.place.other"]) == ("0", "1")
    plan(ledger, "other", (OTHER, BROKEN))
    MlflowMirror(ledger, workspace, "toy", "other", "claim = 2\n").sync()
    tags = cell_run(workspace).data.tags
    assert "recrepro.place.other" not in tags
    assert tags["recrepro.place.hash"] == "0"


def test_artifacts_hold_record_experiment_users_and_trials(mirror, workspace, tmp_path):
    mirror.sync()
    (parent,) = search(
        workspace, "attributes.status = 'FINISHED' and tags.`recrepro.kind` = 'cell'"
    )
    folder = Path(client(workspace).download_artifacts(parent.info.run_id, "", str(tmp_path)))
    assert sorted(path.name for path in folder.iterdir()) == [
        "audit.json",
        "cell.json",
        "experiment.toml",
        "per_user.parquet",
        "record.json",
        "runs",
        "trials.csv",
        "trials.json",
        "tuning.svg",
    ]
    assert json.loads((folder / "audit.json").read_text())["verdict"] == "clean"
    trials = json.loads((folder / "trials.json").read_text())
    assert [row["loss"] for row in trials[2]["curve"]] == [9.0, 4.0, 2.0]
    assert "best so far" in (folder / "tuning.svg").read_text()
    record = json.loads((folder / "record.json").read_text())
    assert record["metrics"]["ndcg@10"] == 0.25
    assert pd.read_parquet(folder / "per_user.parquet")["ndcg@10"].mean() == 0.25
    assert pd.read_csv(folder / "trials.csv")["l2"].tolist() == [10.0, 11.0, 12.0]


def test_a_failed_cell_is_a_failed_run_with_its_reason(mirror, workspace):
    mirror.sync()
    (failed,) = search(workspace, "tags.`recrepro.kind` = 'cell' and attributes.status = 'FAILED'")
    assert failed.data.tags["mlflow.note.content"] == "Failed: no memory"


def test_a_second_sync_copies_nothing(mirror, workspace):
    mirror.sync()
    before = {run.info.run_id for run in search(workspace)}
    assert mirror.sync() == 0
    assert {run.info.run_id for run in search(workspace)} == before


def test_a_run_that_was_torn_is_made_anew(mirror, workspace):
    mirror.sync()
    (parent,) = search(
        workspace, "tags.`recrepro.model` = 'ease' and tags.`recrepro.kind` = 'cell'"
    )
    client(workspace).set_tag(parent.info.run_id, "recrepro.complete", "")
    assert mirror.sync() == 1
    assert len(search(workspace, "tags.`recrepro.kind` = 'cell'")) == 2
    assert len(search(workspace, "tags.`recrepro.kind` = 'trial'")) == 3


NEEDED = ["cell.json", "experiment.toml", "record.json", "audit.json", "per_user.parquet"]
NEEDED += ["trials.json", "trials.csv"]


def test_a_run_whose_files_are_gone_is_sent_again(mirror, ledger, workspace):
    mirror.sync()
    folder = workspace.root / "mlflow-artifacts"
    files = folder / "toy" / cell_run(workspace).info.run_id / "artifacts"

    def missing():
        return MlflowMirror(ledger, workspace, "toy", "hash", "claim = 1\n").missing()

    assert missing() == 0
    for name in NEEDED:
        (files / name).rename(workspace.root / name)
        assert missing() == 1, name
        (workspace.root / name).rename(files / name)
    shutil.rmtree(folder)
    assert missing() == 2
    again = MlflowMirror(ledger, workspace, "toy", "hash", "claim = 1\n")
    assert (again.sync(), again.sync(), missing()) == (2, 0, 0)
    assert len(search(workspace, "tags.`recrepro.kind` = 'cell'")) == 2
    assert len(search(workspace, "tags.`recrepro.kind` = 'trial'")) == 3
    files = folder / "toy" / cell_run(workspace).info.run_id / "artifacts"
    assert {path.name for path in files.iterdir()} == {*NEEDED, "tuning.svg"}


def test_a_workspace_that_was_moved_has_its_copies(mirror, ledger, workspace):
    mirror.sync()
    moved = Workspace(workspace.root.rename(workspace.root.with_name("moved")))
    assert MlflowMirror(ledger, moved, "toy", "hash", "claim = 1\n").missing() == 0


class Listing:
    """A client that knows the names of the files of runs."""

    def __init__(self, *names):
        self.names, self.asked = names, 0

    def list_artifacts(self, run_id):
        self.asked += 1
        return [FileInfo(name, is_dir=False, file_size=1) for name in self.names]


@pytest.mark.parametrize(
    ("uri", "artifacts", "names", "whole"),
    [
        ("https://mlflow.example.org", "mlflow-artifacts:/1/r/artifacts", ["cell.json"], False),
        ("https://mlflow.example.org", "s3://bucket/r", ["cell.json", "experiment.toml"], True),
        # In a folder of another machine, which nobody can look into from here.
        ("https://mlflow.example.org", "/srv/mlruns/1/r/artifacts", [], True),
        ("postgresql://db.example.org/mlflow", "file:///srv/mlruns/1/r/artifacts", [], True),
        ("http://localhost:5000", "/no/such/mlruns/1/r/artifacts", [], False),
    ],
)
def test_files_on_a_server_are_listed_once_where_that_is_possible(
    ledger, workspace, uri, artifacts, names, whole
):
    member, status = Member(OTHER, BROKEN), ledger.status(OTHER)
    copy, client = Copy("r", mark_of(member, status), artifacts), Listing(*names)
    copies = WholeCopies(ledger, workspace, uri)
    for _ in range(2):
        assert copies.of(member, status, [copy], client) == (["r"] if whole else [])
    assert client.asked == bool(names) * (1 if whole else 2)


def test_a_run_that_was_deleted_in_mlflow_sent_again_and_restored_is_there_once(mirror, workspace):
    mirror.sync()
    first = cell_run(workspace).info.run_id
    client(workspace).delete_run(first)  # as MLflow's pages do: its trials stay
    assert mirror.sync() == 1
    assert len(search(workspace, "tags.`recrepro.kind` = 'trial'")) == 3
    client(workspace).restore_run(first)
    assert mirror.sync() == 0
    left = cell_run(workspace).info.run_id
    trials = search(workspace, "tags.`recrepro.kind` = 'trial'")
    assert [run.data.tags["mlflow.parentRunId"] for run in trials] == [left] * 3


@pytest.fixture
def _full_disk():
    """A disk that has no page left for MLflow's database."""

    def fill(connection, _):
        (_, _, path), *_ = connection.execute("PRAGMA database_list")
        if Path(path).name == "mlflow.db":
            connection.execute("PRAGMA max_page_count=1")  # it never takes pages that are used

    sa.event.listen(sa.engine.Engine, "connect", fill)
    yield
    sa.event.remove(sa.engine.Engine, "connect", fill)


@pytest.mark.usefixtures("_full_disk")
def test_a_full_disk_is_one_line_without_a_traceback(mirror, ledger, workspace, capsys):
    curve = [{"epoch": n, "loss": float(n)} for n in range(1, 401)]
    ledger.commit(ledger.lease(OTHER), record(workspace, OTHER, curve=curve))
    with pytest.raises(Exception, match="disk is full") as caught:
        mirror.sync()
    assert first_line(caught.value) == "(sqlite3.OperationalError) database or disk is full"
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines
    assert all(re.match(r"mlflow\.[\w.]+: .*OperationalError: .*disk is full", x) for x in lines)


SET_UP = """
import os, sys
from pathlib import Path
import sqlalchemy as sa
from recrepro.tracking.store import set_up_store
from recrepro.store.workspace import Workspace
left = 60
@sa.event.listens_for(sa.engine.Engine, "before_cursor_execute")
def die(*_):
    global left
    left -= 1
    if left == 0:
        os._exit(9)
set_up_store(Workspace(Path(sys.argv[1])))
"""


@pytest.mark.slow
def test_a_run_that_is_killed_while_mlflow_makes_its_database_leaves_none(mirror, workspace):
    (workspace.root / "mlflow.db").unlink()
    killed = subprocess.run([sys.executable, "-c", SET_UP, str(workspace.root)], check=False)
    assert killed.returncode == 9
    assert mirror.sync() == 2
    assert list(workspace.root.glob(".draft-*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_what_is_left_of_a_deleted_database_does_not_get_into_the_new_one(
    workspace, tmp_path, journal
):
    if journal == "wal":  # as the ledger, which shows that the disk allows it
        Ledger.in_workspace(workspace.root).close()
    path = workspace.root / "mlflow.db"
    path.unlink()
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE ghost (x)")
        shutil.copy(tmp_path / "other.db-wal", f"{path}-wal")
    set_up_store(workspace)
    with closing(sqlite3.connect(path)) as made:
        tables = {name for (name,) in made.execute("SELECT name FROM sqlite_master")}
        assert made.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert made.execute("PRAGMA journal_mode").fetchone() == (journal,)
    assert "runs" in tables
    assert "ghost" not in tables


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.99])
def test_a_database_of_mlflow_that_was_cut_off_ends_no_run_and_is_reported(
    mirror, workspace, share
):
    path = workspace.root / "mlflow.db"
    os.truncate(path, int(share * path.stat().st_size))
    background = BackgroundMirror(mirror)
    background.poke()
    background.close()
    assert background.error is not None


@pytest.mark.nightly  # a sweep
def test_a_sync_that_is_cut_off_at_any_call_is_completed_by_the_next(
    mirror, ledger, workspace, tmp_path, monkeypatch
):
    class Killed(BaseException):
        pass

    class Dying:
        """A client that dies at one of its calls."""

        def __init__(self, client, left):
            self._client, self._left = client, left

        def __getattr__(self, name):
            def call(*args, **kwargs):
                self._left -= 1
                if self._left == 0:
                    raise Killed
                return getattr(self._client, name)(*args, **kwargs)

            return call

    empty, cut = (workspace.root / "mlflow.db").read_bytes(), 0
    while True:
        cut += 1
        (workspace.root / "mlflow.db").write_bytes(empty)
        with monkeypatch.context() as patched:
            patched.setattr(
                "recrepro.tracking.store.connect", lambda uri, n=cut: Dying(connect(uri), n)
            )
            patched.setattr(
                "recrepro.tracking.mirror.connect", lambda uri, n=cut: Dying(connect(uri), n)
            )
            try:
                mirror.sync()
            except Killed:
                mirror_again = MlflowMirror(ledger, workspace, "toy", "hash", "claim = 1\n")
            else:
                break
        mirror_again.sync()
        runs = search(workspace, "tags.`recrepro.kind` = 'cell'")
        assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED"], cut
        assert all(run.data.tags["recrepro.complete"] for run in runs), cut
        assert len(search(workspace, "tags.`recrepro.kind` = 'trial'")) == 3, cut
        assert MlflowMirror(ledger, workspace, "toy", "hash", "claim = 1\n").sync() == 0
    assert cut > 20


def test_a_failed_cell_that_is_mended_replaces_its_run(mirror, ledger, workspace):
    mirror.sync()
    token = ledger.lease(OTHER)
    ledger.commit(token, record(workspace, OTHER))
    assert mirror.sync() == 1
    runs = search(workspace, "tags.`recrepro.kind` = 'cell'")
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]


def test_a_cell_under_a_new_title_replaces_its_run(mirror, ledger, workspace):
    mirror.sync()
    plan(ledger, "hash", (CELL, make_name("steck", split="temporal")))
    assert mirror.sync() == 1
    runs = search(workspace, f"tags.`recrepro.cell` = '{CELL}'")
    assert [run.data.params["model"] for run in runs] == ["steck"]


def test_an_experiment_that_was_deleted_in_mlflow_is_named(mirror, workspace):
    mirror.sync()
    mlflow = client(workspace)
    mlflow.delete_experiment(mlflow.get_experiment_by_name("toy").experiment_id)
    with pytest.raises(RecreproError, match="was deleted in MLflow"):
        mirror.sync()


def test_a_dead_server_ends_no_run_and_is_reported(mirror, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    background = BackgroundMirror(mirror)
    background.poke()
    background.close()
    assert background.error is not None
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert mirror.sync() == 2


def test_a_close_at_the_worst_moment_still_ends_the_thread(mirror, monkeypatch):
    class ClosedWhileCleared(threading.Event):
        """`close` comes in just before the wish is cleared, and is cleared with it."""

        def clear(self):
            background._closing = True
            super().clear()

    monkeypatch.setattr("recrepro.tracking.background.threading.Event", ClosedWhileCleared)
    monkeypatch.setattr(mirror, "sync", lambda: 0)
    background = BackgroundMirror(mirror)
    background.poke()
    background._thread.join(timeout=30)
    assert not background._thread.is_alive()


def test_an_error_ends_the_thread_without_another_copy_and_no_copy_needs_none():
    class Counting:
        copies = 0

        def sync(self):
            self.copies += 1
            copied.set()
            return 0

    copied, mirror = threading.Event(), Counting()
    background = BackgroundMirror(mirror)

    def interrupted():
        with background:
            background.poke()
            copied.wait()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    background._thread.join(timeout=30)
    assert not background._thread.is_alive()
    assert mirror.copies == 1
    before = threading.active_count()
    with BackgroundMirror(mirror):
        assert threading.active_count() == before
    assert mirror.copies == 1


def test_the_pages_of_the_ui_show_tested_models_only(mirror, workspace):
    mirror.sync()
    pages = runs_pages(workspace, "http://127.0.0.1:5000")
    assert list(pages) == ["toy"]
    assert "recrepro.kind%60%20%3D%20%27cell%27" in pages["toy"]


@pytest.mark.usefixtures("mirror")
def test_the_ui_says_that_it_has_no_login_before_it_starts_a_server(workspace, monkeypatch):
    monkeypatch.setattr(ui, "run_in_foreground", lambda _: click.echo("the server") or 0)
    done = CliRunner().invoke(ui.ui, ["--workspace", str(workspace.root)])
    assert done.exit_code == 0, done.output
    *_, said, server = done.output.splitlines()
    assert server == "the server"
    assert "no login: every user of this machine can see, change and delete the runs" in said
    for way_out in ("recrepro report", "an MLflow server with a login"):
        assert way_out in said


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ndcg@10", "ndcg_at_10"),
        ("hit_rate[recsys2019]@5", "hit_rate.recsys2019_at_5"),
        ("loss (train), %", "loss _train__ _"),
    ],
)
def test_metric_names_use_the_characters_that_mlflow_allows(name, key):
    assert metric_key(name) == key


def test_a_password_is_not_printed():
    assert redacted("postgresql://me:secret@db/mlflow") == "postgresql://me:***@db/mlflow"
    assert redacted("https://mlflow.example.org:5000/a@b") == "https://mlflow.example.org:5000/a@b"
