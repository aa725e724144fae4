"""How far an experiment is, from the ledger: who is at what, since when, and what failed."""

import io
import json
import os
import socket
import time

import pytest
from rich.console import Console
from support.results import make_identity, make_name, make_record

from recrepro.cli import status
from recrepro.errors import RecreproError
from recrepro.store import schema as tables
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.records import Trial
from recrepro.store.workspace import Workspace
from recrepro.tracking.mirror import MlflowMirror

MODELS = ["done", "running", "dead", "failed", "left", "halfway", "again", "last"]
SEARCHED = {"model": {"space": {"l2": {}}}, "tuning": {}, "fit": {"trials": 3}}


@pytest.fixture
def found(tmp_path, monkeypatch):
    """An experiment with a cell in each state."""
    monkeypatch.setattr(MlflowMirror, "missing", lambda _: 2)
    workspace = Workspace.create(tmp_path)
    ledger = Ledger.in_workspace(tmp_path)
    identities = {name: make_identity(name, changes=SEARCHED) for name in MODELS}
    keys = {name: identity.key for name, identity in identities.items()}
    members = [(Member(keys[name], make_name(name)), identities[name]) for name in MODELS]
    ledger.plan("e", "hash", "", members)
    tokens = {name: ledger.lease(keys[name]) for name in MODELS if name != "left"}
    for name, finished in {"running": 1, "dead": 2, "halfway": 2, "last": 3, "done": 3}.items():
        for number in range(finished):
            ledger.add_trial(keys[name], tokens[name], Trial(number, {}, "complete"))
    for name in ("done", "again"):
        ledger.commit(tokens[name], make_record(name, identity=identities[name]))
    ledger.fail(keys["failed"], tokens["failed"], "no memory")
    ledger.release(keys["halfway"], tokens["halfway"])
    assert ledger.lease(keys["again"], reopen=True)
    with ledger._engine.begin() as connection:
        dead = tables.CELLS.c.cell == keys["dead"]
        connection.execute(tables.CELLS.update().where(dead).values(deadline=0.0))
    (version,) = ledger.planned()
    yield status.look(workspace, ledger, version)
    ledger.close()


def test_each_cell_is_in_one_state(found):
    assert {cell.member.name.model: cell.state for cell in found.cells} == {
        "done": "done",
        "running": "running",
        "dead": "dead",
        "failed": "failed",
        "left": "left",
        "halfway": "left",
        "again": "running",
        "last": "running",
    }
    assert found.counts == {"done": 1, "running": 3, "dead": 1, "failed": 1, "left": 2}


def test_it_is_printed_who_is_at_what_and_why_something_failed(found):
    console = Console(file=io.StringIO(), width=200)
    status.show_status(console, [found])
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "e: 8 cells, 1 done, 3 running, 1 dead, 1 failed, 2 left"

    def line(model):
        (one,) = (line for line in lines if f"/{model}/" in line)
        return one

    where = f"process {os.getpid()} on {socket.gethostname()}"
    assert "trial 2 of 3" in line("running")
    assert f"{where}, since {time.strftime('%Y-%m-%d')}" in line("running")
    assert "final fit and test" in line("last")
    assert f"{where} is gone or silent: the next run goes on" in line("dead")
    assert "no memory" in line("failed")
    assert "2 of 3 trials" in line("halfway")
    assert "tested again on request" in line("again")
    assert not any("/done/" in line for line in lines)
    assert "2 ended cells still to be sent" in lines[-1]


def test_as_json_it_says_the_same_of_every_cell(found):
    (one,) = json.loads(json.dumps(status.as_json([found])))["experiments"]
    cells = {cell["titles"]["model"]: cell for cell in one["cells"]}
    assert list(cells) == MODELS
    assert one["counts"]["running"] == 3
    assert one["mlflow"]["unsent"] == 2
    assert cells["running"]["trials"] == {"finished": 1, "budget": 3}
    assert cells["failed"]["reason"] == "no memory"
    lease = cells["running"]["lease"]
    assert (lease["host"], lease["pid"]) == (socket.gethostname(), os.getpid())
    assert time.time() - 3600 < lease["since"] <= time.time()
    assert cells["done"]["lease"] is None


def test_a_server_that_is_down_is_no_reason_to_say_nothing(tmp_path, monkeypatch):
    def missing(_):
        raise RecreproError("the server is down.")

    monkeypatch.setattr(MlflowMirror, "missing", missing)
    ledger = Ledger.in_workspace(tmp_path)
    ledger.plan("e", "hash", "", [])
    found = status.look(Workspace.create(tmp_path), ledger, ledger.planned()[0])
    ledger.close()
    assert (found.unsent, found.mlflow) == (None, "the server is down.")
