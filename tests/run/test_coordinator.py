"""What the grid does before a cell starts and when its machine is lost, with false executors."""

import contextlib

import pytest
from support.results import make_record

from recrepro.errors import LeaseLost
from recrepro.run.coordinator import MOST_LOSSES, Grid
from recrepro.run.events import Event, Exited, Lost, UnsealAsked
from recrepro.run.executors import TRY_AGAIN, Eventful
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment
from recrepro.store.ledger import Ledger
from recrepro.store.records import Trial
from recrepro.store.workspace import Workspace

TOY = """
schema = 1
claim = "two cells"
[[datasets]]
name = "toy"
synthetic = { users = 30, items = 20, interactions = 300, seed = 3 }
[[splits]]
name = "random-holdout"
seeds = [1, 2]
[evaluate]
metrics = ["ndcg@10"]
[tune]
trials = 9
[[models]]
name = "ease"
"""
LOST = Lost(reason="its worker has gone")


class Careless(Eventful):
    """Writes a trial, and loses each cell a number of times before it commits a result."""

    slots = 2

    def __init__(self, ledger, losses, end):
        super().__init__()
        self.running = []
        self.ledger, self.losses, self.end = ledger, losses, end
        self.started = []

    def start(self, job):
        self.running.append(job.cell)
        self.started.append(job.cell)
        attempt = self.started.count(job.cell)
        assert len(self.ledger.trials(job.cell)) == attempt - 1
        self.ledger.add_trial(job.cell, job.token, Trial(attempt - 1, {}, "complete"))
        if attempt <= self.losses:
            self.events.put(Event(job.cell, self.end))
            return
        changes = {"model": {"params": {"attempt": attempt}}}
        record = make_record("ease", identity=job.identity, changes=changes)
        self.ledger.commit(job.token, record)
        self.events.put(Event(job.cell, Exited(code=0)))

    def prepare(self):
        pass

    def answer(self, cell, content):
        raise AssertionError

    def forget(self, cell):
        self.running.remove(cell)

    def stop(self):
        assert self.running == []


class OneAtATime(Careless):
    """Has place for one cell, and looks at what is stored when that ends."""

    slots = 1

    def __init__(self, ledger, workspace):
        super().__init__(ledger, losses=0, end=None)
        self.workspace, self.splits = workspace, []

    def forget(self, cell):
        super().forget(cell)
        self.splits.append(len(list(self.workspace.splits.glob("*/split.json"))))


class Asking(Careless):
    """Asks for the test part once, is refused, and ends; the next attempt commits a result."""

    def __init__(self, ledger):
        super().__init__(ledger, losses=1, end=UnsealAsked())
        self.refused = []

    def answer(self, cell, content):
        self.refused.append(content["refused"])
        self.events.put(Event(cell, Exited(code=1)))


class Silent:
    def __init__(self):
        self.told = []

    def started(self, cell):
        self.told.append("started")

    def said(self, cell, event):
        self.told.append(event.content.event)

    def ended(self, cell, reason):
        self.told.append(reason)

    def skipped(self, cell):
        raise AssertionError


@pytest.fixture
def run(tmp_path):
    (tmp_path / "toy.toml").write_text(TOY)
    experiment = load_experiment(tmp_path / "toy.toml")
    plan = make_plan(experiment, tmp_path, None, progress=False)
    place = Workspace.create(tmp_path / "runs")
    with contextlib.closing(Ledger.in_workspace(place.root)) as ledger:
        ledger.plan("toy", "hash", TOY, [(cell.member, cell.identity) for cell in plan.cells])

        def run(losses=0, end=None, executor=None):
            executor, observer = executor or Careless(ledger, losses, end), Silent()
            Grid(plan, ledger, place, executor, jobs=None, observer=observer).run()
            states = {cell.key: ledger.status(cell.key) for cell in plan.cells}
            return executor, observer.told, states.values()

        run.ledger, run.workspace = ledger, place
        yield run


def test_the_split_of_the_next_cell_is_there_before_the_cell_before_it_ends(run):
    executor, _, _ = run(executor=OneAtATime(run.ledger, run.workspace))
    assert executor.splits == [2, 2]


@pytest.mark.parametrize("end", [LOST, Exited(code=TRY_AGAIN)])
def test_a_lost_cell_is_taken_up_again_with_its_trials(run, end):
    executor, told, states = run(MOST_LOSSES - 1, end)
    attempts = [status.record.model.params["attempt"] for status in states]
    assert attempts == [MOST_LOSSES] * 2
    assert len(executor.started) == 2 * MOST_LOSSES
    assert told.count("lost") == 2 * (MOST_LOSSES - 1)
    assert told.count(None) == 2


def test_a_cell_that_is_lost_again_and_again_fails_with_the_reason(run):
    executor, told, states = run(MOST_LOSSES, LOST)
    assert [(s.state, s.reason) for s in states] == [("failed", LOST.reason)] * 2
    assert len(executor.started) == 2 * MOST_LOSSES
    assert told.count(LOST.reason) == 2


def test_a_cell_that_passed_to_another_run_when_it_asked_for_the_test_part_has_not_failed(
    run, monkeypatch
):
    def passed_on(*_):
        raise LeaseLost("another one took over")

    monkeypatch.setattr(run.ledger, "open_seal", passed_on)
    executor, told, states = run(executor=Asking(run.ledger))
    assert executor.refused == ["another one took over"] * 2
    assert [status.state for status in states] == ["done"] * 2
    assert told.count("lost") == told.count(None) == 2


@pytest.mark.parametrize("step", ["_lease", "release", "fail"])
def test_an_interrupt_right_after_a_step_leaves_no_lease(run, monkeypatch, step):
    """The step is committed when the signal arrives, and its caller has not been told yet."""
    done, interrupted = getattr(Ledger, step), []

    def then_interrupt(self, *arguments, **options):
        answer = done(self, *arguments, **options)
        if not interrupted:
            interrupted.append(step)
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(Ledger, step, then_interrupt)
    executor = Careless(run.ledger, 1, LOST if step == "release" else Exited(code=1))
    executor.stop = lambda: None
    with pytest.raises(KeyboardInterrupt):
        run(executor=executor)
    assert interrupted
    assert "leased" not in run.ledger.states().values()
