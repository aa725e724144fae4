r"""Time and memory of the neural recommenders beside RecBole's, on MovieLens 1M or made-up data.

    pip install -c constraints.txt '.[neural]'
    python3.11 -m venv recbole-env
    recbole-env/bin/pip install torch==2.13.0
    recbole-env/bin/pip install torch==2.13.0 recbole==1.2.1 'numpy<2' 'pandas<2.2' 'scipy<1.12' \
        'setuptools>=77.0.3,<82'
    python benchmarks/neural.py --recbole recbole-env/bin/python --ratings ml-1m/ratings.csv.gz
    python benchmarks/neural.py --only optimisers            # memory of Adam and Adafactor
    python benchmarks/neural.py --only memory                # Mult-VAE with 100,000 items

RecBole needs other versions of numpy and pandas, so each side runs in processes of its own: two
threads, batches of 2,048 samples, turn by turn, the same tenth of each user's interactions held
out. Medians of epochs, the first of each process left out; full-ranking evaluation of the held-out
part with NDCG@10. RecBole evaluates one user at a time unless told otherwise (``eval_batch_size``),
so it is told to take some 500, which is faster. Its ``latent_dimension`` of 128 is a mean and a
variance of 64 each. Without ``--ratings`` the data are made up, of the size of MovieLens 1M.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from recrepro.data.synthetic import synthetic
from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.interactions import Interactions
from recrepro.model import IterativeRecommender, Recommender
from recrepro.registry import Registry

THREADS = 2
BATCH = {"batch_size": 2048, "learning_rate": 1e-3}
MODELS: dict[str, dict[str, Any]] = {
    "multvae": {
        "theirs": "MultiVAE",
        "epochs": 20,
        "params": {**BATCH, "n_hidden": 600, "n_factors": 64, "dropout": 0.5},
        "settings": {},
    },
    "neumf": {
        "theirs": "NeuMF",
        "epochs": 3,
        "params": {
            **BATCH,
            "n_factors": 64,
            "n_layers": 2,
            "n_negatives": 1,
            "pretraining": False,
            "init_std": 0.01,
        },
        "settings": {
            "mlp_embedding_size": 128,
            "mlp_hidden_size": [128, 64],
            "dropout_prob": 0.0,
            "eval_batch_size": 4096,  # its default; larger ones take it much longer
        },
    },
    "bprmf": {
        "theirs": "BPR",
        "epochs": 5,
        "params": {
            **BATCH,
            "n_factors": 64,
            "optimizer": "adam",
            **dict.fromkeys(("l2_user", "l2_positive", "l2_negative"), 0.0),
        },
        "settings": {},
    },
    "lightgcn": {
        "theirs": "LightGCN",
        "epochs": 2,
        "params": {**BATCH, "n_factors": 64, "n_layers": 3, "l2": 1e-4},
        "settings": {"n_layers": 3, "reg_weight": 1e-4},
    },
}
"""What is compared: the same sizes, rates and numbers of negatives on both sides."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recbole", type=Path, help="the Python of an environment with RecBole")
    parser.add_argument("--ratings", type=Path, help="ratings.csv of MovieLens 1M")
    parser.add_argument("--only", choices=[*MODELS, "optimisers", "memory"], nargs="*")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)  # the process of one measurement
    options = parser.parse_args()
    if options.one:
        print(json.dumps(TASKS[options.one.split(" ")[0]](*options.one.split(" ")[1:])))
        return
    wanted = options.only or [*MODELS, "optimisers", "memory"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_parts(folder, options.ratings)
        compared = [one for one in MODELS if one in wanted]
        if compared:
            print("| model | epoch, ours | RecBole | ratio | evaluation, ours | RecBole ", end="")
            print("| ratio | NDCG@10, ours | RecBole | after |")
            print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for one in compared:
            compare(one, folder, options.recbole, options.repeats)
    if "optimisers" in wanted:
        optimisers()
    if "memory" in wanted:
        print("\nMult-VAE, 5,000 users x 100,000 items, an epoch:", in_process("vae"))


def write_parts(folder: Path, ratings: Path | None) -> None:
    """Write train and validation part for both sides: users and items, numbered from 0."""
    if ratings is None:
        whole = synthetic(6_040, 3_706, 1_000_000, seed=0)
        frame = pd.DataFrame({"user": whole.users, "item": whole.items})
    else:
        read = pd.read_csv(ratings)
        codes = {c: np.unique(read[c], return_inverse=True)[1] for c in ("userId", "movieId")}
        frame = pd.DataFrame({"user": codes["userId"], "item": codes["movieId"]})
    frame = frame.sort_values(["user", "item"], ignore_index=True)
    rng = np.random.default_rng(0)
    place = frame.assign(key=rng.random(len(frame))).groupby("user")["key"].rank() - 1
    held = place < (frame.groupby("user")["item"].transform("size") * 0.1).astype(int)
    for name, part in (("train", frame[~held]), ("valid", frame[held])):
        part.to_csv(folder / f"{name}.tsv", sep="\t", header=False, index=False)


def compare(name: str, folder: Path, recbole: Path | None, repeats: int) -> None:
    """Print the row of one model."""
    task = MODELS[name]
    sides: dict[str, list[dict[str, Any]]] = {"ours": [], "theirs": []}
    for seed in range(repeats):
        sides["ours"].append(in_process(f"train {name} {folder} {seed}"))
        if recbole:
            driver = Path(__file__).with_name("recbole_driver.py")
            command = [str(recbole), str(driver), task["theirs"], str(folder)]
            settings = {"eval_batch_size": 2**21, **task["settings"]}
            command += [str(task["epochs"]), str(seed), json.dumps(settings)]
            sides["theirs"].append(answer_of(command))
    cells = [name]
    for figure in ("epoch_seconds", "evaluate_seconds"):
        ours, theirs = (
            [median(run[figure][1:]) if figure == "epoch_seconds" else run[figure] for run in runs]
            for runs in sides.values()
        )
        cells.append(f"{median(ours):.2f} s")
        cells.append(f"{median(theirs):.2f} s" if theirs else "-")
        ratios = [a / b for a, b in zip(ours, theirs, strict=False)]
        cells.append(f"{median(ratios):.2f}" if ratios else "-")
    cells += [
        f"{np.mean([run['ndcg@10'] for run in runs]):.4f}" if runs else "-"
        for runs in sides.values()
    ]
    print(f"| {' | '.join(cells)} | {task['epochs']} epochs |", flush=True)


def train(name: str, folder: str, seed: str) -> dict[str, Any]:
    """Train one of our models; return seconds and quality."""
    train, valid = read_parts(Path(folder))
    found = Registry[type[Recommender]]("model", group="recrepro.models").resolve(name)
    model = found(**MODELS[name]["params"], epochs=MODELS[name]["epochs"])
    assert isinstance(model, IterativeRecommender)
    seconds, began = [], time.perf_counter()
    for stats in model.fit_epochs(train, np.random.default_rng(int(seed))):
        seconds.append(time.perf_counter() - began)
        if stats.epoch == MODELS[name]["epochs"]:
            break
        began = time.perf_counter()
    evaluator = Evaluator([parse_metric("ndcg@10"), parse_metric("recall@10")], tie_seed=0)
    popular = Registry[type[Recommender]]("model", group="recrepro.models").resolve("toppopular")()
    popular.fit(train, np.random.default_rng(0))
    evaluator.evaluate(popular, train, train.matrix, valid)  # compiles the evaluator's loops
    began = time.perf_counter()
    means = evaluator.evaluate(model, train, train.matrix, valid).means
    return {
        "epoch_seconds": seconds,
        "evaluate_seconds": time.perf_counter() - began,
        "ndcg@10": means["ndcg@10"],
    }


def read_parts(folder: Path) -> tuple[Interactions, Interactions]:
    """Read what `write_parts` wrote, with the labels of both parts."""
    frames = [
        pd.read_csv(folder / f"{name}.tsv", sep="\t", names=["user", "item"])
        for name in ("train", "valid")
    ]
    n_users, n_items = (1 + max(f[c].max() for f in frames) for c in ("user", "item"))
    train, valid = (
        Interactions(
            frame["user"].to_numpy(np.int32),
            frame["item"].to_numpy(np.int32),
            np.ones(len(frame), np.float32),
            None,
            np.arange(n_users),
            np.arange(n_items),
        )
        for frame in frames
    )
    return train, valid


def optimisers() -> None:
    """Print what optimisers of a large embedding table need and take."""
    print("\n| optimiser of a table of 1,000,000 x 64 (244 MiB) | it remembers ", end="")
    print("| peak above table and gradient | a step |")
    print("| --- | ---: | ---: | ---: |")
    for name in ("sgd", "adam", "adafactor"):
        found = in_process(f"optimiser {name}")
        cells = f"{found['kept']:,.0f} MiB | {found['peak']:,.0f} MiB | {found['seconds']:.3f} s"
        print(f"| {name} | {cells} |", flush=True)


def optimiser(name: str) -> dict[str, float]:
    """Take some steps; return the peak of memory above the start, and the time of a step."""
    import torch

    from recrepro.neural._optimizers import make_optimizer

    table = torch.nn.Parameter(torch.randn(1_000_000, 64))
    table.grad = torch.randn_like(table)
    optimizer = make_optimizer(name, [table], 1e-3)
    before, seconds = peak_bytes(), []
    for _ in range(5):
        began = time.perf_counter()
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    kept = [v.nbytes for v in optimizer.state[table].values() if isinstance(v, torch.Tensor)]
    return {
        "kept": sum(kept) / 2**20,
        "peak": (peak_bytes() - before) / 2**20,
        "seconds": median(seconds),
    }


def vae() -> dict[str, float]:
    """Train Mult-VAE with 100,000 items for an epoch."""
    from recrepro.neural.multvae import MultVAE

    whole = synthetic(5_000, 100_000, 500_000, seed=0)
    began = time.perf_counter()
    MultVAE(batch_size=500, epochs=1).fit(whole, np.random.default_rng(0))
    return {"GB": peak_bytes() / 1e9, "seconds": time.perf_counter() - began}


def peak_bytes() -> int:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


TASKS = {"train": train, "optimiser": optimiser, "vae": vae}


def in_process(task: str) -> dict[str, Any]:
    """Run a task in a process of its own."""
    return answer_of([sys.executable, __file__, "--one", task])


def answer_of(command: list[str]) -> dict[str, Any]:
    """Run a command with its number of threads; return the JSON in its last line."""
    threads = dict.fromkeys(
        ("THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), str(THREADS)
    )
    done = subprocess.run(command, env=os.environ | threads, stdout=subprocess.PIPE, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    main()
