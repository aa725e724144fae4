"""Recorded runs are shown, refitted and compared; what was altered is found."""

import contextlib
import hashlib
import json
import re
import shutil
import sys

import pytest
from markdown_it import MarkdownIt

from recrepro import cli as module
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace
from recrepro.tracking.client import connect

pytestmark = pytest.mark.slow  # whole runs, fitted again

RUNS = """
schema = 1
claim = "what was run once comes out the same again"
[[datasets]]
name = "log"
file = "log.csv"
[[splits]]
name = "k-fold"
folds = 3
[evaluate]
metrics = ["ndcg@10", "recall@5", "coverage@10"]
[tune]
trials = 3
evaluate_every = 1
[[models]]
name = "ease"
[[models]]
name = "gmf"
params = { epochs = 3 }
"""
LOG = "user,item\n" + "\n".join(
    f"{user},{(user * 7 + step * step) % 40}" for user in range(50) for step in range(12)
)


@pytest.fixture(scope="module")
def runs(make_place):
    """A tuned baseline and a neural model, on three folds of a file, each in a fresh process."""
    place = make_place(RUNS).with_store()
    (place.root / "log.csv").write_text(LOG)
    done = place.run("--jobs", "1")
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def recrepro(runs, monkeypatch, capsys, cells_here):
    """Call the command line in this process; what it fits is fitted here, too."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("RECREPRO_WORKSPACE", str(runs.workspace))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*arguments, cells=cells_here):
        monkeypatch.setattr(sys, "argv", ["recrepro", *map(str, arguments)])
        with cells(), pytest.raises(SystemExit) as ended:
            module.main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return ended.value.code, captured.out, captured.err

    return call


def record_of(runs, model="ease", fold=2):
    ledger = Ledger.in_workspace(runs.workspace)
    records = [ledger.status(member.cell).record for member in ledger.done()]
    ledger.close()
    return next(r for r in records if (r.name.model, r.name.fold) == (model, fold))


@pytest.fixture
def altered(runs, tmp_path):
    """Write a record file with something in it altered, and the per-user values beside it."""

    def write(change, *, model="ease", per_user=True):
        record = record_of(runs, model)
        if per_user:
            blob = Workspace(runs.workspace).read_blob(record.per_user)
            (tmp_path / "per_user.parquet").write_bytes(blob)
        content = record.to_json()
        change(content)
        path = tmp_path / "record.json"
        path.write_text(json.dumps(content))
        return path

    return write


def unchanged(record):
    """Leave a record as it is."""


@pytest.mark.parametrize("model", ["ease", "gmf"])
def test_a_run_comes_out_identical_in_a_fresh_process(recrepro, model):
    name = f"log/k-fold/{model}/seed 1/fold 2"
    code, out, err = recrepro("reproduce", name, cells=contextlib.nullcontext)
    assert code == 0, err
    assert "identical: 3 metrics and the values of 50 users are equal bit by bit" in out
    assert "environment: the same" in out
    assert "trials" not in out


@pytest.mark.parametrize("model", ["ease", "gmf"])
def test_a_search_comes_out_identical(recrepro, model):
    code, out, err = recrepro("reproduce", f"log/k-fold/{model}/seed 1/fold 2", "--retune")
    assert code == 0, err
    assert "identical: 3 metrics and the values of 50 users are equal bit by bit" in out
    assert "3 trials" in out


def test_nothing_is_written_into_the_workspace(recrepro, runs):
    before = {path: path.stat().st_mtime_ns for path in runs.workspace.rglob("*.*")}
    recrepro("show", "log/k-fold/ease/seed 1/fold 1")
    after = {path: path.stat().st_mtime_ns for path in runs.workspace.rglob("*.*")}
    assert {p for p in after if before.get(p) != after[p]} <= {
        runs.workspace / f"ledger.{end}" for end in ("db", "lock", "db-wal", "db-shm")
    }


def test_a_record_without_per_user_values_is_compared_by_its_digest(recrepro, altered):
    path = altered(unchanged, per_user=False)
    code, out, _ = recrepro("reproduce", path)
    assert code == 0
    assert "identical: 3 metrics are equal" in out
    assert "its metrics and its digest were compared" in out


@pytest.mark.parametrize(
    ("off", "code", "verdict"), [(0.01, 1, "different"), (-0.0004, 0, "within tolerance")]
)
def test_an_altered_metric_is_found(recrepro, altered, off, code, verdict):
    path = altered(lambda r: r["metrics"].update({"ndcg@10": r["metrics"]["ndcg@10"] + off}))
    found, out, _ = recrepro("reproduce", path)
    assert found == code
    assert f"{verdict}: " in out
    assert f"{-off:+.2g}" in out


def test_what_differs_around_a_run_is_named(recrepro, altered):
    def change(record):
        record["provenance"]["packages"]["numpy"] = "1.0"
        record["provenance"]["processor"] = "an abacus\x1b[31m"
        record["identity"]["harness"] = 1

    code, out, _ = recrepro("reproduce", altered(change))
    assert code == 0
    assert re.search(r"numpy +1\.0 +\d", out)
    assert re.search(r"harness +1 +\d", out)
    assert "an abacus" in out
    assert "\x1b[31m" not in out


def test_an_altered_digest_is_found(recrepro, altered):
    path = altered(lambda record: record.update(result_digest="0" * 64))
    code, out, _ = recrepro("reproduce", path)
    assert code == 1
    assert "the record's digest is not that of its values" in out


def test_other_data_are_refused_before_anything_is_fitted(recrepro, altered, tmp_path):
    (tmp_path / "log.csv").write_text(LOG.replace("1,", "2,", 3))
    code, out, err = recrepro("reproduce", altered(unchanged), "--base", tmp_path)
    assert code == 3
    assert "these are not the data of the record: data.fingerprint was" in err
    assert "--base DIR" in err
    assert out == ""


def spoil_split(record):
    record["split"]["fingerprint"] = "0"


def lose_best(record):
    record["tuning"] = None


def nested(depth):
    return [nested(depth - 1)] if depth else []


def bring_data(*, users=9, seeds=(1,)):
    """Let the record's experiment ask for data that are made, and for repeats."""

    def change(record):
        made = {"users": users, "items": 1000, "interactions": users}
        record["experiment"]["datasets"] = [{"name": "log", "synthetic": made}]
        record["experiment"]["splits"][0]["seeds"] = list(seeds)

    return change


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda r: r.pop("experiment"), 2, "no model to refit"),
        (lambda r: r["experiment"].pop("claim"), 2, "the key 'claim' is missing"),
        (lambda r: r["titles"].update(fold=9), 2, "has no cell"),
        (lambda r: r.update(base="nowhere"), 2, "the run needs files that are not in"),
        (spoil_split, 3, "the same split of the same data is drawn otherwise here"),
        (lose_best, 2, "has no best trial"),
        (lambda r: r.pop("metrics"), 2, "no record of recrepro: the key 'metrics' is missing"),
        (lambda r: r["metrics"].update({"ndcg@10": "high"}), 2, "metrics.ndcg@10: Input should be"),
        (lambda r: r.update(per_user="0"), 3, "is not that of the record: its SHA-256"),
        (lambda r: r["provenance"].update(threads=10**8), 2, "less than or equal to 4096"),
        (lambda r: r["provenance"].update(threads=-5), 2, "greater than or equal to 1"),
        (lambda r: r.update(users=10**400), 2, "beyond 1,000 bits"),
        (lambda r: r["model"].update(params={"x": nested(40)}), 2, "nested more than 32 deep"),
        (lambda r: r["experiment"].update(claim="a\x1b]0;b"), 2, "control character U+001B"),
        (bring_data(users=10**8), 2, "of memory, but"),
        (bring_data(seeds=list(range(2000))), 2, "at most 1000 items"),
    ],
)
def test_a_record_that_cannot_be_repeated_says_why(recrepro, altered, change, code, said):
    found, _, err = recrepro("reproduce", altered(change))
    assert found == code
    assert said in err


def test_the_length_of_a_search_does_not_matter_where_its_best_trial_is_fitted(recrepro, altered):
    path = altered(lambda record: record["experiment"]["tune"].update(trials=10**9))
    code, out, err = recrepro("reproduce", path)
    assert code == 0, err
    assert "identical: 3 metrics" in out


def test_a_fit_that_fails_says_why(recrepro, altered):
    def change(record):
        record["tuning"]["best"]["params"] = {"l2": -1.0}
        record["model"]["params"]["l2"] = -1.0

    # In a process, whose log has the traceback.
    code, _, err = recrepro("reproduce", altered(change), cells=contextlib.nullcontext)
    assert code == 3
    assert "the run could not be repeated, it failed: model 'ease'" in err


def test_show_prints_a_run_by_key_by_path_by_file_and_by_mlflow_id(recrepro, runs, altered):
    record = record_of(runs)
    client = connect(Workspace(runs.workspace).mlflow_store)
    experiment = client.get_experiment_by_name("toy").experiment_id
    (run,) = client.search_runs([experiment], f"tags.`recrepro.cell` = '{record.cell}'")
    names = [record.cell[:8], "log / k-fold / ease / seed 1 / fold 2", run.info.run_id]
    for name in [*names, altered(unchanged)]:
        code, out, err = recrepro("show", name, "--format", "json")
        assert code == 0, err
        assert json.loads(out) == record.to_json()
    code, out, _ = recrepro("show", names[0])
    assert out.startswith("log/k-fold/ease/seed 1/fold 2")
    for said in (record.result_digest, "processor", "numpy 2", "hyperparameters"):
        assert said in out
    assert record.definitions["ndcg@10"].formula.split()[0] in out
    (trial, *_) = client.search_runs([experiment], "tags.`recrepro.kind` = 'trial'")
    code, _, err = recrepro("show", trial.info.run_id)
    assert code == 3
    assert "has no record.json: it is a trial" in err
    code, _, err = recrepro("show", "f" * 32)
    assert code == 3
    assert "cannot be read: " in err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("log/k-fold/eaze", "unknown run 'log/k-fold/eaze'. Did you mean 'log/k-fold/ease/"),
        ("log/k-fold/ease", "fits 3 cells: log/k-fold/ease/seed 1/fold 1, "),
    ],
)
def test_a_name_has_to_fit_one_run(recrepro, name, said):
    code, _, err = recrepro("show", name)
    assert code == 2
    assert said in err


def test_without_a_workspace_the_message_says_what_a_run_is(recrepro, tmp_path):
    code, _, err = recrepro("show", "record.json", "--workspace", tmp_path)
    assert code == 2
    assert "no such file, and no results in the workspace" in err
    (tmp_path / "record.json").write_text("not a record")
    code, _, err = recrepro("show", tmp_path / "record.json")
    assert code == 2
    assert "it is not JSON" in err


@pytest.mark.parametrize(("model", "needs_torch"), [("ease", False), ("gmf", True)])
def test_a_bundle_is_whole_and_reproduces(recrepro, runs, tmp_path, model, needs_torch):
    (tmp_path / "recrepro-0.1.0-py3-none-any.whl").write_bytes(b"a wheel")
    bundle = tmp_path / "bundle"
    wheel = ("--wheel", tmp_path / "recrepro-0.1.0-py3-none-any.whl")
    code, out, err = recrepro("export", f"log/k-fold/{model}/seed 1/fold 2", bundle, *wheel)
    assert code == 0, err
    assert "two commands" in out
    sums = dict(
        reversed(line.split("  ")) for line in (bundle / "SHA256SUMS").read_text().splitlines()
    )
    assert sums == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in bundle.iterdir()
        if path.name != "SHA256SUMS"
    }
    assert str(runs.root) not in (bundle / "record.json").read_text()
    pins = (bundle / "requirements.txt").read_text().splitlines()
    assert pins[0] == "./recrepro-0.1.0-py3-none-any.whl"
    assert f"numpy=={record_of(runs).provenance.packages['numpy']}" in pins
    assert any(pin.startswith("torch==") for pin in pins) == needs_torch
    readme = (bundle / "README.md").read_text()
    assert f"`log.csv` is needed and not in this folder; SHA-256 {digest(LOG)}" in readme
    shutil.copy(runs.root / "log.csv", bundle)
    code, out, err = recrepro("reproduce", bundle / "record.json")
    assert code == 0, err
    assert "identical: 3 metrics and the values of 50 users" in out
    code, _, err = recrepro("export", f"log/k-fold/{model}/seed 1/fold 2", bundle, *wheel)
    assert code == 2
    assert "not an empty folder" in err


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("numpy", "1.0\n--index-url http://127.0.0.1:9/other\nanother"),
        ("x @ http://127.0.0.1:9/x.whl #", "1"),
        ("-e git+http://127.0.0.1/x", "1"),
        ("-r other.txt", "1"),
        ("numpy", "*"),
        ("numpy", "1 ; python_version > '3'"),
        ("", "1"),
    ],
)
def test_a_record_whose_packages_are_none_gives_no_bundle(
    recrepro, altered, tmp_path, name, version
):
    path = altered(lambda record: record["provenance"]["packages"].update({name: version}))
    (tmp_path / "a-1-py3-none-any.whl").write_bytes(b"a wheel")
    wheel = ("--wheel", tmp_path / "a-1-py3-none-any.whl")
    code, _, err = recrepro("export", path, tmp_path / "bundle", *wheel)
    assert code == 2
    assert "the record lists the package" in err
    assert not (tmp_path / "bundle").exists()


def test_what_a_stranger_wrote_is_text_in_a_bundle_and_no_requirement(recrepro, altered, tmp_path):
    def change(record):
        record["provenance"]["packages"] |= {"Some.Models": "2.0", "NumPy": "1.26.0+local"}
        record["provenance"] |= {"system": "<img src=x>\n# Head", "python": "[a](http://b)"}
        record["metrics"]["<script>`|\x1b"] = 0.5
        record["titles"]["dataset"] = "a\n## b"

    (tmp_path / "a-1-py3-none-any.whl").write_bytes(b"a wheel")
    wheel = ("--wheel", tmp_path / "a-1-py3-none-any.whl")
    code, _, err = recrepro("export", altered(change), tmp_path / "bundle", *wheel)
    assert code == 0, err
    pins = (tmp_path / "bundle" / "requirements.txt").read_text().splitlines()
    assert [pin for pin in pins if pin.startswith(("numpy", "some"))] == ["numpy==1.26.0"]
    assert len({pin.partition("==")[0] for pin in pins}) == len(pins)
    readme = (tmp_path / "bundle" / "README.md").read_text()
    tokens = MarkdownIt("commonmark").enable("table").parse(readme)
    kinds = {one.type for token in tokens for one in (token, *(token.children or []))}
    assert not kinds & {"html_block", "html_inline", "image", "link_open"}
    heads = [token.content for token in tokens if token.type == "inline" and token.level == 1]
    assert any(head.startswith("a ## b/k-fold/") for head in heads)
    assert "\x1b" not in readme
    assert "packages there that recrepro does not need: some-models" in readme
    assert "only if you trust who made it" in readme


def test_a_failed_export_leaves_nothing(recrepro, monkeypatch, tmp_path):
    monkeypatch.setattr("recrepro.reproduce.bundle.checkout", lambda: None)
    code, _, err = recrepro("export", "log/k-fold/ease/seed 1/fold 2", tmp_path / "bundle")
    assert code == 3
    assert "--wheel FILE" in err
    assert list(tmp_path.iterdir()) == []


NAMED = """
schema = 1
claim = "named data are found again"
[[datasets]]
name = "movielens-100k"
[[splits]]
name = "temporal"
[evaluate]
metrics = ["ndcg@10"]
[[models]]
name = "toppopular"
"""


@pytest.mark.realdata
def test_named_data_come_out_identical_from_an_mlflow_run(recrepro, make_place_here, data_dir):
    place = make_place_here(NAMED)
    place.environment["RECREPRO_DATA"] = str(data_dir)
    done = place.run()
    assert done.returncode == 0, done.stderr
    client = connect(Workspace(place.workspace).mlflow_store)
    experiment = client.get_experiment_by_name("toy").experiment_id
    (run,) = client.search_runs([experiment], "tags.`recrepro.kind` = 'cell'")
    arguments = ("--workspace", place.workspace, "--data", data_dir)
    code, out, err = recrepro("reproduce", run.info.run_id, *arguments)
    assert code == 0, err
    assert "identical: 1 metric" in out
