"""A damaged ledger: each command says what it says of the whole one, or what is wrong."""

import contextlib
import os
import random
import re
import shutil
import sqlite3
import time

import numpy as np
import pytest
from support.damage import Edit, Flip, edits, sweep
from support.inprocess import call_here
from support.results import make_identity, make_name, make_result

from recrepro.errors import LedgerError
from recrepro.spec.experiment import load_experiment
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace

EXPERIMENT = """
schema = 1
claim = "damage is seen"
evaluate.metrics = ["ndcg@10"]
tune.trials = 1
[[datasets]]
name = "toy"
synthetic = { users = 30, items = 20, interactions = 300, seed = 3 }
[[splits]]
name = "random-holdout"
label = "s"
[[models]]
name = "ease"
[[models]]
name = "itemknn"
role = "judged"
[[models]]
name = "rp3beta"
[[models]]
name = "toppopular"
"""
EASE = "toy/s/ease/seed 1"
OFTEN = (
    ("status",),
    ("status", "--format", "json"),
    ("show", EASE, "--format", "json"),
    ("leaderboard", "e.toml", "--no-intervals", "--format", "json"),
    ("export", EASE, "out", "--wheel", "recrepro.whl"),
    ("gc", "--dry-run"),
    ("withdraw", EASE, "--because", "it is only a test"),
)
SELDOM = (
    ("leaderboard", "e.toml"),
    ("compare", "e.toml"),
    ("report", "e.toml"),
    ("cite", "e.toml", "out"),
)
"""Commands that take a second each."""


def finish(ledger, workspace, result):
    """Let a cell come to a result."""
    record = result.record
    token = ledger.lease(record.cell, reopen=True)
    for trial in result.read_trials():
        ledger.add_trial(record.cell, token, trial)
    ledger.open_seal(record.cell, token, 1)
    workspace.write_blob(result.read_per_user())
    openings = list(ledger.openings(record.cell))
    ledger.commit(token, record.model_copy(update={"openings": openings}))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with an experiment and a workspace that has a row, or more, in each table."""
    root = tmp_path_factory.mktemp("damage")
    (root / "recrepro.whl").write_bytes(b"a wheel")
    (root / "e.toml").write_text(EXPERIMENT)
    experiment = load_experiment(root / "e.toml")
    rng = np.random.default_rng(5)

    def result(model, **changes):
        alone = experiment.one_cell("toy", "s", model, 1).to_json()
        values = {"ndcg@10": rng.random(6)}
        return make_result(model, values, changes={"experiment": alone}, **changes)

    older = make_identity("itemknn", changes={"model": {"code": "1" * 64}})
    results = [result(model) for model in ("ease", "itemknn", "toppopular")]
    identities = [one.record.identity for one in results] + [make_identity("rp3beta")]
    workspace = Workspace.create(root / "runs")
    with contextlib.closing(Ledger.in_workspace(workspace.root)) as ledger:

        def plan(cells):
            members = [(Member(i.key, make_name(i.model.name)), i) for i in cells]
            ledger.plan("e", experiment.grid_hash, EXPERIMENT, members)

        plan([older])
        finish(ledger, workspace, result("itemknn", identity=older))
        plan(identities)
        for one in results:
            finish(ledger, workspace, one)
        with pytest.raises(LedgerError, match="alarm"):
            finish(ledger, workspace, result("itemknn"))
        ledger.withdraw(results[-1].record.cell, "another file was meant")
        failed = identities[-1].key
        ledger.fail(failed, ledger.lease(failed), "no memory")
        ledger.add_checked("1" * 64)
        theirs = make_result("theirs", {"ndcg@10": rng.random(6)}, status="external")
        workspace.write_blob(theirs.read_per_user())
        ledger.add_external("e", theirs.record)
    return root


def all_damages(root, flips, rng):
    found = [*edits(root / "runs" / "ledger.db", rng)]
    return [*found, *(Flip(rng.random()) for _ in range(flips))]


def test_a_damaged_ledger_is_refused_or_says_the_same(root):
    rng = random.Random(1)
    damages = all_damages(root, 150, rng)
    found, faults = sweep(root, OFTEN, damages, rng, share=0.03)
    assert not faults
    assert min(found["same"], found["refused"]) > 20


@pytest.mark.parametrize("read", [Ledger.done, Ledger.records, Ledger.referenced, "superseded"])
def test_a_cell_in_a_state_that_is_none_is_never_left_out_in_silence(root, tmp_path, read):
    copy = shutil.copytree(root / "runs", tmp_path / "runs")
    assert Edit("cells", 1, "state", "x").apply(copy / "ledger.db")
    with contextlib.closing(Ledger.in_workspace(copy)) as ledger:
        (version,) = {(one.name, one.grid_hash) for one in ledger.planned()}
        with pytest.raises(LedgerError, match=r"column 'state' .*'x'"):
            ledger.superseded(*version) if read == "superseded" else read(ledger)


@pytest.mark.nightly  # every column with every odd value: minutes
def test_any_damage_is_refused_or_says_the_same(root):
    rng = random.Random(time.time_ns())
    damages = all_damages(root, 300, rng)
    assert not sweep(root, OFTEN, damages, rng)[1]
    assert not sweep(root, SELDOM, damages, rng, share=0.1)[1]


@pytest.mark.nightly  # as before, on a ledger that a run has made
def test_any_damage_of_a_run_is_refused_or_says_the_same(finished_here, tmp_path):
    root = tmp_path / "place"
    shutil.copytree(finished_here.root, root)
    cell = "toy/random-holdout/ease/seed 1"
    rng = random.Random(time.time_ns())
    damages = all_damages(root, 100, rng)
    commands = [("show", cell), ("check", "toy.toml"), ("sync",), ("status",)]
    assert not sweep(root, commands, damages, rng)[1]
    assert not sweep(root, [("leaderboard", "toy.toml")], damages, rng, share=0.1)[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE cells SET state = 'weird' WHERE state = 'failed'", "column 'state' of table"),
        ("UPDATE cells SET record = '[]' WHERE state = 'done'", "column 'record' of table 'cells'"),
        ("UPDATE cells SET record_hash = NULL", "column 'record_hash'|column 'record'"),
        (
            "UPDATE cells SET owner = 'me', token = 't', deadline = 1 WHERE state = 'done'",
            "'owner'",
        ),
        ("UPDATE meta SET value = 'abc' WHERE key = 'schema'", "'abc' is no version"),
        ("DELETE FROM meta WHERE key = 'schema'", "the value of 'schema' is missing"),
        ("DELETE FROM cells WHERE state = 'failed'", "column 'cell' of table 'experiment_cells'"),
        ("DELETE FROM experiment_cells WHERE place = 0", "rows of the experiment 'e' are missing"),
        ("DELETE FROM experiments", "rows of the experiment 'e' are missing"),
        ("UPDATE withdrawn SET because = ''", "column 'because' of table 'withdrawn': '' is not"),
        ("DELETE FROM openings", "the opening of the test part at .* is missing"),
        ("UPDATE openings SET opened_at = opened_at + 1", "the opening of the test part at .*"),
        ("DROP TABLE trials", "no such table: trials"),
    ],
)
def test_the_message_names_what_is_damaged_and_what_to_do(root, tmp_path, change, said):
    shutil.copytree(root / "runs", tmp_path / "runs")
    with contextlib.closing(sqlite3.connect(tmp_path / "runs" / "ledger.db")) as ledger, ledger:
        ledger.execute(change)
    done = call_here(("status", "--workspace", "runs"), tmp_path, {})
    assert done.returncode == 3
    assert re.search(f"the ledger sqlite:.* is damaged: .*({said})", done.stderr), done.stderr
    assert "Restore it from a copy" in done.stderr
    assert done.stdout == ""


def test_nothing_is_deleted_because_of_a_damaged_record(root, tmp_path):
    """A record that cannot be read may be the only one that names a file."""
    shutil.copytree(root / "runs", tmp_path / "runs")
    for blob in (tmp_path / "runs" / "blobs").glob("??/*"):
        os.utime(blob, (0, 0))
    blobs = sorted((tmp_path / "runs" / "blobs").glob("??/*"))
    with contextlib.closing(sqlite3.connect(tmp_path / "runs" / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE alarms SET record = 'x'")
    done = call_here(("gc", "--workspace", "runs"), tmp_path, {})
    assert done.returncode == 3
    assert "column 'record' of table 'alarms'" in done.stderr
    assert sorted((tmp_path / "runs" / "blobs").glob("??/*")) == blobs
