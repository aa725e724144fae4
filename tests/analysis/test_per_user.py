"""Values of users: means over fits, then over repeats, and pairs of models by repeat."""

import pandas as pd
import pytest
from support.results import make_result

from recrepro.analysis.per_user import UserValues, by_model, paired


def stored(model, values, *, seed=1, fit=None, deterministic=False):
    """Return a result of one metric, given by user."""
    titles = {"fit": fit} if fit else {}
    return make_result(
        model,
        {"user": list(values), "ndcg@10": list(values.values())},
        seed=seed,
        changes={"titles": titles, "model": {"deterministic": deterministic}},
    )


def test_users_are_averaged_over_the_fits_of_a_repeat_and_then_over_repeats():
    found = by_model(
        [
            stored("net", {"x": 0.2, "y": 0.0}, seed=1, fit=1),
            stored("net", {"x": 0.4, "y": 0.6}, seed=1, fit=2),
            stored("net", {"x": 0.9}, seed=2, fit=1),
        ]
    )["net"]
    assert [len(fits) for fits in found.fits.values()] == [2, 1]
    assert found.repeats["seed 1"]["ndcg@10"].to_dict() == pytest.approx({"x": 0.3, "y": 0.3})
    # not 0.5: a repeat counts as one, however many fits it has
    assert found.means["ndcg@10"].to_dict() == pytest.approx({"x": 0.6, "y": 0.3})


def test_one_fit_of_a_deterministic_model_is_paired_with_all_of_another():
    found = by_model(
        [
            stored("knn", {"x": 0.5, "y": 0.1, "z": 0.2}, deterministic=True),
            stored("net", {"y": 0.2, "x": 0.1}, fit=1),
            stored("net", {"y": 0.4, "x": 0.3}, fit=2),
        ]
    )
    assert [found[model].deterministic for model in ("knn", "net")] == [True, False]
    knn, net = paired(found["knn"], found["net"])
    difference = knn.means["ndcg@10"] - net.means["ndcg@10"]
    assert difference.to_dict() == pytest.approx({"x": 0.3, "y": -0.2})
    assert len(net.fits["seed 1"]) == 2


def test_models_without_a_common_repeat_have_no_pairs():
    one = UserValues({"seed 1": [pd.DataFrame({"m": [1.0]}, index=["x"])]})
    other = UserValues({"seed 2": [pd.DataFrame({"m": [1.0]}, index=["x"])]})
    assert [len(values.means) for values in paired(one, other)] == [0, 0]
