"""Better than the best tuned baseline: which that is, the test, and what it costs."""

import json

import numpy as np
import pytest
from scipy import stats
from support.results import make_result

from recrepro.analysis import verdict
from recrepro.errors import UsageError
from recrepro.tables import verdicts as judgements


def stored(model, values, *, validation=None, seconds=(1.0, 10.0), joules=None, **more):
    """Return a result with the given values of users, and seconds of fit and tuning."""
    laps = {} if seconds is None else dict(zip(("fit", "tune"), seconds, strict=True))
    changes = {"times": {lap: {"wall_s": wall} for lap, wall in laps.items()}}
    if joules is not None:
        changes["energy_joules"] = joules
    return make_result(model, {"ndcg@10": values}, validation=validation, changes=changes, **more)


def users(seed, n=60, shift=0.0):
    return np.random.default_rng(seed).random(n) + shift


def judge(*results):
    return verdict.judge(results, "ndcg@10", n_resamples=999)


def neural(model, values, **changes):
    return stored(model, values, family="neural", validation=0.5, **changes)


def test_the_baseline_is_the_best_on_validation_and_not_on_test():
    (board,) = judge(
        stored("lucky", users(1, shift=0.5), validation=0.2),
        stored("best", users(2), validation=0.3),
        stored("fixed", users(3, shift=0.9), status="fixed"),
        neural("net", users(4)),
    )
    assert (board.baseline, board.chosen_by, board.baseline_value) == ("best", "validation", 0.3)


def test_validation_values_are_averaged_over_seeds():
    (board,) = judge(
        stored("a", users(1), validation=0.5, seed=1),
        stored("a", users(2), validation=0.1, seed=2),
        stored("b", users(3), validation=0.4, seed=1),
        stored("b", users(4), validation=0.3, seed=2),
        neural("net", users(5)),
    )
    assert (board.baseline, board.baseline_value) == ("b", pytest.approx(0.35))


def test_what_has_no_parameters_counts_as_tuned_beside_what_was_tuned():
    free = stored("free", users(1), status="parameter-free", validation=0.6)
    (board,) = judge(free, stored("a", users(2), validation=0.5), neural("net", users(3)))
    assert board.baseline == "free"


def test_without_a_tuned_baseline_the_best_on_test_is_taken_and_it_is_said():
    free = stored("free", users(1), status="parameter-free", validation=0.6)
    fixed = stored("fixed", users(2, shift=0.2), status="fixed")
    (board,) = judge(free, fixed, neural("net", users(3)))
    assert (board.baseline, board.chosen_by) == ("fixed", "test")
    assert "no baseline was tuned" in board.notes[0]


def test_answers_are_those_of_the_paired_test_corrected_by_holm():
    base, noise = users(1), np.random.default_rng(9).normal(0, 0.1, 60)
    results = [
        stored("ease", base, validation=0.5),
        neural("better", base + 0.1 + noise, seconds=(30.0, 5.0)),
        neural("worse", base - 0.1 + noise),
        neural("alike", base + noise - noise.mean() + 0.02),
    ]
    (board,) = judge(*results)
    found = {model.model: model for model in board.models}
    answers = {m: v.answer for m, v in found.items()}
    assert answers == {"better": "yes", "worse": "no", "alike": "not shown"}
    better = found["better"]
    assert (better.fit_ratio, better.tune_ratio) == (30.0, 0.5)
    assert better.comparison.difference == pytest.approx(0.1 + noise.mean())
    assert better.comparison.low < better.comparison.difference < better.comparison.high
    # scipy draws other signs: the two agree within the error of the draws
    again = stats.permutation_test(
        (base + noise - noise.mean() + 0.02 - base,),
        np.mean,
        permutation_type="samples",
        n_resamples=9999,
        rng=np.random.default_rng(3),
    )
    assert found["alike"].comparison.randomisation == pytest.approx(again.pvalue, abs=0.04)
    raw = [found[m].comparison.randomisation for m in ("better", "worse", "alike")]
    assert raw[0] == raw[1] == 1 / 1000  # no draw was as extreme
    assert found["better"].p == pytest.approx(3 / 1000)
    assert found["alike"].p == pytest.approx(max(raw[2], 2 / 1000))


def test_holm_can_turn_an_answer():
    base, noise = users(1), np.random.default_rng(5).normal(0, 0.1, 60)
    model = base + noise - noise.mean() + 0.03
    (alone,) = judge(stored("ease", base, validation=0.5), neural("one", model))
    assert alone.models[0].answer == "yes"
    many = [neural(f"n{i}", model) for i in range(20)]
    (crowd,) = judge(stored("ease", base, validation=0.5), *many)
    assert {m.answer for m in crowd.models} == {"not shown"}


def test_seeds_are_averaged_and_only_shared_ones_are_compared():
    (board,) = judge(
        stored("ease", [0.1, 0.2], validation=0.5, seed=1),
        stored("ease", [0.3, 0.4], validation=0.5, seed=2),
        stored("ease", [0.9, 0.9], validation=0.5, seed=3),
        neural("net", [0.5, 0.0], seed=1),
        neural("net", [0.5, 0.2], seed=2),
        neural("other", [0.5, 0.2], seed=4),
    )
    net, other = board.models
    assert net.comparison.difference == pytest.approx(((0.5 - 0.2) + (0.1 - 0.3)) / 2)
    assert (other.answer, other.users, other.comparison) == ("not shown", 0, None)


def test_tables_are_apart_and_counted():
    boards = judge(
        *(
            one
            for dataset, shift in (("x", 0.3), ("y", -0.3))
            for one in (
                stored("ease", users(1), validation=0.5, dataset=dataset),
                neural("net", users(1, shift=shift), dataset=dataset),
            )
        )
    )
    assert [(b.dataset, b.models[0].answer) for b in boards] == [("x", "yes"), ("y", "no")]
    assert verdict.tally(boards) == {"net": {"yes": 1, "no": 1, "not shown": 0}}
    written = judgements.lines(boards)
    assert written[-1] == "net is better than the baseline in 1 of 2 tables, worse in 1"
    assert written[0].startswith("x · s: better than the best tuned baseline, ease")
    content = json.loads(judgements.to_json(boards))  # the same difference for all: infinite effect
    assert content["boards"][0]["models"][0]["comparison"]["effect"] is None


def test_costs_are_told_where_both_models_know_them():
    slow = {"values": users(2), "seconds": (250.0, 10.0)}
    (unknown,) = judge(stored("ease", users(1), validation=0.5), neural("net", **slow))[0].models
    assert unknown.energy_ratio is None
    simple = stored("ease", users(1), validation=0.5, joules=40.0)
    (model,) = judge(simple, neural("net", **slow, joules=100.0))[0].models
    assert (model.fit_ratio, model.tune_ratio, model.energy_ratio) == (250.0, 1.0, 2.5)
    told = judgements.sentence(model)
    assert "fit 250 times as long in wall seconds; tuning 1 times as long in wall seconds" in told
    assert "energy of the machine 2.5 times" in told


GPU = [{"name": "T4", "driver": "550"}]
RATIOS = {"processor": (20.0, 2.0), "wall": (5_132.0, 40.0)}


@pytest.mark.parametrize(
    ("clock", "net", "base"),
    [
        ("processor", {}, {}),
        ("processor", {"device": "cpu", "gpus": GPU}, {"gpus": GPU}),
        ("processor", {"device": "auto"}, {"gpus": GPU}),
        ("wall", {"cpu": None}, {}),
        ("wall", {}, {"cpu": None}),
        ("wall", {"device": "cuda", "gpus": GPU}, {"gpus": GPU}),
        ("wall", {"device": "auto", "gpus": GPU}, {}),
        ("wall", {"device": "mps"}, {}),
        ("wall", {"gpus": GPU}, {}),  # it may have used the GPU: nothing says that it did not
    ],
)
def test_costs_are_processor_seconds_unless_they_do_not_tell(clock, net, base):
    def one(model, values, laps, family="simple", *, cpu=1.0, device=None, gpus=()):
        times = {
            lap: {"wall_s": wall, "cpu_s": cpu and cpu * processor}
            for lap, (wall, processor) in laps.items()
        }
        changes = {"times": times, "provenance": {"gpus": list(gpus)}}
        changes["model"] = {"params": {} if device is None else {"device": device}}
        return make_result(
            model, {"ndcg@10": values}, validation=0.5, family=family, changes=changes
        )

    slow = one("net", users(2), {"fit": (5_132.0, 80.0), "tune": (80.0, 8.0)}, "neural", **net)
    (board,) = judge(one("ease", users(1), {"fit": (1.0, 4.0), "tune": (2.0, 4.0)}, **base), slow)
    (model,) = board.models
    assert (model.clock, model.fit_ratio, model.tune_ratio) == (clock, *RATIOS[clock])
    told = judgements.sentence(model)
    assert f"as long in {clock} seconds" in told
    by_gpu = clock == "wall" and "cpu" not in net | base
    assert ("times are wall seconds, as a GPU was used" in told) == by_gpu


def test_a_run_file_is_judged_by_what_is_known_of_it():
    (board,) = judge(
        stored("knn", users(1), validation=0.5),
        neural("net", users(2)),
        stored("theirs", users(4), status="external", seconds=None),
    )
    assert board.baseline == "knn"
    assert [(m.model, m.family) for m in board.models] == [
        ("net", "neural"),
        ("theirs", "external"),
    ]
    theirs = board.models[1]
    assert (theirs.fit_ratio, theirs.tune_ratio, theirs.clock) == (None, None, None)
    assert "nobody knows how it was tuned" in judgements.sentence(board.models[1])
    assert board.notes == ()


def test_without_a_baseline_nothing_is_shown_and_without_a_neural_model_nothing_is_asked():
    (board,) = judge(neural("net", users(1)))
    assert (board.baseline, board.models[0].answer) == (None, "not shown")
    assert "nothing to compare with" in board.notes[0]
    (quiet,) = judge(stored("ease", users(1), validation=0.5))
    assert quiet.models == ()
    assert judgements.lines([quiet]) == []


def test_a_metric_without_better_and_worse_is_refused():
    with pytest.raises(UsageError, match="no better and worse"):
        verdict.judge([], "gini@10")
