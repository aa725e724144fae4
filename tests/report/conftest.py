"""Results of made-up values, so that everything on a page can be computed a second time."""

from types import SimpleNamespace

import pytest
from support.report_results import FAMILIES, done, experiment, values_of

from recrepro.store.entries import CellStatus
from recrepro.store.results import Result


@pytest.fixture
def results():
    """Four models with results, and one that failed."""
    failed = CellStatus("f", "failed", "no <i>memory</i>", None)
    titles = {"dataset": "toy", "split": "temporal", "model": "gone", "seed": 1}
    return [
        *(done(model, values_of(model)) for model in FAMILIES),
        Result(titles, failed, list, bytes),
    ]


@pytest.fixture
def make():
    """Give the functions that make experiments, results and values."""
    return SimpleNamespace(experiment=experiment, done=done, values_of=values_of)
