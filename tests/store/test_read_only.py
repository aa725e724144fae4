"""Who reads a ledger waits for nobody and makes nothing."""

import contextlib
import shutil
import sqlite3

import pytest
from support.inprocess import call_here
from support.results import make_identity, make_name, make_record

from recrepro.errors import LedgerError, LedgerUnreachable, NothingRun
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger

EXPERIMENT = """
schema = 1
claim = "c"
evaluate.metrics = ["ndcg@10"]
[[datasets]]
name = "toy"
synthetic = { users = 30, items = 20, interactions = 300, seed = 3 }
[[splits]]
name = "random-holdout"
label = "s"
[[models]]
name = "toppopular"
"""
CELL = make_identity("toppopular")


@pytest.fixture
def root(tmp_path):
    """A folder with a workspace, in which one of two cells is done."""
    (tmp_path / "e.toml").write_text(EXPERIMENT)
    (tmp_path / "runs").mkdir()
    other = make_identity("ease")
    with contextlib.closing(Ledger.in_workspace(tmp_path / "runs")) as ledger:
        members = [(Member(one.key, make_name(one.model.name)), one) for one in (CELL, other)]
        ledger.plan("e", "hash", EXPERIMENT, members)
        ledger.commit(ledger.lease(CELL.key), make_record("toppopular", validation=None))
    return tmp_path


@contextlib.contextmanager
def writing(root):
    """Hold the write lock, with something written that is not committed."""
    path = root / "runs" / "ledger.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE cells SET state = 'failed', reason = 'not committed'")
        yield
        connection.execute("ROLLBACK")


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("show", "toy/s/toppopular"),
        ("gc", "--dry-run"),
        ("check", "e.toml"),
    ],
    ids=" ".join,
)
def test_what_only_reads_does_not_wait_for_a_writer(root, monkeypatch, command):
    monkeypatch.setattr("recrepro.store.ledger._READING", ["busy_timeout=0", "query_only=ON"])
    place = (root, {"RECREPRO_WORKSPACE": "runs"})
    before = call_here(command, *place)
    assert before.returncode == 0, before.stderr
    with writing(root):
        done = call_here(command, *place)
    assert (done.returncode, done.stdout) == (0, before.stdout), done.stderr


def test_who_waits_too_long_to_write_is_told_so(root, monkeypatch):
    monkeypatch.setattr("recrepro.store.ledger._WRITING", ["busy_timeout=0"])
    with contextlib.closing(Ledger.in_workspace(root / "runs")) as ledger, writing(root):
        with pytest.raises(LedgerUnreachable, match=r"locked: another process.*What was committed"):
            ledger.lease(make_identity("ease").key)
        command = ("withdraw", "toy/s/toppopular", "--because", "b", "--workspace", "runs")
        done = call_here(command, root, {})
    assert done.returncode == 3
    assert "is locked: another process has been writing" in done.stderr
    assert "free space" not in done.stderr


def test_a_reader_writes_and_makes_nothing(root):
    before = files(root)
    with contextlib.closing(Ledger.in_workspace(root / "runs", read_only=True)) as ledger:
        assert set(ledger.states().values()) == {"done", "pending"}
        with pytest.raises(Exception, match="readonly"):
            ledger.withdraw(CELL.key, "because")
    assert files(root) == before


def test_a_folder_that_cannot_be_written_is_read(root, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    before = files(root)
    with contextlib.closing(Ledger.in_workspace(root / "runs")) as ledger:
        assert ledger.status(CELL.key).record is not None
    assert files(root) == before


def test_in_a_folder_that_cannot_be_written_what_is_in_the_log_is_read_too(root, monkeypatch):
    path = root / "runs" / "ledger.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("SELECT * FROM meta").fetchall()  # so that the log is in use ...
        with contextlib.closing(Ledger.in_workspace(root / "runs")) as ledger:
            ledger.withdraw(CELL.key, "because")  # ... and keeps what is committed
        assert path.with_name("ledger.db-wal").stat().st_size > 0
        monkeypatch.setattr("os.access", lambda *_: False)
        with contextlib.closing(Ledger.in_workspace(root / "runs")) as ledger:
            assert ledger.status(CELL.key).withdrawn == "because"
        shutil.copytree(root / "runs", root / "copy")
    (root / "copy" / "ledger.db-shm").unlink()
    with pytest.raises(LedgerError, match="-wal has results that are not in"):
        Ledger.in_workspace(root / "copy")


def test_a_ledger_in_which_nothing_was_run_says_so(tmp_path):
    (tmp_path / "ledger.db").touch()
    with pytest.raises(NothingRun, match="nothing was run with it yet"):
        Ledger.in_workspace(tmp_path, read_only=True)
    assert (tmp_path / "ledger.db").read_bytes() == b""
