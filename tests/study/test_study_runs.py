"""`recrepro study` with two small experiments: what runs, what is kept, what the page says."""

import json

import pytest
from support.places import toy_experiment

pytestmark = pytest.mark.slow  # whole studies

torch = pytest.importorskip("torch", reason="neural models need torch")

TUNED = toy_experiment(
    "everything tuned alike",
    """[tune]
trials = 2
evaluate_every = 1
hindsight = true
[[models]]
name = "gmf"
params = { epochs = 2 }
[[models]]
name = "itemknn"
[[models]]
name = "ease"
""",
    seeds=[1, 2],
    metrics=["ndcg@10", "recall@5"],
)
PUBLISHED = toy_experiment(
    "as it was printed",
    """[[models]]
name = "gmf"
label = "gmf-article"
params = { epochs = 1 }
[[expected]]
model = "gmf-article"
metric = "ndcg@10"
value = 0.4321
tolerance = 1
source = "Table 1"
""",
)
STUDY = """
schema = 1
title = "A small study"
notes = ["A trap."]
[[papers]]
name = "gmf-toy"
method = "GMF"
citation = "He et al., WWW 2017"
dataset = "toy"
models = ["gmf"]
printed = ["gmf-article"]
published = [{ file = "published.toml", minutes = 1 }]
tuned = [{ file = "tuned.toml", minutes = 2 }]
flaws = ["It has a flaw."]
[[papers]]
name = "elsewhere"
method = "GMF"
citation = "He et al., WWW 2017"
dataset = "Epinions"
models = ["gmf"]
tuned = [{ file = "elsewhere.toml", minutes = 2 }]
needs = "Epinions has to be brought."
"""


@pytest.fixture
def study(place_here):
    (place_here.root / "tuned.toml").write_text(TUNED)
    (place_here.root / "published.toml").write_text(PUBLISHED)
    elsewhere = TUNED.replace('name = "toy"\nsynthetic', 'name = "epinions"\n#')
    (place_here.root / "elsewhere.toml").write_text(elsewhere)
    (place_here.root / "study.toml").write_text(STUDY)
    place_here.environment = {"RECREPRO_CACHE": str(place_here.root / "nothing")}
    return place_here


def call(place, *options):
    return place.call("study", "study.toml", "--workspace", "runs", "--jobs", "2", *options)


def record(place, name, folder="records"):
    return json.loads((place.workspace / "study" / folder / f"{name}.json").read_text())


def test_a_study_from_its_files_to_its_page(study):
    done = call(study)
    assert done.returncode == 0, done.stderr
    assert "elsewhere: left out, the data set 'epinions' is not here" in done.stdout
    tuned, published = record(study, "tuned"), record(study, "published")
    assert tuned["seeds"] == [1, 2]
    assert tuned["command"] == "recrepro study study.toml"
    board = study.call("leaderboard", "tuned.toml", "--workspace", "runs", "--format", "json")
    rows = {r["model"]: r for r in json.loads(board.stdout)["leaderboards"][0]["rows"]}
    models = {m["model"]: m for m in tuned["models"]}
    assert models.keys() == rows.keys()
    for name, model in models.items():
        assert model["metrics"] == rows[name]["means"]
        assert model["trials"] == 2
    assert models["gmf"]["hindsight"]["gain"] >= 0
    (value,) = published["values"]
    page = (study.workspace / "study" / "verdicts.md").read_text()
    (verdict,) = tuned["verdicts"][0]["models"]
    lines = page.splitlines()
    (row,) = (line for line in lines if line.startswith("| [GMF, toy](#gmf-toy) | random-"))
    assert f"| random-holdout | **{verdict['outcome']}** |" in row
    assert verdict["missing"][0] == "gmf has 2 complete trials, of 5 at least"
    assert row.endswith(f"| {'; '.join(verdict['missing'])} |")
    assert f"{models['gmf']['metrics']['ndcg@10']:.4f}" in row
    assert "1 pair of 2 was run" in page
    assert "**There is not enough evidence in 1.**" in page
    (row,) = (line for line in lines if "ndcg@10 of gmf-article" in line)
    assert "0.4321" in row
    assert f"{value['got']:.4f} | 1 of 1" in row
    assert "| [GMF, Epinions](#elsewhere) | random-holdout | not run |" in page
    assert "- It has a flaw." in page
    assert "- A trap." in page
    assert "Not run here: Epinions has to be brought." in page
    again = call(study)
    assert again.returncode == 0
    assert "6 cells (6 done before), 0 trials to run" in again.stdout
    assert (study.workspace / "study" / "verdicts.md").read_text() == page


def test_a_study_stops_when_its_time_is_up_and_goes_on(study):
    done = call(study, "--hours", "1e-6")
    assert done.returncode == 0, done.stderr
    assert "The time is up; left: published, tuned." in done.stdout
    assert "0 records" in done.stdout
    page = (study.workspace / "study" / "verdicts.md").read_text()
    assert "Of 2 pairs of a paper and a data set, 0 were run" in page
    assert call(study, "--only", "gmf-toy").returncode == 0
    assert record(study, "tuned")["models"]


def test_a_quick_study_is_marked_and_kept_apart(study):
    done = call(study, "--quick")
    assert done.returncode == 0, done.stderr
    small = record(study, "tuned", "records-quick")
    assert small["quick"]
    assert small["seeds"] == [1]
    assert small["command"] == "recrepro study study.toml --quick"
    assert all("hindsight" not in m for m in small["models"])
    page = (study.workspace / "study" / "verdicts-quick.md").read_text()
    assert "Marked Q: 1 from a quick run" in page
    assert "** Q |" in page
    assert not (study.workspace / "study" / "records").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'models = ["gmf"]\nprinted',
            'models = ["gmff"]\nprinted',
            "tuned.toml has no model 'gmff'",
        ),
        ("published.toml", "publish.toml", "unknown experiment file 'publish.toml'"),
        ('method = "GMF"\ncitation', 'methods = "GMF"\ncitation', "Did you mean 'method'"),
        ('name = "elsewhere"', 'name = "gmf-toy"', "two papers are called 'gmf-toy'"),
    ],
)
def test_what_cannot_be_meant_is_said_before_any_work(study, old, new, said):
    (study.root / "study.toml").write_text(STUDY.replace(old, new, 1))
    done = call(study)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert not study.workspace.exists()


def test_a_name_that_is_no_paper(study):
    done = call(study, "--only", "gmf")
    assert done.returncode == 2
    assert "unknown paper 'gmf'. Did you mean 'gmf-toy'" in done.stderr
