"""What archived verdicts say is missing is what the rules say today of the facts beside them."""

from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
from support.results import make_result

from recrepro.analysis.inference import Part
from recrepro.analysis.leaderboard import worst_state
from recrepro.analysis.reference import records_of
from recrepro.analysis.verdict import judge
from recrepro.models import MODELS
from recrepro.spec.experiment import Experiment
from recrepro.study.records import read_records

FOLDER = Path(__file__).parents[2] / "experiments/records"
SEARCHED = ("tuned", "searched", "untuned")
"""How tables call a search, by its complete trials."""
TUNED = {name: record for name, record in read_records(FOLDER).items() if record.verdicts}


pytest.importorskip("torch", reason="neural models need torch")


def cells_of(record):
    """Make cells with the facts of a record, and values of users that are made up.

    The values decide neither what is missing nor which baseline is chosen.
    """
    metric = record.verdicts[0].metric
    cells = []
    for number, model in enumerate(record.models):
        code = MODELS.resolve(model.name)
        facts = {
            "name": model.name,
            "version": code.version,
            "uses": list(code(**model.params).information()),
            "deterministic": code.deterministic,
        }
        search = {"trials": model.trials, "failed": model.failed}
        fits = 1 if code.deterministic else record.fits
        cells += [
            make_result(
                model.model,
                {metric: [0.1, 0.2, 0.1 * number]},
                seed=seed,
                family=model.family,
                status="tuned" if model.status in SEARCHED else model.status,
                validation=model.validation,
                changes={
                    "titles": {"fit": fit},
                    "model": facts,
                    "tuning": search,
                    "split": {"audit": {"verdict": record.audit}},
                },
            )
            for seed in record.seeds
            for fit in range(1, fits + 1)
        ]
    return cells


def judged_today(record):
    metric = record.verdicts[0].metric
    experiment = Experiment.model_validate(
        {
            "schema": 1,
            "claim": record.claim,
            "datasets": [{"name": "toy"}],
            "splits": [{"name": "s"}],
            "models": [{"name": model.model} for model in record.models],
            "evaluate": {"metrics": [metric]},
        },
        strict=False,
    )
    (board,) = judge(cells_of(record), experiment, n_resamples=10)
    return board


@pytest.mark.parametrize("name", TUNED)
def test_an_archived_verdict_lacks_what_the_rules_say_today(name):
    (archived,) = TUNED[name].verdicts
    today = judged_today(TUNED[name])
    assert [m.model for m in archived.models] == [m.model for m in today.models]
    for then, now in zip(archived.models, today.models, strict=True):
        assert then.missing == now.missing, then.model
        assert then.reference == now.reference, then.model
        if then.missing:
            assert then.outcome == "not enough evidence"


@pytest.mark.parametrize("name", TUNED)
def test_an_archived_model_is_called_what_its_trials_make_of_it(name):
    states = {m: worst_state(found) for m, found in records_of(cells_of(TUNED[name])).items()}
    assert {model.model: model.status for model in TUNED[name].models} == states


@pytest.mark.parametrize("value", [0.25, inf, -inf])
def test_what_is_written_is_read_again(tmp_path, value):
    record = TUNED["movielens-1m-ncf"]
    (board,) = record.verdicts
    (model,) = board.models
    parts = (Part("users", 1e-6, 59), Part("seeds", 2e-6, 2))
    comparison = replace(model.comparison, effect=value, parts=parts, seeds_known=True)
    board = replace(board, models=(replace(model, comparison=comparison),))
    record = record.model_copy(update={"verdicts": [board], "fits": 3, "grid": "a hash"})
    record.write(tmp_path / "one.json")
    assert read_records(tmp_path) == {record.experiment: record}
