"""A ledger on PostgreSQL: connections that are cut, and several who plan at once."""

import threading
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from support.results import make_identity, make_name, make_record

from recrepro.errors import LedgerError, SealError
from recrepro.store import ledger as module
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.records import Trial

IDENTITY = make_identity("a")
CELL = IDENTITY.key
RECORD = make_record("a")


@pytest.fixture
def ledger(new_ledger):
    ledger = Ledger(new_ledger())
    ledger.plan("toy", "hash", "text", [(Member(CELL, make_name("a")), IDENTITY)])
    yield ledger
    ledger.close()


@pytest.fixture(params=["before", "after"])
def cut(request, ledger, monkeypatch):
    """Cut the connection of each first try to write: before its commit, or after it."""
    whole, cuts = ledger._writing, []

    @contextmanager
    def writing(*, alone=False):
        first = len(cuts) % 2 == 0
        cuts.append(alone)
        with whole(alone=alone) as connection:
            yield connection
            if first and request.param == "before":
                mine = connection.scalar(sa.text("SELECT pg_backend_pid()"))
                with ledger._engine.connect() as other:
                    other.execute(sa.text(f"SELECT pg_terminate_backend({mine})"))
        if first and request.param == "after":
            raise sa.exc.OperationalError("COMMIT", {}, Exception("the answer was lost"))

    monkeypatch.setattr(ledger, "_writing", writing)
    monkeypatch.setattr(module, "PAUSES", (0.0,))
    return cuts


@pytest.mark.slow
def test_each_step_is_done_once_though_its_connection_is_cut(ledger, cut):
    token = ledger.lease(CELL)
    assert token is not None
    assert ledger.status(CELL).state == "leased"
    ledger.renew([token])
    first, second = Trial(0, {}, "complete", 0.5), Trial(1, {}, "complete", 0.25)
    ledger.add_trial(CELL, token, first)
    assert ledger.trials(CELL) == [first]
    ledger.release(CELL, token)
    assert ledger.status(CELL).state == "pending"
    token = ledger.lease(CELL)
    ledger.fail(CELL, token, "broken")
    assert ledger.status(CELL).reason == "broken"
    token = ledger.lease(CELL)
    ledger.add_trial(CELL, token, second)
    ledger.open_seal(CELL, token, 2)
    assert [opening.reason for opening in ledger.openings(CELL)] == ["first"]
    ledger.commit(token, RECORD)
    other = make_identity("b")
    cells = [
        (Member(other.key, make_name("b")), other),
        (Member(CELL, make_name("new")), IDENTITY),
    ]
    ledger.plan("toy", "hash", "text", cells)
    assert ledger.members("toy", "hash") == [member for member, _ in cells]
    status = ledger.status(CELL)
    assert (status.state, status.record, status.alarmed) == ("done", RECORD, False)
    assert ledger.trials(CELL) == [first, second]
    assert len(cut) == 2 * 11


@pytest.mark.slow
def test_a_second_opening_is_refused_though_the_answer_to_the_first_was_lost(ledger, cut):
    token = ledger.lease(CELL)
    ledger.open_seal(CELL, token, 0)
    with pytest.raises(SealError, match="was opened once in this attempt"):
        ledger.open_seal(CELL, token, 0)


@pytest.mark.slow
def test_connections_that_were_cut_while_nothing_was_written_are_made_anew(ledger):
    others = sa.create_engine(ledger._engine.url, poolclass=sa.NullPool)
    for _ in range(3):
        with ledger._engine.connect() as ours:
            pid = ours.scalar(sa.text("SELECT pg_backend_pid()"))
        with others.connect() as other:
            assert other.scalar(sa.text(f"SELECT pg_terminate_backend({pid}, 30000)"))
        assert ledger.states() == {CELL: "pending"}


@pytest.mark.slow
def test_many_who_plan_the_same_at_once_do_not_disturb_each_other(ledger):
    url = ledger._engine.url.render_as_string(hide_password=False)
    cells = [(Member(f"{n:064d}", make_name(seed=n)), IDENTITY) for n in range(5)]
    failures, start = [], threading.Barrier(4)

    def plan():
        own = Ledger(url)
        start.wait()
        try:
            for _ in range(10):
                own.plan("shared", "hash", "text", cells)
        except Exception as error:  # noqa: BLE001 - it is looked at below
            failures.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=plan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert ledger.members("shared", "hash") == [member for member, _ in cells]


@pytest.mark.parametrize("patient", [False, True])
def test_a_server_that_does_not_answer_is_one_clear_error(free_port, monkeypatch, patient):
    pauses = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    url = f"postgresql://me:s3cret@127.0.0.1:{free_port()}/ledger"
    with pytest.raises(LedgerError, match=r"ledger postgresql.*cannot be reached.*PGPASSWORD") as e:
        Ledger(url, patient=patient)
    assert "s3cret" not in str(e.value)
    assert pauses == (list(module.PAUSES) if patient else [])
