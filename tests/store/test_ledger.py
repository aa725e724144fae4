"""Leases, fencing, first result wins, and what survives a dead process."""

import contextlib
import hashlib
import subprocess
import sys
import time
from dataclasses import replace
from itertools import takewhile

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from support.results import external_identity, make_identity, make_name, make_record

from recrepro.errors import LedgerError, SealError
from recrepro.store import ledger as module
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.records import Trial

IDENTITY = make_identity("a")
CELL = IDENTITY.key
RECORD = make_record("a", changes={"result_digest": "1" * 64})
AGAIN = make_record("a", changes={"result_digest": "1" * 64, "users": 11})
OTHER = make_record("a", changes={"result_digest": "2" * 64})
TRIAL = Trial(0, {"l2": 1.5}, "complete", 0.5, {"ndcg@10": 0.5}, 3, seconds=0.25)


@contextlib.contextmanager
def planned(url):
    with contextlib.closing(Ledger(url)) as ledger:
        ledger.plan("toy", "hash", "text", [(Member(CELL, make_name("a")), IDENTITY)])
        yield ledger


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request, tmp_path):
    """Address of an empty ledger."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return request.getfixturevalue("new_ledger")()


@pytest.fixture
def ledger(url):
    with planned(url) as ledger:
        yield ledger


def test_a_cell_is_leased_to_one_worker_at_a_time(ledger):
    assert ledger.lease(CELL) is not None
    assert ledger.lease(CELL) is None


def test_a_released_cell_can_be_leased_again(ledger):
    token = ledger.lease(CELL)
    ledger.release(CELL, token)
    assert ledger.lease(CELL) not in (None, token)


def test_a_lease_that_was_not_renewed_passes_on_and_fences_off_its_old_holder(ledger, monkeypatch):
    monkeypatch.setattr(module, "LEASE_SECONDS", -1.0)
    old = ledger.lease(CELL)
    new = ledger.lease(CELL)
    assert new is not None
    with pytest.raises(LedgerError, match="another one took over"):
        ledger.commit(old, OTHER)
    with pytest.raises(LedgerError, match="another one took over"):
        ledger.add_trial(CELL, old, TRIAL)
    with pytest.raises(LedgerError, match="another one took over"):
        ledger.open_seal(CELL, old, 0)
    ledger.commit(new, RECORD)
    assert ledger.status(CELL).record == RECORD


def test_renewing_keeps_a_lease(ledger, monkeypatch):
    monkeypatch.setattr(module, "LEASE_SECONDS", -1.0)
    token = ledger.lease(CELL)
    monkeypatch.setattr(module, "LEASE_SECONDS", 60.0)
    ledger.renew([token])
    assert ledger.lease(CELL) is None


def test_the_lease_of_another_host_holds_until_its_deadline(ledger, monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("socket.gethostname", lambda: "elsewhere")
        ledger.lease(CELL)
    monkeypatch.setattr("psutil.Process", None)  # nobody asks this host about that process
    assert ledger.lease(CELL) is None
    monkeypatch.undo()
    monkeypatch.setattr(module, "_now", lambda _: time.time() + module.LEASE_SECONDS + 1)
    assert ledger.lease(CELL) is not None


def test_the_lease_of_a_dead_process_is_free_at_once(ledger, url):
    code = (
        "import os, sys; from recrepro.store.ledger import Ledger;"
        f"Ledger(sys.argv[1]).lease({CELL!r}); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, url], check=False)
    assert ledger.status(CELL).state == "leased"
    assert ledger.lease(CELL) is not None


def test_the_first_result_stays_and_an_equal_second_is_no_alarm(ledger):
    token = ledger.lease(CELL)
    ledger.commit(token, RECORD)
    ledger.commit(token, AGAIN)
    assert ledger.status(CELL).record == RECORD
    assert not ledger.status(CELL).alarmed


def test_a_different_second_result_is_an_alarm_and_never_overwrites(ledger):
    token = ledger.lease(CELL)
    ledger.commit(token, RECORD)
    with pytest.raises(LedgerError, match="determinism alarm"):
        ledger.commit(token, OTHER)
    assert ledger.status(CELL).record == RECORD
    assert ledger.status(CELL).alarmed


def test_a_done_cell_is_not_leased(ledger):
    ledger.commit(ledger.lease(CELL), RECORD)
    assert ledger.lease(CELL) is None


def test_trials_survive_a_release(ledger):
    token = ledger.lease(CELL)
    ledger.add_trial(CELL, token, TRIAL)
    ledger.release(CELL, token)
    ledger.lease(CELL)
    assert ledger.trials(CELL) == [TRIAL]


@given(states=st.lists(st.sampled_from(["complete", "failed"]), max_size=5))
def test_a_cell_that_failed_goes_on_with_the_trials_before_the_first_failed_one(
    tmp_path_factory, states
):
    with planned(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}") as ledger:
        token = ledger.lease(CELL)
        for number, state in enumerate(states):
            ledger.add_trial(CELL, token, Trial(number, {}, state))
        ledger.fail(CELL, token, "broken")
        assert ledger.status(CELL).reason == "broken"
        assert len(ledger.trials(CELL)) == len(states)
        ledger.lease(CELL)
        kept = list(takewhile(lambda state: state == "complete", states))
        assert [trial.state for trial in ledger.trials(CELL)] == kept


def reasons(ledger):
    return [opening.reason for opening in ledger.openings(CELL)]


def test_the_seal_opens_once_an_attempt_and_never_after_the_result(ledger):
    first = ledger.lease(CELL)
    ledger.open_seal(CELL, first, 0)
    with pytest.raises(SealError, match=r"was opened once in this attempt.*attempt is void"):
        ledger.open_seal(CELL, first, 0)
    ledger.release(CELL, first)
    second = ledger.lease(CELL)
    ledger.open_seal(CELL, second, 0)
    assert reasons(ledger) == ["first", "resumed"]
    ledger.commit(second, RECORD)
    with pytest.raises(SealError, match=r"stays sealed.*--reopen NAME"):
        ledger.open_seal(CELL, second, 0)
    assert reasons(ledger) == ["first", "resumed"]


def test_the_seal_stays_closed_until_the_last_trial_and_the_attempt_is_void(ledger):
    token = ledger.lease(CELL)
    ledger.add_trial(CELL, token, TRIAL)
    with pytest.raises(SealError, match="1 of 2 trials of its tuning are finished"):
        ledger.open_seal(CELL, token, 2)
    ledger.add_trial(CELL, token, replace(TRIAL, number=1))
    with pytest.raises(SealError, match="was asked for before its tuning was over"):
        ledger.open_seal(CELL, token, 2)
    assert reasons(ledger) == ["refused"]
    ledger.fail(CELL, token, "void")
    token = ledger.lease(CELL)
    ledger.open_seal(CELL, token, 0)
    assert reasons(ledger) == ["refused", "first"]


@pytest.mark.parametrize(
    ("trials", "seconds", "opens"),
    [
        (None, 60.5, False),
        (None, 60.0, True),
        (9, 60.5, False),
        (9, 60.0, True),
        (3, 1000.0, True),
        (4, None, False),
    ],
)
def test_the_seal_opens_when_the_seconds_of_the_trials_are_spent(ledger, trials, seconds, opens):
    token = ledger.lease(CELL)
    for number, spent in enumerate((10.0, 20.0, 30.0)):
        ledger.add_trial(CELL, token, Trial(number, {}, "complete", seconds=spent))
    if opens:
        ledger.open_seal(CELL, token, trials, seconds)
    else:
        with pytest.raises(SealError, match=r"stays sealed: 3 .*of its tuning are finished"):
            ledger.open_seal(CELL, token, trials, seconds)
    assert reasons(ledger) == ["first" if opens else "refused"]


@pytest.fixture
def done(ledger):
    token = ledger.lease(CELL)
    ledger.add_trial(CELL, token, TRIAL)
    ledger.open_seal(CELL, token, 1)
    ledger.commit(token, RECORD)
    return ledger


def test_a_done_cell_is_reopened_on_request_from_its_trials_and_stays_done(done):
    token = done.lease(CELL, reopen=True)
    assert done.lease(CELL, reopen=True) is None
    assert done.status(CELL).state == "done"
    assert done.trials(CELL) == [TRIAL]
    done.open_seal(CELL, token, 1)
    done.commit(token, AGAIN)
    assert reasons(done) == ["first", "reopened"]
    status = done.status(CELL)
    assert status.record == AGAIN
    assert (status.reopened, status.alarmed) == (1, False)
    with pytest.raises(SealError, match="stays sealed"):
        done.open_seal(CELL, token, 1)


def test_a_reopened_cell_with_another_result_is_an_alarm(done):
    token = done.lease(CELL, reopen=True)
    done.open_seal(CELL, token, 1)
    with pytest.raises(LedgerError, match="determinism alarm"):
        done.commit(token, OTHER)
    status = done.status(CELL)
    assert (status.state, status.record, status.alarmed) == ("done", RECORD, True)
    assert status.reopened == 1
    assert done.lease(CELL, reopen=True) is not None


@pytest.mark.parametrize("end", ["release", "fail", "killed"])
def test_a_reopening_that_is_cut_off_leaves_the_first_result(done, monkeypatch, end):
    monkeypatch.setattr(module, "LEASE_SECONDS", -1.0)
    token = done.lease(CELL, reopen=True)
    done.open_seal(CELL, token, 1)
    if end == "release":
        done.release(CELL, token)
    elif end == "fail":
        done.fail(CELL, token, "broken")
    status = done.status(CELL)
    assert (status.state, status.reason, status.record) == ("done", None, RECORD)
    assert status.reopened == 1
    assert done.lease(CELL) is None
    assert done.trials(CELL) == [TRIAL]
    assert done.lease(CELL, reopen=True) is not None


def test_planning_again_keeps_what_is_done(ledger):
    ledger.commit(ledger.lease(CELL), RECORD)
    second = make_identity("b")
    cells = [
        (Member(second.key, make_name("b")), second),
        (Member(CELL, make_name("new")), IDENTITY),
    ]
    ledger.plan("toy", "hash", "text", cells)
    assert ledger.members("toy", "hash") == [member for member, _ in cells]
    assert ledger.status(CELL).state == "done"
    assert ledger.states() == {CELL: "done", second.key: "pending"}
    assert ledger.work()[second.key].identity == second


LEASE_ALL = """
import sys
from recrepro.store.ledger import Ledger
ledger = Ledger(sys.argv[1])
print(*[cell for cell in ledger.states() if ledger.lease(cell) is not None], flush=True)
sys.stdin.read()  # stay alive until all have answered: a dead process's leases are free
"""


def test_processes_that_lease_at_the_same_time_never_share_a_cell(url):
    identities = [make_identity(f"model {n}") for n in range(40)]
    cells = sorted(identity.key for identity in identities)
    ledger = Ledger(url)
    ledger.plan("toy", "hash", "", [(Member(i.key, make_name()), i) for i in identities])
    ledger.close()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", LEASE_ALL, url]
    workers = [subprocess.Popen(command, **pipes) for _ in range(3)]
    taken = [cell for worker in workers for cell in worker.stdout.readline().split()]
    for worker in workers:
        worker.communicate(timeout=60)
    assert sorted(taken) == cells


def test_a_ledger_of_another_schema_is_refused(ledger, url):
    ledger.close()
    engine = sa.create_engine(url)
    with engine.begin() as raw:
        raw.execute(sa.text("UPDATE meta SET value = '999' WHERE key = 'schema'"))
    engine.dispose()
    with pytest.raises(LedgerError, match="schema 999"):
        Ledger(url)


def test_a_record_of_another_schema_is_refused_with_the_ledger_that_has_it(ledger):
    ledger.commit(ledger.lease(CELL), RECORD)
    older = RECORD.dumps().replace('"schema": 3', '"schema": 1')
    digest = hashlib.sha256(older.encode()).hexdigest()
    with ledger._engine.begin() as raw:
        change = sa.text("UPDATE cells SET record = :record, record_hash = :hash")
        raw.execute(change, {"record": older, "hash": digest})
    with pytest.raises(LedgerError, match=r"(sqlite|postgresql).* cell .*schema") as error:
        ledger.status(CELL)
    assert "but got 1" in str(error.value)


def content(folder):
    """Return all that a ledger says of its cells."""
    with contextlib.closing(Ledger.in_workspace(folder)) as ledger:
        return [(ledger.status(cell), ledger.trials(cell)) for cell in sorted(ledger.states())]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The file of a ledger with a result, and what it says."""
    folder = tmp_path_factory.mktemp("whole")
    with planned(f"sqlite:///{folder / 'ledger.db'}") as ledger:
        token = ledger.lease(CELL)
        for number in range(20):
            ledger.add_trial(CELL, token, Trial(number, {"long": "x" * 1000}, "complete", number))
        long = make_record("a", changes={"model": {"notes": ["y" * 10_000]}})
        ledger.commit(token, long)
    return (folder / "ledger.db").read_bytes(), content(folder)


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_ledger_that_was_cut_off_anywhere_is_named_and_never_read_wrongly(
    tmp_path_factory, whole, share
):
    folder, (file, _) = tmp_path_factory.mktemp("cut"), whole
    size = int(share * len(file))
    (folder / "ledger.db").write_bytes(file[:size])
    if size == 0:  # an empty file is a new ledger
        assert content(folder) == []
    else:
        with pytest.raises(LedgerError, match="estore it from a copy"):
            content(folder)


OPEN_EACH = """
import sys
from pathlib import Path
from recrepro.store.ledger import Ledger
print("ready", flush=True)
for line in sys.stdin:
    folder, *url = line.split()
    Ledger.in_workspace(Path(folder), *url).close()
    print("opened", flush=True)
"""


@pytest.mark.parametrize("where", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_a_new_ledger_can_be_opened_by_many_processes_at_once(tmp_path, where, request):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen([sys.executable, "-c", OPEN_EACH], **pipes) for _ in range(4)]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 4
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        url = request.getfixturevalue("new_ledger")() if where == "postgresql" else ""
        for worker in workers:
            worker.stdin.write(f"{folder} {url}\n")
            worker.stdin.flush()
        answers = [worker.stdout.readline() for worker in workers]
        if answers != ["opened\n"] * 4:
            break
    for worker in workers:
        worker.communicate(timeout=60)
    assert answers == ["opened\n"] * 4


# Results of other programs.


def add_external(ledger, experiment, cell, *, seed=1, changes=None):
    identity = external_identity("theirs", cell * 64, seed=seed, changes=changes)
    record = make_record("theirs", seed=seed, status="external", identity=identity)
    ledger.add_external(experiment, record)
    return Member(record.cell, record.name)


@pytest.fixture
def shared(ledger):
    """Two experiments whose cells are measured alike."""
    for name in ("one", "two"):
        ledger.plan(name, "hash", "text", [(Member(CELL, make_name("a")), IDENTITY)])
    return ledger


def test_of_several_files_with_one_name_the_last_counts_and_all_tries_are_kept(shared):
    for cell in "123":
        last = add_external(shared, "one", cell)
    other = add_external(shared, "one", "4", seed=2)
    assert shared.externals("one", "hash") == [last, other]
    assert shared.status(last.cell).tries == 3
    assert shared.status(other.cell).tries == 1
    assert shared.externals("two", "hash") == []


def test_a_file_that_two_experiments_score_has_the_tries_of_both(shared):
    first = add_external(shared, "one", "1")
    again = add_external(shared, "two", "1")
    assert shared.externals("one", "hash") == [first]
    assert shared.externals("two", "hash") == [again]
    assert shared.status(first.cell).tries == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"fingerprint": "other"}},
        {"split": {"strategy": "other"}},
        {"metrics": ["recall@5"]},
        {"ranking": {"other": True}},
        {"harness": 99},
    ],
)
def test_what_was_measured_otherwise_does_not_compare(shared, changes):
    add_external(shared, "one", "1", changes=changes)
    assert shared.externals("one", "hash") == []
    assert shared.externals("one", "another hash") == []


@pytest.mark.parametrize("read_only", [True, False])
def test_a_second_look_at_a_ledger_gives_up_no_lock_of_the_first(tmp_path, read_only):
    """What a lost lock leads to: a process that ends deletes the log, and later writes are lost."""
    folder = tmp_path / "runs"
    folder.mkdir()

    def elsewhere(code):
        program = f"import sqlite3; db = sqlite3.connect({str(folder / 'ledger.db')!r}); {code}"
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    with contextlib.closing(Ledger.in_workspace(folder)) as first:
        identity = make_identity("ease")
        member = Member(identity.key, make_name("ease"))
        first.plan("e", "0" * 64, "", [(member, identity)])
        again = Ledger.in_workspace(folder, read_only=read_only)
        assert again.states() == {identity.key: "pending"}
        # Another process reads, and is the last to leave if nobody else is known to be there.
        assert elsewhere(
            "print(db.execute('SELECT COUNT(*) FROM cells').fetchone()[0]); db.close()"
        )
        token = first.lease(identity.key)
        assert elsewhere("print(db.execute('SELECT token FROM cells').fetchone()[0])") == token
        again.close()
