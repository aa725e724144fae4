"""Runs with models that need side information."""

import pytest
from support.places import toy_experiment

from recrepro.features import FeatureSet
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment
from recrepro.store.ledger import Ledger

pytestmark = pytest.mark.slow  # whole runs

GRID = toy_experiment(
    "what is known of items helps",
    """[tune]
trials = 2
[[models]]
name = "itemknncbf"
[[models]]
name = "userknncfcbf"
[[models]]
name = "itemknn"
""",
)
OWN = """
schema = 1
claim = "my own files"
[[datasets]]
name = "shop"
file = "log.csv"
[[datasets.features]]
side = "item"
name = "kinds"
file = "kinds.csv"
[[splits]]
name = "random-holdout"
[evaluate]
metrics = ["ndcg@10"]
[[models]]
name = "itemknncbf"
params = { shrinkage = 0 }
"""


def plan_of(place, text):
    place.file.write_text(text)
    return make_plan(load_experiment(place.file), place.root, None, progress=False)


def test_a_run_from_its_features_to_the_same_again(make_place_here):
    place = make_place_here(GRID)
    done = place.run()
    assert done.returncode == 0, done.stderr
    ledger = Ledger.in_workspace(place.workspace)
    records = {record.model.name: record for record in ledger.records()}
    ledger.close()
    assert records["itemknncbf"].identity.features.keys() == {"item topics"}
    assert records["userknncfcbf"].identity.features.keys() == {"user tastes"}
    assert "features" not in records["itemknn"].identity.to_json()
    again = place.call("reproduce", "toy/random-holdout/itemknncbf", "--workspace", "runs")
    assert again.returncode == 0, again.stderr
    assert "identical" in again.stdout
    gone = place.call("gc", "--workspace", "runs")
    assert "2 features" in gone.stdout
    assert not list((place.workspace / "features").glob("[!.]*"))


def test_cells_of_other_models_do_not_depend_on_features(make_place_here):
    place = make_place_here(GRID)
    beside = {c.model.name: c.key for c in plan_of(place, GRID).cells}
    alone = GRID.replace('[[models]]\nname = "itemknncbf"\n', "")
    alone = alone.replace('[[models]]\nname = "userknncfcbf"\n', "")
    plan = plan_of(place, alone)
    assert plan.features == {}
    assert [c.key for c in plan.cells] == [beside["itemknn"]]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'name = "toy"\nsynthetic = { users = 60, items = 40, interactions = 900, seed = 3 }',
            'name = "log"\nfile = "log.csv"',
            "'itemknncbf' needs features of items, and the data set 'log' has no features",
        ),
        (
            'name = "itemknncbf"',
            'name = "itemknncbf"\nparams = { item_features = "tags" }',
            "has item topics (20), user tastes (20): unknown item features 'tags'",
        ),
    ],
)
def test_what_a_data_set_lacks_is_said_before_any_work(make_place_here, old, new, said):
    place = make_place_here(GRID.replace(old, new))
    (place.root / "log.csv").write_text("user,item\n1,1\n2,1\n2,2\n")
    done = place.run()
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert not place.workspace.exists()


def test_features_from_ones_own_files(make_place_here):
    place = make_place_here(OWN)
    rows = [f"{user},{item}" for user in range(8) for item in range(12) if (user + item) % 2]
    (place.root / "log.csv").write_text("user,item\n" + "\n".join(rows) + "\n")
    kinds = "\n".join(f"{item},{'odd' if item % 2 else 'even'}" for item in range(12))
    (place.root / "kinds.csv").write_text(f"item,kind\n{kinds}\n")
    done = place.run()
    assert done.returncode == 0, done.stderr
    # Users like odd or even items only, so content finds what is held out at the top.
    (row,) = place.board()["leaderboards"][0]["rows"]
    assert row["means"]["ndcg@10"] > 0.9
    before = plan_of(place, OWN).cells[0].key
    (place.root / "kinds.csv").write_text(f"item,kind\n{kinds.replace('even', 'level')}\n")
    plan = plan_of(place, OWN)
    assert plan.cells[0].key != before
    (known,) = plan.features["shop"].sets
    assert isinstance(known, FeatureSet)
    assert known.columns.tolist() == ["level", "odd"]
