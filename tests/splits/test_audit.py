"""The leakage audit: each planted leak is found with its numbers, and clean splits stay clean."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse import csr_array
from support.audited import EVERY, VARIANTS, dataset, drawn, found

from recrepro.data import load_named
from recrepro.data.load import load_dataset
from recrepro.interactions import UNKNOWN_TIME
from recrepro.spec.experiment import DatasetSpec
from recrepro.splits import SPLITS
from recrepro.splits.audit import audit_split
from recrepro.splits.negatives import draw_negatives
from recrepro.splits.popularity import compare_popularity

STRATEGIES = [pytest.param(*variant, id="{} {}".format(*variant)) for variant in VARIANTS]


def test_every_strategy_is_audited_here():
    assert set(EVERY) == set(SPLITS.names())


@pytest.mark.parametrize(("name", "options"), STRATEGIES)
def test_a_test_interaction_planted_in_train_is_found_in_every_kind_of_split(name, options):
    split = drawn(name, options)
    parts = split.parts
    stolen = np.arange(len(parts.test)) % 7 == 0
    leaky = replace(parts, train=parts.train.union(parts.test.select(stolen)))
    audit = replace(split, parts=leaky).audit
    finding = found(audit)["train-test-pairs"]
    assert audit.verdict == "leaking"
    assert finding.interactions == stolen.sum()
    assert finding.users == len(set(parts.test.users[stolen].tolist()))


@pytest.mark.parametrize(("name", "options"), STRATEGIES)
def test_a_test_part_used_for_validation_is_found_in_every_kind_of_split(name, options):
    split = drawn(name, options)
    audit = replace(split, parts=replace(split.parts, validation=split.parts.test)).audit
    assert audit.verdict == "leaking"
    assert found(audit)["validation-test-pairs"].interactions == len(split.parts.test)
    assert "the validation part is the test part" in audit.line


def test_validation_in_train_and_shown_test_items_are_found():
    split = drawn("unseen-users", {})
    parts = split.parts
    audit = replace(split, parts=replace(parts, train=parts.train.union(parts.validation))).audit
    assert found(audit)["train-validation-pairs"].interactions == len(parts.validation)
    shown = parts.test_shown.union(parts.test)
    audit = replace(split, parts=replace(parts, test_shown=shown)).audit
    assert found(audit)["shown-test-pairs"].interactions == len(parts.test)
    assert audit.verdict == "leaking"


def test_a_user_who_should_be_unseen_is_found():
    split = drawn("unseen-users", {})
    parts = split.parts
    user = parts.test.users[0]
    mine = parts.test_shown.select(parts.test_shown.users == user)
    audit = replace(split, parts=replace(parts, known=parts.known.union(mine))).audit
    finding = found(audit)["seen-users"]
    assert (audit.verdict, finding.users, finding.interactions) == ("leaking", 1, len(mine))


@pytest.mark.parametrize("name", ["temporal", "sliding-windows"])
def test_one_interaction_after_the_cut_breaks_a_global_order(name):
    split = drawn(name, {})
    known = split.parts.known
    times = known.times.copy()
    times[0] = split.parts.test.times.max() + 1
    audit = replace(split, parts=replace(split.parts, known=replace(known, times=times))).audit
    assert audit.verdict == "leaking"
    assert found(audit)["others-future"].interactions == len(split.parts.test)


@pytest.mark.parametrize(
    "name", ["leave-one-out", "leave-k-out", "temporal-user", "temporal", "unseen-users"]
)
def test_one_later_interaction_of_a_test_user_breaks_the_order(name):
    split = drawn(name, {"pick": "last"} if name == "unseen-users" else {})
    parts = split.parts
    field = "test_shown" if name == "unseen-users" else "known"
    history = getattr(parts, field)
    row = int(np.flatnonzero(history.users == parts.test.users[0])[0])
    times = history.times.copy()
    times[row] = parts.test.times.max() + 1
    audit = replace(split, parts=replace(parts, **{field: replace(history, times=times)})).audit
    finding = found(audit)["own-future"]
    assert (finding.severity, finding.users, finding.interactions) == ("leaking", 1, 1)


def test_files_mostly_in_order_are_suspicious_and_wholly_in_order_are_not():
    parts = drawn("temporal-user", {}).parts
    clean = audit_split(parts.known, parts.test)
    assert clean.verdict == "clean"
    times = parts.known.times.copy()
    late = np.flatnonzero(parts.known.users % 10 == 0)
    times[late] = parts.test.times.max() + 1
    audit = audit_split(replace(parts.known, times=times), parts.test)
    assert audit.verdict == "suspicious"
    assert found(audit)["own-future"].interactions == len(
        set(late.tolist())
        & set(np.flatnonzero(np.isin(parts.known.users, parts.test.users)).tolist())
    )


def test_a_test_part_of_chosen_items_is_suspicious_and_a_random_one_is_not():
    whole = dataset().interactions
    rng = np.random.default_rng(3)
    favoured = rng.random(whole.n_items) < 0.3
    held = rng.random(len(whole)) < np.where(favoured[whole.items], 0.6, 0.02)
    audit = audit_split(
        replace(whole.select(~held), times=None), replace(whole.select(held), times=None)
    )
    assert audit.verdict == "suspicious"
    assert found(audit)["popularity"].details["excess"] > 0.3
    held = rng.random(len(whole)) < 0.2
    audit = audit_split(whole.select(~held), whole.select(held))
    assert "popularity" not in found(audit)


# Negatives.


@pytest.fixture(scope="module")
def listed():
    """Train, test and clean negatives: twenty for each of the users."""
    split = drawn("leave-one-out", {}, candidates=20)
    return split.parts.known, split.parts.test, split.test_negatives.astype(np.int32).tolil()


def audit_negatives(listed, change):
    train, test, negatives = listed
    negatives = negatives.copy()
    change(train, test, negatives)
    return audit_split(train, test, negatives=csr_array(negatives), order="user")


def test_clean_negatives_are_clean(listed):
    audit = audit_negatives(listed, lambda *_: None)
    assert audit.verdict == "clean"
    assert not [key for key in found(audit) if key.startswith("negatives")]


def test_negatives_that_are_train_or_test_items_are_counted(listed):
    def plant(train, test, negatives):
        for user in (3, 5):
            negatives[user, train.items[train.users == user][0]] = 1
        negatives[5, test.items[test.users == 5][0]] = 1

    findings = found(audit_negatives(listed, plant))
    assert (findings["negatives-in-train"].users, findings["negatives-in-test"].users) == (2, 1)
    assert findings["negatives-in-train"].interactions == 2


def test_many_wrong_negatives_are_suspicious(listed):
    def plant(train, test, negatives):
        for user in np.flatnonzero(test.user_counts):
            negatives[user, train.items[train.users == user][0]] = 1

    audit = audit_negatives(listed, plant)
    assert audit.verdict == "suspicious"
    assert found(audit)["negatives-in-train"].severity == "suspicious"


def test_repeated_and_uneven_negatives_are_counted(listed):
    def plant(train, test, negatives):
        for user in range(50):
            first, *_, last = negatives.rows[user]
            negatives[user, first] = 4
            negatives[user, last] = 0

    audit = audit_negatives(listed, plant)
    findings = found(audit)
    assert (findings["negatives-repeated"].users, findings["negatives-repeated"].interactions) == (
        50,
        150,
    )
    assert findings["negatives-uneven"].users == 50
    assert audit.verdict == "suspicious"


def test_users_without_negatives_are_found(listed):
    def plant(train, test, negatives):
        negatives[7] = 0

    audit = audit_negatives(listed, plant)
    assert found(audit)["negatives-missing"].users == 1
    assert audit.verdict == "suspicious"


# What is told.


def test_cold_interactions_are_counted_with_those_left_out():
    whole = dataset().interactions
    kept = audit_split(
        whole.select((whole.users > 9) & (whole.items != 3)),
        whole.select((whole.users <= 9) | (whole.items == 3)),
        dropped={"test_cold_users": 4},
    )
    users = found(kept)["cold-users"]
    assert users.interactions == int((whole.users <= 9).sum()) + 4
    assert found(kept)["cold-items"].interactions == int((whole.items == 3).sum())
    assert {f.severity for f in kept.findings if f.id.startswith("cold")} == {"note"}


def test_a_filter_that_learns_is_told_if_it_ran_before_the_split():
    parts = drawn("random-holdout", {}).parts
    steps = [
        {"step": "k-core", "on": "all", "learns": True, "removed": 12},
        {"step": "item-count", "on": "train", "learns": True},
        {"step": "min-value", "on": "all", "learns": False, "removed": 5},
        {"step": "values", "rule": "binary", "on": "all"},
    ]
    audit = audit_split(parts.known, parts.test, preprocessing=steps)
    told = [f for f in audit.findings if f.id.startswith("before-split")]
    assert [(f.id, f.interactions, f.severity) for f in told] == [
        ("before-split-k-core", 12, "note")
    ]


ROWS = st.lists(
    st.tuples(
        st.integers(0, 4), st.integers(0, 5), st.integers(0, 6), st.booleans(), st.booleans()
    ),
    min_size=6,
    max_size=40,
    unique_by=lambda row: row[:2],
).filter(lambda rows: {row[3] for row in rows} == {True, False})


@given(ROWS)
def test_what_is_later_is_counted_as_by_hand(log, rows):
    whole = log((u, i, None if unknown and t < 2 else t) for u, i, t, _, unknown in rows)
    place = {row[:2]: row[3] for row in rows}
    pairs = zip(whole.users.tolist(), whole.items.tolist(), strict=True)
    held = np.array([place[pair] for pair in pairs])
    train, test = whole.select(~held), whole.select(held)
    findings = found(audit_split(train, test, order="none"))
    past = [(u, i, t) for u, i, t in zip(train.users, train.items, train.times, strict=True)]
    tests = [(u, t) for u, t in zip(test.users, test.times, strict=True) if t != UNKNOWN_TIME]
    if all(t == UNKNOWN_TIME for *_, t in past) or not tests:
        assert not findings.keys() & {"own-future", "others-future", "items-from-the-future"}
        return
    own = {(u, i) for u, i, t in past if any(v == u and t > s for v, s in tests)}
    others = sum(any(t > s for *_, t in past) for _, s in tests)
    first = {}
    for _, i, t in past:
        first[i] = min(t, first.get(i, t))
    future = [sum(t > s for t in first.values()) / len(first) for _, s in tests]
    own_found = findings.get("own-future")
    assert (own_found.interactions if own_found else 0) == len(own)
    assert (own_found.users if own_found else 0) == len({u for u, _ in own})
    others_found = findings.get("others-future")
    assert (others_found.interactions if others_found else 0) == others
    items_found = findings.get("items-from-the-future")
    share = items_found.details["future_share_of_items"] if items_found else 0
    assert share == pytest.approx(np.mean(future))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), min_size=3, max_size=12))
def test_popularity_numbers_are_those_of_scipy_and_of_the_formulas(log, counts):
    rows = [
        (user, item, part)
        for item, (a, b) in enumerate(counts)
        for part, n in ((0, a), (1, b))
        for user in range(100 * part, 100 * part + n)
    ]
    if {part for *_, part in rows} != {0, 1}:
        return
    whole = log(rows)
    train, test = whole.select(whole.times == 0), whole.select(whole.times == 1)
    got = compare_popularity(train, test, np.random.default_rng(0))
    a, b = train.item_counts, test.item_counts
    n = len(a)
    pairwise = np.abs(b[:, None] - b).sum() / (2 * n * n * b.mean())
    assert got.test.gini == pytest.approx(pairwise)
    assert got.test.entropy == pytest.approx(stats.entropy(b, base=2))
    assert got.test.largest == b.max()
    ranks = -(a + b)
    by_scipy = stats.ks_2samp(np.repeat(ranks, a), np.repeat(ranks, b), method="asymp").statistic
    assert got.kolmogorov_smirnov == pytest.approx(by_scipy)
    # Every test user has test interactions only, so that any random split is this one.
    assert got.distance == got.random.largest_distance == 0


def test_the_verdict_is_the_worst_finding_and_the_json_holds_it_all():
    parts = drawn("random-holdout", {}).parts
    audit = audit_split(parts.train.union(parts.test), parts.test, validation=parts.validation)
    plain = audit.as_dict()
    assert plain["verdict"] == audit.verdict == "leaking"
    assert [f["severity"] for f in plain["findings"]] == sorted(
        (f.severity for f in audit.findings), key=("leaking", "suspicious", "note").index
    )
    assert plain["popularity"]["test"]["interactions"] == len(parts.test)


# Known cases.


@pytest.mark.realdata
def test_the_split_of_spectralcf_is_flagged_with_the_published_numbers(data_dir):
    split = load_named("movielens-1m-spectralcf", data_dir).published
    audit = audit_split(split.train, split.test)
    assert audit.verdict == "suspicious"
    assert found(audit)["popularity"].details["excess"] > 0.4

    # Ferrari Dacrema et al. (TOIS 2021), Table 29, counts 3,705 items: those of the id range.
    def whole(part):
        return replace(part, item_ids=np.arange(3705))

    measured = compare_popularity(whole(split.train), whole(split.test), np.random.default_rng(0))
    train, test = measured.train, measured.test
    assert (train.largest, test.largest) == (1936, 1361)
    printed = [(48.37, 0.79, 9.89, 0.87), (12.71, 0.92, 8.49, 0.44)]
    for part, numbers in zip((train, test), printed, strict=True):
        got = (part.mean, part.gini, part.entropy, part.kendall)
        assert got == pytest.approx(numbers, abs=0.0051)


@pytest.mark.realdata
def test_the_split_of_ncf_is_clean_and_its_future_is_told(data_dir):
    split = load_named("movielens-1m-ncf", data_dir).published
    audit = audit_split(split.train, split.test, negatives=split.negatives)
    findings = found(audit)
    assert audit.verdict == "clean"
    assert findings["negatives-in-test"].interactions == 156
    assert findings["cut-baskets"].severity == "note"
    assert "item-order" not in findings
    assert "negatives-in-train" not in findings
    # By plain counting, with unknown times (all of them early) as the earliest.
    times, moments = split.train.times, split.test.times
    later = np.array([(times > t).sum() for t in moments[:200]])
    assert (later > 0).all()
    assert findings["others-future"].details["share"] == pytest.approx(6039 / 6040)
    first = {}
    for item, time in zip(split.train.items.tolist(), times.tolist(), strict=True):
        first[item] = min(time, first.get(item, time))
    debuts = np.array(list(first.values()))
    shares = np.array([(debuts > t).mean() for t in moments])
    told = findings["items-from-the-future"]
    assert told.interactions == (shares > 0).sum()
    assert told.details["future_share_of_items"] == pytest.approx(shares.mean())


@pytest.mark.realdata
def test_a_leave_one_out_split_of_movielens_1m_tells_of_its_items_from_the_future(data_dir):
    """Where times are known: those of some ratings are not in the copy at hand."""
    known_times = ({"name": "time-window", "start": 0},)
    spec = DatasetSpec.model_validate({"name": "movielens-1m", "filters": known_times})
    data = load_dataset(spec, data_dir, data_dir)
    split = drawn("leave-one-out", {}, data=data)
    train, test = split.parts.known, split.parts.test
    told = found(split.audit)["items-from-the-future"]
    debuts = pd.Series(train.times).groupby(train.items).min().to_numpy()
    shares = np.array([(debuts > moment).mean() for moment in test.times])
    assert len(data.interactions) == 802_037
    assert split.audit.verdict == "clean"
    assert told.interactions == (shares > 0).sum() > 0.5 * len(test)
    assert told.details["future_share_of_items"] == pytest.approx(shares.mean())


@pytest.mark.realdata
def test_the_1115_wrong_negatives_of_cmn_are_counted_and_are_those_of_the_whole_catalogue(data_dir):
    """Its lists are not at hand: 100 are drawn, and as many train items put in as theirs hold.

    100 of 16,980 items for each user, none left out, are 1,178 train items in the mean.
    """
    split = load_named("citeulike-a-cmn", data_dir).published
    rng = np.random.default_rng(0)
    negatives = draw_negatives(split.train, split.test, 100, rng).astype(np.int32).tolil()
    for user in rng.choice(split.train.n_users, 1115, replace=False):
        negatives[user, negatives.rows[user][0]] = 0
        negatives[user, rng.choice(split.train.items[split.train.users == user])] = 1
    audit = audit_split(split.train, split.test, negatives=csr_array(negatives))
    finding = found(audit)["negatives-in-train"]
    assert (finding.users, finding.interactions) == (1115, 1115)
    assert "1,115 of 555,100 negatives" in finding.message
    assert audit.verdict == "clean"


@pytest.mark.realdata
def test_repeated_negatives_as_those_of_coupledcf_are_counted(data_dir):
    """Of its lists, which are not at hand, 4,352 have repeats."""
    split = load_named("movielens-1m-ncf", data_dir).published
    coupled = split.negatives.tolil()
    for user in range(4352):
        first, *_, last = coupled.rows[user]
        coupled[user, last] = 0
        coupled[user, first] = 2
    audit = audit_split(split.train, split.test, negatives=csr_array(coupled))
    assert found(audit)["negatives-repeated"].users == 4352
    assert audit.verdict == "suspicious"


@pytest.mark.realdata
def test_a_validation_file_that_is_the_test_file_is_leaking(data_dir):
    """DELF released MovieLens 1M so: byte for byte the same."""
    split = load_named("movielens-1m-ncf", data_dir).published
    audit = audit_split(split.train, split.test, validation=split.test)
    assert audit.line == "leaking: the validation part is the test part"
