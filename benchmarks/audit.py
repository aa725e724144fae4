"""Processor time and peak memory of the leakage audit of made-up interactions.

    python benchmarks/audit.py                      # 10 M interactions
    python benchmarks/audit.py --rows 1000000

One line a split: processor seconds of the audit alone, all its checks made, with the values of
interactions, 50 features of items and, where negatives are drawn, 100 for each test user. Each line
is measured in a process of its own. The limit is 40 processor seconds for 10 M interactions.
"""

import argparse
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import random_array

from recrepro.data.dataset import Dataset
from recrepro.features import Features, FeatureSet
from recrepro.interactions import Interactions
from recrepro.splits import SPLITS
from recrepro.splits.draw import draw_split

SPLITS_TO_AUDIT = {
    "random-holdout": ({}, 0),
    "leave-one-out": ({}, 100),
    "temporal-user": ({}, 0),
    "temporal": ({}, 0),
    "unseen-users": ({}, 0),
}
"""Options of each split, and how many negatives are drawn."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000, help="interactions")
    parser.add_argument("--one", choices=SPLITS_TO_AUDIT, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(measure(options.one, options.rows), flush=True)
        return
    for name in SPLITS_TO_AUDIT:
        call = [sys.executable, __file__, "--rows", str(options.rows), "--one", name]
        subprocess.run(call, check=True)


def measure(name: str, n_rows: int) -> str:
    """Audit one split; return what to print."""
    dataset, features = made(n_rows)
    splitter_options, n_negatives = SPLITS_TO_AUDIT[name]
    splitter = SPLITS.resolve(name)(**splitter_options)
    drawn = replace(draw_split(dataset, splitter, 1, n_negatives or "full"), features=features)
    before, began = peak_bytes(), time.process_time()
    audit = drawn.audit
    seconds = time.process_time() - began
    peak = (peak_bytes() - before) / 2**30
    listed = f", {n_negatives} negatives" if n_negatives else ""
    return f"{name}{listed}: {seconds:.1f} CPU s, {peak:.1f} GiB more; {audit.line}"


def made(n_rows: int) -> tuple[Dataset, Features]:
    """Make a log with users and items as uneven as real ones, ties in time, and features."""
    rng = np.random.default_rng(1)
    n_users, n_items = n_rows // 100, max(1000, n_rows // 400)
    pairs = np.empty(0, np.int64)
    while len(pairs) < n_rows:
        n = n_rows - len(pairs)
        users = rng.permutation(n_users)[(n_users * rng.random(n) ** 1.5).astype(np.int64)]
        items = (n_items * rng.random(n) ** 3).astype(np.int64)
        pairs = np.unique(np.append(pairs, users * n_items + items))
    numbers = rng.permutation(n_items)
    users, items = pairs // n_items, numbers[pairs % n_items]
    order = np.lexsort((items, users))
    whole = Interactions(
        users[order].astype(np.int32),
        items[order].astype(np.int32),
        rng.integers(1, 6, n_rows).astype(np.float32),
        1_500_000_000 + rng.integers(0, n_rows // 2, n_rows) // 100,
        np.arange(n_users),
        np.arange(n_items),
    )
    has = random_array((n_items, 50), density=0.05, rng=rng, format="csr", dtype=np.float32)
    names = np.array([f"tag {place}" for place in range(50)])
    tags = FeatureSet("item", "tags", whole.item_ids, has, names)
    return Dataset("made-up", whole), Features((tags,))


def peak_bytes() -> int:
    """Return the largest memory that this process has had (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    main()
