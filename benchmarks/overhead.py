"""What the harness costs beside the work, and whether logging many trials stays linear.

    pip install -c constraints.txt .
    python benchmarks/overhead.py                      # both
    python benchmarks/overhead.py --only share --trials 50 --cells 4
    python benchmarks/overhead.py --only logging

**share**: ``recrepro run`` of a model whose fit burns a second of processor time, 30 metrics a
trial, embedded MLflow store, one cell after the other. What is not fit, score or metric is
harness: start, imports, split, search, ledger, MLflow, leaderboard. On a machine that does other
things, too, trust the processor seconds; they depend little on how long a fit takes, so
``BURN_SECONDS=0.05`` gives them sooner.

**logging**: made-up cells of 50 trials, 30 metrics each, written to a ledger and from there to
MLflow; seconds for each 1,000 trials must not grow with their number.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from itertools import pairwise, product
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import pandas as pd
from annotated_types import Ge

from recrepro.model import ModelConfig, Recommender
from recrepro.space import Uniform
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace

MODELS = {"burner": "overhead:Burner"}
SECONDS = float(os.environ.get("BURN_SECONDS", "1"))  # of a fit
KINDS, CUTOFFS = ("ndcg", "recall", "precision", "map", "mrr", "hit_rate"), (5, 10, 20, 50, 100)
METRICS = [f"{kind}@{k}" for kind, k in product(KINDS, CUTOFFS)]
TRIALS_OF_A_CELL = 50


class Burner(Recommender):
    """Popularity, learned for a second."""

    class Config(ModelConfig):
        """Something to search."""

        weight: Annotated[float, Ge(0), Uniform(0.0, 1.0)] = 0.5
        """Share of popularity in the score."""

    def fit(self, train, rng):  # noqa: ANN001, ANN201
        """Burn processor time, then count."""
        end = time.thread_time() + SECONDS
        while time.thread_time() < end:
            pass
        weight = self.config.weight
        noise = rng.random(train.n_items)
        self.scores = np.float32(weight * train.item_counts + (1 - weight) * noise)
        return self

    def score(self, users, histories):  # noqa: ANN001, ANN201, ARG002
        """Score all users alike."""
        return np.tile(self.scores, (len(users), 1))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("share", "logging"))
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--cells", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--log", type=int, nargs="+", default=[1_000, 2_000, 5_000, 10_000])
    options = parser.parse_args()
    if options.only != "logging":
        share(options.cells, options.trials, options.repeats)
    if options.only != "share":
        for n in options.log:
            logging(n)


def share(cells: int, trials: int, repeats: int) -> None:
    """Run the model that burns time; print what else took time."""
    shares = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            wall, processor, work = burn(Path(folder), cells, trials)
        fits = cells * (trials + 1)
        rest = processor - fits * SECONDS  # evaluation is in it: more than the harness
        shares.append((1 - work / wall, rest / (rest + fits)))
        print(
            f"{cells} cells x {trials} trials: {wall:.1f} s, of which fit, score and metrics "
            f"{work:.1f} s; {rest:.1f} processor seconds besides {fits} fits: harness "
            f"{shares[-1][0]:.1%} of wall time, {shares[-1][1]:.1%} of processor time if a fit "
            "takes a second",
            flush=True,
        )
    of_wall, of_processor = (median(column) for column in zip(*shares, strict=True))
    print(f"medians: {of_wall:.1%} of wall time, {of_processor:.1%} of processor time")


def burn(folder: Path, cells: int, trials: int) -> tuple[float, float, float]:
    """Return wall and processor seconds of a run, and the wall seconds of its work."""
    info = folder / "overhead-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: overhead\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[recrepro.models]\noverhead = overhead:MODELS\n")
    (folder / "burn.toml").write_text(f"""
schema = 1
claim = "the harness costs little"
[[datasets]]
name = "made"
synthetic = {{ users = 2000, items = 1000, interactions = 60000, seed = 1 }}
[[splits]]
name = "random-holdout"
seeds = {list(range(1, cells + 1))}
[evaluate]
metrics = {METRICS}
[tune]
metric = "ndcg@10"
trials = {trials}
[[models]]
name = "burner"
""")
    paths = [str(folder), str(Path(__file__).resolve().parent)]
    command = ["run", "burn.toml", "--jobs", "1"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "recrepro", *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    work = 0.0
    with closing(Ledger.in_workspace(folder / "recrepro-runs")) as ledger:
        for cell in ledger.states():
            times = ledger.status(cell).record["times"]
            work += sum(trial["seconds"] for trial in ledger.trials(cell))
            work += times["fit"]["wall_s"] + times["score"]["wall_s"]
    return wall, processor, work


def logging(n: int) -> None:
    """Write trials to a ledger and to MLflow; print what each thousand took."""
    from recrepro.tracking.mirror import MlflowMirror

    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "runs")
        with closing(Ledger.in_workspace(workspace.root)) as ledger:
            mirror = MlflowMirror(ledger, workspace, "made", "hash", "")
            mirror.sync()  # makes MLflow's database, which takes seconds
            laps = [(time.perf_counter(), time.process_time())]
            fill(ledger, workspace, n)
            laps.append((time.perf_counter(), time.process_time()))
            mirror.sync()
            laps.append((time.perf_counter(), time.process_time()))
    (ledger_wall, ledger_cpu), (mlflow_wall, mlflow_cpu) = (
        tuple(1000 * (b - a) / n for a, b in zip(*pair, strict=True)) for pair in pairwise(laps)
    )
    print(
        f"{n:,} trials: for each 1,000, ledger {ledger_wall:.2f} s ({ledger_cpu:.2f} s of "
        f"processor), MLflow {mlflow_wall:.2f} s ({mlflow_cpu:.2f} s)",
        flush=True,
    )


def fill(ledger: Ledger, workspace: Workspace, n: int) -> None:
    """Write made-up cells to a ledger, as workers do."""
    rng = np.random.default_rng(0)
    per_user = pd.DataFrame({"user": np.arange(100), "ndcg@10": rng.random(100)}).to_parquet()
    cells = [f"{number:064d}" for number in range(n // TRIALS_OF_A_CELL)]
    titles = {"dataset": "made", "split": "random-holdout", "model": "burner"}
    members = [Member(cell, {**titles, "seed": seed}) for seed, cell in enumerate(cells)]
    ledger.plan("made", "hash", "", [(member, {}) for member in members])
    for member in members:
        token = ledger.lease(member.cell)
        assert token is not None
        for number in range(TRIALS_OF_A_CELL):
            ledger.add_trial(member.cell, token, number, trial(number, rng))
        blob = workspace.write_blob(per_user)
        ledger.commit(member.cell, token, record(member, blob, trial(0, rng)), "digest")


def trial(number: int, rng: np.random.Generator) -> dict[str, Any]:
    """Make up a trial."""
    return {
        "number": number,
        "params": {"weight": rng.random()},
        "state": "complete",
        "value": rng.random(),
        "metrics": dict(zip(METRICS, rng.random(len(METRICS)).tolist(), strict=True)),
        "epochs": None,
        "reason": "",
        "seconds": SECONDS,
        "curve": [],
    }


def record(member: Member, per_user: str, best: dict[str, Any]) -> dict[str, Any]:
    """Make up a record."""
    return {
        "cell": member.cell,
        "titles": member.titles,
        "identity": {"data": {"fingerprint": "f" * 64}},
        "protocol": "p" * 64,
        "model": {"params": best["params"], "status": "tuned", "family": "simple"},
        "tuning": {"metric": "ndcg@10", "best": best},
        "curve": [],
        "metrics": best["metrics"],
        "sampled": False,
        "split": {"fingerprint": "s" * 64, "audit": {"verdict": "clean"}},
        "per_user": per_user,
        "times": {"fit": {"wall_s": SECONDS, "cpu_s": SECONDS}},
        "started_at": 1_700_000_000.0,
        "ended_at": 1_700_000_060.0,
        "provenance": {"recrepro": "0", "code": {"commit": None, "dirty": None}},
    }


if __name__ == "__main__":
    main()
