"""`recrepro gc` deletes what nobody needs, all of it, and nothing else."""

import os
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.results import make_identity, make_name, make_record

from recrepro.errors import LedgerError, LedgerUnreachable
from recrepro.store import garbage as cleaning
from recrepro.store import schema as tables
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace

DAY = 24 * 3600.0
STATES = ["pending", "running", "dead", "failed", "done", "tested again", "alarmed"]
MODELS = "abcd"


def identity_of(model, split):
    return make_identity(model, seed=split)


class State:
    """A workspace with cells in some states and files of some ages, and what must go."""

    def __init__(self, root):
        self.workspace = Workspace.create(root)
        self.ledger = Ledger.in_workspace(root)
        self.doomed = set()

    def add_cells(self, cells):
        """Add cells, each by its model with a state and a split; each has a log and a checkpoint.

        Return their keys.
        """
        identities = {model: identity_of(model, split) for model, (_, split) in cells.items()}
        members = [(Member(i.key, make_name(model)), i) for model, i in identities.items()]
        self.ledger.plan("e", "hash", "", members)
        needed = set()
        for model, (state, split) in cells.items():
            folder = self.workspace.split(identities[model].split)
            folder.mkdir(exist_ok=True)
            (folder / "tuning.bin").write_bytes(b"12345")
            key = identities[model].key
            own = [self.workspace.log(key), self.workspace.checkpoints(key) / "fit.npz"]
            for path in own:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("here")
            self.reach(identities[model], state)
            if state in ("pending", "running", "dead", "tested again"):
                needed.add(split)
            if state in ("done", "alarmed"):
                self.doomed |= {own[0], own[1]}
        for split in {split for _, split in cells.values()} - needed:
            self.doomed.add(self.workspace.split(identity_of("", split).split) / "tuning.bin")
        return [member.cell for member, _ in members]

    def reach(self, identity, state):
        key = identity.key
        token = None if state == "pending" else self.ledger.lease(key)
        if state == "failed":
            self.ledger.fail(key, token, "no memory")
        if state == "dead":
            with self.ledger._engine.begin() as connection:
                cells = tables.CELLS
                connection.execute(cells.update().where(cells.c.cell == key).values(deadline=0.0))
        if state in ("done", "tested again", "alarmed"):
            names = [f"{key} users", f"{key} weights"]
            users, weights = (self.workspace.write_blob(name.encode()) for name in names)
            changes = {"per_user": users, "weights": weights}
            self.ledger.commit(token, make_record(identity=identity, changes=changes))
        if state == "tested again":
            assert self.ledger.lease(key, reopen=True)
        if state == "alarmed":
            other = self.workspace.write_blob(f"{key} other".encode())
            token = self.ledger.lease(key, reopen=True)
            changes = {"per_user": other, "result_digest": "2" * 64}
            record = make_record(identity=identity, changes=changes)
            with pytest.raises(LedgerError, match="alarm"):
                self.ledger.commit(token, record)

    def add_loose(self, loose):
        """Add blobs without a record, drafts and the remains of an earlier gc; some are old.

        The ledger was told of a "blob" before it was written, and knows nothing of a "stranger".
        """
        for number, (kind, old) in enumerate(loose):
            root = self.workspace.root
            path = {
                "draft": root / "blobs" / "ab" / f".draft-{number}",
                "split": root / "splits" / f".draft-{number}",
                "remains": root / "logs" / f".gc-{number}",
                "checkpoint": root / "checkpoints" / "cell" / f".draft-fit.npz-{number}",
            }.get(kind)
            if path is None:
                told = partial(self.ledger.announce, "cell") if kind == "blob" else lambda _: None
                digest = self.workspace.write_blob(b"loose %d" % number, told)
                path = self.workspace.blob(digest)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"loose %d" % number)
            if old:
                if kind != "stranger":
                    self.doomed.add(path)
                age(path)

    def files(self):
        root = self.workspace.root
        found = {path for path in root.rglob("*") if path.is_file()}
        kept = {p for p in found if p.parent != root and not p.name.endswith(".lock")}
        return {p for p in kept if p.parent.name != "trash"}

    def trash(self):
        return {path.name for path in (self.workspace.root / "trash").glob("*")}

    def rows(self):
        with self.ledger._engine.connect() as connection:
            found = (tables.CELLS, tables.ALARMS, tables.TRIALS, tables.MEMBERS)
            return [connection.execute(sa.select(table)).all() for table in found]


def age(path):
    os.utime(path, (time.time() - DAY - 60,) * 2)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    cells=st.dictionaries(
        st.sampled_from(MODELS), st.tuples(st.sampled_from(STATES), st.integers(0, 1))
    ),
    loose=st.lists(
        st.tuples(
            st.sampled_from(["blob", "stranger", "draft", "split", "remains", "checkpoint"]),
            st.booleans(),
        ),
        max_size=5,
    ),
    old=st.booleans(),
)
def test_what_nobody_needs_goes_and_nothing_else(cells, loose, old):
    with tempfile.TemporaryDirectory() as folder:
        state = State(Path(folder))
        state.add_cells(cells)
        if old:  # age alone dooms nothing that a record or a lease holds
            for path in state.files():
                age(path)
        state.add_loose(loose)
        before, rows = state.files(), state.rows()
        listed = cleaning.waste(state.workspace, state.ledger, time.time())
        assert state.files() == before
        deleted = cleaning.clean(state.workspace, state.ledger)
        assert before - state.files() == state.doomed
        assert state.files() <= before
        assert {(w.kind, w.path, w.n_bytes) for w in deleted} == {
            (w.kind, w.path, w.n_bytes) for w in listed
        }
        assert state.rows() == rows
        assert state.trash() == {path.name for path in state.doomed if len(path.name) == 64}
        assert cleaning.clean(state.workspace, state.ledger) == []
        strangers = sum(kind == "stranger" for kind, _ in loose)
        assert cleaning.unknown_blobs(state.workspace, state.ledger) >= strangers
        state.ledger.close()


def test_a_blob_that_is_written_again_is_young_again(tmp_path):
    state = State(tmp_path)
    state.add_cells({"a": ("tested again", 0)})
    workspace, ledger = state.workspace, state.ledger
    path = workspace.blob(workspace.write_blob(b"values", partial(ledger.announce, "cell")))
    age(path)
    # A worker was killed before its record; the next one writes the same values...
    listed = cleaning.waste(workspace, ledger, time.time())
    assert [one.path for one in listed] == [path]
    workspace.write_blob(b"values")
    # ... and is about to write the record.
    assert not cleaning._discard(workspace, listed[0], time.time())
    assert cleaning.clean(workspace, ledger) == []
    assert path.read_bytes() == b"values"
    ledger.close()


def test_an_older_copy_of_the_ledger_costs_no_newer_result(tmp_path):
    state = State(tmp_path / "runs")
    state.add_cells({"a": ("done", 0)})
    state.ledger.close()
    own = state.workspace.root / "ledger.db"
    shutil.copy(own, tmp_path / "copy.db")
    state.ledger = Ledger.in_workspace(state.workspace.root)
    state.add_cells({"b": ("done", 0)})
    state.ledger.close()
    shutil.copy(tmp_path / "copy.db", own)
    for path in state.files():
        age(path)
    blobs = set((state.workspace.root / "blobs").rglob("*"))
    ledger = Ledger.in_workspace(state.workspace.root)
    deleted = cleaning.clean(state.workspace, ledger)
    assert cleaning.unknown_blobs(state.workspace, ledger) == 2
    ledger.close()
    assert "blob" not in {waste.kind for waste in deleted}
    assert set((state.workspace.root / "blobs").rglob("*")) == blobs


def test_what_has_been_in_the_trash_for_a_week_is_deleted(tmp_path):
    state = State(tmp_path)
    path = state.workspace.blob(
        state.workspace.write_blob(b"values", partial(state.ledger.announce, "cell"))
    )
    now = time.time()
    (moved,) = cleaning.clean(state.workspace, state.ledger, now + DAY + 60)
    assert (moved.kind, moved.path, moved.freed) == ("blob", path, 0)
    (there,) = (tmp_path / "trash").iterdir()
    assert there.read_bytes() == b"values"
    # It was written long before it was moved: the week starts when it is moved.
    assert cleaning.clean(state.workspace, state.ledger, now + 6 * DAY) == []
    (gone,) = cleaning.clean(state.workspace, state.ledger, now + 7 * DAY + 60)
    assert (gone.kind, gone.path, gone.freed) == ("trash", there, 6)
    assert list((tmp_path / "trash").iterdir()) == []
    state.ledger.close()


def test_nobody_takes_a_lease_while_it_is_decided_what_goes(tmp_path, monkeypatch):
    state = State(tmp_path / "runs")
    _, failed = state.add_cells({"a": ("done", 0), "b": ("failed", 1)})
    monkeypatch.setattr("recrepro.store.ledger._WRITING", ["busy_timeout=0"])
    other = Ledger(str(state.ledger.address))
    refused = []

    def listing(workspace, work):
        with pytest.raises(LedgerUnreachable, match="is locked: another process"):
            other.lease(failed)
        refused.append(work)
        yield from ()

    monkeypatch.setattr(cleaning, "_leased", listing)
    cleaning.clean(state.workspace, state.ledger)
    assert len(refused) == 1
    assert other.lease(failed)
    other.close()
    state.ledger.close()
