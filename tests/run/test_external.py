"""The door for other programs: run files are scored by the same code, and marked."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from support.places import toy_experiment

from recrepro.cli import cli
from recrepro.cli.split import write_parts
from recrepro.errors import DataError, UsageError
from recrepro.run.materials import draw
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment

pytestmark = pytest.mark.slow  # whole runs

TOY = toy_experiment(
    "a run file is worth what the model that made it is worth",
    """[[models]]
name = "toppopular"
""",
    seeds=[1, 2],
    metrics=["ndcg@10", "recall@5", "coverage@10"],
)


@pytest.fixture(scope="module")
def place(make_place_here):
    """A place where the experiment was run, and its parts were written for others."""
    made = make_place_here(TOY)
    assert made.run().returncode == 0
    done = call("split", made.file, made.file.parent / "parts")
    assert done.exit_code == 0, done.output
    return made


def popular(place, seed, n=40):
    """What a program of one's own would make of the written parts: the most popular items."""
    parts = place.file.parent / "parts" / "toy" / "random-holdout" / f"seed-{seed}"
    known = pd.read_csv(parts / "known.tsv", sep="\t")
    users = pd.read_csv(parts / "users.tsv", sep="\t")["user"]
    counts = known["item"].value_counts()
    seen = known.groupby("user")["item"].agg(set)
    rows = [
        (user, item, rank)
        for user in users
        for rank, item in enumerate([i for i in counts.index if i not in seen[user]][:n], start=1)
    ]
    return pd.DataFrame(rows, columns=["user", "item", "rank"])


def call(*arguments):
    """Run a command in this process: starting another one takes seconds."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def score(place, frame, *options):
    path = place.file.parent / "run.tsv"
    frame.to_csv(path, sep="\t", index=False)
    arguments = ("--workspace", place.workspace, *options)
    return call("evaluate", path, "--on", place.file, *arguments)


def board(place):
    arguments = (place.file, "--workspace", place.workspace, "--no-intervals", "--format", "json")
    return json.loads(call("leaderboard", *arguments).stdout)


def row_of(place, name):
    (found,) = board(place)["leaderboards"]
    return next(row for row in found["rows"] if row["model"] == name)


def test_only_what_models_may_see_is_written(place):
    root = place.file.parent / "parts"
    assert sorted(p.name for p in root.rglob("*.tsv")) == sorted(
        ["train.tsv", "validation.tsv", "known.tsv", "users.tsv"] * 2
    )


def test_parts_hold_all_that_a_final_fit_may_use_and_none_of_the_test(tmp_path):
    path = tmp_path / "toy.toml"
    path.write_text(TOY.replace("random-holdout", "unseen-users").replace("[1, 2]", "[1]"))
    experiment = load_experiment(path)
    plan = make_plan(experiment, tmp_path, None)
    parts = draw(plan, plan.cells[0]).parts
    (folder,) = write_parts(path, tmp_path / "parts", None)

    def written(title):
        frame = pd.read_csv(folder / f"{title}.tsv", sep="\t")
        return set(frame[["user", "item"]].itertuples(index=False, name=None))

    def pairs(part):
        labels = part.user_ids[part.users].tolist(), part.item_ids[part.items].tolist()
        return set(zip(*labels, strict=True))

    for title in ("train", "validation", "validation_shown", "known", "test_shown"):
        assert written(title) == pairs(getattr(parts, title))
        assert not written(title) & pairs(parts.hidden)
    assert written("known") > written("train") | written("validation")


def test_a_run_file_is_worth_what_its_model_is_worth(place):
    for seed in (1, 2):
        done = score(place, popular(place, seed), "--seed", str(seed), "--name", "mine")
        assert done.exit_code == 0, done.output
    ours, mine = row_of(place, "toppopular"), row_of(place, "mine")
    assert (mine["status"], mine["repeats"]) == ("external", 2)
    # Equal counts are ordered by chance in ours and by pandas in theirs.
    for metric, value in ours["means"].items():
        assert mine["means"][metric] == pytest.approx(value, abs=0.03)
    assert "external: scored from a run file" in mine["notes"]


def test_each_try_is_counted_and_the_last_one_is_shown(place):
    first = popular(place, 1)
    assert score(place, first, "--seed", "1", "--name", "again").exit_code == 0
    before = row_of(place, "again")["means"]["recall@5"]
    worse = first.assign(rank=-first["rank"])
    done = score(place, worse, "--seed", "1", "--name", "again")
    assert "again: external: scored from a run file, try 2" in done.stdout
    row = row_of(place, "again")
    assert row["repeats"] == 1
    assert row["means"]["recall@5"] < before


def test_the_experiment_goes_on_with_its_external_rows(place):
    assert score(place, popular(place, 2), "--seed", "2", "--name", "kept").exit_code == 0
    place.file.write_text(f'{TOY}\n[[models]]\nname = "random"\n')
    try:
        done = place.run()
        assert done.returncode == 0, done.stderr
        assert "kept" in done.stdout
        place.file.write_text(TOY.replace("recall@5", "recall@6"))
        assert place.run().returncode == 0
        assert (
            "kept"
            not in place.call(
                "leaderboard", str(place.file), "--workspace", str(place.workspace)
            ).stdout
        )  # measured otherwise: it would not compare
    finally:
        place.file.write_text(TOY)


def test_mlflow_has_it_too(place, monkeypatch):
    from recrepro.store.workspace import Workspace
    from recrepro.tracking.client import silence_mlflow

    assert score(place, popular(place, 1), "--seed", "1", "--name", "logged").exit_code == 0
    silence_mlflow()
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=Workspace(place.workspace).mlflow_store)
    experiment = client.get_experiment_by_name("toy").experiment_id
    (run,) = client.search_runs([experiment], "params.model = 'logged'")
    assert run.data.tags["recrepro.status"] == "external"
    assert run.data.metrics["ndcg_at_10"] == row_of(place, "logged")["means"]["ndcg@10"]


def test_it_is_compared_with_the_others_by_its_users(place):
    assert score(place, popular(place, 1), "--seed", "1", "--name", "paired").exit_code == 0
    arguments = ("--workspace", place.workspace, "--reference", "toppopular")
    done = call("compare", place.file, *arguments, "--format", "json")
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)
    row = next(r for r in found["models"] if r["model"] == "paired")
    assert row["comparison"]["low"] <= row["comparison"]["difference"] <= row["comparison"]["high"]


def test_what_a_reader_must_know_of_the_file_is_said(place):
    frame = popular(place, 1, n=3)
    some = frame[frame["user"] > frame["user"].min()]
    known = place.file.parent / "parts" / "toy" / "random-holdout" / "seed-1" / "train.tsv"
    seen = pd.read_csv(known, sep="\t")[["user", "item"]].assign(rank=99)
    mine = pd.concat([some, seen[seen["user"].isin(some["user"])]])
    done = score(place, mine, "--seed", "1", "--name", "odd")
    assert done.exit_code == 0, done.output
    assert "1 of 60 test users have no list and score 0" in done.stdout
    assert "listed items are in the user's history and are left out" in done.stdout
    short = score(place, frame, "--seed", "1", "--name", "short")
    assert "some lists have 3 items only, and metrics reach to 10" in short.stdout


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (lambda f: f.assign(item=f["item"] + 999), ("--seed", "1"), DataError, "items that the"),
        (lambda f: f.assign(user=f["user"] + 999), ("--seed", "1"), DataError, "users that the"),
        (lambda f: f, (), UsageError, "has 2 seeds, 1, 2: say which one the run file is for"),
        (lambda f: f, ("--seed", "3"), UsageError, "unknown seed '3'"),
        (lambda f: f, ("--split", "temporal"), UsageError, "unknown split 'temporal'"),
        (lambda f: f, ("--seed", "1", "--name", "toppopular"), UsageError, "is a model of"),
        (lambda f: f, ("--seed", "1", "--metric", "ndcg@3"), UsageError, "are those of the"),
        (lambda f: f, ("--seed", "1", "--name", "My | model"), UsageError, "--name, name: "),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(place, change, options, error, message):
    before = board(place)
    done = score(place, change(popular(place, 1)), *options)
    assert isinstance(done.exception, error)
    assert message in str(done.exception)
    assert board(place) == before


def test_a_split_in_files_needs_no_workspace(tmp_path):
    rng = np.random.default_rng(0)
    whole = pd.DataFrame(
        [(u, int(i)) for u in range(30) for i in rng.choice(20, 8, replace=False)],
        columns=["user", "item"],
    )
    held = whole.groupby("user").cumcount() >= 6
    run = whole[held].assign(score=1.0)
    for name, part in (("train", whole[~held]), ("test", whole[held]), ("run", run)):
        part.to_csv(tmp_path / f"{name}.tsv", sep="\t", index=False)
    arguments = [tmp_path / "run.tsv", "--train", tmp_path / "train.tsv"]
    arguments += ["--test", tmp_path / "test.tsv", "--metric", "ndcg@2", "--metric", "auc"]
    done = call("evaluate", *arguments)
    assert done.exit_code == 0, done.output
    values = dict(line.split()[:2] for line in io.StringIO(done.stdout) if "." in line[:20])
    assert values["ndcg@2"] == "1.000000"
    assert "auc of what is listed" in done.stdout
    assert "Full ranking, 30 users (0 without held-out items are skipped)" in done.stdout
    assert isinstance(call("evaluate", tmp_path / "run.tsv").exception, UsageError)
    assert "go with --on" in str(call("evaluate", *arguments, "--name", "mine").exception)
