"""An experiment with results of four models, and the tables of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.results import make_result, unfinished

from recrepro.spec.experiment import Experiment
from recrepro.tables import formats

EXPERIMENT = {
    "schema": 1,
    "claim": "c",
    "datasets": [{"name": "toy"}],
    "splits": [{"name": "random-holdout", "label": "s"}],
    "models": [{"name": name} for name in ("ease", "knn", "net", "lost")],
    "evaluate": {"metrics": ["recall@5", "ndcg@10", "novelty@10", "coverage@10"]},
    "tune": {"trials": 2, "metric": "ndcg@10"},
    "expected": [
        {"model": "ease", "metric": "ndcg@10", "value": 0.5, "tolerance": 0.1, "source": "a | b"}
    ],
}
HOSTILE = (
    r"\input{/etc/passwd}",
    "a & b % c # d _ e ^ f ~ g $x$ {h}",
    "[2cm] first *",
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "{{ 7 * 7 }} {% raw %}",
    '=HYPERLINK("http://evil")',
    "+1",
    "-- ``quoted'' ?`",
    "@SUM(A1)",
    "a|b `c` **d** [e](javascript:f)",
    "line one\n\nline two\x00\ttab",
    "&lt;b&gt; &amp;",
    "a\x1b]0;title\x07 b\x9bc \u202edesrever\u2069 ~~d~~",
)
"""Names that data could have."""


@pytest.fixture(scope="session")
def experiment():
    return Experiment.model_validate_json(json.dumps(EXPERIMENT))


@pytest.fixture(scope="session")
def results():
    rng = np.random.default_rng(7)
    easy = rng.random(50)
    found = []
    for model, shift, family in (
        ("ease", 0.0, "simple"),
        ("knn", -0.03, "simple"),
        ("net", -0.2, "neural"),
    ):
        noise = rng.normal(0, 0.1, 50)
        values = {
            "recall@5": easy + shift,
            "ndcg@10": easy + shift + noise,
            "novelty@10": 5 + noise,
        }
        changes = {"metrics": {"coverage@10": 0.5}, "tuning": {"trials": 10}}
        more = {"family": family, "validation": 0.5 + shift, "changes": changes}
        found.append(make_result(model, values, **more))
    return [*found, unfinished("lost", "failed", "out of memory")]


@pytest.fixture(scope="session")
def content(experiment, results):
    return formats.contents(experiment, results, "knn")


@pytest.fixture(params=HOSTILE)
def hostile(request):
    return request.param


@pytest.fixture
def hostile_content(content, hostile):
    """The tables, with a hostile text wherever a text can come from data."""
    boards, expected, judged = content
    board = boards[0]
    rows = [
        replace(row, model=hostile if row.model == "net" else row.model, notes=(hostile,))
        for row in board.rows
    ]
    board = replace(board, dataset=hostile, rows=rows, notes=(hostile,), reference=hostile)
    one = expected[0].expected.model_copy(update={"source": hostile, "note": hostile})
    models = tuple(
        replace(
            model,
            model=hostile,
            reference=replace(model.reference, model=hostile),
            missing=(hostile,),
            notes=(hostile,),
        )
        for model in judged[0].models
    )
    return (
        [board],
        [replace(expected[0], expected=one)],
        [replace(judged[0], dataset=hostile, models=models, notes=(hostile,))],
    )
