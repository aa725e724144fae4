"""The executor's side of the line to a worker, with a client that writes down what it is told."""

import json

import pytest

from recrepro.run.dask_executor import DaskCluster
from recrepro.run.dask_worker import hear, run_job, versions
from recrepro.run.events import Exited, Lost, StageBegun, UnsealAsked
from recrepro.run.materials import Materials
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment
from recrepro.store.address import LedgerAddress
from recrepro.store.workspace import Workspace

TOY = """
schema = 1
claim = "one cell"
[[datasets]]
name = "toy"
synthetic = { users = 30, items = 20, interactions = 300, seed = 3 }
[[splits]]
name = "random-holdout"
[evaluate]
metrics = ["ndcg@10"]
[[models]]
name = "ease"
"""


class Future:
    def __init__(self, client):
        self.client, self.status, self.done = client, "pending", None

    def add_done_callback(self, done):
        self.done = done

    def cancel(self):
        self.status = "cancelled"


class Client:
    """In place of Dask's."""

    status = "running"

    def __init__(self):
        self.submitted, self.ran, self.closed = [], [], False
        self.resources = {}

    def scheduler_info(self):
        return {"workers": {"tcp://w:1": {"resources": self.resources}}}

    def submit(self, function, *arguments, **how):
        self.submitted.append((function, arguments, how, Future(self)))
        return self.submitted[-1][-1]

    def run(self, function, *arguments, workers):
        self.ran.append((function, arguments, workers))

    def close(self, timeout):
        self.closed = True


@pytest.fixture
def clients(monkeypatch):
    made = []

    def connect(_):
        made.append(Client())
        return made[-1]

    monkeypatch.setattr(DaskCluster, "_connect", connect)
    return made


@pytest.fixture
def at_work(tmp_path, clients):
    """A cluster with one job on it, the job, and the keys of its split."""
    (tmp_path / "toy.toml").write_text(TOY)
    plan = make_plan(load_experiment(tmp_path / "toy.toml"), tmp_path, None, progress=False)
    place = Workspace.create(tmp_path / "runs")
    address = LedgerAddress("postgresql://me:s3cret@db.example/ledger")
    (cell,) = plan.cells
    materials = Materials(plan, place)
    job = materials.job(cell, "a lease", str(address))
    cluster = DaskCluster("tcp://127.0.0.1:1", place)
    cluster.start(job)
    yield cluster, job, materials.keys(cell)
    cluster.stop()
    assert clients[-1].closed


def begin(cluster, job, attempt, **more):
    word = {"event": "begin", "cell": job.cell, "attempt": attempt, "worker": "tcp://w:1"}
    cluster._mail.put({**word, "shared": True, "versions": versions(), **more})


def test_a_task_is_a_function_by_name_and_one_string_without_keys_and_passwords(at_work, clients):
    _, job, keys = at_work
    ((function, arguments, _, _),) = clients[0].submitted
    assert function is run_job
    (spec,) = arguments
    assert json.loads(spec)["job"]["cell"] == job.cell
    assert keys.tuning.hex() in spec
    assert keys.test.hex() not in spec
    assert "s3cret" not in spec


def test_answers_go_to_the_attempt_that_has_begun(at_work, clients):
    cluster, job, _ = at_work
    begin(cluster, job, "first")
    said = {"event": "said", "said": {"event": "unseal"}, "cell": job.cell}
    cluster._mail.put({**said, "attempt": "other"})
    cluster._mail.put({**said, "attempt": "first"})
    assert cluster.events.get(timeout=60).content == UnsealAsked()
    cluster.answer(job.cell, {"key": "00"})
    assert clients[0].ran == [
        (hear, ("first", {"split": None, "features": None}), ["tcp://w:1"]),
        (hear, ("first", {"key": "00"}), ["tcp://w:1"]),
    ]
    assert cluster.events.empty()


def test_a_task_that_dask_starts_again_is_lost_and_its_second_start_is_not_answered(
    at_work, clients
):
    cluster, job, _ = at_work
    begin(cluster, job, "first")
    begin(cluster, job, "second", worker="tcp://w:2")
    event = cluster.events.get(timeout=60)
    assert event.content == Lost(reason="the worker tcp://w:1 has gone")
    cluster.forget(job.cell)
    assert clients[0].submitted[0][-1].status == "cancelled"
    assert [arguments[0] for _, arguments, _ in clients[0].ran] == ["first"]
    assert cluster.running == []


def test_a_worker_with_another_version_is_refused(at_work, clients):
    cluster, job, _ = at_work
    begin(cluster, job, "first", versions={**versions(), "optuna": "0.1"})
    failed, end = (cluster.events.get(timeout=60).content for _ in range(2))
    assert "has optuna 0.1 (here" in failed.reason
    assert end == Exited(code=1)
    assert clients[0].ran == []


def test_only_files_of_the_split_are_sent(at_work, clients):
    cluster, job, _ = at_work
    begin(cluster, job, "first", shared=False)
    ask = {"event": "fetch", "cell": job.cell, "attempt": "first", "of": "split", "offset": 0}
    cluster._mail.put({**ask, "name": "../../ledger.db"})
    cluster._mail.put({**ask, "name": "split.json"})
    cluster._mail.put({**ask, "of": "ledger", "name": "split.json"})
    said = {"event": "stage", "stage": "fit"}
    cluster._mail.put({"event": "said", "said": said, "cell": job.cell, "attempt": "first"})
    assert cluster.events.get(timeout=60).content == StageBegun(stage="fit")
    told = [arguments[1] for _, arguments, _ in clients[0].ran]
    assert set(told[0]["split"]) == {"known.bin", "sealed.bin", "split.json", "tuning.bin"}
    assert "is no file of the split" in told[1]["refused"]
    assert json.loads(told[2]["bytes"])["parts"]["train"]
    assert "it reads no 'ledger'" in told[3]["refused"]


def test_after_a_lost_connection_the_next_start_makes_a_new_one(at_work, clients):
    cluster, job, _ = at_work
    (future,) = (submitted[-1] for submitted in clients[0].submitted)
    future.status = "cancelled"
    future.done(future)
    assert "connection to the scheduler" in cluster.events.get(timeout=60).content.reason
    cluster.forget(job.cell)
    cluster.start(job)
    assert (len(clients), clients[0].closed) == (2, True)
    assert len(clients[1].submitted) == 1


def test_what_is_too_large_for_every_worker_fails_at_once(at_work, clients):
    cluster, job, _ = at_work
    assert clients[0].submitted[0][2]["resources"] == {}
    clients[0].resources = {"MEMORY": 1.0}
    assert job.wants["MEMORY"] > 1
    cluster.forget(job.cell)
    cluster.start(job)
    failed, end = (cluster.events.get(timeout=60).content for _ in range(2))
    assert "no worker of the cluster declares as much" in failed.reason
    assert end == Exited(code=1)
    assert len(clients[0].submitted) == 1
