"""Published values on the real data: the experiments of papers that take seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PAPERS = Path(__file__).parents[2] / "experiments/papers"
QUICK = [
    "ncf-movielens-1m",
    "spectralcf-movielens-1m",
    "mcrec-movielens-100k",
    "cvae-citeulike-a",
    "lcfn-movielens-1m",
]


@pytest.mark.nightly
@pytest.mark.realdata
@pytest.mark.parametrize("name", QUICK)
def test_every_value_is_as_expected_but_for_those_that_the_page_explains(name, data_dir, tmp_path):
    recrepro = [sys.executable, "-P", "-m", "recrepro"]
    place = [str(PAPERS / f"{name}.toml"), "--workspace", str(tmp_path)]
    environment = os.environ | {"RECREPRO_DATA": str(data_dir)}
    subprocess.run([*recrepro, "run", *place], check=True, capture_output=True, env=environment)
    show = [*recrepro, "leaderboard", *place, "--format", "json", "--no-intervals"]
    board = subprocess.run(show, check=True, capture_output=True)
    got = {(v["model"], v["metric"]): v["verdict"] for v in json.loads(board.stdout)["expected"]}
    record = json.loads((PAPERS.parent / "records" / f"{name}.json").read_text(encoding="utf-8"))
    assert got == {(v["model"], v["metric"]): v["verdict"] for v in record["values"]}
