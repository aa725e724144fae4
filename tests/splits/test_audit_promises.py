"""Honest set-ups that look odd are not flagged once their promise is declared."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from support.audited import (
    BRIEFLY,
    HONEST,
    VARIANTS,
    audit_parts,
    dataset,
    drawn,
    drifting,
    found,
    long_tail,
    random_draw,
    random_exposure,
    repeat_consumption,
)

from recrepro.splits.audit import audit_split


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("times", [True, False])
@pytest.mark.parametrize("promise", HONEST)
def test_an_honest_split_of_each_promise_is_not_flagged(rng, promise, times):
    audit = audit_parts(HONEST[promise](rng, times=times), promise=promise)
    assert audit.verdict == "clean", audit.line
    assert audit.line == f"nothing found by {len(audit.checks)} checks"


@pytest.mark.parametrize(
    ("make", "verdict", "kind"),
    [
        (repeat_consumption, "leaking", "train-test-pairs"),
        (lambda rng: drifting(rng, times=False), "suspicious", "popularity"),
        (random_exposure, "suspicious", "popularity"),
        (long_tail, "suspicious", "popularity"),
    ],
)
def test_without_its_promise_an_odd_split_is_flagged(rng, make, verdict, kind):
    audit = audit_parts(make(rng))
    assert audit.verdict == verdict
    assert found(audit)[kind].severity == verdict


@pytest.mark.parametrize("promise", ["random-exposure", "long-tail"])
@pytest.mark.parametrize("times", [True, False])
def test_a_random_draw_keeps_no_promise_of_unpopular_items(rng, promise, times):
    audit = audit_parts(random_draw(rng, times=times), promise=promise)
    assert found(audit)["promised-popularity"].severity == audit.verdict == "suspicious"


@pytest.mark.parametrize("make", [random_exposure, long_tail, drifting])
def test_what_is_not_drawn_at_random_breaks_a_promise_of_randomness(rng, make):
    assert audit_parts(make(rng, times=False), promise="random").verdict == "suspicious"


def test_a_split_in_time_that_promises_a_random_draw_is_flagged(rng):
    audit = audit_parts(drifting(rng), promise="random")
    assert "mixed-order" in found(audit)


def test_a_random_draw_that_promises_time_is_leaking(rng):
    audit = audit_parts(random_draw(rng, times=True), promise="temporal")
    assert found(audit)["own-future"].severity == audit.verdict == "leaking"


def test_a_promise_of_time_without_times_is_told(rng):
    train, test = drifting(rng, times=False)
    told = found(audit_split(train, test, promise="temporal"))["times-missing"]
    assert (told.severity, told.interactions) == ("note", len(test))


# Repeats.


def test_a_copy_of_the_test_part_is_no_repeat(rng):
    train, test = repeat_consumption(rng)
    copied = np.arange(len(test)) % 5 == 0
    audit = audit_split(train.union(test.select(copied)), test, promise="repeat")
    assert found(audit)["train-test-pairs"].severity == "leaking"
    assert f"{copied.sum():,} of them with the same time" in audit.line


def test_without_times_a_test_part_that_train_has_whole_is_suspicious(rng):
    train, test = repeat_consumption(rng, times=False)
    audit = audit_split(train.union(test), test, promise="repeat")
    assert found(audit)["train-test-pairs"].severity == audit.verdict == "suspicious"


def test_a_validation_part_that_is_the_test_part_is_leaking_whatever_is_promised(rng):
    train, test = repeat_consumption(rng)
    audit = audit_split(train, test, validation=test, promise="repeat")
    assert "the validation part is the test part" in audit.line


# Negatives.


def from_all_items(parts, rng, n=30):
    lists = np.zeros((parts.test.n_users, parts.test.n_items), np.int32)
    for user in np.flatnonzero(parts.test.user_counts):
        lists[user, rng.choice(parts.test.n_items, n, replace=False)] = 1
    return csr_array(lists)


@pytest.mark.parametrize(("name", "options"), BRIEFLY)
def test_negatives_from_the_whole_catalogue_are_not_flagged(rng, name, options):
    split = drawn(name, options, data=dataset(2))
    audit = replace(split, test_negatives=from_all_items(split.parts, rng)).audit
    assert audit.verdict == "clean", audit.line
    assert "as if they were drawn from all items" in found(audit)["negatives-in-train"].message


def test_half_the_wrong_negatives_of_the_whole_catalogue_are_suspicious(rng):
    """Neither left out nor left in: some other fault of the lists."""
    split = drawn("leave-one-out", {})
    lists = from_all_items(split.parts, rng).tolil()
    known = split.parts.known
    for user, item in zip(known.users.tolist(), known.items.tolist(), strict=True):
        if user % 2:
            lists[user, item] = 0
    audit = replace(split, test_negatives=csr_array(lists)).audit
    assert found(audit)["negatives-in-train"].severity == "suspicious"


@pytest.mark.nightly
@pytest.mark.parametrize("promise", HONEST)
def test_of_200_clean_splits_of_a_promise_at_most_two_are_flagged(promise):
    """Nightly: 20 seconds for each promise."""
    alarms = []
    for number in range(200):
        rng = np.random.default_rng([number, 27])
        audit = audit_parts(HONEST[promise](rng, times=number % 2 == 0), promise=promise)
        if audit.verdict != "clean":
            alarms.append((number, audit.line))
    assert len(alarms) <= 2, alarms


@pytest.mark.nightly
@pytest.mark.parametrize("promise", ["random", "temporal"])
def test_of_200_clean_splits_of_strategies_at_most_two_are_flagged(promise):
    """Nightly: as above, for splits that recrepro draws, with and without negatives."""
    alarms = []
    kinds = [(n, o) for n, o in VARIANTS if drawn(n, o).splitter.promise in (promise, None)]
    for number in range(200):
        name, options = kinds[number % len(kinds)]
        data = dataset(number, 200, 150 + number, 4000)
        split = drawn(name, options, number, "full" if number % 2 else 20, data)
        audit = split.audit
        if audit.verdict != "clean":
            alarms.append((name, options, audit.line))
    assert len(alarms) <= 2, alarms
