"""Every block of code in docs/your-own-model.md is run or read."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from support.inprocess import call_here

from recrepro.data.synthetic import synthetic
from recrepro.run.resolve import check_names
from recrepro.spec.experiment import load_experiment

PAGE = (Path(__file__).parents[1] / "docs" / "your-own-model.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
FILES = {
    re.match(r"# (\S+\.(?:py|toml))\n", text)[1]: text
    for _, text in BLOCKS
    if re.match(r"# \S+\.(?:py|toml)\n", text)
}
FRAGMENTS = [text for kind, text in BLOCKS if kind == "toml" and text not in FILES.values()]
MODELS = {
    "co_occurrence.py": "fit",
    "as_a_class.py": "CoOccurrence",
    "two_tower.py": "fit",
    "by_epochs.py": "TwoTower",
    "implicit_bpr.py": "fit",
    "svd.py": "fit",
    "decay.py": "RecentPopularity",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files of the page, and with data of which the page names the file."""
    folder = tmp_path_factory.mktemp("page")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    log = synthetic(200, 80, 4000, 1)
    lines = [f"{u},{i}" for u, i in zip(log.users, log.items, strict=True)]
    (folder / "interactions.csv").write_text("\n".join(["user,item", *lines]) + "\n")
    return folder


def needs_torch(text):
    if "import torch" in text:
        pytest.importorskip("torch", reason="this model needs torch")


def test_every_block_is_a_file_or_tested_as_what_it_is():
    assert set(FILES) == {*MODELS, "experiment.toml", "test_co_occurrence.py"}
    assert {kind for kind, _ in BLOCKS} == {"python", "toml", "sh", "text"}
    assert all(text in FILES.values() for kind, text in BLOCKS if kind == "python")
    assert len(FRAGMENTS) == 3


@pytest.mark.parametrize("name", MODELS)
def test_each_model_keeps_the_contract(folder, name):
    needs_torch(FILES[name])
    done = call_here(["check-model", f"{name}:{MODELS[name]}"], folder, {"COLUMNS": "200"})
    assert done.returncode == 0, done.stdout
    assert " 0 failed." in done.stdout


def test_the_commands_are_those_that_were_called_here(folder):
    (commands,) = (text for kind, text in BLOCKS if kind == "sh")
    assert commands == "recrepro check-model two_tower.py:fit\n"


@pytest.mark.slow  # a whole run
def test_the_experiment_ends_in_a_verdict_on_the_model(folder):
    needs_torch(FILES["two_tower.py"])
    done = call_here(["run", "experiment.toml"], folder, {"COLUMNS": "200"})
    assert done.returncode == 0, done.stdout
    # The outcome is that of the data; nothing that a verdict needs is missing.
    outcomes = "better|worse|equivalent|not enough evidence"
    assert re.search(f"two_tower: ({outcomes}); difference", done.stdout)


@pytest.mark.slow  # starts pytest
def test_the_test_file_passes(folder):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "test_co_occurrence.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "failed" not in done.stdout


@pytest.mark.parametrize("text", FRAGMENTS[:2])
def test_tables_of_models_fit_into_the_experiment(folder, text):
    needs_torch(FILES["two_tower.py"])
    head = FILES["experiment.toml"].partition("[[models]]")[0]
    (folder / "other.toml").write_text(head + text)
    check_names(load_experiment(folder / "other.toml"), folder)


def test_the_entry_point_is_that_of_recrepro():
    (group,) = tomllib.loads(FRAGMENTS[2])["project"]["entry-points"]
    own = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert group in own["project"]["entry-points"]


def test_a_model_of_another_library_takes_ten_lines():
    for name in ("implicit_bpr.py", "svd.py"):
        code = [line for line in FILES[name].splitlines()[1:] if line.strip()]
        assert len(code) <= 10, name


def test_glue_of_the_pytorch_model_takes_25_lines():
    """Lines outside of the network and its training loop, with those of the experiment."""
    text = FILES["two_tower.py"]
    network = text[text.index("    user_tower = ") : text.index("    def score")]
    for part in (network, "import torch\n", "from torch import nn\n"):
        text = text.replace(part, "")
    lines = text.splitlines()[1:] + FILES["experiment.toml"].splitlines()[1:]
    assert len([line for line in lines if line.strip()]) <= 25


def test_the_table_of_the_files_columns_is_right():
    log = synthetic(20, 10, 60, 1)
    for name in re.findall(r"`train\.(\w+)`", PAGE):
        assert np.size(getattr(log, name)) or getattr(log, name) is None, name
