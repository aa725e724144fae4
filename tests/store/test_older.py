"""A ledger of an older harness: its tables can be read, and nothing is added to it."""

import contextlib
import re
import sqlite3
from pathlib import Path

import pytest

from recrepro.errors import LedgerError
from recrepro.spec.budget import Budget
from recrepro.spec.identity import HARNESS_VERSION
from recrepro.store.ledger import Ledger

OLD = Path(__file__).parent / "harness3.sql"
"""A ledger that harness 3 has made, as `sqlite3.Connection.iterdump` writes it."""


@pytest.fixture
def older(tmp_path):
    """The workspace of an older harness."""
    folder = tmp_path / "runs"
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as connection:
        connection.executescript(OLD.read_text())
    return folder


def content(folder):
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as connection:
        return list(connection.iterdump())


def test_its_results_are_read(older):
    with contextlib.closing(Ledger.in_workspace(older)) as ledger:
        assert ledger.older
        assert set(ledger.states().values()) == {"done"}
        (version,) = ledger.planned()
        found = {m.name.model: m.cell for m in ledger.members(version.name, version.grid_hash)}
        status = ledger.status(found["ease"])
        assert status.record.identity.key == found["ease"]
        assert status.record.identity.budget == Budget(2)
        assert status.record.metrics["ndcg@10"] == pytest.approx(0.4549, abs=5e-5)
        assert [trial.number for trial in ledger.trials(found["ease"])] == [0, 1]
        assert len(ledger.trials(found["toppopular"])) == 1
        assert {work.finished for work in ledger.work().values()} == {1, 2}
        assert status.before.openings == 0
        assert ledger.superseded(version.name, version.grid_hash) == []


def test_its_tables_are_printed_and_nothing_is_added(older, place_here):
    place_here.file = place_here.root / "older.toml"
    with contextlib.closing(Ledger.in_workspace(older)) as ledger:
        place_here.file.write_text(ledger.planned()[0].source)
    place_here.workspace = older
    before = content(older)
    where = ("--workspace", str(older))
    table = place_here.call("leaderboard", str(place_here.file), *where, "--no-intervals")
    assert re.search(r"ease +0\.4549 +searched", table.stdout), table.stderr
    shown = place_here.call("show", "small/random-holdout/ease", *where)
    assert "2 trials each (TPE)" in shown.stdout, shown.stderr
    done = place_here.run()
    assert done.returncode == 3
    assert "was written by an older recrepro" in done.stderr
    assert "--workspace DIR" in done.stderr
    assert content(older) == before


def test_a_ledger_of_this_schema_and_an_older_harness_is_only_read(tmp_path):
    with contextlib.closing(Ledger.in_workspace(tmp_path)) as ledger:
        assert not ledger.older
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        older = str(HARNESS_VERSION - 1)
        connection.execute("UPDATE meta SET value = ? WHERE key = 'harness'", [older])
    with (
        contextlib.closing(Ledger.in_workspace(tmp_path)) as ledger,
        pytest.raises(LedgerError, match="written by an older recrepro"),
    ):
        ledger.plan("toy", "hash", "", [])
