"""Threads and memory of cells side by side: what their processes really have."""

import json
import os
import re

import pytest
from support.places import toy_experiment

from recrepro.compute.threads import cores

pytestmark = pytest.mark.slow  # whole runs

GRID = toy_experiment(
    "a model that counts its threads",
    """[[models]]
name = "counter"
""",
)
COUNTER = '''
import json, os
from pathlib import Path
import numba, numpy as np, torch
from threadpoolctl import threadpool_info
from recrepro.model import ModelConfig, Recommender
from recrepro.compute.threads import default_threads

MODELS = {"counter": "counter:Counter"}

class Counter(Recommender):
    """Writes how many threads each library would use."""
    class Config(ModelConfig):
        """None."""
    def fit(self, train, rng):
        """Count."""
        torch.ones(300, 300) @ torch.ones(300, 300), np.ones((300, 300)) @ np.ones((300, 300))
        found = {"numba": numba.get_num_threads(), "torch": torch.get_num_threads()}
        found["ours"] = default_threads()
        pools = threadpool_info()
        for api in {pool["user_api"] for pool in pools}:
            found[api] = max(p["num_threads"] for p in pools if p["user_api"] == api)
        Path(os.environ["COUNTED"]).write_text(json.dumps(found))
        self.n_items = train.n_items
        return self
    def score(self, users, histories):
        """Score."""
        return np.zeros((len(users), self.n_items), np.float32)
'''


@pytest.fixture
def counting(make_place, tmp_path):
    """Run the model that counts, and return what it counted."""
    place = make_place(GRID).with_store()
    (tmp_path / "counter.py").write_text(COUNTER)
    info = tmp_path / "counter-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counter\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[recrepro.models]\ncounter = counter:MODELS\n")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    counted = tmp_path / "counted.json"
    place.environment = {"PYTHONPATH": os.pathsep.join(paths), "COUNTED": str(counted)}

    def run(*arguments):
        done = place.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(counted.read_text()), done.stdout

    return run


@pytest.mark.parametrize(
    ("arguments", "threads"),
    [
        # However many cores there are: results are equal only for equal numbers.
        pytest.param((), 1, marks=pytest.mark.nightly),
        (("--threads", "2"), 2),
        pytest.param(("--jobs", "1", "--threads", "auto"), cores(), marks=pytest.mark.nightly),
        # A job for each core.
        pytest.param(("--threads", "auto"), 1, marks=pytest.mark.nightly),
    ],
)
def test_every_library_has_the_threads_that_were_asked_for(counting, arguments, threads):
    found, out = counting(*arguments)
    assert {"numba", "torch", "ours", "blas", "openmp"} <= set(found)
    assert set(found.values()) == {threads}
    assert ("threads in all share" in out) == (threads > cores())


@pytest.mark.nightly  # `test_admission.py` has the rule
def test_cells_that_do_not_fit_together_run_one_after_the_other(one_seed, finished_here):
    done = one_seed.run("--jobs", "3", "--memory", "900MB")  # each needs 500 MB and its data
    assert done.returncode == 0, done.stderr
    events = re.findall(r"\] (start|done) ", done.stdout)
    assert events == ["start", "done"] * 3
    assert "it runs alone" not in done.stdout
    assert one_seed.outcome().items() <= finished_here.outcome().items()


@pytest.mark.nightly  # for the same reason
def test_a_cell_that_is_too_large_runs_alone_and_it_is_said(one_seed):
    done = one_seed.run("--jobs", "3", "--memory", "100MB")
    assert done.returncode == 0, done.stderr
    assert "ease on toy needs about 0.5 GB of memory, more than the 0.1 GB" in done.stdout
    assert re.findall(r"\] (start|done) ", done.stdout) == ["start", "done"] * 3
