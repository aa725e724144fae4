"""Leases are renewed while the main thread is busy, and what prevents it is not lost."""

import threading

import pytest
import sqlalchemy as sa
from support.results import make_identity, make_name

from recrepro.errors import LedgerError
from recrepro.run.renewal import LeaseRenewal
from recrepro.store import schema as tables
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace

LONG = 60.0  # ends a test that would wait for ever


class Recording:
    """A ledger that keeps what it was asked to renew."""

    def __init__(self, problem=None):
        self.calls, self.called, self.problem = [], threading.Event(), problem

    def renew(self, tokens):
        self.calls.append(tokens)
        if len(self.calls) == 3 or self.problem:
            self.called.set()
        if self.problem:
            raise self.problem


def test_leases_are_renewed_again_and_again_while_the_main_thread_waits():
    ledger, tokens = Recording(), {"a": "1"}
    with LeaseRenewal(ledger, tokens, seconds=0.001) as renewal:
        tokens["b"] = "2"
        assert ledger.called.wait(LONG)
        renewal.check()
    assert ledger.calls[2] == ["1", "2"]
    assert "lease renewal" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("problem", [LedgerError("no server"), OSError("disk full")])
def test_what_prevents_it_is_raised_in_the_main_thread(problem):
    ledger = Recording(problem)
    with LeaseRenewal(ledger, {"a": "1"}, seconds=0.001) as renewal:
        assert ledger.called.wait(LONG)
    with pytest.raises(type(problem), match=str(problem)):
        renewal.check()
    assert len(ledger.calls) == 1


def deadline(ledger):
    with ledger._engine.connect() as connection:
        return connection.scalar(sa.select(tables.CELLS.c.deadline))


def test_a_lease_in_a_ledger_is_pushed_back(tmp_path):
    ledger = Ledger.in_workspace(Workspace.create(tmp_path).root)
    identity = make_identity("a")
    ledger.plan("e", "hash", "", [(Member(identity.key, make_name("a")), identity)])
    tokens = {identity.key: ledger.lease(identity.key)}
    first = deadline(ledger)
    renewed = threading.Event()
    renew = ledger.renew

    def renew_and_tell(held):
        renew(held)
        renewed.set()

    ledger.renew = renew_and_tell
    with LeaseRenewal(ledger, tokens, seconds=0.001):
        assert renewed.wait(LONG)
    assert deadline(ledger) > first
    ledger.close()
