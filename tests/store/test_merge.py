"""`merge` takes what is sound from elsewhere, and nothing that is here is lost or changed."""

import hashlib
import io
import json
import shutil
import sqlite3
import zipfile
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.inprocess import call_here
from support.results import make_identity, make_name, make_record

from recrepro.compute.checkpoint import Checkpoint
from recrepro.errors import UsageError
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.merge import merge
from recrepro.store.pack import opened, pack
from recrepro.store.records import Trial
from recrepro.store.results import result_digest
from recrepro.store.workspace import Workspace

MODELS = "abcd"


def values_of_users(value):
    buffer = io.BytesIO()
    pd.DataFrame({"user": ["u", "v"], "ndcg@10": [value, value]}).to_parquet(buffer, index=False)
    return buffer.getvalue()


def digest_of(model, value=0.5):
    key, record = make_identity(model).key, make_record(model)
    return result_digest(key, record.model.params, record.metrics, values_of_users(value))


class Place:
    """A workspace whose cells get results and trials of made-up values."""

    def __init__(self, root):
        self.workspace = Workspace.create(root)
        self.root = self.workspace.root
        self.ledger = Ledger.in_workspace(root)

    def close(self):
        self.ledger.close()

    def plan(self, models, name="e"):
        cells = [(Member(make_identity(m).key, make_name(m)), make_identity(m)) for m in models]
        self.ledger.plan(name, "hash", f"the file of {name}", cells)

    def try_out(self, model, n_trials, value=0.5):
        """Give a cell more trials."""
        key = make_identity(model).key
        token = self.ledger.lease(key)
        for number in range(len(self.ledger.trials(key)), n_trials):
            trial = Trial(number, {"k": number}, "complete", value, {"ndcg@10": value}, seconds=1.0)
            self.ledger.add_trial(key, token, trial)
        self.ledger.release(key, token)

    def finish(self, model, value=0.5):
        """Give a cell a result, with the same value for two users."""
        identity = make_identity(model)
        token = self.ledger.lease(identity.key)
        content = values_of_users(value)
        changes = {
            "per_user": self.workspace.write_blob(content),
            "result_digest": digest_of(model, value),
        }
        n_trials = len(self.ledger.trials(identity.key))
        changes |= {"tuning": {"trials": n_trials}} if n_trials else {}
        validation = 0.5 if n_trials else None
        record = make_record(identity=identity, validation=validation, changes=changes)
        self.ledger.commit(token, record)

    def merge(self, other):
        with opened(other) as parcel:
            return merge(parcel, self.ledger, self.workspace)

    def state(self):
        """Return results with their values, and trials, by model."""
        found = {}
        for model in MODELS:
            key = make_identity(model).key
            if key in self.ledger.states():
                record = self.ledger.status(key).record
                values = record and self.workspace.read_blob(record.per_user)
                trials = [(t.number, t.value) for t in self.ledger.trials(key)]
                found[model] = (record and record.result_digest, values, trials)
        return found


@pytest.fixture
def places(tmp_path):
    made = [Place(tmp_path / name) for name in ("here", "there")]
    yield made
    for place in made:
        place.close()


amounts = st.dictionaries(st.sampled_from(MODELS), st.tuples(st.integers(0, 3), st.booleans()))


@settings(max_examples=12)
@given(here=amounts, there=amounts)
def test_merging_gives_what_one_workspace_would_have(tmp_path_factory, here, there):
    root = tmp_path_factory.mktemp("places")
    both = [Place(root / name) for name in ("here", "there", "whole")]
    for place, contents in zip(both, ([here], [there], [here, there]), strict=True):
        place.plan(MODELS)
        for content in contents:
            for model, (n_trials, done) in content.items():
                state = place.ledger.states()[make_identity(model).key]
                if state != "done":
                    place.try_out(model, n_trials)
                    if done:
                        place.finish(model)
    mine, other, whole = both
    # One that is done is not searched any further; what the others have of it may be longer.
    expected = {}
    for model, (digest, values, trials) in whole.state().items():
        longest = max((p.state()[model][2] for p in both), key=len)
        expected[model] = (digest, values, max(trials, longest, key=len))
    merged = mine.merge(other.root)
    assert mine.state() == expected
    assert merged.alarms == merged.refused == merged.busy == []
    again = mine.merge(other.root)
    assert (again.cells, again.trials, again.alarms, again.refused) == ([], 0, [], [])
    for place in both:
        place.close()


def test_experiments_openings_and_withdrawals_come_along(places):
    here, there = places
    there.plan("ab")
    key = make_identity("a").key
    token = there.ledger.lease(key)
    there.ledger.open_seal(key, token, 0)
    there.ledger.release(key, token)
    there.finish("a")
    there.ledger.withdraw(key, "a mistake")
    merged = here.merge(there.root)
    assert merged.cells == [make_name("a").path]
    assert [m.cell for m in here.ledger.members("e", "hash")] == [
        make_identity(m).key for m in "ab"
    ]
    assert here.ledger.planned() == there.ledger.planned()
    status = here.ledger.status(key)
    assert status.openings == there.ledger.openings(key) != ()
    assert status.withdrawn == "a mistake"


def test_two_results_for_one_identity_raise_an_alarm_and_ours_stays(places):
    here, there = places
    for place, value in ((here, 0.5), (there, 0.6)):
        place.plan("a")
        place.finish("a", value)
    for _ in range(2):
        merged = here.merge(there.root)
        (alarm,) = merged.alarms
        assert "a/seed 1" in alarm
        assert "another result there than here" in alarm
        status = here.ledger.status(make_identity("a").key)
        assert status.record.result_digest == digest_of("a")
        assert status.alarmed


def test_other_trials_raise_an_alarm_and_the_result_chosen_among_them_is_refused(places):
    here, there = places
    for place, value in ((here, 0.5), (there, 0.6)):
        place.plan("a")
        place.try_out("a", 2, value)
    there.finish("a")
    merged = here.merge(there.root)
    assert "trial 0 is another one there than here" in merged.alarms[0]
    assert "chosen among other trials" in merged.refused[0]
    assert here.state()["a"] == (None, None, [(0, 0.5), (1, 0.5)])


def test_a_cell_that_is_run_here_is_left_alone(places):
    here, there = places
    for place in places:
        place.plan("a")
    there.try_out("a", 2)
    there.finish("a")
    token = here.ledger.lease(make_identity("a").key)
    merged = here.merge(there.root)
    assert merged.busy == [make_name("a").path]
    assert (merged.cells, merged.trials) == ([], 0)
    here.ledger.release(make_identity("a").key, token)
    assert here.merge(there.root).cells == [make_name("a").path]


ALTERED = {
    "record": (
        "UPDATE cells SET record = replace(record, '\"users\": 1', '\"users\": 2')",
        "altered",
    ),
    "hash": ("UPDATE cells SET record_hash = NULL", "altered"),
    "digest": ("UPDATE cells SET result_digest = 'f'", "not the one in the record"),
    "identity": ("UPDATE cells SET identity = replace(identity, 'toy', 'joy')", "not its hash"),
    "identity gone": ("UPDATE cells SET identity = 'x'", "not its hash"),
    "trial": ("UPDATE trials SET trial = replace(trial, '0.5', '0.9')", "altered"),
    "trial's hash": ("UPDATE trials SET trial_hash = NULL, trial = 'x'", "trial 0"),
    "number": ("UPDATE trials SET number = 7 WHERE number = 0", "trial 0 is missing"),
    "name": ("UPDATE experiment_cells SET titles = 'x'", "not what was written there"),
    "name without a hash": ("UPDATE experiment_cells SET titles = '{}'", "no name of a cell"),
    "type": ("UPDATE openings SET opened_at = 'yesterday'", "'opened_at'"),
    "reason": ("UPDATE openings SET reason = 'weird'", "'reason'"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_what_was_altered_is_named_and_left_out_and_the_rest_is_taken(places, what):
    here, there = places
    there.plan("ab")
    for model in "ab":
        there.try_out(model, 2)
        key = make_identity(model).key
        token = there.ledger.lease(key)
        there.ledger.open_seal(key, token, 0)
        there.ledger.release(key, token)
        there.finish(model)
    there.close()
    statement, reason = ALTERED[what]
    column = {"trials": "search", "cells": "cell"}.get(statement.split()[1], "cell")
    of_a = make_identity("a").search_key if column == "search" else make_identity("a").key
    joint = " AND " if "WHERE" in statement else " WHERE "
    with closing(sqlite3.connect(there.root / "ledger.db")) as connection:
        connection.execute(f"{statement}{joint}{column} = ?", [of_a])
        connection.commit()
    merged = here.merge(there.root)
    assert reason in " ".join(merged.refused)
    assert here.state()["b"] == (digest_of("b"), values_of_users(0.5), [(0, 0.5), (1, 0.5)])
    if what in ("record", "hash", "digest", "identity", "identity gone"):
        assert here.state().get("a", (None,))[0] is None
    if what in ("trial", "trial's hash", "number"):
        assert here.state()["a"] == (None, None, [])
        assert "0 of the 2 trials" in " ".join(merged.refused)


def test_a_result_without_its_values_is_named_and_left_out(places):
    here, there = places
    there.plan("ab")
    for model in "ab":
        there.finish(model, 0.1 if model == "a" else 0.2)
    blob = there.ledger.status(make_identity("a").key).record.per_user
    there.workspace.blob(blob).unlink()
    merged = here.merge(there.root)
    assert "is missing" in merged.refused[0]
    assert merged.cells == [make_name("b").path]
    assert here.ledger.states()[make_identity("a").key] == "pending"


def test_an_older_or_newer_workspace_is_refused(places):
    here, there = places
    for value, said in ((3, "older recrepro"), (9, "has schema 9")):
        there.close()
        key = "harness" if value == 3 else "schema"
        with closing(sqlite3.connect(there.root / "ledger.db")) as connection:
            connection.execute("UPDATE meta SET value = ? WHERE key = ?", [str(value), key])
            connection.commit()
        done = call_here(
            ["merge", str(there.root), "--workspace", str(here.root)], here.root.parent, {}
        )
        assert done.returncode in (2, 3)
        assert said in done.stderr


def test_the_command_says_what_it_took_and_ends_with_1_for_an_alarm(places, tmp_path):
    here, there = places
    there.plan("ab")
    there.try_out("a", 2)
    there.finish("b")
    command = ["merge", "there", "--workspace", "here"]
    done = call_here(command, tmp_path, {})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Taken: 1 result, 2 trials. Here already: 0 results.\n"
    done = call_here(command, tmp_path, {})
    assert done.stdout == "Taken: 0 results, 0 trials. Here already: 1 result.\n"
    there.finish("a", 0.6)
    here.finish("a", 0.5)
    done = call_here(command, tmp_path, {})
    assert done.returncode == 1
    assert "Alarm: toy/s/a/seed 1" in done.stdout


@pytest.mark.parametrize("other", ["nowhere", "empty", "e.toml", "e.zip"])
def test_what_is_no_workspace_is_refused_before_anything_is_made(tmp_path, other):
    (tmp_path / "empty").mkdir()
    (tmp_path / "e.toml").write_text("schema = 1")
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as file:
        file.writestr("../ledger.db", b"x")
    done = call_here(["merge", other], tmp_path, {})
    assert done.returncode in (2, 3)
    assert "recrepro pack" in done.stderr
    assert not (tmp_path / "recrepro-runs").exists()
    assert not (tmp_path.parent / "ledger.db").exists()


def test_a_snapshot_or_a_bundle_is_a_folder_of_records(places, tmp_path):
    here, _ = places
    for model, names in (
        ("a", ("snapshot/records/1.json", "snapshot/per_user/1.parquet", "snapshot/trials/1.json")),
        ("b", ("bundle/record.json", "bundle/per_user.parquet", "trials/record.json")),
    ):
        paths = [tmp_path / "shared" / name for name in names]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        content = values_of_users(0.5 if model == "a" else 0.25)
        digest = digest_of(model, 0.5 if model == "a" else 0.25)
        changes = {"per_user": hashlib.sha256(content).hexdigest(), "result_digest": digest}
        validation = 0.5 if model == "a" else None  # a bundle has no trials beside it
        identity = make_identity(model)
        record = make_record(identity=identity, validation=validation, changes=changes)
        paths[0].write_text(record.dumps(1))
        paths[1].write_bytes(content)
        trial = Trial(0, {"k": 0}, "complete", 0.5, {"ndcg@10": 0.5})
        paths[2].write_text(json.dumps([trial.to_json()]))
    merged = here.merge(tmp_path / "shared")
    assert merged.refused == []
    assert len(merged.cells) == 2
    assert merged.trials == 1  # those beside a bundle are not known to be its own
    here.plan("ab")
    found = {model: state[0] for model, state in here.state().items()}
    assert found == {"a": digest_of("a"), "b": digest_of("b", 0.25)}


def test_a_packed_file_has_what_is_unfinished(places, tmp_path):
    here, there = places
    there.plan("ab")
    there.try_out("a", 2)
    there.finish("b")
    there.plan("c", name="over")
    there.finish("c")
    key = make_identity("a").key
    arrays = {
        "exact": np.arange(1000, dtype=np.float64),
        "wide": np.full(3, 0.1),
        "network": np.ones(4, np.float32),
    }
    folder = there.workspace.checkpoints(key)
    Checkpoint(folder / "trial-1.npz").write({"old": np.zeros(3)}, {})
    Checkpoint(folder / "fit.npz").write(arrays, {"model": {"epoch": 3}})
    packed = pack(there.ledger, there.workspace, tmp_path / "left.zip")
    assert (packed.cells, packed.trials, packed.checkpoints) == (1, 2, 1)
    with pytest.raises(UsageError, match="there already"):
        pack(there.ledger, there.workspace, tmp_path / "left.zip")
    merged = here.merge(tmp_path / "left.zip")
    assert (merged.cells, merged.trials, merged.checkpoints) == ([], 2, 1)
    assert here.state() == {"a": (None, None, [(0, 0.5), (1, 0.5)]), "b": (None, None, [])}
    assert [p.name for p in here.ledger.planned()] == ["e"]
    there_now, notes = Checkpoint(here.workspace.checkpoints(key) / "fit.npz").read()
    assert notes == {"model": {"epoch": 3}}
    for name, array in arrays.items():
        np.testing.assert_array_equal(there_now[name], array)
        assert there_now[name].dtype == array.dtype
    assert [path.name for path in here.workspace.checkpoints(key).iterdir()] == ["fit.npz"]
    with np.load(here.workspace.checkpoints(key) / "fit.npz") as stored:
        assert stored["array exact"].dtype == stored["array network"].dtype == np.float32
        assert stored["array wide"].dtype == np.float64


def test_a_torn_or_forged_packed_file_changes_nothing(places, tmp_path):
    here, there = places
    there.plan("a")
    there.try_out("a", 2)
    pack(there.ledger, there.workspace, tmp_path / "left.zip")
    whole = (tmp_path / "left.zip").read_bytes()
    torn = tmp_path / "torn.zip"
    for length in range(0, len(whole), max(1, len(whole) // 20)):
        torn.write_bytes(whole[:length])
        done = call_here(["merge", "torn.zip", "--workspace", "here"], tmp_path, {})
        assert done.returncode == 3, done.stderr
        assert "fault of recrepro" not in done.stderr
    assert here.state() == {}
    for name in ("../outside", "checkpoints/x/y.npz", "blobs/ab/cd"):
        shutil.copy(tmp_path / "left.zip", torn)
        with zipfile.ZipFile(torn, "a") as file:
            file.writestr(name, b"x")
        done = call_here(["merge", "torn.zip", "--workspace", "here"], tmp_path, {})
        assert done.returncode == 3
        assert "not written by `recrepro pack`" in done.stderr
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("ledger.db", bytes(200_000_000))
    done = call_here(["merge", "bomb.zip", "--workspace", "here"], tmp_path, {})
    assert done.returncode == 3
    assert "unpacks to 200,000,000 bytes" in done.stderr
    assert here.state() == {}


def test_nothing_unfinished_is_not_packed(places, tmp_path):
    _, there = places
    there.plan("a")
    there.finish("a")
    with pytest.raises(UsageError, match=r"nothing in .* is unfinished"):
        pack(there.ledger, there.workspace, tmp_path / "left.zip")
    assert not (tmp_path / "left.zip").exists()
