"""`recrepro verify`: any change is found, in any file, and so are tables that do not follow."""

import hashlib
import json
import os
import random
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.results import make_result, merged

from recrepro.errors import RecreproError, UsageError
from recrepro.publish.snapshot import CITED, SUMS, cite, cited_files, sums_file
from recrepro.publish.verify import problems_of, same_table
from recrepro.publish.write import write_snapshot
from recrepro.store.openings import Opening
from recrepro.store.records import Record
from recrepro.store.results import Result

pytestmark = pytest.mark.slow  # tables with thousands of resamples

EXPERIMENT = """
schema = 1
claim = "c"
evaluate.metrics = ["ndcg@10"]
tune.trials = 1
[[datasets]]
name = "toy"
[[splits]]
name = "random-holdout"
label = "s"
[[models]]
name = "ease"
[[models]]
name = "net"
"""


def two_results():
    rng = np.random.default_rng(3)
    return [
        make_result(model, {"ndcg@10": rng.random(6)}, family=family)
        for model, family in (("ease", "simple"), ("net", "neural"))
    ]


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    """Write a snapshot of two models; `change` may alter the results before.

    Recrepro would not write all of them: the one who does makes hashes and tables fit.
    """

    def make(change=lambda results: results):
        folder = tmp_path_factory.mktemp("verify")
        (folder / "e.toml").write_text(EXPERIMENT)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("recrepro.publish.write.problems_of", lambda *_, **__: [])
            write_snapshot(folder / "e.toml", change(two_results()), folder / "cited")
        for path in (folder / "cited").rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        return folder / "cited"

    return make


@pytest.fixture(scope="module")
def whole(write):
    """A snapshot that every test leaves as it was."""
    return write()


def seal_again(folder):
    """Do what somebody does who changes a snapshot and makes its hashes fit."""
    paths = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    sums = {
        path: hashlib.sha256((folder / path).read_bytes()).hexdigest()
        for path in paths
        if path not in {SUMS, *CITED}
    }
    (folder / SUMS).write_bytes(sums_file(sums))
    for path, text in cited_files(cite(folder), sums).items():
        (folder / path).write_text(text)


def test_a_snapshot_that_was_not_changed_is_whole(whole):
    assert problems_of(whole) == []
    digest = cite(whole).sha256
    assert problems_of(whole, digest) == problems_of(whole, f"sha256:{digest}") == []
    assert "another snapshot" in problems_of(whole, "0" * 64)[0]


@given(data=st.data())
def test_a_changed_byte_is_found_in_every_file(whole, data):
    names = sorted(p.relative_to(whole).as_posix() for p in whole.rglob("*") if p.is_file())
    name = data.draw(st.sampled_from(names))
    content = (whole / name).read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    other = data.draw(st.integers(1, 255))
    changed = bytearray(content)
    changed[place] ^= other
    try:
        (whole / name).write_bytes(changed)
        assert problems_of(whole) != []
    finally:
        (whole / name).write_bytes(content)


def test_every_file_is_watched(whole):
    for path in sorted(p for p in whole.rglob("*") if p.is_file()):
        content = path.read_bytes()
        try:
            path.write_bytes(content + b" ")
            assert any(path.name in problem for problem in problems_of(whole))
            path.unlink()
            if path.name != SUMS:
                assert any("is missing" in problem for problem in problems_of(whole))
        finally:
            path.write_bytes(content)


@pytest.mark.parametrize("name", ["more.txt", "records/more.json", "empty/", "fifo", "link", "out"])
def test_what_does_not_belong_to_it_is_found(whole, name):
    path = whole / name
    if name == "fifo":
        os.mkfifo(path)
    elif name == "link":
        path.symlink_to(whole / "verdict.json")
    elif name == "out":
        path.symlink_to("/etc", target_is_directory=True)
    elif name.endswith("/"):
        path.mkdir()
    else:
        path.write_text("{}")
    try:
        assert len(problems_of(whole)) == 1
    finally:
        path.rmdir() if name.endswith("/") else path.unlink()


@pytest.mark.parametrize(
    "path", ["../outside.json", "/etc/passwd", "records/../../x", "..", "a/b/c", "a\\b", "./x"]
)
def test_a_path_that_leads_elsewhere_is_refused(whole, path):
    sums = (whole / SUMS).read_bytes()
    try:
        (whole / SUMS).write_bytes(sums + f"{'0' * 64}  {path}\n".encode())
        found = problems_of(whole)
        assert any("no hash and path inside" in p or "is missing" in p for p in found)
        assert not any("was changed: its SHA-256" in problem for problem in found)
    finally:
        (whole / SUMS).write_bytes(sums)


def test_hashes_that_were_made_to_fit_give_another_content_hash(write):
    folder = write()
    before = cite(folder).sha256
    (folder / "trials").rename(folder / "moved")
    (folder / "moved").rename(folder / "trials")
    about = json.loads((folder / "snapshot.json").read_text())
    about["authors"] = ["Somebody, Else"]
    (folder / "snapshot.json").write_text(json.dumps(about))
    seal_again(folder)
    assert problems_of(folder) == []
    assert "another snapshot" in problems_of(folder, before)[0]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("leaderboard.md", "net", "met"),
        ("leaderboard.csv", "tuned", "fixed"),
        ("leaderboard.tex", "\\textbf", "\\textit"),
        ("leaderboard.html", "<strong", "<i><strong"),
        ("leaderboard.json", '"repeats": 1', '"repeats": 2'),
        ("verdict.json", '"not enough evidence"', '"better"'),
    ],
)
def test_tables_that_do_not_follow_from_the_results_are_found(write, name, old, new):
    folder = write()
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    seal_again(folder)
    (problem,) = problems_of(folder)
    assert problem.startswith(f"'{name}' does not follow")


def test_a_record_that_does_not_fit_its_values_is_found(write):
    def better(results: list[Result]) -> list[Result]:
        record = results[1].record.model_copy(update={"metrics": {"ndcg@10": 0.99}})
        return [results[0], replace(results[1], status=replace(results[1].status, record=record))]

    (problem,) = problems_of(write(better))
    assert "ndcg@10" in problem
    assert "is not the mean of the values of its users" in problem


def altered(result, **changes):
    """A result with other fields in its record."""
    content = merged(result.record.to_json(), changes)
    record = Record.model_validate(content)
    return replace(result, status=replace(result.status, record=record))


def test_values_that_were_doubled_are_found_though_all_hashes_and_tables_fit(write):
    def doubled(results):
        ease, net = results
        values = {"ndcg@10": net.per_user()["ndcg@10"] * 2}
        better = make_result("net", values, family="neural")
        return [ease, altered(better, result_digest=net.record.result_digest)]

    (problem,) = problems_of(write(doubled))
    assert "does not follow from its hyperparameters and values" in problem


FOUND = Opening(1_750_000_000.5, "reopened")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": {"params": {"l2": 1.0}}}, ["result digest"]),
        ({"tuning": {"best": {"params": {"l2": 1.0}}}}, ["has l2 = None", "none of its trials"]),
        ({"tuning": {"best": {"epochs": 3}}}, ["has epochs = None", "none of its trials"]),
        ({"openings": [asdict(FOUND)]}, ["the opening of the test part at 1750000000.5"]),
        ({"cell": "0" * 64}, ["is not that of its cell", "result digest"]),
    ],
)
def test_a_record_that_contradicts_itself_or_its_openings_is_found(write, change, said):
    found = problems_of(write(lambda results: [results[0], altered(results[1], **change)]))
    assert len(found) == len(said)
    assert all(any(words in problem for problem in found) for words in said)


@pytest.mark.parametrize(
    "change", [{"metrics": {"ndcg@10": 0.99}}, {"openings": [asdict(FOUND)]}], ids=str
)
def test_what_would_not_be_verified_is_not_written(tmp_path, change):
    (tmp_path / "e.toml").write_text(EXPERIMENT)
    ease, net = two_results()
    with pytest.raises(RecreproError, match=r"e cannot be cited.*Nothing was written"):
        write_snapshot(tmp_path / "e.toml", [ease, altered(net, **change)], tmp_path / "cited")
    assert [path.name for path in tmp_path.iterdir()] == ["e.toml"]


def test_values_of_other_users_a_foreign_record_and_a_foreign_trial_are_found(write):
    def swapped(results):
        one, other = results
        foreign = other.record.model_copy(update={"identity": one.record.identity})
        status = replace(other.status, record=foreign)
        return [
            replace(one, read_trials=list),
            replace(other, read_per_user=one.read_per_user, status=status),
        ]

    found = " ".join(problems_of(write(swapped)))
    assert "is none of its trials" in found
    assert "are not those of its record" in found
    assert "is not that of its cell" in found


def test_a_record_that_was_made_inline_is_found(write):
    def inlined(results):
        identity = results[1].record.identity.inline()
        values = {"ndcg@10": results[1].per_user()["ndcg@10"]}
        return [results[0], make_result("net", values, family="neural", identity=identity)]

    (problem,) = problems_of(write(inlined))
    assert "was made inline, which is not for publication" in problem


def test_a_forged_snapshot_that_cannot_be_read_is_one_problem(write):
    folder = write()
    (folder / "snapshot.json").write_text('{"schema": 1, "cells": [{}], "recrepro": "0", ')
    sums = {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file() and p.name not in {SUMS, *CITED}
    }
    (folder / SUMS).write_bytes(sums_file(sums))
    (problem,) = problems_of(folder)
    assert problem.startswith("it cannot be read: JSONDecodeError")


def test_a_folder_that_is_no_snapshot_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is no snapshot"):
        problems_of(tmp_path)


def test_numbers_are_the_same_to_nine_digits_and_words_to_the_letter():
    assert same_table("p 0.12345678901 x", "p 0.12345678902 x")
    assert not same_table("p 0.1234 x", "p 0.1235 x")
    assert not same_table("p 0.1234 x", "p 0.1234 y")
    assert not same_table("p 0.1234", "p 0.1234 0.1")
    values = [random.Random(1).random() for _ in range(20)]
    assert same_table(json.dumps(values), json.dumps([v * (1 + 1e-13) for v in values]))
