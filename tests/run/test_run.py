"""A whole run, from the file to the leaderboard."""

import io
import json
import shutil
import signal

import pandas as pd
import pytest
from support.inprocess import PlaceHere

from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace

pytestmark = pytest.mark.slow  # whole runs in processes of their own

NEGATIVE_VALUES = """
schema = 1
claim = "P3alpha cannot read negative values as probabilities"
[[datasets]]
name = "log"
file = "log.csv"
values = "keep"
[[splits]]
name = "random-holdout"
[tune]
trials = 3
[[models]]
name = "toppopular"
[[models]]
name = "p3alpha"
"""


def test_a_run_prints_progress_the_leaderboard_and_the_next_step(finished):
    _, done = finished
    assert "6 cells (0 done before), 18 trials to run" in done.stdout
    assert "[6/6] done" in done.stdout
    assert "toy · random-holdout (full ranking, 60 users)" in done.stdout
    assert "recrepro ui --workspace" in done.stdout
    assert "\x1b[" not in done.stdout  # no terminal, no control codes


def test_tuned_models_beat_popularity_and_seeds_are_averaged(finished):
    place, _ = finished
    (board,) = place.board()["leaderboards"]
    means = {row["model"]: row["means"]["ndcg@10"] for row in board["rows"]}
    assert means["ease"] > means["toppopular"]
    assert [row["repeats"] for row in board["rows"]] == [2, 2, 2]
    assert all(row["spreads"]["ndcg@10"] >= 0 for row in board["rows"])


def test_every_tuned_model_got_the_same_budget(finished):
    place, _ = finished
    ledger = Ledger.in_workspace(place.workspace)
    budgets = {}
    for cell in ledger.states():
        record = ledger.status(cell).record
        budgets.setdefault(record.name.model, set()).add(len(ledger.trials(cell)))
    ledger.close()
    assert budgets == {"toppopular": {1}, "itemknn": {4}, "ease": {4}}


def test_the_record_says_how_the_number_came_about(finished):
    place, _ = finished
    ledger = Ledger.in_workspace(place.workspace)
    records = [ledger.status(cell).record for cell in ledger.states()]
    ledger.close()
    record = next(r for r in records if r.name.model == "ease")
    assert record.model.status == "tuned"
    assert [opening.reason for opening in record.openings] == ["first"]
    assert record.split.parts["test"].interactions > 0
    assert {"tune", "fit", "score"} <= set(record.times)
    assert record.provenance.packages["optuna"].startswith("5.")
    assert all(p["num_threads"] == 1 for p in record.provenance.thread_pools)
    table = Workspace(place.workspace).blob(record.per_user).read_bytes()
    per_user = pd.read_parquet(io.BytesIO(table))
    assert len(per_user) == record.users
    assert per_user["ndcg@10"].mean() == pytest.approx(record.metrics["ndcg@10"], abs=1e-12)


def test_running_again_does_nothing_that_is_done(finished):
    place, _ = finished
    before = place.outcome()
    again = place.run()
    assert again.returncode == 0, again.stderr
    assert "6 cells (6 done before), 0 trials to run" in again.stdout
    assert "start" not in again.stdout
    assert place.outcome() == before


def test_cells_give_the_same_bits_in_processes_and_in_the_process_of_the_tests(
    finished, finished_here
):
    assert finished_here.outcome() == finished[0].outcome()


def test_adding_a_model_runs_only_that_model(finished_here, place_here):
    shutil.copytree(finished_here.workspace, place_here.workspace)
    place_here.file.write_text(place_here.text + '[[models]]\nname = "random"\n')
    more = place_here.run()
    assert "8 cells (6 done before), 2 trials to run" in more.stdout


def test_changing_the_claim_keeps_the_leaderboard(finished, tmp_path):
    place, _ = finished
    changed = tmp_path / "toy.toml"
    changed.write_text(place.text.replace("a small grid", "another claim"))
    done = place.call("leaderboard", str(changed), "--workspace", str(place.workspace))
    assert done.returncode == 0, done.stderr


@pytest.mark.nightly  # a whole grid in other processes; each cell is compared on every push
def test_the_number_of_workers_changes_no_bit(one_seed, finished):
    """The next test has one worker."""
    assert one_seed.run("--jobs", "3").returncode == 0
    assert len(one_seed.outcome()) == 3
    assert one_seed.outcome().items() <= finished[0].outcome().items()


def test_two_runs_at_the_same_time_share_the_work(one_seed, finished):
    arguments = ("run", str(one_seed.file), "--workspace", str(one_seed.workspace), "--jobs", "1")
    first, second = one_seed.start(*arguments), one_seed.start(*arguments)
    outputs = [process.communicate(timeout=300) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert len(one_seed.outcome()) == 3
    assert one_seed.outcome().items() <= finished[0].outcome().items()
    started = sum(out.count(" start ") for out, _ in outputs)
    assert started == 3


def test_a_failing_model_fails_its_cell_only(place_here):
    rows = [
        f"{user},{item},{-1 if item % 2 else 1}" for user in range(9) for item in range(user, 12)
    ]
    (place_here.root / "log.csv").write_text("user,item,rating\n" + "\n".join(rows))
    place_here.file.write_text(NEGATIVE_VALUES)
    done = place_here.run()
    assert done.returncode == 3
    assert "1 of 2 cells failed" in done.stderr
    (board,) = place_here.board()["leaderboards"]
    assert {r["model"]: r["status"] for r in board["rows"]} == {
        "toppopular": "parameter-free",
        "p3alpha": "failed",
    }
    (failed,) = (r for r in board["rows"] if r["model"] == "p3alpha")
    assert "all 3 trials of 'p3alpha' failed" in failed["notes"][0]
    assert "values of at least 0, but got -1" in failed["notes"][0]


def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(place, finished):
    process = place.start("run", str(place.file), "--workspace", str(place.workspace))
    for line in process.stdout:
        if "start" in line:
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "To go on: python -m recrepro run" in out  # as it was called
    assert "Traceback" not in err
    states = place.outcome().values()
    assert all(state in ("pending", "done") for state, _, _ in states)
    assert PlaceHere(place.root).run().returncode == 0
    assert place.outcome() == finished[0].outcome()


def test_different_experiments_share_a_workspace_and_the_cells_that_both_have(place):
    head, toppopular, itemknn, _ = place.text.split("[[models]]")
    head = head.replace("seeds = [1, 2]", "seeds = [1]")
    place.file.write_text(f"{head}[[models]]{toppopular}[[models]]{itemknn}")
    (place.root / "other.toml").write_text(f"{head}[[models]]{itemknn}")
    more = ("--workspace", str(place.workspace), "--jobs", "1")
    first = place.start("run", str(place.file), *more)
    second = place.start("run", str(place.root / "other.toml"), *more)
    outputs = [process.communicate(timeout=900) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert sum(out.count(" start ") for out, _ in outputs) == 2
    assert [state for state, _, _ in place.outcome().values()] == ["done"] * 2


def test_the_json_leaderboard_is_json(finished):
    place, _ = finished
    assert json.dumps(place.board())
