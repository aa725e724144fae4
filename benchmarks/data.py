"""Time and peak memory of loading, splitting and auditing made-up interactions.

    python benchmarks/data.py                       # 10 M interactions from a file, each split
    python benchmarks/data.py --load 100000000      # 100 M interactions, loaded only

Each row is measured in a process of its own. Memory is the peak of the whole process above what
the imported libraries take; as a unit, the raw columns: user, item, value and time of the file, of
8 bytes each.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from recrepro.data.load import load_dataset
from recrepro.spec.experiment import DatasetSpec
from recrepro.splits import SPLITS
from recrepro.splits.draw import draw_split

SPLIT_OPTIONS = {
    "random-holdout": {},
    "leave-one-out": {},
    "leave-k-out": {"k": 3},
    "temporal": {},
    "temporal-user": {},
    "sliding-windows": {},
    "k-fold": {},
    "unseen-users": {},
}


def main() -> None:
    """Measure and print, one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000, help="interactions in the file")
    parser.add_argument("--load", type=int, default=0, help="only load so many, from Parquet")
    parser.add_argument("--negatives", type=int, default=0, help="negatives to draw, 0 for none")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*json.loads(options.one))))
        return
    n_rows = options.load or options.rows
    with tempfile.TemporaryDirectory() as folder:
        suffix = "parquet" if options.load else "csv"
        file = Path(folder) / f"log.{suffix}"
        write(file, n_rows)
        print(f"{n_rows:,} rows, {file.stat().st_size / 2**20:,.0f} MiB of {suffix}")
        for split in [None] if options.load else [None, *SPLIT_OPTIONS]:
            call = json.dumps([str(file), n_rows, split, options.negatives])
            done = subprocess.run(
                [sys.executable, __file__, "--one", call],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            row = json.loads(done.stdout)
            print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)


def write(file: Path, n_rows: int) -> None:
    """Write a log in the order of time, with users and items as uneven as real ones."""
    rng = np.random.default_rng(1)
    n_users, n_items = n_rows // 100, max(1000, n_rows // 400)
    users = (n_users * rng.random(n_rows) ** 1.5).astype(np.int64)
    items = (n_items * rng.random(n_rows) ** 3).astype(np.int64)
    table = pa.table(
        {
            "user": rng.permutation(n_users)[users],
            "item": rng.permutation(n_items)[items],
            "value": rng.integers(1, 6, n_rows).astype(np.float64),
            "time": 1_500_000_000 + np.arange(n_rows) // 2,
        }
    )
    (csv.write_csv if file.suffix == ".csv" else parquet.write_table)(table, file)


def measure(file: str, n_rows: int, split: str | None, n_negatives: int) -> dict[str, str]:
    """Load, and split and audit if asked to; return what to print."""
    before = peak_bytes()
    begin = time.perf_counter()
    spec = DatasetSpec(name="log", file=file)
    dataset = load_dataset(spec, Path(file).parent)
    loaded = time.perf_counter()
    row = {"split": split or "-", "loaded": f"{loaded - begin:.1f} s"}
    unit = 32 * n_rows
    if split is not None:
        splitter = SPLITS.resolve(split)(**SPLIT_OPTIONS[split])
        drawn = draw_split(dataset, splitter, 1, n_negatives or "full")
        done = time.perf_counter()
        verdict = drawn.audit.verdict
        audited = time.perf_counter()
        row |= {"drawn": f"{done - loaded:.1f} s", "audited": f"{audited - done:.1f} s"}
        row |= {"all": f"{audited - begin:.1f} s", "verdict": verdict}
    peak = peak_bytes() - before
    row["raw columns"] = f"{unit / 2**20:,.0f} MiB"
    row["peak"] = f"{peak / 2**20:,.0f} MiB = {peak / unit:.2f} x raw"
    return row


def peak_bytes() -> int:
    """Return the largest memory that this process has had (Linux)."""
    # Not getrusage: its peak is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    main()
