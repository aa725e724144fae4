"""Several final fits after one search: other seeds, the same hyperparameters, an opening each."""

import json
from types import SimpleNamespace

import pytest
from support.inprocess import PlaceHere
from support.places import toy_experiment

from recrepro.spec.experiment import load_experiment
from recrepro.store.ledger import Ledger

REST = """[tune]
trials = 2
[[models]]
name = "bprmf"
params = { epochs = 3 }
[[models]]
name = "ease"
"""


def with_fits(n):
    text = toy_experiment("several fits", REST)
    return text if n is None else text.replace("[evaluate]\n", f"[evaluate]\nfits = {n}\n")


def records(place):
    """Return the records of the experiment's cells, by name."""
    ledger = Ledger.in_workspace(place.workspace)
    experiment = load_experiment(place.file)
    found = {
        member.name.path: ledger.status(member.cell).record
        for member in ledger.members("toy", experiment.grid_hash)
    }
    ledger.close()
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same experiment with one fit, and then with three in the same workspace."""
    # Nothing here is about MLflow, whose import takes seconds: its server cannot be reached.
    elsewhere = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    place = PlaceHere(tmp_path_factory.mktemp("place"), environment=elsewhere)
    found = []
    for n in (None, 3):
        place.file.write_text(with_fits(n))
        done = place.run()
        assert done.returncode == 0, done.stderr
        found.append((done, records(place)))
    return SimpleNamespace(place=place, one=found[0], three=found[1])


def test_only_a_model_that_depends_on_its_seed_is_fitted_again(runs):
    names = [name.rpartition("random-holdout/")[2] for name in runs.three[1]]
    assert sorted(names) == [
        *(f"bprmf/seed 1/fit {n}" for n in (1, 2, 3)),
        "ease/seed 1",
    ]


def test_fits_share_the_search_and_differ_in_their_values(runs):
    fits = [record for name, record in runs.three[1].items() if "bprmf" in name]
    assert len({record.identity.search_key for record in fits}) == 1
    assert len({str(record.model.params) for record in fits}) == 1
    assert len({str(record.tuning.best.params) for record in fits}) == 1
    assert len({record.metrics["ndcg@10"] for record in fits}) == 3
    assert [len(record.openings) for record in fits] == [1, 1, 1]


def test_the_first_of_several_fits_is_the_only_one_of_before(runs):
    (before,) = (record for name, record in runs.one[1].items() if "bprmf" in name)
    (first,) = (record for name, record in runs.three[1].items() if "fit 1" in name)
    assert first.cell == before.cell
    assert first.result_digest == before.result_digest
    assert "2 done before" in runs.three[0].stdout


def test_the_trials_of_a_search_are_counted_once(runs):
    assert "2 cells (0 done before), 4 trials to run" in runs.one[0].stdout
    assert "4 cells (2 done before), 0 trials to run" in runs.three[0].stdout


def test_tables_average_over_the_fits(runs):
    (board,) = runs.place.board()["leaderboards"]
    rows = {row["model"]: row for row in board["rows"]}
    fits = [r.metrics["ndcg@10"] for name, r in runs.three[1].items() if "bprmf" in name]
    assert rows["bprmf"]["means"]["ndcg@10"] == pytest.approx(sum(fits) / 3)
    assert rows["bprmf"]["repeats"] == 3
    # The fits of one search open the test part once each, and none of them is an earlier version.
    assert not [note for row in rows.values() for note in row["notes"] if "opened" in note]
    done = runs.place.call(
        "compare",
        str(runs.place.file),
        "--workspace",
        str(runs.place.workspace),
        "--format",
        "json",
    )
    (table,) = json.loads(done.stdout)
    means = {row["model"]: row["mean"] for row in table["models"]}
    assert means["bprmf"] == pytest.approx(sum(fits) / 3)


def test_one_fit_does_not_change_the_hash_of_an_experiment(tmp_path):
    path = tmp_path / "e.toml"
    hashes = []
    for n in (None, 1, 3):
        path.write_text(with_fits(n))
        hashes.append(load_experiment(path).grid_hash)
    assert hashes[0] == hashes[1] != hashes[2]
