"""`--executor inline`: the model runs here, beside the keys, so nothing of it is published."""

import json
import os
import pdb  # noqa: T100 - a debugger is what is tested
import sys
import threading

import pytest
from click.testing import CliRunner
from support.places import Place, toy_experiment

from recrepro.baselines.toppopular import TopPopular
from recrepro.cli import cli
from recrepro.errors import RecreproError, UsageError
from recrepro.publish.verify import problems_of
from recrepro.reproduce.locate import find_run
from recrepro.run import inline as module
from recrepro.run.events import Event, Exited
from recrepro.spec.identity import Identity
from recrepro.store.ledger import Ledger

pytestmark = pytest.mark.slow  # whole runs

GRID = toy_experiment(
    "what is run inline is not published",
    """[tune]
trials = 2
[[models]]
name = "toppopular"
[[models]]
name = "itemknn"
[[expected]]
model = "itemknn"
metric = "ndcg@10"
value = 0.5
tolerance = 0.5
source = "Table 1"
""",
)
INLINE = ("--executor", "inline")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Place(tmp_path, GRID)


def call(place, verb, *arguments, typed=None):
    """Call a command in this process, as a debugger or a notebook does."""
    whole = [verb, *arguments, "--workspace", str(place.workspace)]
    return CliRunner(env={"COLUMNS": "200"}).invoke(cli, whole, input=typed)


def run_inline(place, *more, typed=None):
    return call(place, "run", str(place.file), *INLINE, *more, typed=typed)


@pytest.fixture
def inlined(toy):
    done = run_inline(toy)
    assert done.exit_code == 0, done.output
    return toy


def debugger():
    """Stop as `breakpoint()` does, which pytest has taken for itself."""
    pdb.Pdb(stdin=sys.stdin, stdout=sys.stdout, nosigint=True, readrc=False).set_trace()


def cells(place):
    """Status of every cell in the ledger, by model and whether it is inline, and its trials."""
    ledger = Ledger.in_workspace(place.workspace)
    found = {}
    for key, work in ledger.work().items():
        name = (work.identity.model.name, work.identity.is_inline)
        found[name] = (ledger.status(key), len(ledger.trials(key)))
    ledger.close()
    return found


def reasons(status):
    return [opening.reason for opening in status.openings]


def test_numbers_are_printed_with_the_note_and_kept_for_the_next_inline_run(toy):
    done = run_inline(toy)
    assert done.exit_code == 0, done.output
    assert "2 cells (0 done before), 3 trials to run" in done.output
    for model in ("toppopular", "itemknn"):
        assert f"{model}: inline: not for publication" in done.output
    assert "expected" not in done.output  # a published value is not said to be met
    assert "MLflow" not in done.output
    again = run_inline(toy)
    assert "2 cells (2 done before), 0 trials to run" in again.output
    assert "itemknn: inline: not for publication" in again.output


def test_an_inline_cell_is_marked_and_shares_nothing_with_the_one_it_stands_for(inlined):
    found = cells(inlined)
    for model, n_trials in (("toppopular", 1), ("itemknn", 2)):
        status, trials = found[model, True]
        assert (status.state, trials) == ("done", n_trials)
        assert status.record.identity.executor == "inline"
        assert reasons(status) == ["first"]
        published, trials = found[model, False]
        assert (published.state, published.record, trials) == ("pending", None, 0)
        assert reasons(published) == ["inline"]
        identity = status.record.identity.to_json()
        del identity["executor"]
        assert Identity.model_validate(identity).key == published.cell


def test_what_is_published_leaves_it_out_and_says_so(inlined, tmp_path):
    left_out = "left out, because they were run inline, which is not for publication: 2 cells"
    board = call(inlined, "leaderboard", str(inlined.file), "--format", "json")
    assert left_out in board.stderr
    (one,) = json.loads(board.stdout)["leaderboards"]
    assert [row["means"] for row in one["rows"]] == [{}, {}]
    for row in one["rows"]:
        assert row["notes"] == [
            "run inline only, not for publication: run it without --executor inline"
        ]
    compared = call(inlined, "compare", str(inlined.file), "--format", "json")
    assert (compared.stdout.strip(), left_out in compared.stderr) == ("[]", True)
    cited = call(inlined, "cite", str(inlined.file), str(tmp_path / "cited"))
    assert "toml has a result yet: there is nothing to cite" in str(cited.exception)
    assert left_out in cited.stderr
    page = tmp_path / "report.html"
    reported = call(inlined, "report", str(inlined.file), "--output", str(page))
    assert left_out in reported.stderr
    record = cells(inlined)["itemknn", True][0].record
    assert f"{record.metrics['ndcg@10']:.4f}" not in page.read_text()
    sent = call(inlined, "sync")
    assert left_out in sent.stderr
    assert "0 cells in MLflow, 0 sent now" in sent.stdout


@pytest.mark.parametrize("verb", ["show", "reproduce"])
def test_an_inline_run_cannot_be_shown_or_repeated(inlined, verb):
    done = call(inlined, verb, "toy/random-holdout/itemknn")
    assert isinstance(done.exception, UsageError)
    assert "was run inline only, which is not for publication" in str(done.exception)
    assert "without --executor inline" in str(done.exception)


def test_a_record_that_was_taken_out_by_hand_is_refused(inlined, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(cells(inlined)["itemknn", True][0].record.dumps())
    with pytest.raises(UsageError, match="not for publication"):
        find_run(str(path), inlined.workspace)


def test_it_estimates_no_cost_of_other_cells(inlined):
    ledger = Ledger.in_workspace(inlined.workspace)
    assert ledger.records() == []
    ledger.close()


def test_a_real_run_runs_the_cells_anew_and_tables_tell_of_the_openings(inlined, cells_here):
    with cells_here():
        real = call(inlined, "run", str(inlined.file))
    assert real.exit_code == 0, real.output
    assert "2 cells (0 done before), 3 trials to run" in real.output
    found = cells(inlined)
    for model in ("toppopular", "itemknn"):
        status, _ = found[model, False]
        assert reasons(status) == ["inline", "resumed"]
        assert [opening.reason for opening in status.record.openings] == ["inline", "resumed"]
        assert "executor" not in status.record.identity.to_json()
        assert status.record.metrics == found[model, True][0].record.metrics
    shown = call(inlined, "leaderboard", str(inlined.file))
    assert "itemknn: test part opened inline, once" in shown.stdout
    assert "left out" not in shown.stderr
    folder = inlined.root / "cited"
    assert call(inlined, "cite", str(inlined.file), str(folder)).exit_code == 0
    assert problems_of(folder) == []


def test_a_breakpoint_in_a_model_stops_in_the_main_thread(toy, monkeypatch):
    fit, seen = TopPopular.fit, []

    def stopping(self, *arguments):
        seen.append((threading.current_thread() is threading.main_thread(), os.getpid()))
        if len(seen) == 1:
            debugger()
        return fit(self, *arguments)

    monkeypatch.setattr(TopPopular, "fit", stopping)
    done = run_inline(toy, typed="p 1234 * 2\nc\n")
    assert done.exit_code == 0, done.output
    assert "2468" in done.stdout
    assert set(seen) == {(True, os.getpid())}


def test_leaving_the_debugger_stops_the_run_and_the_next_one_goes_on(toy, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(TopPopular, "fit", lambda *_: debugger())
        stopped = run_inline(toy, typed="q\n")
    assert stopped.exit_code != 0
    assert "Stopped. 0 of 2 cells are done and kept" in stopped.stdout
    assert {status.state for status, _ in cells(toy).values()} == {"pending"}
    again = run_inline(toy)
    assert again.exit_code == 0, again.output


def test_a_model_that_fails_fails_its_cell_only_and_is_retried(toy, monkeypatch):
    def broken(*_):
        raise ValueError("a fault in a model")

    with monkeypatch.context() as patch:
        patch.setattr(TopPopular, "fit", broken)
        done = run_inline(toy)
    assert isinstance(done.exception, RecreproError)
    assert "1 of 2 cells failed" in str(done.exception)
    assert "a fault in a model" in done.stdout
    assert {m: s.state for (m, here), (s, _) in cells(toy).items() if here} == {
        "toppopular": "failed",
        "itemknn": "done",
    }
    assert run_inline(toy).exit_code == 0


def test_the_test_part_stays_sealed_until_tuning_is_over(toy, monkeypatch):
    monkeypatch.setattr(module, "run_cell", lambda _job, unseal, _emit: unseal())
    done = run_inline(toy)
    assert "stays sealed: 0 of 2 trials" in done.stdout
    for (_, here), (status, _) in cells(toy).items():
        assert reasons(status) == (["refused"] if here else [])


@pytest.mark.parametrize("more", [("--jobs", "2"), ("--threads", "2"), ("--memory", "1GB")])
def test_what_is_for_processes_is_refused(toy, more):
    done = run_inline(toy, *more)
    assert isinstance(done.exception, UsageError)
    assert "--executor inline starts none" in str(done.exception)
    assert not toy.workspace.exists()


@pytest.mark.parametrize("before", [None, "mine"])
def test_variables_are_set_while_a_cell_runs(monkeypatch, before):
    if before is None:
        monkeypatch.delenv("PGPASSWORD", raising=False)
    else:
        monkeypatch.setenv("PGPASSWORD", before)
    seen = []
    monkeypatch.setattr(module, "run_cell", lambda *_: seen.append(os.environ["PGPASSWORD"]))
    executor = module.Inline({"PGPASSWORD": "secret"})

    class OneCell:
        cell = "a" * 64

    executor.start(OneCell())
    events = []
    executor.listen(events.append)
    assert seen == ["secret"]
    assert events == [Event("a" * 64, Exited(code=0))]
    assert os.environ.get("PGPASSWORD") == before
