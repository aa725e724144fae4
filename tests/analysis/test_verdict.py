"""Better than the best baseline: which that is, what is missing, the tests, and what it costs."""

import json

import numpy as np
import pytest
from scipy import stats
from support.results import make_result

from recrepro.analysis import verdict
from recrepro.errors import UsageError
from recrepro.spec.experiment import Experiment
from recrepro.store.results import Result
from recrepro.tables import verdicts as judgements

FILE = {
    "schema": 1,
    "claim": "c",
    "datasets": [{"name": "toy", "synthetic": {"users": 9, "items": 9, "interactions": 9}}],
    "splits": [{"name": "random-holdout"}],
    "models": [{"name": "ease"}],
    "evaluate": {"metrics": ["ndcg@10"]},
}


def stored(model, values, *, validation=None, seconds=(1.0, 10.0), joules=None, **more):
    """Return a result with the given values of users, and seconds of fit and tuning."""
    laps = {} if seconds is None else dict(zip(("fit", "tune"), seconds, strict=True))
    changes = {"times": {lap: {"wall_s": wall} for lap, wall in laps.items()}}
    changes["metrics"] = {"ndcg@10": float(np.mean(values))}
    if validation is not None:
        changes["tuning"] = {"trials": 10}
    changes["model"] = {"deterministic": True} | more.pop("model_changes", {})
    if "fit" in more:
        changes["titles"] = {"fit": more.pop("fit")}
    if joules is not None:
        changes["energy_joules"] = joules
    return make_result(model, {"ndcg@10": values}, validation=validation, changes=changes, **more)


def users(seed, n=60, shift=0.0):
    return np.random.default_rng(seed).random(n) + shift


def judge(*results, **more):
    return verdict.judge(
        results, Experiment.model_validate_json(json.dumps(FILE | more)), n_resamples=999
    )


def mine(model, values, **changes):
    """Return a result of a user's own model, which needs no gate."""
    return stored(model, values, family="custom", validation=0.5, **changes)


def one(*results, **more):
    (board,) = judge(*results, **more)
    (found,) = board.models
    return found


def test_the_baseline_is_the_best_on_validation_and_not_on_test():
    found = one(
        stored("lucky", users(1, shift=0.5), validation=0.2),
        stored("best", users(2), validation=0.3),
        stored("fixed", users(3, shift=0.9), status="fixed"),
        mine("net", users(4)),
    )
    assert found.reference == verdict.Reference("best", "validation", 0.3)


def test_validation_values_are_averaged_over_seeds():
    found = one(
        stored("a", users(1), validation=0.5, seed=1),
        stored("a", users(2), validation=0.1, seed=2),
        stored("b", users(3), validation=0.4, seed=1),
        stored("b", users(4), validation=0.3, seed=2),
        mine("net", users(5)),
    )
    assert found.reference.model == "b"
    assert found.reference.value == pytest.approx(0.35)


def test_what_has_no_parameters_counts_as_tuned_beside_what_was_tuned():
    free = stored("free", users(1), status="parameter-free", validation=0.6)
    found = one(free, stored("a", users(2), validation=0.5), mine("net", users(3)))
    assert found.reference.model == "free"


def test_without_a_tuned_baseline_the_best_on_test_is_taken_and_nothing_is_shown():
    free = stored("free", users(1), status="parameter-free", validation=0.6)
    fixed = stored("fixed", users(2, shift=0.2), status="fixed")
    found = one(free, fixed, mine("net", users(3, shift=5.0)))
    assert (found.reference.model, found.reference.chosen_by) == ("fixed", "test")
    assert found.outcome == "not enough evidence"
    assert "no baseline was tuned" in found.missing


def test_a_model_that_uses_the_order_is_judged_against_baselines_that_do():
    plain = stored("plain", users(1), validation=0.9)
    aware = stored("aware", users(2), validation=0.2, model_changes={"uses": ["order"]})
    sequential = mine("net", users(3), model_changes={"uses": ["order"]})
    assert one(plain, aware, sequential).reference.model == "aware"
    assert one(plain, aware, mine("net", users(3))).reference.model == "plain"
    alone = one(plain, sequential)
    assert (alone.outcome, alone.reference) == ("not enough evidence", None)
    assert "no baseline in the table uses order" in alone.missing


def test_outcomes_are_those_of_the_t_test_corrected_by_holm():
    base, noise = users(1), np.random.default_rng(9).normal(0, 0.1, 60)
    shifts = {"better": 0.1, "worse": -0.1, "undecided": 0.02 - noise.mean()}
    results = [mine(model, base + noise + shift) for model, shift in shifts.items()]
    results[0] = mine("better", base + noise + 0.1, seconds=(30.0, 5.0))
    (board,) = judge(stored("ease", base, validation=0.5), *results)
    found = {model.model: model for model in board.models}
    assert {m: v.outcome for m, v in found.items()} == {
        "better": "better",
        "worse": "worse",
        "undecided": "not enough evidence",
    }
    assert [v.missing for v in found.values()] == [(), (), ()]
    assert (found["better"].fit_ratio, found["better"].tune_ratio) == (30.0, 0.5)
    raw = {m: stats.ttest_1samp(noise + shift, 0.0) for m, shift in shifts.items()}
    for model, test in raw.items():
        low, high = test.confidence_interval()
        assert found[model].comparison.low == pytest.approx(low)
        assert found[model].comparison.high == pytest.approx(high)
    p_values = sorted(test.pvalue for test in raw.values())
    corrected = np.maximum.accumulate([3 * p_values[0], 2 * p_values[1], p_values[2]])
    assert sorted(v.p for v in found.values()) == pytest.approx(corrected.tolist())


def test_holm_can_turn_an_outcome():
    base, noise = users(1), np.random.default_rng(5).normal(0, 0.1, 60)
    model = base + noise - noise.mean() + 0.03
    assert one(stored("ease", base, validation=0.5), mine("one", model)).outcome == "better"
    many = [mine(f"n{i}", model) for i in range(20)]
    (crowd,) = judge(stored("ease", base, validation=0.5), *many)
    assert {m.outcome for m in crowd.models} == {"not enough evidence"}


@pytest.mark.parametrize(
    ("margin", "shift", "outcome"),
    [
        (0.02, 0.001, "equivalent"),
        (0.02, 0.005, "equivalent"),  # different, and too little to matter
        (0.002, 0.005, "better"),
        (0.002, 0.0, "not enough evidence"),
    ],
)
def test_a_difference_that_is_shown_to_be_below_the_margin_is_none(margin, shift, outcome):
    base = np.full(400, 0.5)
    noise = np.random.default_rng(3).normal(0, 0.02, 400)
    noise -= noise.mean()
    found = one(
        stored("ease", base, validation=0.5),
        mine("net", base + noise + shift),
        verdict={"margin": margin},
    )
    assert found.outcome == outcome
    assert found.comparison.difference == pytest.approx(shift)
    # Two one-sided t tests against the margin, as a share of the baseline's 0.5.
    one_sided = [
        stats.ttest_1samp(noise + shift, sign * margin * 0.5, alternative=side).pvalue
        for sign, side in ((-1, "greater"), (1, "less"))
    ]
    assert found.p_equivalent == pytest.approx(max(one_sided))


def test_with_too_few_seeds_nothing_is_shown_and_it_is_said():
    random = {"model_changes": {"deterministic": False}}
    base = stored("ease", users(1), validation=0.5)
    fits = [mine("net", users(1, shift=0.3) + n / 1000, fit=n, **random) for n in (1, 2, 3)]
    two = one(base, *fits[:2])
    assert two.outcome == "not enough evidence"
    assert two.missing == ("net has 2 seeds of the final fit, of 3 at least (evaluate.fits)",)
    assert two.comparison.difference == pytest.approx(0.3015)
    three = one(base, *fits)
    assert (three.outcome, three.missing) == ("better", ())


def test_the_spread_between_seeds_can_take_a_verdict_away():
    random = {"model_changes": {"deterministic": False}}
    base, noise = users(1), np.random.default_rng(5).normal(0, 0.05, 60)
    for spread, outcome in ((0.0, "better"), (0.08, "not enough evidence")):
        fits = [
            mine("net", base + noise + 0.05 + shift, fit=number, **random)
            for number, shift in ((1, -spread), (2, 0.0), (3, spread))
        ]
        assert one(stored("ease", base, validation=0.5), *fits).outcome == outcome


def test_seeds_are_averaged_and_only_shared_ones_are_compared():
    (board,) = judge(
        stored("ease", [0.1, 0.2], validation=0.5, seed=1),
        stored("ease", [0.3, 0.4], validation=0.5, seed=2),
        stored("ease", [0.9, 0.9], validation=0.5, seed=3),
        mine("net", [0.5, 0.0], seed=1),
        mine("net", [0.5, 0.2], seed=2),
        mine("other", [0.5, 0.2], seed=4),
    )
    net, other = board.models
    assert net.comparison.difference == pytest.approx(((0.5 - 0.2) + (0.1 - 0.3)) / 2)
    assert (other.outcome, other.users, other.comparison) == ("not enough evidence", 0, None)


def test_seeds_that_only_one_of_the_two_models_has_are_no_evidence():
    random = {"model_changes": {"deterministic": False}}
    seeds = [mine("net", users(2, shift=0.1), seed=seed, **random) for seed in (1, 2, 3)]
    base = [stored("ease", users(1), validation=0.5, seed=seed) for seed in (1, 2, 3)]
    whole, part = one(*base, *seeds), one(base[0], *seeds)
    assert not [reason for reason in whole.missing if "seed" in reason]
    assert "net has 1 seed of the final fit, of 3 at least (evaluate.fits)" in part.missing
    assert part.outcome == "not enough evidence"
    apart = one(base[0], mine("net", users(2), seed=2))
    assert "net and the baseline ease share no seed or fold of the split" in apart.missing


def test_values_of_a_baseline_are_read_once_for_all_models(monkeypatch):
    read = []
    of_users = Result.per_user
    monkeypatch.setattr(
        Result, "per_user", lambda self: read.append(self.name.model) or of_users(self)
    )
    judge(
        stored("ease", users(1), validation=0.5),
        stored("weak", users(5), validation=0.1),
        *(mine(f"net{number}", users(number)) for number in (2, 3, 4)),
    )
    assert sorted(read) == ["ease", "net2", "net3", "net4"]


def test_equal_differences_for_all_users_have_no_spread_to_test_against():
    found = one(stored("ease", users(1), validation=0.5), mine("net", users(1, shift=0.3)))
    assert found.p == 1 / 1000  # the randomisation test's, of 999 draws
    assert found.p_equivalent > 0.05
    alone = one(stored("ease", [0.1], validation=0.5), mine("net", [0.4]))
    assert (alone.outcome, alone.p) == ("not enough evidence", 1.0)


def test_tables_are_apart_and_counted():
    noise = np.random.default_rng(2).normal(0, 0.05, 60)
    boards = judge(
        *(
            one
            for dataset, shift in (("x", 0.3), ("y", -0.3))
            for one in (
                stored("ease", users(1), validation=0.5, dataset=dataset),
                mine("net", users(1, shift=shift) + noise, dataset=dataset),
            )
        )
    )
    assert [(b.dataset, b.models[0].outcome) for b in boards] == [("x", "better"), ("y", "worse")]
    assert verdict.tally(boards) == {
        "net": {"better": 1, "worse": 1, "equivalent": 0, "not enough evidence": 0}
    }
    written = judgements.lines(boards)
    assert written[-1] == "net is better in 1 of 2 tables, worse in 1"
    assert written[0] == ("x · s: better than the best baseline that uses as much, in ndcg@10?")
    content = json.loads(judgements.to_json(boards))
    comparison = content["boards"][0]["models"][0]["comparison"]
    assert comparison["low"] < comparison["difference"] < comparison["high"]
    assert 0 < comparison["error"] < comparison["detectable"]


def test_costs_are_told_where_both_models_know_them():
    slow = {"values": users(2), "seconds": (250.0, 10.0)}
    base = stored("ease", users(1), validation=0.5)
    assert one(base, mine("net", **slow)).energy_ratio is None
    simple = stored("ease", users(1), validation=0.5, joules=40.0)
    model = one(simple, mine("net", **slow, joules=100.0))
    assert (model.fit_ratio, model.tune_ratio, model.energy_ratio) == (250.0, 1.0, 2.5)
    told = judgements.sentence(model)
    for cost in (
        "fit 250 times as long",
        "tuning 1 times as long",
        "energy of the machine 2.5 times",
    ):
        assert cost in told


def test_a_run_file_is_compared_and_nothing_is_shown():
    (board,) = judge(
        stored("knn", users(1), validation=0.5),
        mine("net", users(2)),
        stored("theirs", users(4, shift=9.0), status="external", seconds=None),
    )
    assert [(m.model, m.family) for m in board.models] == [
        ("net", "custom"),
        ("theirs", "external"),
    ]
    theirs = board.models[1]
    assert (theirs.fit_ratio, theirs.tune_ratio) == (None, None)
    assert theirs.outcome == "not enough evidence"
    assert "nobody knows how it was tuned" in judgements.sentence(theirs)


def test_without_a_baseline_nothing_is_shown_and_without_a_judged_model_nothing_is_asked():
    found = one(mine("net", users(1)))
    assert (found.reference, found.outcome) == (None, "not enough evidence")
    assert "there is no baseline in the table" in found.missing
    (quiet,) = judge(stored("ease", users(1), validation=0.5))
    assert quiet.models == ()
    assert judgements.lines([quiet]) == []


def test_a_metric_without_better_and_worse_is_refused():
    with pytest.raises(UsageError, match="no better and worse"):
        judge(evaluate={"metrics": ["gini@10"]})
