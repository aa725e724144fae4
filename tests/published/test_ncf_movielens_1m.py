"""The NCF split of MovieLens 1M: published numbers, from the experiment file, on the real data."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "experiments/papers/ncf-movielens-1m.toml"
# Found and written down in docs/conformance.md: how ties of a test item with negatives count.
EXPLAINED = {("userknn-dice", "hit_rate@10"), ("userknn-dice", "ndcg@10")}


@pytest.fixture(scope="module")
def verdicts(data_dir, tmp_path_factory):
    workspace = str(tmp_path_factory.mktemp("ncf"))
    recrepro = [sys.executable, "-P", "-c", "from recrepro.cli import main; main()"]
    place = [str(FILE), "--workspace", workspace]
    environment = os.environ | {"RECREPRO_DATA": str(data_dir)}
    subprocess.run([*recrepro, "run", *place], check=True, capture_output=True, env=environment)
    board = subprocess.run(
        [*recrepro, "leaderboard", *place, "--format", "json"], check=True, capture_output=True
    )
    return json.loads(board.stdout)["expected"]


@pytest.mark.realdata
def test_every_value_is_as_expected_but_for_what_is_explained(verdicts):
    assert len(verdicts) == 36
    off = {(v["model"], v["metric"]) for v in verdicts if v["verdict"] != "ok"}
    assert off == EXPLAINED


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("metric", "value"), [("hit_rate@10", 0.7192), ("ndcg@10", 0.4494), ("hit_rate@1", 0.2225)]
)
def test_ease_meets_the_printed_digits(verdicts, metric, value):
    (got,) = (v["got"] for v in verdicts if (v["model"], v["metric"]) == ("ease", metric))
    assert got == pytest.approx(value, abs=0.0002)
