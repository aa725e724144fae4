"""The parts work with the lowest versions that pyproject.toml allows, and on every Python.

Without torch: its lower bound is its newest version, and the neural models are tested on a push.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = "analysis baselines charts compute data evaluation publish spec splits store tables tuning"
FAST = "not slow and not realdata and not nightly"

pytestmark = pytest.mark.nightly  # each installs an environment and runs for minutes


def call(*command, check=False, **variables):
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "RECREPRO"))}
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=plain | variables,
        capture_output=True,
        text=True,
        check=check,
    )


@pytest.fixture(scope="module")
def uv(tmp_path_factory):
    """The installer uv in an environment of its own: pip always takes the highest versions."""
    folder = tmp_path_factory.mktemp("uv")
    call(sys.executable, "-m", "venv", folder, check=True)
    installed = call(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "uv")
    if installed.returncode:
        pytest.skip(f"versions: uv cannot be installed: {installed.stderr.strip()[-200:]}")
    return folder / "bin" / "uv"


@pytest.fixture
def environment(uv, tmp_path):
    """Make an environment with another Python or other versions; return its Python."""

    def make(version, *options):
        folder = tmp_path / "environment"
        made = call(uv, "venv", "--python", version, "--no-python-downloads", folder)
        if made.returncode:
            pytest.skip(f"versions: Python {version} is not installed here")
        python = folder / "bin" / "python"
        what = ("--editable", f"{ROOT}[cluster,test]")
        installed = call(uv, "pip", "install", "--python", python, *options, *what)
        assert installed.returncode == 0, installed.stderr
        return python

    return make


def run_tests(python, cache):
    """Run the fast tests of the parts; kernels are compiled into a cache of their own."""
    folders = [f"tests/{part}" for part in PARTS.split()]
    command = (python, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-m", FAST, *folders)
    done = call(*command, NUMBA_CACHE_DIR=str(cache), RECREPRO_NO_CPU_LIMIT="1")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert re.search(r"\d{4} passed", done.stdout)


def test_the_parts_work_with_the_lowest_versions(environment, tmp_path):
    python = environment(sys.executable, "--resolution", "lowest-direct")
    bounds = dict(re.findall(r'"([\w-]+)>=([\d.]+)', (ROOT / "pyproject.toml").read_text()))
    found = call(python, "-c", "import numpy, scipy; print(numpy.__version__, scipy.__version__)")
    for version, name in zip(found.stdout.split(), ("numpy", "scipy"), strict=True):
        assert version.startswith(bounds[name])
    run_tests(python, tmp_path / "cache")


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_the_parts_work_on_another_python(environment, tmp_path, version):
    run_tests(environment(version, "--constraint", "constraints.txt"), tmp_path / "cache")
