"""What an experiment would take: time from records or a timed trial, disk, totals."""

from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.results import make_record, merged

from recrepro.model import EpochStats, IterativeRecommender, ModelConfig, Recommender
from recrepro.run import costs, paces
from recrepro.run.materials import Materials, draw
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import TuneSpec, load_experiment
from recrepro.spec.identity import Identity
from recrepro.splits.sealed import TuningView
from recrepro.store.ledger import Ledger
from recrepro.store.records import Trial
from recrepro.store.workspace import Workspace

EXPERIMENT = """
schema = 1
claim = "c"
[[datasets]]
name = "toy"
synthetic = { users = 60, items = 40, interactions = 900 }
[[splits]]
name = "random-holdout"
seeds = [1, 2]
[tune]
trials = 4
[[models]]
name = "ease"
[[models]]
name = "itemknn"
search = { weighting = { choice = ["none", "bm25"] } }
"""


@given(st.lists(st.floats(0, 1e4), max_size=20), st.integers(1, 5))
def test_the_total_is_what_workers_need_who_are_never_idle(seconds, jobs):
    total = costs.makespan(seconds, jobs)
    longest = max(seconds, default=0.0)
    assert total >= max(longest, sum(seconds) / jobs) * (1 - 1e-9)
    assert total <= (sum(seconds) / jobs + longest) * (1 + 1e-9)


def test_the_total_of_a_worked_example():
    assert costs.makespan([5, 3, 1, 4], 2) == 8  # 5; 3, 1, 4
    assert costs.makespan([5, 3, 1, 4], 1) == 13


class Case:
    """A small experiment, and a ledger where cells may be done."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "e.toml").write_text(EXPERIMENT)
        experiment = load_experiment(folder / "e.toml")
        self.plan = make_plan(experiment, folder, None, progress=False)
        self.workspace = Workspace.create(folder / "runs")
        self.ledger = Ledger.in_workspace(self.workspace.root)
        members = [(cell.member, cell.identity) for cell in self.plan.cells]
        self.ledger.plan("e", experiment.grid_hash, "", members)

    def finish(self, cell, seconds, final, n_train, **identity):
        """Write a cell as done: how long its trials took, and its final fit.

        `identity` has what is different in the identity of the record.
        """
        other = Identity.model_validate(merged(cell.identity.to_json(), identity))
        self.ledger.add_unlisted({other.key: other})
        token = self.ledger.lease(other.key)
        self.try_trials(replace(cell, identity=other), token, seconds)
        changes = {
            "times": {"fit": {"wall_s": final - 1.0}, "score": {"wall_s": 1.0}},
            "split": {"parts": {"train": {"interactions": n_train}}},
        }
        self.ledger.commit(token, make_record(cell.model.name, identity=other, changes=changes))

    def try_trials(self, cell, token, seconds):
        for number, each in enumerate(seconds):
            state = "failed" if each is None else "complete"
            trial = Trial(number, {}, state, seconds=each or 99.0)
            self.ledger.add_trial(cell.key, token, trial)

    def estimate(self, **options):
        options = {"jobs": 1, "threads": 1} | options
        found = costs.estimate(self.plan, self.workspace.root, self.ledger, **options)
        return {(c.cell.model.name, c.cell.name.seed): c for c in found.cells}, found


@pytest.fixture
def case(tmp_path):
    case = Case(tmp_path)
    yield case
    case.ledger.close()


def n_train(case, cell):
    return len(draw(case.plan, cell).parts.train)


def test_nothing_is_known_of_a_model_that_was_never_run(case):
    cells, found = case.estimate()
    assert {cell.seconds for cell in cells.values()} == {None}
    assert (found.unknown, found.seconds) == (4, 0.0)


def test_a_model_takes_what_it_took_in_proportion_to_the_interactions(case):
    ease, _, other, _ = case.plan.cells
    case.finish(ease, [2.0, 4.0, None, 30.0], 6.0, 2 * n_train(case, other))
    cells, found = case.estimate()
    # The median of the complete trials is 4 s and the final fit 6 s, of twice the interactions.
    assert cells["ease", 2].seconds == pytest.approx(costs.START_SECONDS + (4 * 4.0 + 6.0) / 2)
    assert cells["ease", 2].source == "earlier cells"
    assert cells["ease", 1].state == "done"
    assert cells["itemknn", 1].seconds is None
    assert (found.unknown, found.seconds) == (2, cells["ease", 2].seconds)


def test_settings_are_equal_also_where_there_are_options_to_choose_from(case):
    _, itemknn, _, other = case.plan.cells
    case.finish(itemknn, [1.0], 2.0, n_train(case, other))
    assert case.estimate()[0]["itemknn", 2].source == "earlier cells"


@pytest.mark.parametrize(
    ("identity", "source"),
    [
        ({"data": {"fingerprint": "x"}}, "earlier cells, other data"),
        ({"model": {"params": {"l2": 1.0}}}, "earlier cells, other settings"),
    ],
)
def test_the_source_says_where_a_time_is_a_guess(case, identity, source):
    ease, _, other, _ = case.plan.cells
    case.finish(ease, [1.0], 2.0, n_train(case, other), **identity)
    cells, _ = case.estimate()
    assert cells["ease", 2].source == source
    assert cells["ease", 2].seconds == pytest.approx(costs.START_SECONDS + 4 * 1.0 + 2.0)


def test_finished_trials_of_a_cell_are_not_counted_again(case):
    ease = case.plan.cells[0]
    token = case.ledger.lease(ease.key)
    case.try_trials(ease, token, [3.0, 3.0, 3.0])
    case.ledger.release(ease.key, token)
    cells, _ = case.estimate()
    assert (cells["ease", 1].state, cells["ease", 1].trials) == ("to run", 1)
    assert cells["ease", 1].source == "its own trials"
    assert cells["ease", 1].seconds == pytest.approx(costs.START_SECONDS + 3.0 + 3.0)


def test_a_failed_cell_starts_from_its_first_trial(case):
    ease = case.plan.cells[0]
    token = case.ledger.lease(ease.key)
    case.try_trials(ease, token, [3.0, 3.0])
    case.ledger.fail(ease.key, token, "no memory")
    cells, _ = case.estimate()
    assert (cells["ease", 1].state, cells["ease", 1].trials) == ("failed", 4)


def test_a_split_takes_the_disk_that_it_was_said_to_take(case):
    _, found = case.estimate()
    said = [split.disk for split in found.splits]
    materials = Materials(case.plan, case.workspace)
    stored = {materials.split(cell) for cell in case.plan.cells}
    took = [sum(f.stat().st_size for f in split.folder.glob("*.bin")) for split in stored]
    assert sum(said) == pytest.approx(sum(took), rel=0.2)
    _, found = case.estimate()
    assert [split.disk for split in found.splits] == [0, 0]


class Spy(Recommender):
    """Remembers all that it is shown."""

    class Config(ModelConfig):
        pass

    seen: ClassVar[set[tuple[int, int]]] = set()

    def fit(self, train, rng):
        self.note(train.users, train.items)
        self.n_items = train.n_items
        return self

    def score(self, users, histories):
        at = histories.tocoo()
        self.note(users[at.coords[0]], at.coords[1])
        return np.zeros((len(users), self.n_items), np.float32)

    def note(self, users, items):
        self.seen.update(zip(users.tolist(), items.tolist(), strict=True))


def test_a_timed_trial_never_sees_the_test_part(case, monkeypatch):
    for title in case.plan.models:
        monkeypatch.setitem(case.plan.models, title, Spy)
    cells, _ = case.estimate(time_trials=True)
    assert {cell.source for cell in cells.values()} == {"a timed trial"}
    parts = draw(case.plan, case.plan.cells[0]).parts
    train, test = (
        set(zip(part.users.tolist(), part.items.tolist(), strict=True))
        for part in (parts.train, parts.test)
    )
    assert train <= Spy.seen
    assert not test & Spy.seen


class Clock:
    """Time as the models and the evaluator below say that it goes by."""

    now = 0.0

    def perf_counter(self):
        return self.now


class Stepwise(IterativeRecommender):
    """Takes 5 s to start, and then as long for an epoch as there are interactions."""

    class Config(ModelConfig):
        epochs: int = 10

    clock = None

    def fit_epochs(self, train, rng):
        self.clock.now += 5.0
        epoch = 0
        while True:
            epoch += 1
            self.clock.now += len(train)
            yield EpochStats(epoch)

    def score(self, users, histories):
        raise NotImplementedError


@pytest.mark.parametrize("sample", [10**6, 300])
@pytest.mark.parametrize(
    ("looks_at", "expected"),
    [
        ({}, 3),
        ({"validation_users": 50, "patience": 9}, 3 * 0.25 + 1),
        ({"validation_users": 50, "compare_trials": "sample"}, 3 * 0.25),
        ({"validation_users": 500}, 3),
    ],
)
def test_a_timed_trial_counts_all_epochs_and_validations_of_all_users(
    case, monkeypatch, interactions, sample, looks_at, expected
):
    clock = Clock()
    monkeypatch.setattr(paces, "time", clock)
    monkeypatch.setattr(paces, "SAMPLE", sample)
    monkeypatch.setattr(Stepwise, "clock", clock)
    train = interactions(np.tile(np.eye(2, 10).repeat(5, 1)[:, :10], (100, 1)))
    assert len(train) == 1000
    view = TuningView(train, train, None)

    def evaluate(model, fitted, histories, validation, negatives, *, seen):
        clock.now += len(validation) / 10

    evaluator = SimpleNamespace(evaluate=evaluate)
    tune = TuneSpec(trials=1, evaluate_every=4, **looks_at)
    seconds = paces.seconds_a_trial(Stepwise(), view, evaluator, tune, seed=1)
    # 10 epochs of 1,000 s, and validations after the 4th, the 8th and the last.
    assert seconds == pytest.approx(5 + 10 * 1000 + expected * 100)
