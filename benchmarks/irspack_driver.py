"""irspack's side of `grid.py`, in its own environment: tune, refit, test; no recrepro here."""

import json
import sys
import warnings

import numpy as np
import optuna
import pandas as pd
from irspack.evaluation import Evaluator
from irspack.recommenders import (
    AsymmetricCosineKNNRecommender,
    CosineKNNRecommender,
    CosineUserKNNRecommender,
    DenseSLIMRecommender,
    IALSRecommender,
    P3alphaRecommender,
    RP3betaRecommender,
    TruncatedSVDRecommender,
)
from scipy.sparse import csr_matrix

MODELS = {
    "itemknn-cosine": (
        CosineKNNRecommender,
        lambda t: {**neighbours(t), "shrinkage": t.suggest_int("shrinkage", 0, 1000)},
        {"normalize": True},
    ),
    "itemknn-asymmetric": (
        AsymmetricCosineKNNRecommender,
        lambda t: {
            **neighbours(t),
            "shrinkage": t.suggest_int("shrinkage", 0, 1000),
            "alpha": t.suggest_float("alpha", 0.0, 1.0),
        },
        {},
    ),
    "userknn-cosine": (
        CosineUserKNNRecommender,
        lambda t: {**neighbours(t), "shrinkage": t.suggest_int("shrinkage", 0, 1000)},
        {"normalize": True},
    ),
    "p3alpha": (
        P3alphaRecommender,
        lambda t: {**neighbours(t), "alpha": t.suggest_float("alpha", 0.0, 2.0)},
        {"normalize_weight": False},
    ),
    "rp3beta": (
        RP3betaRecommender,
        lambda t: {
            **neighbours(t),
            "alpha": t.suggest_float("alpha", 0.0, 2.0),
            "beta": t.suggest_float("beta", 0.0, 2.0),
        },
        {"normalize_weight": False},
    ),
    "ease": (
        DenseSLIMRecommender,
        lambda t: {"reg": t.suggest_float("reg", 1.0, 1e7, log=True)},
        {},
    ),
    "puresvd": (
        TruncatedSVDRecommender,
        lambda t: {"n_components": t.suggest_int("n_components", 1, 350)},
        {},
    ),
    "ials2022": (
        IALSRecommender,
        lambda t: {
            "n_components": t.suggest_int("n_components", 1, 128),
            "alpha0": t.suggest_float("alpha0", 1e-3, 1.0, log=True),
            "reg": t.suggest_float("reg", 1e-4, 1e-1, log=True),
        },
        {},
    ),
}


def neighbours(trial: optuna.Trial) -> dict[str, int]:
    """Suggest how many neighbours are kept."""
    return {"top_k": trial.suggest_int("top_k", 5, 1000)}


def held_out(rng: np.random.Generator, users: np.ndarray) -> np.ndarray:
    """Mark a fifth of each user's interactions, drawn at random."""
    order = np.lexsort((rng.random(len(users)), users))
    counts = np.bincount(users)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank = np.empty(len(users), np.int64)
    rank[order] = np.arange(len(users)) - starts[users[order]]
    return rank < 0.2 * counts[users]


def main() -> None:
    """Tune, refit and test the models named; print a line of JSON."""
    path, trials, solver, *names = sys.argv[1:]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")
    log = pd.read_csv(path)
    users, items = pd.factorize(log.user)[0], pd.factorize(log.item)[0]
    shape = (users.max() + 1, items.max() + 1)

    def matrix(chosen: np.ndarray) -> csr_matrix:
        ones = np.ones(int(chosen.sum()))
        return csr_matrix((ones, (users[chosen], items[chosen])), shape=shape)

    rng = np.random.default_rng(1)
    in_test = held_out(rng, users)
    rest = np.flatnonzero(~in_test)
    in_validation = np.zeros(len(users), bool)
    in_validation[rest[held_out(rng, users[rest])]] = True
    train, known = matrix(~in_test & ~in_validation), matrix(~in_test)
    validation, test = matrix(in_validation), matrix(in_test)
    found = {}
    for name in names:
        model, suggest, fixed = MODELS[name]
        if model is IALSRecommender:
            fixed = {"solver_type": solver}
        best, _ = model.tune(
            train,
            Evaluator(validation, cutoff=10, target_metric="ndcg"),
            n_trials=int(trials),
            parameter_suggest_function=suggest,
            tuning_random_seed=1,
            max_epoch=16,
            validate_epoch=5,
            score_degradation_max=5,
            **fixed,
        )
        fitted = model(known, **fixed, **best).learn()
        found[name] = float(Evaluator(test, cutoff=10).get_score(fitted)["ndcg"])
    print(f"\n{json.dumps(found)}")  # a progress bar ends without a new line


if __name__ == "__main__":
    main()
