"""The preflight of the audit: rules that need no search, shuffled scores, rankings that tie."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from recrepro.data.dataset import Dataset
from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.interactions import Interactions
from recrepro.models import MODELS
from recrepro.splits import SPLITS
from recrepro.splits.audit import audit_split
from recrepro.splits.draw import draw_split

KINDS = {"rule-scores", "shuffled-labels", "rankers-tie"}


def made(number=0, n=12_000, *, times=True) -> Dataset:
    """Interactions of 300 users with 200 items; item 3k + 1 often follows item 3k."""
    rng = np.random.default_rng([number, 5])
    users = rng.integers(0, 300, n)
    items = np.floor(200 * rng.random(n) ** 2).astype(int)
    items[1::2] = np.where(rng.random(n // 2) < 0.5, (items[::2] // 3 * 3 + 1) % 200, items[1::2])
    users[1::2] = users[::2]
    frame = pd.DataFrame({"user": users, "item": items, "time": np.arange(n)})
    log = Interactions.from_frame(frame, time="time" if times else None, duplicates="first")
    return Dataset("made", log, has_values=False)


def split_of(dataset, name="temporal-user", candidates="full", **options):
    return draw_split(dataset, SPLITS.resolve(name)(**options), 1, candidates)


@pytest.fixture(scope="module")
def large() -> Dataset:
    return made(n=40_000)


def found(audit):
    return {one.id: one for one in audit.findings if one.id in KINDS}


@pytest.mark.parametrize("times", [True, False])
def test_the_scores_are_those_of_the_models_on_the_validation_part(large, times):
    log = large.interactions if times else made(n=40_000, times=False).interactions
    parts = split_of(Dataset("made", log, has_values=False), "random-holdout").parts
    audit = audit_split(parts.train, parts.test, validation=parts.validation, known=parts.known)
    told = found(audit)["rule-scores"].details
    names = ["toppopular", "markovchain", "sequentialrules"] if times else ["toppopular"]
    assert told.keys() == {*names, "shuffled", "chance"}
    evaluator = Evaluator([parse_metric("ndcg@10")], tie_seed=0)
    for name in names:
        model = MODELS.resolve(name)().fit(parts.train, np.random.default_rng(0))
        alone = evaluator.evaluate(model, parts.train, parts.train, parts.validation)
        assert told[name] == pytest.approx(alone.means["ndcg@10"], abs=2e-3)  # ties


def test_chance_is_the_mean_of_random_rankings(large):
    parts = split_of(large).parts
    audit = audit_split(parts.train, parts.test, validation=parts.validation, known=parts.known)
    told = found(audit)["rule-scores"].details

    model = MODELS.resolve("toppopular")().fit(parts.train, np.random.default_rng(0))
    values = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        model.score = lambda users, histories, rng=rng: rng.random(
            (len(users), histories.shape[1]), np.float32
        )
        evaluator = Evaluator([parse_metric("ndcg@10")], tie_seed=seed)
        evaluation = evaluator.evaluate(model, parts.train, parts.train, parts.validation)
        values.append(evaluation.means["ndcg@10"])
    assert told["chance"] == pytest.approx(np.mean(values), rel=0.05)
    assert told["shuffled"] == pytest.approx(told["chance"], rel=0.25)


def test_the_test_part_of_an_experiment_is_not_looked_at(large):
    parts = split_of(large).parts
    other = parts.test.select(np.arange(len(parts.test)) % 2 == 0)
    one, two = (
        found(audit_split(parts.train, test, validation=parts.validation, known=parts.known))
        for test in (parts.test, other)
    )
    assert one["rule-scores"].details == two["rule-scores"].details


def test_a_split_in_files_without_validation_is_tried_on_its_test_part(large):
    parts = split_of(large).parts
    told = found(audit_split(parts.known, parts.test))["rule-scores"]
    assert "on the test part" in told.message


def test_a_small_split_is_not_tried():
    split = split_of(made(n=3_000))
    assert found(split.audit) == {}
    assert "preflight" not in split.audit.checks


def with_negatives(parts, lists):
    """Audit with sampled negatives: a list of items for each test user."""
    rows = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    columns = np.concatenate([np.asarray(one, np.int64) for one in lists])
    negatives = csr_array((np.ones(len(rows)), (rows, columns)), shape=parts.test.shape)
    return found(audit_split(parts.known, parts.test, negatives=negatives))


def lists_of(parts, lengths):
    """Draw unseen items for each user: as many as `lengths` says for users in turn."""
    rng = np.random.default_rng(1)
    whole = parts.known.union(parts.test).matrix.toarray() != 0
    return [
        rng.permutation(np.flatnonzero(~row))[: lengths[user % len(lengths)]]
        for user, row in enumerate(whole)
    ]


def test_shuffled_scores_that_beat_chance_are_found(large):
    parts = split_of(large, "leave-one-out", pick="last").parts
    honest = with_negatives(parts, lists_of(parts, {0: 60}))
    assert honest.keys() == {"rule-scores"}
    # Two users of five have short lists, which nobody sees in a table.
    short = with_negatives(parts, lists_of(parts, {0: 3, 1: 3, 2: 60, 3: 60, 4: 60}))
    assert short.keys() == {"rule-scores", "shuffled-labels"}
    assert short["shuffled-labels"].severity == "suspicious"


def test_rankings_that_tie_are_found(large):
    parts = split_of(large, "leave-one-out", pick="last").parts
    lists = lists_of(parts, {0: 30})
    test = parts.test
    for user, item in zip(test.users, test.items, strict=True):
        if user % 5 == 0:
            lists[user] = [item]  # what is to be found is its own negative
    tied = with_negatives(parts, lists)
    assert tied["rankers-tie"].users == pytest.approx(len(set(test.users[test.users % 5 == 0])))
    assert tied["rankers-tie"].severity == "suspicious"


@pytest.mark.nightly
@pytest.mark.parametrize("promise", ["random", "temporal"])
def test_of_200_clean_splits_at_most_two_are_flagged(promise):
    """Nightly: a minute for each promise."""
    alarms = []
    names = ["temporal-user", "temporal"] if promise == "temporal" else ["random-holdout"]
    for number in range(200):
        split = split_of(
            made(number, 24_000), names[number % len(names)], "full" if number % 2 else 50
        )
        alarms += [(number, kind) for kind in found(split.audit) if kind != "rule-scores"]
    assert len(alarms) <= 2, alarms
