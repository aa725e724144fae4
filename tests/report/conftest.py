"""Results of made-up values, so that everything on a page can be computed a second time."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from support.results import make_identity, make_result, unfinished

from recrepro.spec.experiment import Experiment
from recrepro.store.openings import Opening
from recrepro.store.records import Trial

METRIC = "ndcg@10"
FAMILIES = {"knn": "simple", "ease": "simple", "vae": "neural", "theirs": "external"}
SHIFTS = {"knn": 0.0, "ease": 0.2, "vae": 0.05, "theirs": 0.02}


def experiment(**more):
    content = {
        "schema": 1,
        "claim": "a claim",
        "datasets": [{"name": "toy"}],
        "splits": [{"name": "temporal"}],
        "models": [{"name": "knn", "params": {"shrink": 5}}, {"name": "ease"}, {"name": "vae"}],
        "evaluate": {"metrics": [METRIC, "coverage@10"]},
        "tune": {"trials": 3},
    }
    return Experiment.model_validate_json(json.dumps(content | more))


def values_of(model, n=60):
    drawn = np.random.default_rng(len(model)).random(n)
    return np.round(drawn + SHIFTS.get(model, 0.0), 2)


TRIALS = [
    Trial(
        n,
        {"l2": 10.0**n},
        "failed" if value is None else "complete",
        value,
        epochs=2,
        reason="it diverged" if value is None else "",
        seconds=0.5,
        curve=[{"epoch": 1, METRIC: 0.1}, {"epoch": 2, METRIC: value or 0.0}],
    )
    for n, value in enumerate([0.3, None, 0.2, 0.4])
]

SPLIT = {
    "items": 40,
    "parts": {part: {"interactions": 100} for part in ("train", "validation", "test")},
    "dropped": {"test_cold_users": 3},
    "audit": {
        "verdict": "suspicious",
        "findings": [
            {
                "id": "popularity",
                "severity": "suspicious",
                "users": 5,
                "interactions": 6,
                "message": "odd <b>items</b>",
                "details": {},
            }
        ],
        "popularity": {
            "train": {"gini": 0.3, "kendall": 0.9},
            "test": {"gini": 0.4, "kendall": 0.6},
            "random": {"gini": 0.35, "kendall": 0.65, "distance": 0.1},
            "distance": 0.5,
        },
    },
}
GROUPS = {
    "activity": [{"activity": [1, 9], "users": 60, "means": {METRIC: 0.25}}],
    "popularity": [{"group": "head", "items": 4, "held_out": 7, "recall": {"@10": 0.75}}],
}


def done(model, values, *, seed=1, dataset="toy", notes=()):
    names = {"dataset": dataset, "split": "temporal", "seed": seed}
    changes = {
        "metrics": {"coverage@10": 0.5},
        "groups": GROUPS,
        "split": SPLIT,
        "model": {"notes": list(notes)},
    }
    family = FAMILIES.get(model, "simple")
    if family == "external":
        opening = Opening(1.0, "external")
        more = {"status": "external", "openings": [opening], "changes": changes}
        return make_result(model, {METRIC: values}, **names, **more)
    space = {"l2": {"kind": "LogUniform", "low": 0.1, "high": 1000.0}}
    identity = make_identity(model, **names, changes={"model": {"space": space}})
    changes["base"] = "/a/private/folder"
    changes["model"]["params"] = {"l2": 1000.0, "shrink": 5, "epochs": 2}
    changes["times"] = {"tune": {"wall_s": 9.0}, "fit": {"wall_s": 0.25 * seed}}
    found = {"trials": 4, "failed": 1, "best": TRIALS[-1].to_json(), "at_edge": ["l2"]}
    changes["tuning"] = found
    return make_result(
        model,
        {METRIC: values},
        family=family,
        identity=identity,
        trials=TRIALS,
        changes=changes,
        **names,
    )


@pytest.fixture(scope="session")
def results():
    """Four models with results, and one that failed."""
    failed = unfinished("gone", "failed", "no <i>memory</i>", split="temporal")
    return [*(done(model, values_of(model)) for model in FAMILIES), failed]


@pytest.fixture(scope="session")
def make():
    """Give the functions that make experiments, results and values."""
    return SimpleNamespace(experiment=experiment, done=done, values_of=values_of)
