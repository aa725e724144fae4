"""Results read back from MLflow: complete, in order, and refused where they were altered."""

import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from recrepro.errors import RecreproError, UsageError
from recrepro.store.results import results_in
from recrepro.tracking.reader import LONGEST, _Copy, results_from_mlflow
from recrepro.tracking.store import CELLS, Target, existing_target

pytestmark = pytest.mark.slow  # they need the small grid's results, which take a while


@pytest.fixture
def copy(toy, tmp_path):
    """The small grid's results in a folder of their own, with their own embedded MLflow store."""
    copy = toy.copied(tmp_path / "toy")
    for left in copy.workspace.root.glob("mlflow*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    assert copy.sync() == 7
    return copy


def read(toy):
    return results_from_mlflow(toy.workspace.mlflow_store, "toy", toy.experiment.grid_hash)


def target_of(toy) -> Target:
    return existing_target(toy.workspace.mlflow_store, "toy")


def artifacts(toy, model="ease") -> Path:
    """Folder of the files of a run."""
    (run,) = target_of(toy).runs(f"{CELLS} AND params.model = '{model}' AND params.seed = '1'")
    return Path(run.info.artifact_uri.removeprefix("file://"))


def test_they_are_those_of_the_workspace_whatever_is_left_out(copy):
    found = read(copy)
    with copy.ledger() as ledger:
        expected = results_in(copy.workspace, ledger, copy.experiment, "toy")
        assert [r.name for r in found.results] == [r.name for r in expected]
        assert [r.status for r in found.results] == [r.status for r in expected]
        assert [r.read_trials() for r in found.results] == [r.read_trials() for r in expected]
        for one, other in zip(found.results, expected, strict=True):
            if one.record is not None:
                pd.testing.assert_frame_equal(one.per_user(), other.per_user())
                kept = copy.workspace.read_blob(one.record.weights)
                with np.load(io.BytesIO(kept), allow_pickle=False) as arrays:
                    assert arrays.files
    assert found.torn == 0
    assert (found.results[-1].status.state, found.results[-1].status.reason) == (
        "failed",
        "no memory left",
    )

    # A copy that is not whole is left out and counted.
    target = target_of(copy)
    (run,) = target.runs(f"{CELLS} AND params.model = 'gmf' AND params.seed = '2'")
    target.client.delete_tag(run.info.run_id, "recrepro.complete")
    left = read(copy)
    assert (len(left.results), left.torn) == (6, 1)

    # A cell that a version of the file does not have is not read.
    (run,) = target.runs(f"{CELLS} AND params.model = 'toppopular' AND params.seed = '2'")
    place = next(tag for tag in run.data.tags if tag.startswith("recrepro.place."))
    target.client.delete_tag(run.info.run_id, place)
    assert len(read(copy).results) == 5
    with pytest.raises(RecreproError, match="has nothing of 'toy', as the file is now"):
        results_from_mlflow(copy.workspace.mlflow_store, "toy", "0" * 64)


def test_what_was_altered_is_refused(copy, monkeypatch):
    files = artifacts(copy)

    def refused(reason, what=read):
        with pytest.raises(RecreproError, match=reason):
            what(copy)

    for name in ("record.json", "cell.json"):
        whole = (files / name).read_text()
        altered = json.loads(whole)
        altered["metrics" if name == "record.json" else "reason"] = {"ndcg@10": 0.99}
        (files / name).write_text(json.dumps(altered))
        refused("was altered|is not what recrepro wrote")
        (files / name).write_text(whole[:-5])
        refused(f"{name} is no JSON")
        (files / name).write_text("[]")
        refused(f"{name} holds something else")
        (files / name).unlink()
        refused(f"{name} is missing")
        (files / name).mkdir()
        refused(f"{name} is missing")
        (files / name).rmdir()
        (files / name).write_text(whole)
        monkeypatch.setitem(LONGEST, name, 10)
        refused(f"{name} has [0-9,]+ bytes, more than 10")
        monkeypatch.undo()

    ease = next(r for r in read(copy).results if r.name.model == "ease")
    users = files / "per_user.parquet"
    whole = users.read_bytes()
    users.write_bytes(whole[:-1] + b"x")
    with pytest.raises(RecreproError, match=r"per_user\.parquet was altered"):
        ease.per_user()
    users.write_bytes(whole)
    assert ease.per_user()["ndcg@10"].mean() == pytest.approx(ease.record.metrics["ndcg@10"])


def test_a_cell_that_is_there_twice_is_refused(copy):
    target = target_of(copy)
    (run,) = target.runs(f"{CELLS} AND params.model = 'ease' AND params.seed = '1'")
    twin = target.client.create_run(target.experiment_id, tags=run.data.tags)
    target.client.log_artifacts(twin.info.run_id, str(artifacts(copy, "ease")))
    with pytest.raises(RecreproError, match="has a cell of 'toy' twice"):
        read(copy)
    assert copy.sync() == 0
    assert len(read(copy).results) == 7


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    missing = tmp_path / "missing.db"
    with pytest.raises(UsageError, match="there is no MLflow database"):
        results_from_mlflow(f"sqlite:///{missing}", "toy", "0" * 64)
    assert not missing.exists()


@pytest.mark.parametrize("folder", ["/etc", "file:///etc"])
def test_a_server_elsewhere_cannot_name_folders_of_this_machine(folder):
    run = SimpleNamespace(
        info=SimpleNamespace(run_id="r", artifact_uri=folder),
        data=SimpleNamespace(tags={"recrepro.complete": "m"}),
    )
    with pytest.raises(RecreproError, match="not looked for on this machine"):
        _Copy("https://mlflow.example.org", Target(None, "1"), run)


def test_a_server_that_does_not_answer_is_named_without_its_password():
    with pytest.raises(RecreproError, match=r"MLflow at http://me:\*\*\*@127.0.0.1:9 cannot be"):
        results_from_mlflow("http://me:secret@127.0.0.1:9", "toy", "0" * 64)
