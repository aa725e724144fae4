"""Opening a test part again: by name only, and marked wherever the number is shown."""

import csv

import pytest
from support.places import toy_experiment
from support.results import make_identity, make_name

from recrepro.cli.endings import _without_reopen
from recrepro.errors import UsageError
from recrepro.run.plan import Cell
from recrepro.run.titles import cells_to_reopen
from recrepro.spec.experiment import ModelSpec
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace

pytestmark = pytest.mark.slow  # whole runs

SMALL = toy_experiment(
    "a result is tested once, or everybody is told",
    """[tune]
trials = 2
[[models]]
name = "toppopular"
[[models]]
name = "ease"
[[expected]]
model = "ease"
metric = "ndcg@10"
value = 0.5
tolerance = 1.0
source = "nobody"
""",
    seeds=[1, 2],
)


@pytest.fixture(scope="module")
def reopened(make_place_here):
    """A run, then the same run with one cell reopened."""
    place = make_place_here(SMALL)
    first = place.run()
    assert first.returncode == 0, first.stderr
    before, board = place.outcome(), place.board()
    again = place.run("--reopen", "ease / seed 2")
    assert again.returncode == 0, again.stderr
    return place, before, board, again


def openings(place):
    ledger = Ledger.in_workspace(place.workspace)
    found = {}
    for cell in ledger.states():
        status = ledger.status(cell)
        name = status.record.name
        written = [opening.reason for opening in status.openings]
        assert [opening.reason for opening in status.record.openings] == written
        found[name.model, name.seed] = written
    ledger.close()
    return found


def test_a_reopened_cell_runs_again_without_tuning_and_gives_the_same_result(reopened):
    place, before, _, again = reopened
    assert "4 cells (4 done before), 0 trials to run" in again.stdout
    assert "1 cell tested again on request" in again.stdout
    assert again.stdout.count(" start ") == 1
    assert place.outcome() == before


def test_only_the_cell_that_was_named_is_opened_again(reopened):
    assert openings(reopened[0]) == {
        ("toppopular", 1): ["first"],
        ("toppopular", 2): ["first"],
        ("ease", 1): ["first"],
        ("ease", 2): ["first", "reopened"],
    }


def test_every_table_says_so(reopened):
    place, _, before, again = reopened
    note = "test part opened again on request, once"
    assert f"ease: {note}" in again.stdout
    boards = place.board()
    rows = {row["model"]: row for row in boards["leaderboards"][0]["rows"]}
    assert (rows["ease"]["reopened"], rows["toppopular"]["reopened"]) == (1, 0)
    assert note in rows["ease"]["notes"]
    assert boards["expected"][0]["reopened"] == 1
    before_rows = {row["model"]: row for row in before["leaderboards"][0]["rows"]}
    assert rows["ease"]["means"] == before_rows["ease"]["means"]
    arguments = ("leaderboard", str(place.file), "--workspace", str(place.workspace))
    assert place.call(*arguments, "--format", "md").stdout.count(note) == 2
    table = csv.DictReader(place.call(*arguments, "--format", "csv").stdout.splitlines())
    assert [row["reopened"] for row in table if row["model"] == "ease"] == ["1"]


def test_mlflow_says_so(reopened, monkeypatch):
    from recrepro.tracking.client import silence_mlflow

    silence_mlflow()
    from mlflow import MlflowClient

    store = Workspace(reopened[0].workspace).mlflow_store
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("toy").experiment_id
    runs = client.search_runs([experiment], "tags.`recrepro.kind` = 'cell'")
    tags = {(r.data.params["model"], r.data.params["seed"]): r.data.tags for r in runs}
    assert len(runs) == len(tags) == 4
    assert tags["ease", "2"]["recrepro.test_openings"] == "2"
    assert tags["ease", "2"]["recrepro.reopened"] == "true"
    assert tags["ease", "1"]["recrepro.test_openings"] == "1"
    assert "recrepro.reopened" not in tags["ease", "1"]


def test_a_name_that_nothing_has_is_refused_before_anything_runs(reopened):
    place, before, _, _ = reopened
    done = place.run("--reopen", "eaze")
    assert done.returncode == 2
    assert "unknown model or cell to reopen 'eaze'. Did you mean 'ease'?" in done.stderr
    assert "toppopular" in done.stderr
    assert place.outcome() == before


def cell(model, seed, fold=1):
    name = make_name(model, split="k-fold", seed=seed, fold=fold)
    identity = make_identity(model, seed=seed, changes={"split": {"fold": fold - 1}})
    return Cell(name, identity, ModelSpec(name=model))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ease", [0, 1, 2]),
        ("toy/k-fold/ease", [0, 1, 2]),
        ("toy / k-fold / ease / seed 1", [0, 1]),
        ("toy/k-fold/ease/seed 1/fold 2", [1]),
        ("ease / seed 2 / fold 1", [2]),
        (cell("pop", 2).key[:8], [3]),
    ],
)
def test_cells_are_named_by_model_by_path_or_by_key(name, found):
    cells = [cell("ease", 1), cell("ease", 1, 2), cell("ease", 2), cell("pop", 2)]
    states = {c.key: "done" for c in cells}
    assert cells_to_reopen([name], cells, states) == [cells[n].key for n in found]


@pytest.mark.parametrize("name", ["easy", "toy/k-fold", "", cell("ease", 1).key[:7], "seed 1"])
def test_other_names_are_unknown(name):
    one = cell("ease", 1)
    with pytest.raises(UsageError, match=r"Or one cell, such as 'toy/k-fold/ease/.*Known: ease\."):
        cells_to_reopen([name], [one], {one.key: "done"})


def test_a_cell_without_a_result_is_not_reopened():
    one, other = cell("ease", 1), cell("ease", 2)
    states = {one.key: "done", other.key: "failed"}
    with pytest.raises(UsageError, match=r"seed 2 / ease has no result yet.*without --reopen"):
        cells_to_reopen(["ease"], [one, other], states)


def test_the_command_to_go_on_does_not_reopen():
    typed = ["run", "a.toml", "--reopen", "ease", "--jobs", "2", "--reopen=pop"]
    assert _without_reopen(typed) == ["run", "a.toml", "--jobs", "2"]
