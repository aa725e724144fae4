"""Cells side by side never need more memory than they may, unless one alone does."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.results import make_identity, make_record

from recrepro.compute.memory import parse_bytes
from recrepro.run.admission import DATA_COPIES, PROCESS_BYTES, MemoryBudget, expected_memory
from recrepro.run.materials import memory_needed
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment

EXPERIMENT = """
schema = 1
claim = "c"
[[datasets]]
name = "toy"
synthetic = { users = 60, items = 40, interactions = 900 }
[[splits]]
name = "random-holdout"
[[models]]
name = "toppopular"
[[models]]
name = "ease"
"""


@given(
    needs=st.lists(st.integers(1, 20), min_size=1, max_size=12),
    total=st.integers(1, 30),
    jobs=st.integers(1, 5),
    data=st.data(),
)
def test_every_cell_runs_and_together_they_fit(needs, total, jobs, data):
    budget = MemoryBudget(total, {str(n): need for n, need in enumerate(needs)})
    waiting, running, done = deque(budget.needs), [], []
    while waiting or running:
        for _ in range(len(waiting)):  # as a grid does it
            if len(running) >= jobs:
                break
            cell = waiting.popleft()
            if budget.admits(cell, running):
                running.append(cell)
            else:
                waiting.append(cell)
        assert running
        assert len(running) == 1 or sum(budget.needs[c] for c in running) <= total
        done.append(running.pop(data.draw(st.integers(0, len(running) - 1))))
    assert sorted(done) == sorted(budget.needs)


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "e.toml").write_text(EXPERIMENT)
    return make_plan(load_experiment(tmp_path / "e.toml"), tmp_path, None, progress=False)


def test_a_cell_needs_a_process_its_data_and_what_its_model_says(plan):
    popular, ease = plan.cells
    needs = expected_memory(plan, [])
    interactions = plan.datasets["toy"].interactions
    columns = (interactions.users, interactions.items, interactions.values, interactions.times)
    data = DATA_COPIES * sum(column.nbytes for column in columns if column is not None)
    assert needs[popular.key] == PROCESS_BYTES + data
    assert needs[ease.key] - needs[popular.key] == memory_needed(plan, ease) > 0


def test_what_a_model_needed_before_counts_if_it_was_more(plan):
    popular, ease = plan.cells

    def record(identity, peak, **more):
        changes = {"peak_memory_bytes": peak}
        return make_record("toppopular", identity=identity, changes=changes, **more)

    there = popular.identity
    elsewhere = there.model_copy(update={"data": make_identity().data})
    records = [record(there, 10**10), record(there, 7 * 10**9), record(elsewhere, 10**12)]
    records.append(record(there, 10**12, status="external"))
    needs = expected_memory(plan, records)
    assert needs[popular.key] == 10**10
    assert needs[ease.key] == expected_memory(plan, [])[ease.key]


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("8GB", 8 * 10**9), ("512 MB", 512 * 10**6), ("1.5GiB", 3 * 2**29), ("2kB", 2000)],
)
def test_sizes_are_read_with_their_units(text, n_bytes):
    assert parse_bytes(text) == n_bytes
