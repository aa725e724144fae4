"""Time and memory of the baselines beside those of other libraries, on made-up data.

    pip install -c constraints.txt . && pip install irspack==0.5.2 sparse_dot_topn==1.2.0
    python benchmarks/baselines.py                              # all of it: half an hour
    python benchmarks/baselines.py --size S --only slim ease    # some

Each side fits the same data with two threads, turn by turn after a turn that does not count;
medians are printed as a Markdown table, with what can be compared of the results. Peaks of memory
are those of ours, above data and program.
"""

import argparse
import contextlib
import gc
import io
import platform
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from evaluation import SIZES, THREADS, peak
from scipy.linalg import lapack
from scipy.sparse import csr_matrix, diags_array
from threadpoolctl import threadpool_limits

from recrepro.data.dataset import Dataset
from recrepro.data.synthetic import synthetic
from recrepro.interactions import Interactions
from recrepro.model import Recommender
from recrepro.splits.holdout import RandomHoldout

Sides = dict[str, Callable[[], Any]]
NEIGHBOURS = 100
FACTORS = 64
EPOCHS = 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--only", choices=TASKS, nargs="*")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{platform.processor() or platform.machine()}, {THREADS} threads\n")
    print("| data | model | ours | others | ours / fastest | peak of ours | results |")
    print("| --- | --- | ---: | --- | ---: | ---: | --- |")
    for size in options.size or SIZES:
        train = made_up(size)
        for name in options.only or TASKS:
            if options.only or (size, name) not in TOO_LONG:
                compare(size, name, TASKS[name](train), options.repeats)


def made_up(size: str) -> Interactions:
    """Return the train part of the evaluator's benchmark."""
    rng = np.random.default_rng(0)
    whole = synthetic(*SIZES[size], seed=0)
    return RandomHoldout(fraction=0.2).split(Dataset("made", whole), rng, rng).known


def compare(size: str, name: str, sides: Sides, repeats: int) -> None:
    """Print the row of one model."""
    agreement = sides.pop("agreement")
    sides = {side: silently(run) for side, run in sides.items()}
    found = {side: run() for side, run in sides.items()}
    said = agreement(found)
    del found
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(repeats if size == "S" else min(3, repeats)):
        for side, run in sides.items():
            gc.collect()
            begin = time.perf_counter()
            run()
            seconds[side].append(time.perf_counter() - begin)
    middle = {side: median(values) for side, values in seconds.items()}
    fastest = min((side for side in sides if side != "ours"), key=lambda side: middle[side])
    ratio = median(a / b for a, b in zip(seconds["ours"], seconds[fastest], strict=True))
    others = ", ".join(f"{s} {t:.2f} s" for s, t in middle.items() if s != "ours")
    used = peak(sides["ours"]) / 2**20
    print(
        f"| {size} | {name} | {middle['ours']:.2f} s | {others} | {ratio:.2f} | {used:,.0f} MiB "
        f"| {said} |",
        flush=True,
    )


def silently(run: Callable[[], Any]) -> Callable[[], Any]:
    """Return the same without what it prints: irspack draws bars."""

    def quiet() -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            return run()

    return quiet


def fit(model: Recommender, train: Interactions) -> Recommender:
    """Fit a model of ours."""
    return model.fit(train, np.random.default_rng(0))


def sums(name: str) -> Callable[[dict[str, Any]], str]:
    """Return a comparison of the sums of what is kept, which ties do not change."""

    def say(found: dict[str, Any]) -> str:
        totals = {side: float(weights.sum()) for side, weights in found.items()}
        return f"{name}: " + ", ".join(f"{side} {total:.6g}" for side, total in totals.items())

    return say


def itemknn(train: Interactions) -> Sides:
    """Cosine between items."""
    from implicit.nearest_neighbours import CosineRecommender
    from irspack import CosineKNNRecommender
    from sparse_dot_topn import sp_matmul_topn

    from recrepro.baselines.itemknn import ItemKNN

    matrix = csr_matrix(train.matrix)

    def of_implicit() -> Any:
        model = CosineRecommender(K=NEIGHBOURS + 1, num_threads=THREADS)  # itself is one of them
        model.fit(matrix, show_progress=False)
        return without_diagonal(model.similarity)

    def of_irspack() -> Any:
        options = {"normalize": True, "top_k": NEIGHBOURS + 1, "n_threads": THREADS}
        return CosineKNNRecommender(matrix, **options).learn().W

    def of_sparse_dot_topn() -> Any:
        norms = np.sqrt(np.bincount(matrix.indices, matrix.data**2, minlength=train.n_items))
        scaled = matrix @ diags_array((1 / np.maximum(norms, 1e-9)).astype(np.float32))
        scaled = csr_matrix(scaled)
        left = scaled.T.tocsr()
        return without_diagonal(
            sp_matmul_topn(left, scaled, top_n=NEIGHBOURS + 1, n_threads=THREADS)
        )

    def ours() -> Any:
        return fit(ItemKNN(n_neighbors=NEIGHBOURS, shrinkage=0), train).item_weights

    return {
        "ours": ours,
        "implicit": of_implicit,
        "irspack": of_irspack,
        "sparse_dot_topn": of_sparse_dot_topn,
        "agreement": sums("similarities kept"),
    }


def userknn(train: Interactions) -> Sides:
    """Cosine between users."""
    from irspack import CosineUserKNNRecommender
    from sparse_dot_topn import sp_matmul_topn

    from recrepro.baselines.userknn import UserKNN

    matrix = csr_matrix(train.matrix)

    def of_irspack() -> Any:
        options = {"normalize": True, "top_k": NEIGHBOURS + 1, "n_threads": THREADS}
        return CosineUserKNNRecommender(matrix, **options).learn().U_

    def of_sparse_dot_topn() -> Any:
        norms = np.sqrt(np.diff(matrix.indptr))
        scaled = csr_matrix(diags_array((1 / np.maximum(norms, 1e-9)).astype(np.float32)) @ matrix)
        right = scaled.T.tocsr()
        return without_diagonal(
            sp_matmul_topn(scaled, right, top_n=NEIGHBOURS + 1, n_threads=THREADS)
        )

    def ours() -> Any:
        return fit(UserKNN(n_neighbors=NEIGHBOURS, shrinkage=0), train).user_weights

    return {
        "ours": ours,
        "irspack": of_irspack,
        "sparse_dot_topn": of_sparse_dot_topn,
        "agreement": sums("similarities kept"),
    }


def without_diagonal(matrix: Any) -> Any:
    """Return a square matrix without its diagonal, as all sides but ours need it."""
    matrix = csr_matrix(matrix)
    matrix.setdiag(0)
    return matrix


def p3alpha(train: Interactions) -> Sides:
    """Random walk."""
    from irspack import P3alphaRecommender

    from recrepro.baselines.p3alpha import P3alpha

    matrix = csr_matrix(train.matrix)
    return {
        "ours": lambda: fit(P3alpha(n_neighbors=NEIGHBOURS), train).item_weights,
        "irspack": lambda: (
            P3alphaRecommender(matrix, top_k=NEIGHBOURS, n_threads=THREADS).learn().W
        ),
        "agreement": lambda _: "ours keep 100 in rows and columns",
    }


def rp3beta(train: Interactions) -> Sides:
    """Random walk with a penalty on popularity."""
    from irspack import RP3betaRecommender

    from recrepro.baselines.rp3beta import RP3beta

    matrix = csr_matrix(train.matrix)
    return {
        "ours": lambda: fit(RP3beta(n_neighbors=NEIGHBOURS), train).item_weights,
        "irspack": lambda: (
            RP3betaRecommender(matrix, top_k=NEIGHBOURS, n_threads=THREADS).learn().W
        ),
        "agreement": lambda _: "ours keep 100 in rows and columns",
    }


def slim(train: Interactions) -> Sides:
    """Elastic nets, with irspack's penalties."""
    from irspack import SLIMRecommender

    from recrepro.baselines.slim import SLIM

    matrix = csr_matrix(train.matrix)
    alpha, l1_ratio = 0.001, 0.1

    def objective(weights: Any) -> float:
        w = weights if isinstance(weights, np.ndarray) else weights.toarray()
        w = w.astype(np.float64)
        error = matrix.astype(np.float64).toarray() - matrix.astype(np.float64) @ w
        penalty = l1_ratio * np.abs(w).sum() + (1 - l1_ratio) / 2 * (w**2).sum()
        return float((error**2).sum() / (2 * train.n_users) + alpha * penalty)

    def say(found: dict[str, Any]) -> str:
        values = {side: objective(weights) for side, weights in found.items()}
        return "objective: " + ", ".join(f"{s} {value:.8f}" for s, value in values.items())

    options = {"alpha": alpha, "l1_ratio": l1_ratio, "n_threads": THREADS}
    model = SLIM(alpha=alpha, l1_ratio=l1_ratio, n_neighbors=train.n_items)
    return {
        "ours": lambda: fit(model, train).item_weights,
        "irspack": lambda: SLIMRecommender(matrix, **options).learn().W,
        "agreement": say,
    }


def ease(train: Interactions) -> Sides:
    """Linear autoencoder, beside irspack's and the bare inverse."""
    from irspack import DenseSLIMRecommender

    from recrepro.baselines.ease import EASE

    matrix = csr_matrix(train.matrix)
    ridge = np.asarray((matrix.T @ matrix).toarray(), np.float32)
    ridge[np.diag_indices_from(ridge)] += 500

    def of_lapack() -> Any:
        factor, _ = lapack.spotrf(ridge.T, clean=False)
        return lapack.spotri(factor, overwrite_c=True)[0]

    def say(found: dict[str, Any]) -> str:
        difference = np.abs(found["ours"] - np.asarray(found["irspack"])).max()
        return f"largest difference to irspack {difference:.1g}"

    return {
        "ours": lambda: fit(EASE(l2=500.0), train).item_weights,
        "bare spotrf + spotri": of_lapack,
        "irspack": lambda: DenseSLIMRecommender(matrix, reg=500.0).learn().W,
        "agreement": say,
    }


def ials(train: Interactions) -> Sides:
    """Alternating least squares by conjugate gradients, as implicit does."""
    from irspack import IALSRecommender

    from recrepro.baselines.ials import IALS

    matrix = csr_matrix(train.matrix)
    options = {"n_components": FACTORS, "train_epochs": EPOCHS, "solver_type": "CG"}
    return {
        "ours": lambda: fit(IALS(n_factors=FACTORS, epochs=EPOCHS, solver="cg"), train),
        "implicit": lambda: of_implicit_als(matrix, use_cg=True),
        "irspack": lambda: IALSRecommender(
            matrix, alpha0=0.1, n_threads=THREADS, **options
        ).learn(),
        "agreement": lambda _: f"{FACTORS} factors, {EPOCHS} epochs",
    }


def ials_exact(train: Interactions) -> Sides:
    """Alternating least squares by Cholesky factors."""
    from irspack import IALSRecommender

    from recrepro.baselines.ials import IALS

    matrix = csr_matrix(train.matrix)
    options = {"n_components": FACTORS, "train_epochs": EPOCHS, "solver_type": "CHOLESKY"}
    return {
        "ours": lambda: fit(IALS(n_factors=FACTORS, epochs=EPOCHS), train),
        "implicit": lambda: of_implicit_als(matrix, use_cg=False),
        "irspack": lambda: IALSRecommender(
            matrix, alpha0=0.1, n_threads=THREADS, **options
        ).learn(),
        "agreement": lambda _: f"{FACTORS} factors, {EPOCHS} epochs",
    }


def of_implicit_als(matrix: csr_matrix, *, use_cg: bool) -> Any:
    """Fit implicit's, with the confidences of ours: with 1 everywhere it would have less to do."""
    from implicit.cpu.als import AlternatingLeastSquares

    with threadpool_limits(1, "blas"):  # it has threads of its own, and asks for this
        model = AlternatingLeastSquares(
            FACTORS, iterations=EPOCHS, num_threads=THREADS, use_cg=use_cg
        )
        model.fit(matrix * 10 + matrix.sign(), show_progress=False)
    return model


def bprmf(train: Interactions) -> Sides:
    """Ten epochs of BPR; both sides in one thread, for then implicit's results are repeatable."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    from recrepro.baselines.bprmf import BPRMF

    matrix = csr_matrix(train.matrix)

    def of_implicit() -> Any:
        model = BayesianPersonalizedRanking(
            FACTORS, iterations=EPOCHS, num_threads=1, random_state=0
        )
        model.fit(matrix, show_progress=False)
        return model

    return {
        "ours": lambda: fit(BPRMF(n_factors=FACTORS, epochs=EPOCHS), train),
        "implicit": of_implicit,
        "agreement": lambda _: "implicit skips samples whose negative was seen",
    }


def puresvd(train: Interactions, factors: int = FACTORS) -> Sides:
    """Exact truncated singular value decompositions, in single precision."""
    from scipy.sparse.linalg import svds
    from sklearn.decomposition import TruncatedSVD

    from recrepro.baselines.puresvd import PureSVD

    matrix = csr_matrix(train.matrix)

    def of_sklearn() -> Any:
        model = TruncatedSVD(factors, algorithm="arpack", random_state=0).fit(matrix)
        return model.components_.T

    def say(found: dict[str, Any]) -> str:
        exact = svds(matrix.astype(np.float64), factors)[2].T
        errors = {
            side: np.abs(vectors @ (vectors.T @ exact) - exact).max()
            for side, vectors in found.items()
        }
        return "largest error of a projection: " + ", ".join(
            f"{side} {error:.0e}" for side, error in errors.items()
        )

    return {
        "ours": lambda: fit(PureSVD(n_factors=factors), train).item_factors,
        "scipy svds": lambda: svds(matrix, factors)[2].T,
        "sklearn arpack": of_sklearn,
        "agreement": say,
    }


def puresvd_350(train: Interactions) -> Sides:
    """The same with as many factors as its range allows."""
    return puresvd(train, 350)


TASKS: dict[str, Callable[[Interactions], Sides]] = {
    "itemknn": itemknn,
    "userknn": userknn,
    "p3alpha": p3alpha,
    "rp3beta": rp3beta,
    "slim": slim,
    "ease": ease,
    "ials": ials,
    "ials-exact": ials_exact,
    "bprmf": bprmf,
    "puresvd": puresvd,
    "puresvd-350": puresvd_350,
}
TOO_LONG = {("L", "userknn"), ("L", "slim"), ("L", "ease"), ("L", "ials-exact"), ("L", "bprmf")}
"""Minutes to hours a turn for the slowest side; named with --only they are measured."""

if __name__ == "__main__":
    main()
