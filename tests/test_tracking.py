"""The MLflow copy: complete, found by search, made once, made again after it was torn."""

import json
import threading
from pathlib import Path

import pandas as pd
import pytest

from recrepro.background import BackgroundMirror
from recrepro.errors import RecreproError
from recrepro.ledger import Ledger, Member
from recrepro.tracking import MlflowMirror, metric_key, runs_pages
from recrepro.workspace import Workspace

TITLES = {"dataset": "toy", "split": "temporal", "model": "ease", "seed": 1}


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "runs")


@pytest.fixture
def ledger(workspace):
    ledger = Ledger.in_workspace(workspace.root)
    cells = [("a" * 64, TITLES), ("b" * 64, {**TITLES, "model": "broken"})]
    ledger.plan("toy", "hash", "text", [(Member(cell, t), {}) for cell, t in cells])
    token = ledger.lease("a" * 64)
    for number, value in enumerate([0.1, 0.3, None]):
        ledger.add_trial("a" * 64, token, number, trial(number, value))
    ledger.commit("a" * 64, token, record(workspace), "digest")
    ledger.fail("b" * 64, ledger.lease("b" * 64), "no memory")
    yield ledger
    ledger.close()


def trial(number, value):
    failed = value is None
    return {
        "number": number,
        "params": {"l2": 10.0 + number},
        "state": "failed" if failed else "complete",
        "value": value,
        "metrics": {} if failed else {"ndcg@10": value},
        "epochs": None,
        "reason": "LinAlgError: singular" if failed else "",
        "seconds": 0.5,
    }


def record(workspace):
    frame = pd.DataFrame({"user": [1, 2], "ndcg@10": [0.5, 0.0]})
    return {
        "cell": "a" * 64,
        "result_digest": "digest",
        "identity": {"data": {"fingerprint": "f" * 64}},
        "model": {"params": {"l2": 11.0, "long": "x" * 300}, "status": "tuned"},
        "tuning": {"best": trial(1, 0.3)},
        "metrics": {"ndcg@10": 0.25, "ndcg[recsys2019]@5": 0.125},
        "sampled": False,
        "split": {"fingerprint": "s" * 64, "audit": {"verdict": "clean"}},
        "openings": [1.0],
        "per_user": workspace.write_blob(frame.to_parquet()),
        "times": {"fit": {"wall_s": 1.5, "cpu_s": 1.0}},
        "started_at": 1_700_000_000.0,
        "ended_at": 1_700_000_060.0,
        "provenance": {"recrepro": "0.1.0", "code": {"commit": "abc", "dirty": True}},
    }


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
    assert parent.data.tags["mlflow.source.git.commit"] == "abc"
    assert parent.info.start_time == 1_700_000_000_000
    assert parent.info.end_time == 1_700_000_060_000
    children = search(workspace, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert len(children) == 3
    assert sorted(c.info.status for c in children) == ["FAILED", "FINISHED", "FINISHED"]
    assert {c.data.params["l2"] for c in children} == {"10.0", "11.0", "12.0"}


def test_artifacts_hold_record_experiment_users_and_trials(mirror, workspace, tmp_path):
    mirror.sync()
    (parent,) = search(
        workspace, "attributes.status = 'FINISHED' and tags.`recrepro.kind` = 'cell'"
    )
    folder = Path(client(workspace).download_artifacts(parent.info.run_id, "", str(tmp_path)))
    assert sorted(path.name for path in folder.iterdir()) == [
        "experiment.toml",
        "per_user.parquet",
        "record.json",
        "runs",
        "trials.csv",
    ]
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


def test_a_failed_cell_that_is_mended_replaces_its_run(mirror, ledger, workspace):
    mirror.sync()
    token = ledger.lease("b" * 64)
    ledger.commit("b" * 64, token, {**record(workspace), "cell": "b" * 64}, "digest")
    assert mirror.sync() == 1
    runs = search(workspace, "tags.`recrepro.kind` = 'cell'")
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]


def test_a_cell_under_a_new_title_replaces_its_run(mirror, ledger, workspace):
    mirror.sync()
    renamed = Member("a" * 64, {**TITLES, "model": "steck"})
    ledger.plan("toy", "hash", "text", [(renamed, {})])
    assert mirror.sync() == 1
    runs = search(workspace, "tags.`recrepro.cell` = '" + "a" * 64 + "'")
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

    monkeypatch.setattr("recrepro.background.threading.Event", ClosedWhileCleared)
    monkeypatch.setattr(mirror, "sync", lambda: 0)
    background = BackgroundMirror(mirror)
    background.poke()
    background._thread.join(timeout=30)
    assert not background._thread.is_alive()


def test_the_pages_of_the_ui_show_tested_models_only(mirror, workspace):
    mirror.sync()
    pages = runs_pages(workspace, "http://127.0.0.1:5000")
    assert list(pages) == ["toy"]
    assert "recrepro.kind%60%20%3D%20%27cell%27" in pages["toy"]


@pytest.mark.parametrize(
    ("name", "key"),
    [("ndcg@10", "ndcg_at_10"), ("hit_rate[recsys2019]@5", "hit_rate.recsys2019_at_5")],
)
def test_metric_names_use_the_characters_that_mlflow_allows(name, key):
    assert metric_key(name) == key
