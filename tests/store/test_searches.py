"""Cells that share a search: its trials, its lease, what was opened and fitted before."""

import contextlib

import pytest
import sqlalchemy as sa
from support.results import make_identity, make_name, make_record

from recrepro.errors import LedgerError
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.records import Trial


def cell(trials=3, metrics=("ndcg@10",), seconds=None, name="a"):
    fit = {"trials": trials, "seconds": seconds}
    return make_identity(name, changes={"fit": fit, "metrics": list(metrics), "tuning": {}})


SHORT, LONG, MORE = cell(2), cell(5), cell(2, ("ndcg@10", "map@5"))
OTHER = cell(name="b")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def ledger(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("new_ledger")()
    with contextlib.closing(Ledger(url)) as ledger:
        cells = [(Member(i.key, make_name("a")), i) for i in (SHORT, LONG, MORE, OTHER)]
        ledger.plan("toy", "hash", "", cells)
        yield ledger


def search(ledger, identity, states, seconds=1.0):
    """Add trials to a cell's search, and leave the cell leased."""
    token = ledger.lease(identity.key)
    known = len(ledger.trials(identity.key))
    for number, state in enumerate(states, known):
        value = 0.1 * number if state == "complete" else None
        trial = Trial(number, {"n": number}, state, value, seconds=seconds)
        ledger.add_trial(identity.key, token, trial)
    return token


def finish(ledger, identity, token, trials):
    ledger.open_seal(identity.key, token, trials)
    opened = [{"at": o.at, "reason": o.reason} for o in ledger.openings(identity.key)]
    changes = {
        "tuning": {"trials": trials},
        "metrics": dict.fromkeys(identity.metrics, 0.5),
        "openings": opened,
        "fit": identity.fit_key({"n": trials - 1}),
        "rankings": {"sha256": "c" * 64, "depth": 20},
    }
    ledger.commit(token, make_record("a", identity=identity, changes=changes))


def numbers(ledger, identity):
    return [trial.number for trial in ledger.trials(identity.key)]


def test_keys_differ_and_searches_are_shared():
    assert len({i.key for i in (SHORT, LONG, MORE)}) == 3
    assert len({i.search_key for i in (SHORT, LONG, MORE)}) == 1
    assert OTHER.search_key != SHORT.search_key


def test_each_cell_uses_the_first_trials_that_its_budget_allows(ledger):
    token = search(ledger, LONG, ["complete"] * 4)
    assert numbers(ledger, LONG) == [0, 1, 2, 3]
    assert numbers(ledger, SHORT) == numbers(ledger, MORE) == [0, 1]
    assert numbers(ledger, OTHER) == []
    ledger.release(LONG.key, token)


@pytest.mark.parametrize(("seconds", "used"), [(0.5, 1), (1.0, 1), (2.5, 3), (99.0, 4)])
def test_of_a_budget_in_seconds_the_trial_that_spends_it_is_the_last(tmp_path, seconds, used):
    long, short = cell(None, seconds=100.0), cell(None, seconds=seconds)
    with contextlib.closing(Ledger(f"sqlite:///{tmp_path / 'l.db'}")) as ledger:
        ledger.plan("toy", "h", "", [(Member(i.key, make_name()), i) for i in (long, short)])
        search(ledger, long, ["complete"] * 4)
        assert numbers(ledger, short) == list(range(used))


def test_only_one_cell_of_a_search_is_leased_at_a_time(ledger):
    token = ledger.lease(SHORT.key)
    assert ledger.lease(LONG.key) is None
    assert ledger.lease(OTHER.key) is not None
    ledger.release(SHORT.key, token)
    assert ledger.lease(LONG.key) is not None


def test_a_failed_cell_forgets_no_trial_that_a_result_uses(ledger):
    token = search(ledger, SHORT, ["complete", "failed"])
    finish(ledger, SHORT, token, 2)
    token = search(ledger, LONG, ["complete", "failed", "complete"])
    ledger.fail(LONG.key, token, "no memory")
    assert ledger.lease(LONG.key) is not None
    assert numbers(ledger, LONG) == [0, 1, 2]
    assert numbers(ledger, SHORT) == [0, 1]


def test_what_was_opened_before_is_told_of_the_later_cell_only(ledger):
    finish(ledger, SHORT, search(ledger, SHORT, ["complete"] * 2), 2)
    finish(ledger, LONG, search(ledger, LONG, ["complete"] * 3), 5)
    finish(ledger, MORE, ledger.lease(MORE.key), 2)
    first, long, more = (ledger.status(i.key).before for i in (SHORT, LONG, MORE))
    assert (first.openings, first.budget, first.metrics) == (0, False, ())
    assert (long.openings, long.budget, long.metrics) == (1, True, ())
    assert (more.openings, more.budget, more.metrics) == (2, True, ("map@5",))


def test_a_fit_is_found_by_the_cells_of_its_search(ledger):
    finish(ledger, SHORT, search(ledger, SHORT, ["complete"] * 2), 2)
    key = SHORT.fit_key({"n": 1})
    assert MORE.fit_key({"n": 1}) == LONG.fit_key({"n": 1}) == key
    assert OTHER.fit_key({"n": 1}) != key
    assert ledger.fitted(MORE.key, key).cell == SHORT.key
    assert ledger.fitted(MORE.key, MORE.fit_key({"n": 0})) is None
    assert ledger.fitted(OTHER.key, key) is None


def test_cells_with_older_code_are_superseded_and_come_back(ledger):
    finish(ledger, SHORT, search(ledger, SHORT, ["complete"] * 2), 2)
    newer = make_identity("a", changes={"model": {"code": "f" * 64}})
    ledger.plan("toy", "hash", "", [(Member(newer.key, make_name("a")), newer)])
    assert [m.cell for m in ledger.members("toy", "hash")] == [newer.key]
    assert [m.cell for m in ledger.superseded("toy", "hash")] == [SHORT.key]
    assert [m.cell for m in ledger.done()] == [SHORT.key]
    ledger.plan("toy", "hash", "", [(Member(SHORT.key, make_name("a")), SHORT)])
    assert ledger.superseded("toy", "hash") == []
    assert [m.cell for m in ledger.members("toy", "hash")] == [SHORT.key]


def test_a_result_is_withdrawn_for_a_reason_and_its_record_stays(ledger):
    finish(ledger, SHORT, search(ledger, SHORT, ["complete"] * 2), 2)
    ledger.withdraw(SHORT.key, "wrong file")
    status = ledger.status(SHORT.key)
    assert (status.withdrawn, status.state) == ("wrong file", "done")
    assert status.record is not None


def test_checked_code_is_remembered(ledger):
    assert not ledger.is_checked("a" * 64)
    ledger.add_checked("a" * 64)
    ledger.add_checked("a" * 64)
    assert ledger.is_checked("a" * 64)


def test_cells_of_one_name_know_of_each_other(ledger):
    assert ledger.has_namesakes(Member(SHORT.key, make_name("a")))
    assert not ledger.has_namesakes(Member(SHORT.key, make_name("somebody else")))


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ("UPDATE cells SET record = replace(record, '0.5', '0.9')", "status"),
        ("UPDATE cells SET record = replace(record, 'clean', 'leaking')", "status"),
        ("UPDATE trials SET trial = replace(trial, '0.1', '0.7')", "trials"),
    ],
)
def test_a_record_or_trial_that_was_altered_is_refused(ledger, change, read):
    finish(ledger, SHORT, search(ledger, SHORT, ["complete"] * 2), 2)
    assert getattr(ledger, read)(SHORT.key)
    with ledger._engine.begin() as raw:
        raw.execute(sa.text(change))
    with pytest.raises(LedgerError, match=f"damaged: cell {SHORT.key[:12]}, .* was altered"):
        getattr(ledger, read)(SHORT.key)
