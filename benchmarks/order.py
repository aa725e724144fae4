"""Processor time and memory of models that know the order, on made-up data.

    pip install -c constraints.txt .
    python benchmarks/order.py                 # both sizes: some minutes
    python benchmarks/order.py --size S        # the small one

Each model is fitted with its defaults (FPMC for one epoch), then scores 10,000 users, in blocks as
the evaluator asks for them. Processor seconds of all threads; each is the median of the repeats.
Peaks are what the process grows by above the data.
"""

import argparse
import gc
import time
from statistics import median

import numpy as np
from evaluation import SIZES, peak

from baselines import made_up
from recrepro.baselines.associationrules import AssociationRules
from recrepro.baselines.ease import EASE
from recrepro.baselines.fpmc import FPMC
from recrepro.baselines.markovchain import MarkovChain
from recrepro.baselines.sequentialrules import SequentialRules
from recrepro.baselines.sknn import SKNN
from recrepro.baselines.stan import STAN
from recrepro.baselines.vsknn import VSKNN
from recrepro.evaluation.evaluator import BLOCK_CELLS
from recrepro.interactions import Interactions
from recrepro.model import Recommender

USERS = 10_000
MODELS = {
    "markovchain": MarkovChain,
    "associationrules": AssociationRules,
    "sequentialrules": SequentialRules,
    "sequentialrules, 10 latest items": lambda: SequentialRules(n_latest=10),
    "sknn": SKNN,
    "vsknn": VSKNN,
    "stan": STAN,
    "fpmc, one epoch": lambda: FPMC(epochs=1),
    "ease, fading": lambda: EASE(fading=0.9),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print("| data | model | fit | score 10,000 users | peak |\n| --- | --- | ---: | ---: | ---: |")
    for size in options.size or SIZES:
        train = made_up(size)
        for name, make in MODELS.items():
            measure(size, name, make(), train, options.repeats)


def measure(size: str, name: str, model: Recommender, train: Interactions, repeats: int) -> None:
    """Print the row of one model."""
    rng = np.random.default_rng(0)
    users = np.sort(rng.integers(train.n_users, size=USERS)).astype(np.int32)
    n = max(1, BLOCK_CELLS // train.n_items)
    blocks = [users[start : start + n] for start in range(0, USERS, n)]

    def fit() -> None:
        model.fit(train, np.random.default_rng(1))

    def score() -> None:
        for block in blocks:
            model.score(block, train.matrix[block])

    found = []
    fit()  # compiles
    model.score(users[:2], train.matrix[users[:2]])
    for work in (fit, score):
        seconds = []
        for _ in range(repeats):
            gc.collect()
            begin = time.process_time()
            work()
            seconds.append(time.process_time() - begin)
        found.append(median(seconds))
    grown = peak(fit) / 2**20
    print(
        f"| {size} | {name} | {found[0]:.2f} s | {found[1]:.2f} s | {grown:,.0f} MiB |", flush=True
    )


if __name__ == "__main__":
    main()
