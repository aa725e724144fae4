"""Snapshots: whole, the same for the same results, and readable as results again."""

import hashlib
import json
import stat
from dataclasses import replace

import numpy as np
import pytest
from support.results import make_result, unfinished

from recrepro.errors import RecreproError, UsageError
from recrepro.publish.snapshot import read_about, results_of_snapshot
from recrepro.publish.write import write_snapshot

pytestmark = pytest.mark.slow  # tables with thousands of resamples

EXPERIMENT = """
schema = 1
claim = "nets beat {ease} & \\\\input"
evaluate.metrics = ["ndcg@10", "recall@5"]
[tune]
trials = 1
[[datasets]]
name = "toy"
[[splits]]
name = "random-holdout"
label = "s"
[[models]]
name = "ease"
[[models]]
name = "net"
[[models]]
name = "lost"
"""


@pytest.fixture
def experiment_file(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture
def results():
    rng = np.random.default_rng(3)
    found = [
        make_result(model, {"ndcg@10": rng.random(8), "recall@5": rng.random(8)}, family=family)
        for model, family in (("ease", "simple"), ("net", "neural"))
    ]
    return [*found, unfinished("lost", "failed", "why")]


@pytest.fixture
def snapshot(experiment_file, results, tmp_path):
    write_snapshot(experiment_file, results, tmp_path / "cited", reference="ease")
    return tmp_path / "cited"


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_content_hash_is_that_of_the_hashes_of_all_other_files(
    experiment_file, results, tmp_path
):
    citation = write_snapshot(experiment_file, results, tmp_path / "a" / "b", authors=["Curie, M."])
    found = files(tmp_path / "a" / "b")
    sums = found.pop("SHA256SUMS")
    assert citation.sha256 == hashlib.sha256(sums).hexdigest()
    listed = dict(reversed(line.split("  ")) for line in sums.decode().splitlines())
    cited = {"citation.bib", "CITATION.cff", "croissant.json"}
    assert listed == {
        path: hashlib.sha256(content).hexdigest()
        for path, content in found.items()
        if path not in cited
    }
    for path in cited:
        assert citation.sha256 in found[path].decode()
    assert b"Curie, M." in found["citation.bib"]
    assert citation.date == "2025-06-15"  # of the last result
    assert {path.partition("/")[0] for path in found} >= {"records", "per_user", "trials"}
    assert {f"leaderboard.{form}" for form in ("md", "csv", "tex", "html", "json")} <= set(found)
    assert not any(path.name.startswith(".draft") for path in (tmp_path / "a").iterdir())


def test_the_same_results_give_the_same_bytes_and_files_are_read_only(
    snapshot, experiment_file, results, tmp_path
):
    write_snapshot(experiment_file, results, tmp_path / "again", reference="ease")
    assert files(tmp_path / "again") == files(snapshot)
    assert {stat.S_IMODE(p.stat().st_mode) for p in snapshot.rglob("*") if p.is_file()} == {0o444}


def test_a_snapshot_can_be_read_as_results(snapshot, results):
    again = results_of_snapshot(snapshot)
    assert [r.name for r in again] == [r.name for r in results]
    assert [r.status for r in again] == [r.status for r in results]
    assert [r.read_trials() for r in again] == [r.read_trials() for r in results]
    assert again[0].per_user().equals(results[0].per_user())
    assert again[2].status.reason == "why"
    board = json.loads((snapshot / "leaderboard.json").read_text())["leaderboards"][0]
    assert [row["status"] for row in board["rows"]][-1] == "failed"
    (judged,) = json.loads((snapshot / "verdict.json").read_text())["boards"][0]["models"]
    assert judged["reference"]["model"] == "ease"


def test_nothing_is_replaced_and_nothing_half_written(experiment_file, results, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(UsageError, match="is there already"):
        write_snapshot(experiment_file, results, tmp_path / "there")

    def broken():
        raise RecreproError("the blob is missing")

    with pytest.raises(RecreproError, match="blob is missing"):
        write_snapshot(
            experiment_file, [replace(results[0], read_per_user=broken)], tmp_path / "new"
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.toml", "there"]


def test_what_cannot_be_cited_is_refused(experiment_file, results, tmp_path):
    with pytest.raises(UsageError, match="nothing to cite"):
        write_snapshot(experiment_file, results[2:], tmp_path / "new")
    for url in ("javascript:alert(1)", "https://a.b/}{", "https://a.b/ c"):
        with pytest.raises(UsageError, match="--url"):
            write_snapshot(experiment_file, results, tmp_path / "new", url=url)
    odd = replace(results[0], status=replace(results[0].status, cell="../../../etc/passwd"))
    with pytest.raises(RecreproError, match="no key of a cell"):
        write_snapshot(experiment_file, [odd], tmp_path / "new")


def test_a_path_that_leads_out_of_the_folder_is_not_read(snapshot, tmp_path):
    about = read_about(snapshot)
    about["cells"][0]["files"]["records"] = "../secret.json"
    (tmp_path / "secret.json").write_text("{}")
    (snapshot / "snapshot.json").chmod(0o644)
    (snapshot / "snapshot.json").write_text(json.dumps(about))
    with pytest.raises(RecreproError, match="outside of it"):
        results_of_snapshot(snapshot)


def test_a_snapshot_of_another_schema_is_refused(snapshot):
    about = read_about(snapshot) | {"schema": 99}
    (snapshot / "snapshot.json").chmod(0o644)
    (snapshot / "snapshot.json").write_text(json.dumps(about))
    with pytest.raises(RecreproError, match="schema 99"):
        results_of_snapshot(snapshot)
