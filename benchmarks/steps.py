"""Processor time of training steps and of validation of neural models, on made-up data.

    python benchmarks/steps.py                      # a table: some ten minutes
    python benchmarks/steps.py --only neumf cmn     # some of it

The data have the size of the study's: MovieLens 1M for models of pairs, CiteULike-t for models of
content. Each model trains the batches that fit into `--seconds`, in single precision and with
``mixed_precision``, with one thread. Whole epochs and validations are extrapolated from them.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from recrepro.data.synthetic import synthetic, synthetic_features
from recrepro.interactions import Interactions
from recrepro.model import Recommender
from recrepro.models import MODELS

SIZES = {"pairs": (6_040, 3_706, 1_000_000), "lists": (5_551, 16_980, 205_000)}
"""Users, items and interactions."""
ROWS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "neumf": ("neumf", "pairs", {"batch_size": 2048, "pretraining": False}),
    "mlp": ("mlp", "pairs", {"batch_size": 2048}),
    "gmf": ("gmf", "pairs", {"batch_size": 2048}),
    "delfmlp": ("delfmlp", "pairs", {"batch_size": 16384}),
    "delfef": ("delfef", "pairs", {"batch_size": 16384}),
    "dmf": ("dmf", "pairs", {"batch_size": 4096}),
    "coupledcf": ("coupledcf", "pairs", {"batch_size": 2048}),
    "deepcf": ("deepcf", "pairs", {"batch_size": 2048}),
    "convncf": ("convncf", "pairs", {"batch_size": 512, "pretraining_epochs": 0}),
    "multvae": ("multvae", "pairs", {"batch_size": 500}),
    "cmn": ("cmn", "lists", {"batch_size": 1024, "pretraining_epochs": 0}),
    "cvae": ("cvae", "lists", {"pretraining_epochs": 0}),
    "cdl": ("cdl", "lists", {"pretraining_epochs": 0}),
}
"""Model, data and hyperparameters of each row."""
USERS = 200
"""Users that validation is timed with."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=ROWS, nargs="*")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--single", action="store_true", help="without mixed precision")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | batch | ms a batch | mixed | single / mixed | epoch | validation of all |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for name in options.only or ROWS:
        of, data, params = ROWS[name]
        with threadpool_limits(1):
            print(row(name, of, data, params, options), flush=True)


def row(name: str, of: str, data: str, params: dict[str, Any], options: Any) -> str:
    """Return the row of one model."""
    whole = synthetic(*SIZES[data], seed=1)
    single, n_batches, validation = measured(of, whole, params, options.seconds)
    mixed = None
    if not options.single:
        mixed, _, _ = measured(of, whole, {**params, "mixed_precision": True}, options.seconds)
    told = "- | -" if mixed is None else f"{1000 * mixed:.1f} | {single / mixed:.2f}"
    size = params.get("batch_size", "default")
    return (
        f"| {name} | {size} | {1000 * single:.1f} | {told} | {single * n_batches:.1f} s "
        f"| {validation:.1f} s |"
    )


def measured(
    name: str, train: Interactions, params: dict[str, Any], seconds: float
) -> tuple[float, int, float]:
    """Return seconds of a batch, batches of an epoch, and seconds to score all users."""
    model_class = MODELS.resolve(name)
    known = model_class.Config.model_fields
    model: Any = model_class(**{k: v for k, v in params.items() if k in known})
    features = synthetic_features(*train.shape, len(train), seed=1)
    model = model.with_features(features.aligned(train.user_ids, train.item_ids))
    drawn = model.batches
    counts: list[int] = []

    def some(*arguments: Any) -> Iterator[Any]:
        """Yield batches until the time is over; count all of them in the first epoch."""
        if not counts:
            batches = list(islice(drawn(*arguments), 5))
            counts.append(-1)
            yield from batches
            return
        began, n = time.process_time(), 0
        for batch in drawn(*arguments):
            yield batch
            n += 1
            if time.process_time() - began > seconds:
                break
        counts.append(n)

    model.batches = some
    epochs = model.fit_epochs(train, np.random.default_rng(0))
    next(epochs)
    began = time.process_time()
    next(epochs)
    spent = time.process_time() - began
    n_all = sum(1 for _ in drawn(train, np.random.default_rng(0)))
    return spent / counts[-1], n_all, validation_of(model, train)


def validation_of(model: Recommender, train: Interactions) -> float:
    """Return seconds to score all users, from those of some."""
    users = np.arange(USERS, dtype=np.int32)
    histories = train.matrix[users]
    model.score(users[:2], histories[:2])
    began = time.process_time()
    model.score(users, histories)
    return (time.process_time() - began) * train.n_users / USERS


if __name__ == "__main__":
    main()
