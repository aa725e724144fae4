"""The record of a stranger: whatever stands in it, it is read, or the field is named."""

import json
import random
import re
import time
from collections.abc import Iterator
from copy import deepcopy

import pytest
from support.damage import NO_ANSWER
from support.inprocess import call_here
from support.results import make_record

from recrepro.errors import UsageError
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment

EXPERIMENT = """
schema = 1
claim = "c"
evaluate.metrics = ["ndcg@10"]
tune.trials = 3
[[datasets]]
name = "toy"
synthetic = { users = 30, items = 20, interactions = 300, seed = 3 }
[[splits]]
name = "random-holdout"
label = "s"
[[models]]
name = "itemknn"
"""
ODD = (
    None,
    "",
    "a",
    "\0",
    -5,
    0,
    10**400,
    float("nan"),
    float("inf"),
    True,
    [],
    ["a"],
    {},
    {"a": 1},
)
COMMANDS = (
    ("show", "record.json"),
    ("show", "record.json", "--format", "json"),
    ("reproduce", "record.json"),
    ("export", "record.json", "out", "--wheel", "recrepro.whl"),
)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder in which records can be shown and exported, and reproduced as far as the fit."""

    def stop(*_, **__):
        raise UsageError("now it would be fitted")

    monkeypatch.setattr("recrepro.cli.reproduce.refit", stop)
    (tmp_path / "e.toml").write_text(EXPERIMENT)
    (tmp_path / "recrepro.whl").write_bytes(b"a wheel")
    return tmp_path


def whole(root):
    """A record with as many fields as one can have."""
    experiment = load_experiment(root / "e.toml")
    (cell,) = make_plan(experiment, root, None, progress=False).cells
    audit = {"id": "a", "severity": "note", "users": 1, "interactions": 1, "message": "m"}
    pool = {"user_api": "blas", "version": None}
    recorded = make_record(
        "itemknn",
        identity=cell.identity,
        changes={
            "experiment": experiment.to_json(),
            "curve": [{"epoch": 1, "loss": 0.5}],
            "metrics": {"ndcg@10": 0.5},
            "definitions": {"ndcg@10": {"id": "ndcg", "formula": "f"}},
            "openings": [{"at": 1.0, "reason": "first"}],
            "split": {"audit": {"findings": [{**audit, "details": {}}]}},
            "provenance": {"thread_pools": [pool], "gpus": [{"name": "g"}], "locks": {"l": "d"}},
            "energy_joules": 1.0,
            "weights": "0" * 64,
            "rankings": {"sha256": "0" * 64, "depth": 10},
            "rescored": "0" * 64,
        },
    )
    return recorded.to_json()


def places(content, path=()) -> Iterator[tuple]:
    """Yield the path of each value in plain values."""
    if path:
        yield path
    if isinstance(content, dict | list):
        keys = content if isinstance(content, dict) else range(len(content))
        for key in keys:
            yield from places(content[key], (*path, key))


def faults_of(root, share, rng):
    """Give each field each odd value; call commands on a share of the records, drawn by chance."""
    known = whole(root)
    faults = []
    for path in places(known):
        for value in ODD:
            if rng.random() > share:
                continue
            content = deepcopy(known)
            inner = content
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
            (root / "record.json").write_text(json.dumps(content))
            command = rng.choice(COMMANDS)
            done = call_here(command, root, {"COLUMNS": "200"})
            answered = done.returncode in (0, 2, 3) and not re.search(NO_ANSWER, done.stderr)
            if not answered:
                faults.append(f"{command[0]} with {path} = {value!r:.40}: {done.stderr}")
    return faults


def test_a_whole_record_is_read(root):
    (root / "record.json").write_text(json.dumps(whole(root)))
    for command in COMMANDS:
        done = call_here(command, root, {})
        assert done.returncode == 0 or "now it would be fitted" in done.stderr, done.stderr


def test_a_field_with_an_odd_value_is_read_or_named(root):
    assert faults_of(root, 0.04, random.Random(1)) == []


@pytest.mark.nightly  # each field with each odd value: minutes
def test_any_field_with_any_odd_value_is_read_or_named(root):
    assert faults_of(root, 1.0, random.Random(time.time_ns())) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("provenance", "threads"), "a"),
        (("provenance", "threads"), -5),
        (("provenance", "thread_pools"), "x"),
        (("tuning", "best", "number"), "x"),
        (("tuning", "best", "value"), None),
        (("tuning",), "x"),
        (("titles", "dataset"), 5),
        (("ended_at",), 1e300),
        (("split", "audit", "verdict"), "good"),
    ],
)
def test_the_message_names_the_field(root, path, value):
    content = whole(root)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    (root / "record.json").write_text(json.dumps(content))
    done = call_here(("show", "record.json"), root, {})
    assert done.returncode == 2
    # One that lacks its value is not named by the value, but by what needs it.
    named = ".".join(path if path != ("tuning", "best", "value") else path[:-1])
    assert f"record.json is no record of recrepro, {named}:" in done.stderr
