"""A bundle, installed in a new environment, reproduces its run bit for bit."""

import os
import subprocess
import sys

import pytest
from support.places import toy_experiment

EXPERIMENT = toy_experiment(
    "a stranger gets the same number",
    """[tune]
trials = 3
[[models]]
name = "ease"
""",
    metrics=["ndcg@10", "coverage@10"],
)


@pytest.mark.nightly
def test_a_bundle_reproduces_in_a_new_environment(make_place, tmp_path):
    place = make_place(EXPERIMENT)
    assert place.run().returncode == 0
    bundle = tmp_path / "bundle"
    name = ("toy/random-holdout/ease", str(bundle), "--workspace", str(place.workspace))
    exported = place.call("export", *name)
    assert exported.returncode == 0, exported.stderr
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "new")], check=True)
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "RECREPRO"))}

    def call(program, *arguments):
        return subprocess.run(
            [str(tmp_path / "new" / "bin" / program), *arguments],
            cwd=bundle,
            env=plain | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )

    installed = call("python", "-m", "pip", "install", "--quiet", "-r", "requirements.txt")
    assert installed.returncode == 0, installed.stderr
    done = call("recrepro", "reproduce", "record.json")
    assert done.returncode == 0, done.stderr
    assert "identical: 2 metrics and the values of 60 users are equal bit by bit" in done.stdout
    assert call("python", "-c", "import torch").returncode != 0
