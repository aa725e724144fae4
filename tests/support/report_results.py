"""Results of made-up values, so that everything on a page can be computed a second time."""

import io
import json

import numpy as np
import pandas as pd

from recrepro.spec.experiment import Experiment
from recrepro.store.entries import CellStatus
from recrepro.store.openings import Opening
from recrepro.store.results import Result

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


def trials():
    return [
        {
            "number": n,
            "params": {"l2": 10.0**n},
            "state": "failed" if value is None else "complete",
            "value": value,
            "epochs": 2,
            "reason": "it diverged" if value is None else "",
            "seconds": 0.5,
            "curve": [{"epoch": 1, METRIC: 0.1}, {"epoch": 2, METRIC: value or 0.0}],
        }
        for n, value in enumerate([0.3, None, 0.2, 0.4])
    ]


def done(model, values, *, seed=1, dataset="toy", notes=()):
    frame = pd.DataFrame({"user": np.arange(len(values)), METRIC: values})
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    family = FAMILIES.get(model, "simple")
    tuned = family != "external"
    identity = {"data": dataset, "split": {"seed": seed}, "model": {"space": {}}}
    identity["model"]["space"] = {"l2": {"kind": "LogUniform", "low": 0.1, "high": 1000.0}}
    record = {
        "cell": f"{model}{seed}" + "0" * 60,
        "result_digest": "d" * 64,
        "identity": identity,
        "base": "/a/private/folder",
        "metrics": {METRIC: float(values.mean()), "coverage@10": 0.5},
        "model": {
            "name": model,
            "family": family,
            "status": "tuned" if tuned else "external",
            "params": {"l2": 1000.0, "shrink": 5, "epochs": 2} if tuned else {},
            "notes": list(notes),
        },
        "tuning": {
            "metric": METRIC,
            "trials": 4,
            "failed": 1,
            "best": {"value": 0.4, "params": {"l2": 1000.0}, "epochs": 2},
            "at_edge": ["l2"],
        }
        if tuned
        else None,
        "users": len(values),
        "sampled": False,
        "groups": {
            "activity": [{"activity": [1, 9], "users": 60, "means": {METRIC: 0.25}}],
            "popularity": [{"group": "head", "held_out": 7, "recall": {"@10": 0.75}}],
        },
        "split": {
            "users": 60,
            "items": 40,
            "parts": {p: {"interactions": 100} for p in ("train", "validation", "test")},
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
                    }
                ],
                "popularity": {
                    "train": {"gini": 0.3, "kendall": 0.9},
                    "test": {"gini": 0.4, "kendall": 0.6},
                    "random": {"gini": 0.35, "kendall": 0.65, "distance": 0.1},
                    "distance": 0.5,
                },
            },
        },
        "times": {
            "score": {"wall_s": 0.1},
            **({"tune": {"wall_s": 9.0}, "fit": {"wall_s": 0.25 * seed}} if tuned else {}),
        },
        "ended_at": 1_795_590_349.0,
        "peak_memory_bytes": 2**28,
        "provenance": {"recrepro": "0.1.0", "packages": {"numpy": "2"}, "processor": "a CPU"},
    }
    openings = (Opening(1.0, "first" if tuned else "external"),)
    status = CellStatus(record["cell"], "done", None, record, openings=openings)
    titles = {"dataset": dataset, "split": "temporal", "model": model, "seed": seed}
    return Result(titles, status, trials if tuned else list, buffer.getvalue)
