"""What a verdict needs: each thing that is missing is named, and nothing else."""

import hashlib
import json
from pathlib import Path

import pytest
from support.results import make_record

from recrepro.analysis import evidence
from recrepro.models import MODELS

RECORDS = Path(__file__).parents[2] / "experiments" / "records"


def fits(n=3, trials=10, **changes):
    """Return the records of some final fits of a judged model after one search."""
    model = {"family": "custom", **changes}
    return [
        make_record(
            "mine",
            changes={
                "titles": {"fit": number},
                "model": model,
                "tuning": {"trials": trials, "failed": 0, "pruned": 0},
            },
        )
        for number in range(1, n + 1)
    ]


def missing(records):
    return list(evidence.missing_of_model(records, "mine"))


def test_a_tuned_model_with_three_seeds_lacks_nothing():
    assert missing(fits()) == []


@pytest.mark.parametrize(
    ("trials", "failed", "pruned", "words"),
    [
        (1, 0, 0, "untuned: 1 complete trial is no search"),
        (20, 0, 19, "untuned: 1 complete trial is no search"),
        (10, 10, 0, "untuned: 0 complete trials is no search"),
        (4, 0, 0, "4 complete trials, of 5 at least"),
        (20, 10, 6, "4 complete trials, of 5 at least"),
        (5, 0, 0, None),
        (20, 10, 5, None),
    ],
)
def test_pruned_and_failed_trials_do_not_count(trials, failed, pruned, words):
    records = [
        r.model_copy(
            update={
                "tuning": r.tuning.model_copy(
                    update={"trials": trials, "failed": failed, "pruned": pruned}
                )
            }
        )
        for r in fits()
    ]
    found = missing(records)
    assert found == [] if words is None else [words in found[0], len(found)] == [True, 1]


@pytest.mark.parametrize("n", [1, 2])
def test_two_seeds_are_too_few_unless_the_model_has_none(n):
    (found,) = missing(fits(n))
    assert f"{n} seed" in found
    assert "of 3 at least (evaluate.fits)" in found
    assert missing(fits(n, deterministic=True)) == []


def test_seeds_of_the_split_are_seeds_of_the_fit():
    records = [
        make_record("mine", seed=seed, changes={"tuning": {"trials": 9}}) for seed in (1, 2, 3)
    ]
    assert missing(records) == []


@pytest.mark.parametrize(
    ("status", "words"),
    [("fixed", "fixed hyperparameters"), ("external", "run file"), ("untuned", "untuned")],
)
def test_what_was_not_searched_is_named(status, words):
    record = make_record("mine", status=status, changes={"model": {"deterministic": True}})
    assert [words in text for text in missing([record])] == [True]


def test_a_model_without_hyperparameters_needs_no_search():
    assert missing(fits(status="parameter-free")) == []


def test_a_published_method_needs_a_gate_and_a_users_own_model_none():
    pytest.importorskip("torch", reason="neural models need torch")
    named = {"family": "neural", "name": "neumf", "version": MODELS.resolve("neumf").version}
    assert list(evidence.missing_of_gate(fits(**named))) == []
    for other in ({"name": "sasrec"}, {"version": 99}):
        (found,) = evidence.missing_of_gate(fits(**named | other))
        assert "has not met the values that its paper prints" in found
    assert list(evidence.missing_of_gate(fits(family="custom"))) == []


def test_a_gate_is_a_record_in_which_every_printed_value_was_met():
    pytest.importorskip("torch", reason="neural models need torch")
    for gate in evidence.gates():
        content = (RECORDS / gate.record).read_bytes()
        assert hashlib.sha256(content).hexdigest() == gate.sha256
        record = json.loads(content)
        titles = {model["model"] for model in record["models"] if model["name"] == gate.model}
        values = [value for value in record["values"] if value["model"] in titles]
        assert values
        for value in values:
            assert value["verdict"] == "ok"
            assert abs(value["got"] - value["expected"]) <= gate.tolerance + 1e-12
        assert MODELS.resolve(gate.model).version == gate.version


@pytest.mark.parametrize("verdict", ["clean", "suspicious", "leaking"])
def test_a_split_that_the_audit_does_not_trust_carries_no_verdict(verdict):
    records = [
        make_record("mine", changes={"split": {"audit": {"verdict": v}}})
        for v in ("clean", verdict)
    ]
    found = list(evidence.missing_of_split(records))
    assert found == ([] if verdict == "clean" else [f"the audit calls the split {verdict}"])


USES = {
    "plain": [],
    "markov": ["order"],
    "decay": ["times"],
    "cbf": ["item features"],
}


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        ([], {"plain", "markov", "decay", "cbf"}),
        (["order"], {"markov", "decay"}),
        (["times"], {"decay"}),
        (["item features"], {"cbf"}),
        (["order", "item features"], set()),
    ],
)
def test_a_model_is_judged_against_what_uses_at_least_the_same(uses, expected):
    baselines = {
        name: [make_record(name, changes={"model": {"uses": used}})] for name, used in USES.items()
    }
    judged = fits(uses=uses)
    pool = evidence.peers(baselines, judged)
    assert set(pool) == expected
    found = list(evidence.missing_of_pool(judged, baselines, pool))
    assert found == ([] if expected else ["no baseline in the table uses item features and order"])
