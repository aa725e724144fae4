"""Time to leaderboard: a whole grid beside irspack and Optuna, on MovieLens 1M or made-up data.

    pip install -c constraints.txt .
    python3.11 -m venv irspack-env
    irspack-env/bin/pip install irspack==0.5.2 optuna==5.0.0 pandas
    python benchmarks/grid.py --irspack irspack-env/bin/python --data-dir DATA

Eight baselines, 20 trials each, the same ranges, on two cores: each user's ratings are held out at
random, a fifth for test and a fifth of the rest for validation; the best trial is fitted on train
and validation and tested. Ours is ``recrepro run`` with all that comes with it (ledger, MLflow,
audit, leaderboard), cells side by side; irspack runs one model after the other, with two threads.
Its iALS solves exactly, as ours does; ``--cg`` lets it take its default, conjugate gradients.
Each side in a process of its own, in turn; the ratio is the median of the turns' ratios. Without
``--data-dir`` the data are made up, of the size of MovieLens 1M.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import tomli_w

from recrepro.data.synthetic import synthetic

NEIGHBOURS = {"integers": [5, 1000]}
SHRINKAGE = {"integers": [0, 1000]}
PLAIN = {"weighting": "none", "profiles": "raw"}
MODELS: list[dict[str, Any]] = [
    {
        "name": "ials2022",
        "params": {"epochs": 16},
        "search": {
            "n_factors": {"integers": [1, 128]},
            "unobserved_weight": {"log_uniform": [1e-3, 1.0]},
            "l2": {"log_uniform": [1e-4, 1e-1]},
        },
    },
    {
        "label": "itemknn-cosine",
        "name": "itemknn",
        "params": {"similarity": "cosine", "normalise": True, **PLAIN},
        "search": {"n_neighbors": NEIGHBOURS, "shrinkage": SHRINKAGE},
    },
    {
        "label": "itemknn-asymmetric",
        "name": "itemknn",
        "params": {"similarity": "asymmetric", **PLAIN},
        "search": {
            "n_neighbors": NEIGHBOURS,
            "shrinkage": SHRINKAGE,
            "asymmetry": {"uniform": [0.0, 1.0]},
        },
    },
    {
        "label": "userknn-cosine",
        "name": "userknn",
        "params": {"similarity": "cosine", "normalise": True, "neighbours": "own", **PLAIN},
        "search": {"n_neighbors": NEIGHBOURS, "shrinkage": SHRINKAGE},
    },
    {
        "name": "p3alpha",
        "params": {"normalise": False},
        "search": {"n_neighbors": NEIGHBOURS, "alpha": {"uniform": [0.0, 2.0]}},
    },
    {
        "name": "rp3beta",
        "params": {"normalise": False},
        "search": {
            "n_neighbors": NEIGHBOURS,
            "alpha": {"uniform": [0.0, 2.0]},
            "beta": {"uniform": [0.0, 2.0]},
        },
    },
    {"name": "ease", "search": {"l2": {"log_uniform": [1.0, 1e7]}}},
    {"name": "puresvd", "search": {"n_factors": {"integers": [1, 350]}}},
]
"""The longest comes first, so that two jobs end together. What irspack calls them stands in
`irspack_driver.py`."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--irspack", required=True, help="Python of its environment")
    parser.add_argument("--data-dir", type=Path, help="has ml-1m/ratings.csv.gz")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--users", type=int, help="only so many of them")
    parser.add_argument("--models", nargs="+", help="only these")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cg", action="store_true", help="irspack's iALS by conjugate gradients")
    options = parser.parse_args()
    wanted = [m for m in MODELS if not options.models or label(m) in options.models]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = ratings(options.data_dir, options.users)
        log.to_csv(folder / "log.csv", index=False)
        print(f"{log.user.nunique():,} users, {log.item.nunique():,} items, {len(log):,} ratings")
        ratios = []
        for turn in range(options.repeats):
            ours, ndcg = of_recrepro(folder, turn, wanted, options.trials)
            theirs, their_ndcg = of_irspack(folder, options, wanted)
            ratios.append(ours / theirs)
            print(f"ours {ours:.1f} s, irspack {theirs:.1f} s, ratio {ratios[-1]:.2f}", flush=True)
    for model, value in ndcg.items():
        print(f"  NDCG@10 on test, {model}: {value:.4f}; irspack {their_ndcg[model]:.4f}")
    print(f"{len(wanted)} models x {options.trials} trials, median ratio {median(ratios):.2f}")


def label(model: dict[str, Any]) -> str:
    """Return what a model is called."""
    return str(model.get("label", model["name"]))


def ratings(data_dir: Path | None, users: int | None) -> pd.DataFrame:
    """Return users and items of the log, all or those of the first users."""
    if data_dir is None:
        made = synthetic(6_040, 3_706, 1_000_000, seed=0)
        log = pd.DataFrame({"user": made.users, "item": made.items})
    else:
        log = pd.read_csv(data_dir / "ml-1m" / "ratings.csv.gz").iloc[:, :2]
        log.columns = pd.Index(["user", "item"])
    return log if users is None else log[log.user.isin(log.user.unique()[:users])]


def of_recrepro(
    folder: Path, turn: int, models: list[dict[str, Any]], trials: int
) -> tuple[float, dict[str, float]]:
    """Run the grid; return seconds and NDCG@10 on test of each model."""
    experiment = {
        "schema": 1,
        "claim": "a whole grid takes at most half of irspack's time",
        "datasets": [{"name": "log", "file": "log.csv"}],
        "splits": [{"name": "random-holdout"}],
        "evaluate": {"metrics": ["ndcg@10", "recall@10"]},
        "tune": {"trials": trials, "evaluate_every": 5, "patience": 5},
        "models": models,
    }
    (folder / "grid.toml").write_text(tomli_w.dumps(experiment))
    arguments = ["grid.toml", "--workspace", f"turn-{turn}"]
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "recrepro", "run", *arguments],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - began
    shown = [sys.executable, "-m", "recrepro", "leaderboard", *arguments, "--no-intervals"]
    board = subprocess.run(
        [*shown, "--format", "json"], cwd=folder, check=True, capture_output=True
    )
    rows = json.loads(board.stdout)["leaderboards"][0]["rows"]
    return seconds, {row["model"]: row["means"]["ndcg@10"] for row in rows}


def of_irspack(
    folder: Path, options: argparse.Namespace, models: list[dict[str, Any]]
) -> tuple[float, dict[str, float]]:
    """Do the same with irspack and Optuna."""
    driver = Path(__file__).with_name("irspack_driver.py")
    solver = "CG" if options.cg else "CHOLESKY"
    arguments = [str(folder / "log.csv"), str(options.trials), solver, *map(label, models)]
    command = [options.irspack, str(driver), *arguments]
    began = time.perf_counter()
    done = subprocess.run(
        command,
        env=os.environ | {"IRSPACK_NUM_THREADS_DEFAULT": "2", "OMP_NUM_THREADS": "2"},
        check=True,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - began
    return seconds, json.loads(re.findall(r"^\{.*\}$", done.stdout, re.MULTILINE)[-1])


if __name__ == "__main__":
    main()
