"""The wheel alone, in a new environment and an empty folder, leads from `init` to a verdict."""

import os
import subprocess
import sys

import pytest
from support.wheel import ROOT, build_wheel, copy_tracked

pytestmark = pytest.mark.nightly  # installs an environment: minutes


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Call a program of an environment that has the wheel and what it needs, nothing else."""
    place = tmp_path_factory.mktemp("wheel")
    wheel = build_wheel(copy_tracked(place / "copy"), place)
    subprocess.run([sys.executable, "-m", "venv", str(place / "new")], check=True)
    here = place / "here"
    here.mkdir()
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "RECREPRO"))}

    def call(program, *arguments):
        return subprocess.run(
            [str(place / "new" / "bin" / program), *arguments],
            cwd=here,
            env=plain | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )

    pins = ("--constraint", str(ROOT / "constraints.txt"))
    done = call("python", "-m", "pip", "install", "--quiet", *pins, str(wheel))
    assert done.returncode == 0, done.stderr
    return call


def test_a_wheel_leads_from_an_empty_folder_to_a_verdict(installed):
    where = installed("python", "-c", "import recrepro; print(recrepro.__file__)").stdout
    assert "site-packages" in where
    assert installed("python", "-c", "import torch").returncode != 0
    for arguments, said in (
        (["init"], "Wrote experiment.toml and model.py."),
        (["check-model", "model.py:fit"], "0 notes, 0 failed."),
        (["run", "experiment.toml"], "my-model: worse; difference from itemknn"),
        (["leaderboard", "experiment.toml"], "my-model: worse; difference from itemknn"),
    ):
        done = installed("recrepro", *arguments)
        assert done.returncode == 0, (arguments, done.stderr)
        assert said in done.stdout, (arguments, done.stdout)
