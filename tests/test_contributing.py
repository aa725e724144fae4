"""The diffs in CONTRIBUTING.md, applied to a copy of the package and used."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.places import GRID

ROOT = Path(__file__).parents[1]

USE = Path(__file__).parent / "support" / "use_of_diffs.py"


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A copy of the package with all diffs applied."""
    folder = tmp_path_factory.mktemp("changed")
    shutil.copytree(ROOT / "recrepro", folder / "recrepro")
    diffs = re.findall("```diff\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert len(diffs) == 5
    for diff in diffs:
        command = ["git", "apply", "--unidiff-zero", "-"]
        subprocess.run(command, input=diff, text=True, check=True, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def python(changed):
    def run(*arguments):
        environment = os.environ | {"PYTHONPATH": str(changed), "COLUMNS": "200"}
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, cwd=changed
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_what_the_diffs_add_is_there_and_works(python, changed):
    found = json.loads(python(str(USE), json.dumps(tomllib.loads(GRID))))
    assert Path(found["where"]).is_relative_to(changed)
    f2, precision, recall = found["f2"]
    assert f2 == pytest.approx(5 * precision * recall / (4 * precision + recall))
    assert (found["held"][0], found["held"][-1]) == (0, 12)
    assert "| ease | 0.5000 |" in found["org"]


def test_the_verb_and_the_data_set_are_listed(python):
    assert "Orders of my shop, 2025" in python("-m", "recrepro", "ls", "datasets")
    assert "log " in python("-m", "recrepro", "--help")
    assert "KEY is the start" in python("-m", "recrepro", "log", "--help")
    assert "org" in python("-m", "recrepro", "leaderboard", "--help")
