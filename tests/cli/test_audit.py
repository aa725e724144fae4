"""`recrepro audit`: from an experiment or from files to a verdict, a table, JSON and a picture."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from recrepro.cli import cli
from recrepro.errors import DataError, UsageError

EXPERIMENT = """
schema = 1
claim = "no leak"
datasets = [{ name = "made-up", synthetic = { users = 80, items = 60, interactions = 1500 } }]
splits = [{ name = "leave-one-out" }, { name = "k-fold", folds = 3, seeds = [1, 2] }]
models = [{ name = "toppopular" }]
"""


def run(*arguments):
    return CliRunner().invoke(cli, ["audit", *map(str, arguments)])


@pytest.fixture
def files(tmp_path):
    """A clean split in files: 60 users, 20 of 50 items each, the last four of them in test."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        [
            (user, int(item), 1000 * place + user)
            for user in range(60)
            for place, item in enumerate(rng.choice(50, 20, replace=False))
        ],
        columns=["user", "item", "time"],
    )
    held = rows.groupby("user").cumcount() >= 16
    rows[~held].to_csv(tmp_path / "train.csv", index=False)
    rows[held].to_csv(tmp_path / "test.csv", index=False)
    return tmp_path


def options(folder, **more):
    paths = {"train": folder / "train.csv", "test": folder / "test.csv", **more}
    return [text for name, path in paths.items() for text in (f"--{name}", path)]


def append(folder, source, target, n):
    lines = (folder / source).read_text().splitlines()
    with (folder / target).open("a") as file:
        file.write("\n".join([*lines[1 : n + 1], ""]))


def test_every_split_of_an_experiment_is_audited_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "e.toml").write_text(EXPERIMENT)
    result = run("e.toml", "--format", "json")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["verdict"] == "clean"
    assert [split["split"] for split in content["splits"]] == [
        "made-up / leave-one-out / seed 1",
        *(f"made-up / k-fold / seed {s} / fold {f}" for s in (1, 2) for f in (1, 2, 3)),
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["e.toml"]


def test_the_promise_of_a_split_is_what_its_strategy_says_or_the_experiment(tmp_path):
    text = EXPERIMENT.replace('"k-fold",', '"k-fold", promise = "long-tail",')
    (tmp_path / "e.toml").write_text(text)
    result = run(tmp_path / "e.toml", "--format", "json")
    splits = json.loads(result.stdout)["splits"]
    assert [split["promise"] for split in splits] == ["temporal", *["long-tail"] * 6]
    assert splits[1]["verdict"] == "suspicious"
    assert "promised-popularity" in {f["id"] for f in splits[1]["findings"]}


def test_features_of_items_are_audited(tmp_path):
    tags = '{ side = "item", name = "tags", file = "tags.csv", numeric = ["n"] }'
    text = EXPERIMENT.replace("1500 } }", f"1500 }}, features = [{tags}] }}").replace(
        '"toppopular" }', '"itemknncbf" }'
    )
    (tmp_path / "e.toml").write_text(text)
    (tmp_path / "tags.csv").write_text("item,n\n" + "".join(f"{i},{i % 7}\n" for i in range(60)))
    result = run(tmp_path / "e.toml", "--format", "json")
    for split in json.loads(result.stdout)["splits"]:
        assert "features" in split["checks"]
        assert set(split["features"]) == {"item tags", "item topics", "user tastes"}


def test_clean_files_are_clean(files):
    result = run(*options(files))
    assert result.exit_code == 0, result.output
    n = len(json.loads(run(*options(files), "--format", "json").stdout)["splits"][0]["checks"])
    assert f"train.csv / test.csv: nothing found by {n} checks" in result.output


def test_a_leak_in_files_is_counted_and_exits_with_1(files):
    append(files, "test.csv", "train.csv", 5)
    result = run(*options(files), "--format", "json")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert content["verdict"] == "leaking"
    finding = content["splits"][0]["findings"][0]
    assert (finding["id"], finding["interactions"]) == ("train-test-pairs", 5)


def test_the_table_names_weight_finding_and_numbers(files):
    append(files, "test.csv", "train.csv", 5)
    lines = run(*options(files)).output.splitlines()
    (row,) = [line for line in lines if "train-test-pairs" in line]
    assert row.split()[:4] == ["leaking", "train-test-pairs", "2", "5"]
    assert "5 of 240 test interactions are in train too" in row


def test_markdown_has_both_tables(files):
    text = run(*options(files), "--format", "md").output
    assert "### train.csv / test.csv: nothing found by " in text
    assert "| popularity of items | train | test | random split |" in text


def test_validation_and_negatives_are_audited_too(files):
    (files / "validation.csv").write_text((files / "test.csv").read_text())
    test = pd.read_csv(files / "test.csv")
    known = pd.read_csv(files / "train.csv").groupby("user")["item"].first()
    with (files / "negatives.tsv").open("w") as file:
        for user, item in test.groupby("user")["item"].first().items():
            file.write(f"({user},{item})\t{known[user]}\t{known[user]}\n")
    more = {"validation": files / "validation.csv", "negatives": files / "negatives.tsv"}
    result = run(*options(files, **more), "--format", "json")
    findings = {f["id"]: f for f in json.loads(result.stdout)["splits"][0]["findings"]}
    assert result.exit_code == 1
    assert findings["validation-test-pairs"]["interactions"] == len(test)
    assert findings["negatives-in-train"]["users"] == 60
    assert findings["negatives-repeated"]["interactions"] == 60


def test_a_promise_is_checked(files):
    def code(promise):
        return run(*options(files), "--promise", promise).exit_code

    assert code("temporal") == 0
    with (files / "train.csv").open("a") as file:
        file.write("0,999,99999999\n")
    assert code("temporal") == 1
    append(files, "test.csv", "train.csv", 5)
    assert (code("random"), code("repeat")) == (1, 1)  # copies: they have the time of the original


def test_a_repeat_that_is_promised_is_a_note(files):
    train = pd.read_csv(files / "train.csv")
    first = train.groupby("user").head(1).assign(time=10**6)
    first.to_csv(files / "test.csv", mode="a", header=False, index=False)
    assert run(*options(files)).exit_code == 1
    result = run(*options(files), "--promise", "repeat", "--format", "json")
    (split,) = json.loads(result.stdout)["splits"]
    assert (result.exit_code, split["verdict"], split["promise"]) == (0, "clean", "repeat")
    told = {f["id"]: f for f in split["findings"]}["train-test-pairs"]
    assert (told["severity"], told["interactions"]) == ("note", 60)


def test_columns_can_be_named(files):
    for name in ("train", "test"):
        path = files / f"{name}.csv"
        path.write_text(path.read_text().replace("user,item", "buyer,sku"))
    result = run(*options(files), "--column", "user=buyer", "--column", "item=sku")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_the_picture_is_drawn(files, ending):
    path = files / "pictures" / f"audit.{ending}"
    assert run(*options(files), "--picture", path).exit_code == 0
    content = path.read_bytes()
    start = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[ending]
    assert content.startswith(start)
    if ending == "svg":
        ET.fromstring(content)
        assert run(*options(files), "--picture", path).exit_code == 0
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say what to audit"),
        (["--train", "train.csv"], "say what to audit"),
        (["e.toml", "--train", "train.csv"], "not both"),
        (["--train", "a.csv", "--test", "b.csv", "--picture", "p.gif"], "should end in one of"),
        (["--train", "a.csv", "--test", "b.csv", "--column", "user"], "OURS=THEIRS"),
    ],
)
def test_wrong_usage_is_explained(arguments, message):
    result = run(*arguments)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


def test_a_data_set_that_is_not_here_is_left_out_and_named(tmp_path):
    absent = '{ name = "netflix-prize" }, {'
    (tmp_path / "e.toml").write_text(EXPERIMENT.replace("{", absent, 1))
    result = run(tmp_path / "e.toml", "--data", tmp_path)
    assert result.exit_code == 0, result.output
    assert "not audited: netflix-prize" in result.stderr
    assert "made-up / leave-one-out / seed 1: nothing found by " in result.stdout


def test_with_no_data_at_all_there_is_nothing_to_audit(tmp_path):
    text = EXPERIMENT.replace(EXPERIMENT.splitlines()[3], 'datasets = [{ name = "netflix-prize" }]')
    (tmp_path / "e.toml").write_text(text)
    result = run(tmp_path / "e.toml", "--data", tmp_path)
    assert isinstance(result.exception, DataError)
    assert "none of the data sets" in str(result.exception)
