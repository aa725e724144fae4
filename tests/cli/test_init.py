"""`recrepro init`: an experiment and a model to start from, which work as they are."""

import json

import pytest
from support.inprocess import call_here


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A folder in which `recrepro init mine` and its experiment were run."""
    folder = tmp_path_factory.mktemp("started")
    wrote = call_here(["init", "mine"], folder, {"COLUMNS": "200"})
    assert wrote.returncode == 0, wrote.stderr
    ran = call_here(["run", "mine/experiment.toml"], folder, {"COLUMNS": "200"})
    assert ran.returncode == 0, ran.stderr
    return folder, wrote, ran


@pytest.mark.slow  # 31 trials
def test_the_experiment_ends_in_a_verdict_on_the_model(started):
    folder, _, ran = started
    assert "better than the best baseline that uses as much" in ran.stdout
    assert "my-model: worse; difference from itemknn (chosen on validation) -" in ran.stdout
    board = call_here(
        ["leaderboard", "mine/experiment.toml", "--format", "json"], folder, {"COLUMNS": "200"}
    )
    rows = json.loads(board.stdout)["leaderboards"][0]["rows"]
    status = {row["model"]: row["status"] for row in rows}
    assert status == {
        "my-model": "tuned",
        "itemknn": "tuned",
        "ease": "tuned",
        "toppopular": "parameter-free",
    }
    (mine,) = (row for row in rows if row["model"] == "my-model")
    assert [note for note in mine["notes"] if "edge of its range" not in note] == []


def test_the_model_keeps_the_contract_without_a_note(tmp_path):
    wrote = call_here(["init"], tmp_path, {"COLUMNS": "200"})
    assert "Wrote experiment.toml and model.py." in wrote.stdout
    done = call_here(["check-model", "model.py:fit"], tmp_path, {"COLUMNS": "200"})
    assert done.returncode == 0
    assert "18 passed, 1 skipped, 0 notes, 0 failed." in done.stdout


@pytest.mark.parametrize("name", ["experiment.toml", "model.py"])
def test_nothing_is_overwritten(tmp_path, name):
    (tmp_path / name).write_text("mine")
    refused = call_here(["init", "."], tmp_path, {"COLUMNS": "200"})
    assert refused.returncode == 2
    assert f"{name} would be overwritten" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"
