"""A split's promise decides its audit, and nothing else: no key, no hash, no file but the audit."""

import json

import pytest

from recrepro.run.materials import Materials
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment
from recrepro.store.workspace import Workspace

EXPERIMENT = """
schema = 1
claim = "c"
datasets = [{ name = "toy", synthetic = { users = 80, items = 40, interactions = 1200 } }]
splits = [{ name = "random-holdout" }]
models = [{ name = "toppopular" }]
"""


@pytest.fixture
def planned(tmp_path):
    """Plan the experiment after a replacement in it."""

    def plan(old="", new=""):
        path = tmp_path / "e.toml"
        path.write_text(EXPERIMENT.replace(old, new, 1))
        return make_plan(load_experiment(path), tmp_path, None)

    return plan


PROMISED = ('"random-holdout"', '"random-holdout", promise = "long-tail"')


def test_a_promise_is_part_of_no_key_and_no_hash(planned):
    plain, promised = planned(), planned(*PROMISED)
    assert [cell.key for cell in promised.cells] == [cell.key for cell in plain.cells]
    assert promised.experiment.grid_hash == plain.experiment.grid_hash
    assert promised.cells[0].identity.protocol_fingerprint == (
        plain.cells[0].identity.protocol_fingerprint
    )


def test_a_stored_split_is_judged_anew_when_its_promise_changes(planned, tmp_path):
    workspace = Workspace(tmp_path / "work")
    plain, promised = planned(), planned(*PROMISED)
    stored = Materials(plain, workspace).split(plain.cells[0])
    before = {path.name: path.read_bytes() for path in stored.folder.iterdir()}
    assert stored.facts["audit"]["verdict"] == "clean"

    again = Materials(promised, workspace).split(promised.cells[0])
    after = {path.name: path.read_bytes() for path in again.folder.iterdir()}
    assert again.folder == stored.folder
    assert again.facts["audit"]["promise"] == "long-tail"
    assert again.facts["audit"]["verdict"] == "suspicious"
    assert [name for name in after if after[name] != before[name]] == ["split.json"]
    told = [json.loads(files["split.json"]) | {"audit": 0} for files in (before, after)]
    assert told[0] == told[1]

    Materials(plain, workspace).split(plain.cells[0])
    assert {path.name: path.read_bytes() for path in stored.folder.iterdir()} == before


def test_a_split_that_an_older_audit_judged_is_judged_anew(planned, tmp_path):
    workspace, plan = Workspace(tmp_path / "work"), planned()
    stored = Materials(plan, workspace).split(plan.cells[0])
    now = stored.facts["audit"]
    old = {key: now[key] for key in ("verdict", "findings", "popularity")} | {"version": 1}
    stored.audit_again(old)
    assert Materials(plan, workspace).split(plan.cells[0]).facts["audit"] == now
