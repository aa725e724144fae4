"""`recrepro sync`, and servers that are late, silent or slow: everything is sent, once."""

import contextlib
import io
import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner
from rich.console import Console
from support.results import make_identity, make_name

from recrepro.cli import cli
from recrepro.cli.endings import finish_mirror
from recrepro.cli.sync import send
from recrepro.compute.patience import THREAD
from recrepro.errors import RecreproError, UsageError
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace
from recrepro.tracking.background import BackgroundMirror
from recrepro.tracking.client import require_answer
from recrepro.tracking.reader import files_of_run, results_from_mlflow
from recrepro.tracking.store import CELLS, existing_target, runs_pages


@pytest.fixture
def silent():
    """Address of something that takes calls and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


class Dripping(BaseHTTPRequestHandler):
    """Says a byte again and again until the test is over; of `/health` only if it is told to."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path == "/health" and self.server.drips != "health":
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            self.wfile.write(b"\r\n" if self.server.drips == "body" else b"X-Long: ")
            while not self.server.over.wait(0.01):
                self.wfile.write(b" ")

    def do_POST(self):
        self.do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def dripping(monkeypatch):
    """An MLflow server that never comes to the end of an answer."""
    before = set(threading.enumerate())
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr("recrepro.tracking.client.CALL_TIMEOUTS", 0.2)
    with ThreadingHTTPServer(("127.0.0.1", 0), Dripping) as running:
        running.asked, running.over, running.drips = [], threading.Event(), "body"
        running.uri = f"http://127.0.0.1:{running.server_port}"
        serving = threading.Thread(target=running.serve_forever, args=(0.01,))
        serving.start()
        yield running
        running.over.set()
        running.shutdown()
        serving.join()
    for thread in set(threading.enumerate()) - before:
        if thread.name == THREAD:
            thread.join()


@pytest.fixture
def own(toy, tmp_path):
    """The small grid in a place of its own, never sent anywhere."""
    copied = toy.copied(tmp_path)
    (copied.workspace.root / "mlflow.db").unlink(missing_ok=True)
    return copied


def unsent(toy):
    (one,) = json.loads(toy.output("status", "--format", "json"))["experiments"]
    return one["mlflow"]["unsent"]


def runs(uri):
    return {run.info.run_id for run in existing_target(uri, "toy").runs("")}


@pytest.mark.slow
def test_a_server_that_starts_late_gets_everything_once(own, late_server):
    uri, start = late_server
    with pytest.raises(RecreproError, match=f"{uri} cannot be reached") as refused:
        own.output("sync", "--mlflow", uri)
    assert refused.value.exit_code == 3
    start()
    assert own.output("sync", "--mlflow", uri) == "toy: 7 cells in MLflow, 7 sent now\n"
    there = runs(uri)
    assert len(existing_target(uri, "toy").runs(CELLS)) == 7
    assert own.output("sync", "--mlflow", uri) == "toy: 7 cells in MLflow, 0 sent now\n"
    assert runs(uri) == there


@pytest.mark.slow
def test_sync_brings_the_store_of_the_workspace_up_to_date(own):
    assert unsent(own) == 7
    assert not (own.workspace.root / "mlflow.db").exists()  # a question makes nothing
    whole = CliRunner().invoke(cli, ["sync", "--workspace", str(own.workspace.root)])
    assert (whole.exit_code, whole.output) == (0, "toy: 7 cells in MLflow, 7 sent now\n")
    assert unsent(own) == 0


def test_a_server_that_never_answers_is_given_up(own, silent, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "0.2")
    with pytest.raises(RecreproError, match=r"has not answered in 0\.2 s") as refused:
        own.output("sync", "--mlflow", silent)
    assert refused.value.exit_code == 3
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent)
    said = own.output("status")
    assert "it is not known what is there" in said
    assert "has not answered in 0.2 s" in said


def two_failed(ledger):
    """List two experiments, each of one cell, which failed."""
    for name in ("first", "second"):
        identity = make_identity(name)
        member = Member(identity.key, make_name("ease", split="temporal"))
        ledger.plan(name, "1" * 64, "", [(member, identity)])
        ledger.fail(identity.key, ledger.lease(identity.key), "no memory")


READERS = {
    "leaderboard": lambda _, uri: results_from_mlflow(uri, "first", "1" * 64),
    "show": lambda workspace, _: files_of_run(workspace, "0" * 32),
    "ui": runs_pages,
}


@pytest.mark.parametrize("reader", READERS)
def test_a_command_that_reads_from_a_server_that_drips_ends(
    tmp_path, dripping, monkeypatch, reader
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dripping.uri)
    with pytest.raises(RecreproError, match=r"not come to the end of an answer in 0\.2 s"):
        READERS[reader](Workspace.create(tmp_path), dripping.uri)


@pytest.mark.parametrize("drips", ["body", "header", "health"])
def test_a_sync_to_a_server_that_drips_ends_after_one_question(tmp_path, dripping, drips):
    dripping.drips = drips
    reason = "has not answered in 1 s" if drips == "health" else "come to the end of an answer in"
    workspace = Workspace.create(tmp_path)
    with contextlib.closing(Ledger.in_workspace(tmp_path)) as ledger:
        two_failed(ledger)
        console = Console(file=io.StringIO(), width=200)
        with pytest.raises(RecreproError, match=reason):
            send(console, workspace, ledger, ledger.planned(), dripping.uri)
    assert len([path for path in dripping.asked if path != "/health"]) <= 1


def test_the_status_asks_a_server_that_drips_once(tmp_path, dripping, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dripping.uri)
    Workspace.create(tmp_path)
    with contextlib.closing(Ledger.in_workspace(tmp_path)) as ledger:
        two_failed(ledger)
    done = CliRunner().invoke(cli, ["status", "--workspace", str(tmp_path), "--format", "json"])
    told = [one["mlflow"] for one in json.loads(done.output)["experiments"]]
    assert [one["unsent"] for one in told] == [None, None]
    assert all("not come to the end of an answer" in one["where"] for one in told)
    assert len([path for path in dripping.asked if path != "/health"]) == 1


@pytest.mark.parametrize("seconds", ["abc", "0", "-1", "inf", "nan", ""])
def test_a_timeout_that_is_none_is_a_mistake(silent, monkeypatch, seconds):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", seconds)
    with pytest.raises(UsageError, match="MLFLOW_HTTP_REQUEST_TIMEOUT is"):
        require_answer(silent)


def test_a_run_has_its_results_though_the_server_never_answers(own, silent, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "0.2")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent)
    own.file.write_text(own.file.read_text().partition('[[models]]\nname = "gmf"')[0])
    said = own.output("run", "--jobs", "1")
    assert re.search(r"^ *ease +0\.", said, re.MULTILINE)
    assert "has not answered in 0.2 s" in said
    assert "Nothing is lost" in said
    assert f"recrepro sync --workspace {own.workspace.root}" in said


def test_the_end_of_a_run_does_not_wait_for_a_server_that_is_slow(tmp_path, monkeypatch):
    ready, go_on = threading.Event(), threading.Event()

    class Slow:
        def sync(self):
            ready.set()
            go_on.wait()
            return 0

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://slow.example.org")
    mirror = BackgroundMirror(Slow())
    mirror.poke()
    ready.wait()
    console = Console(file=io.StringIO(), width=200)
    finish_mirror(console, mirror, Workspace.create(tmp_path), tmp_path, seconds=0.01)
    said = console.file.getvalue()
    assert "the server is slow, it was waited for 0.01 s" in said
    assert f"recrepro sync --workspace {tmp_path}" in said
    go_on.set()
    assert mirror.close()


def test_a_cell_of_several_versions_is_sent_once_as_the_latest_names_it(tmp_path, monkeypatch):
    workspace = Workspace.create(tmp_path)
    ledger = Ledger.in_workspace(tmp_path)
    old, new, only_old = (make_name(model, split="temporal") for model in ("ease", "steck", "gone"))
    one, other = make_identity("one"), make_identity("other")
    ledger.plan(
        "e",
        "1" * 64,
        "old",
        [(Member(one.key, old), one), (Member(other.key, only_old), other)],
    )
    ledger.plan("e", "2" * 64, "new", [(Member(one.key, new), one)])
    for cell in (one.key, other.key):
        ledger.fail(cell, ledger.lease(cell), "no memory")
    said = []
    for _ in range(2):
        console = Console(file=io.StringIO(), width=200)
        send(console, workspace, ledger, ledger.planned())
        said.append(console.file.getvalue())
    assert said == ["e: 2 cells in MLflow, 2 sent now\n", "e: 2 cells in MLflow, 0 sent now\n"]
    found = existing_target(workspace.mlflow_store, "e").runs(CELLS)
    assert sorted(run.data.params["model"] for run in found) == ["gone", "steck"]
    places = {run.data.params["model"]: run.data.tags for run in found}
    assert places["steck"][f"recrepro.place.{'2' * 16}"] == "0"
    assert places["steck"][f"recrepro.place.{'1' * 16}"] == "0"
    ledger.close()


def test_an_experiment_that_cannot_be_sent_does_not_hold_up_the_others(tmp_path):
    workspace = Workspace.create(tmp_path)
    ledger = Ledger.in_workspace(tmp_path)
    two_failed(ledger)
    console = Console(file=io.StringIO(), width=200)
    send(console, workspace, ledger, ledger.planned())
    target = existing_target(workspace.mlflow_store, "second")
    target.client.delete_experiment(target.experiment_id)
    console = Console(file=io.StringIO(), width=200)
    with pytest.raises(RecreproError, match="second: the MLflow experiment 'second' was deleted"):
        send(console, workspace, ledger, ledger.planned())
    assert console.file.getvalue() == "first: 1 cell in MLflow, 0 sent now\n"
    ledger.close()
