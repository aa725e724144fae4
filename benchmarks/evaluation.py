"""Time and memory of the evaluator beside those of implicit and irspack, on made-up data.

    pip install -c constraints.txt . && pip install implicit==0.7.3 irspack==0.5.2
    python benchmarks/evaluation.py                 # both sizes
    python benchmarks/evaluation.py --size S        # the small one

All sides measure the same 64 factors on the same split, with two threads, turn by turn; medians
are printed. Ours computes every accuracy metric at the cutoffs 5, 10, 20, 50 and 100; implicit its
four metrics at 10; irspack its nine at four cutoffs. Then: what each metric of ours adds to the
time of all, the peak of memory, and 10,000 bootstrap resamples of 20 metrics.
"""

import argparse
import gc
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recrepro.data.dataset import Dataset
from recrepro.data.synthetic import synthetic
from recrepro.evaluation.definitions import DEFINITIONS, Metric, parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.interactions import Interactions
from recrepro.model import ModelConfig, Recommender
from recrepro.splits.holdout import RandomHoldout

SIZES = {"S": (6_040, 3_706, 700_000), "L": (136_000, 20_000, 10_000_000)}
CUTOFFS = (5, 10, 20, 50, 100)
FACTORS = 64
THREADS = 2


class Factors(Recommender):
    """Scores by a product of given factors."""

    class Config(ModelConfig):
        """None."""

    def fit(self, train: Interactions, rng: np.random.Generator) -> "Factors":
        """Draw factors: what they are worth does not matter here."""
        self.users = rng.standard_normal((train.n_users, FACTORS), dtype=np.float32)
        self.items = rng.standard_normal((train.n_items, FACTORS), dtype=np.float32)
        return self

    def score(self, users, histories):  # noqa: ANN001, ANN201, ARG002
        """Multiply."""
        return self.users[users] @ self.items.T


def metrics(kind: str) -> list[Metric]:
    """Return all metrics of a kind, at all cutoffs."""
    return [
        parse_metric(f"{d.id}@{k}" if d.cut else d.id)
        for d in DEFINITIONS.values()
        if d.kind == kind and not d.needs_features
        for k in (CUTOFFS if d.cut else (None,))
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    for size in options.size or SIZES:
        compare(size, options.repeats)
    bootstrap()


def compare(size: str, repeats: int) -> None:
    """Measure all sides on data of one size."""
    rng = np.random.default_rng(0)
    whole = synthetic(*SIZES[size], seed=0)
    parts = RandomHoldout(fraction=0.2).split(Dataset("made", whole), rng, rng)
    train, test = parts.known, parts.test
    model = Factors().fit(train, rng)
    print(f"{size}: {train.n_users:,} users, {train.n_items:,} items, {len(whole):,} interactions")
    accuracy = metrics("accuracy")
    evaluator = Evaluator(accuracy, tie_seed=0, threads=THREADS)
    found = {}

    def ours() -> None:
        found["ours"] = evaluator.evaluate(model, train, train.matrix, test).means

    sides: dict[str, Callable[[], None]] = {"ours": ours}
    sides["scores alone"] = lambda: scores_alone(model, test)
    sides |= {"implicit": of_implicit(model, train, test, found)}
    sides |= {"irspack": of_irspack(model, train, test, found)}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side()
    for _ in range(repeats):
        for name, side in sides.items():
            gc.collect()
            begin = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - begin)
    middle = {name: median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        ratio = median(a / b for a, b in zip(seconds["ours"], values, strict=True))
        print(f"  {name:13} {middle[name]:7.3f} s (from {min(values):.3f})  ours / it {ratio:.2f}")
    ndcg = [found["ours"]["ndcg@10"], found["implicit"]["ndcg"], found["irspack"]["ndcg@10"]]
    print("  NDCG@10 of ours, implicit, irspack:", *(f"{value:.6f}" for value in ndcg))
    print(f"  peak memory of ours above data and model: {peak(ours) / 2**20:,.0f} MiB")
    marginal(model, train, test, repeats)


def scores_alone(model: Factors, test: Interactions) -> None:
    """Compute the scores and do nothing with them: no evaluator can take less."""
    users = np.flatnonzero(test.user_counts)
    size = max(1, 4_000_000 // test.n_items)
    for start in range(0, len(users), size):
        model.score(users[start : start + size], None)


def of_implicit(
    model: Factors, train: Interactions, test: Interactions, found: dict
) -> Callable[[], None]:
    """Return implicit's evaluation of the same factors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from implicit.cpu.als import AlternatingLeastSquares
        from implicit.evaluation import ranking_metrics_at_k
    theirs = AlternatingLeastSquares(factors=FACTORS, num_threads=THREADS)
    theirs.user_factors, theirs.item_factors = model.users, model.items
    shown, held = csr_matrix(train.matrix), csr_matrix(test.matrix)

    def run() -> None:
        with threadpool_limits(1, "blas"):  # it has threads of its own, and asks for this
            found["implicit"] = ranking_metrics_at_k(
                theirs, shown, held, K=10, show_progress=False, num_threads=THREADS
            )

    return run


def of_irspack(
    model: Factors, train: Interactions, test: Interactions, found: dict
) -> Callable[[], None]:
    """Return irspack's evaluation of the same factors."""
    from irspack.evaluation import Evaluator as TheirEvaluator
    from irspack.recommenders.base import BaseRecommender

    class Theirs(BaseRecommender):
        register_class = False

        def _learn(self) -> None:
            pass

        def get_score(self, user_indices):  # noqa: ANN001, ANN202
            return model.users[user_indices] @ model.items.T

        def get_score_block(self, begin, end):  # noqa: ANN001, ANN202
            return model.users[begin:end] @ model.items.T

    theirs = Theirs(csr_matrix(train.matrix))
    evaluator = TheirEvaluator(csr_matrix(test.matrix), n_threads=THREADS)

    def run() -> None:
        found["irspack"] = evaluator.get_scores(theirs, [5, 10, 20, 50])

    return run


def marginal(model: Factors, train: Interactions, test: Interactions, repeats: int) -> None:
    """Print what metrics and cutoffs add to the time of an evaluation."""

    def seconds(names: list[Metric]) -> float:
        evaluator = Evaluator(names, tie_seed=0, threads=THREADS)
        taken = []
        for _ in range(repeats):
            begin = time.perf_counter()
            evaluator.evaluate(model, train, train.matrix, test)
            taken.append(time.perf_counter() - begin)
        return median(taken)

    some = [parse_metric(name) for name in ("ndcg@10", "recall@10")]
    base = seconds(some)
    print(f"  ndcg@10 and recall@10 alone: {base:.3f} s")
    rows = {
        "all accuracy metrics with a cutoff, at 10": [m for m in metrics("accuracy") if m.k == 10],
        "the same at five cutoffs": [m for m in metrics("accuracy") if m.k],
        "and those of the whole ranking": metrics("accuracy"),
        "ndcg@10, recall@10 and coverage@10, which needs lists": [
            *some,
            parse_metric("coverage@10"),
        ],
        "and all metrics of lists at 10 but ild": some
        + [m for m in metrics("lists") if m.k == 10 and not m.name.startswith("ild")],
    }
    for what, names in rows.items():
        more = len(names) - len(some)
        taken = seconds(names)
        print(
            f"  {what}: {taken:.3f} s, {100 * (taken / base - 1) / more:+.1f} % for each of {more}"
        )


def bootstrap() -> None:
    """Time the intervals of 20 metrics of 136,000 users."""
    from recrepro.analysis.bootstrap import bootstrap_means

    values = np.random.default_rng(0).random((136_000, 20))
    begin = time.perf_counter()
    bootstrap_means(values, 10_000, np.random.default_rng(1))
    seconds = time.perf_counter() - begin
    print(f"bootstrap, 10,000 resamples x 20 metrics x 136,000 users: {seconds:.1f} s")


def peak(run: Callable[[], None]) -> int:
    """Return by how much the process grows while something runs (Linux)."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    before = _status("VmRSS")
    run()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{name}:")[1].split()[0]) * 1024


if __name__ == "__main__":
    main()
