"""Leaks planted in splits of every strategy that can contain them: the audit finds each."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array
from support.audited import BRIEFLY, baskets, dataset, drawn, found, made, untimed, world

from recrepro.data.dataset import Dataset, PublishedSplit
from recrepro.data.synthetic import synthetic
from recrepro.features import Features, FeatureSet
from recrepro.interactions import Interactions
from recrepro.splits.audit import audit_split

IN_EVERY = pytest.mark.parametrize(("name", "options"), BRIEFLY)
BY_USERS_TIME = [
    ("leave-one-out", {}),
    ("leave-k-out", {"k": 3}),
    ("temporal-user", {}),
    ("unseen-users", {"pick": "last", "fraction": 0.25}),
]


def changed(split, change):
    """Return a split with each of its parts changed."""
    parts = split.parts
    fields = ("train", "validation", "known", "test", "hidden", "test_shown", "validation_shown")
    old = {name: getattr(parts, name) for name in fields}
    new = {name: part if part is None else change(name, part) for name, part in old.items()}
    return replace(split, parts=replace(parts, **new))


def with_more(part, users, items, n_users, n_items):
    """Return a part with more pairs and more labels; times are those of what is copied."""
    columns = [
        np.concatenate([getattr(part, name), more]).astype(kind)
        for name, more, kind in (("users", users, np.int32), ("items", items, np.int32))
    ]
    order = np.lexsort(columns[::-1])
    labels = np.arange(n_users), np.arange(n_items)
    ones = np.ones(len(order), np.float32)
    return Interactions(columns[0][order], columns[1][order], ones, None, *labels)


def flagged(split, kind):
    audit = split.audit
    assert audit.verdict != "clean", audit.line
    assert found(audit)[kind].severity == "suspicious"
    return found(audit)[kind]


# Twins.


def twinned(split, of, which):
    """Add a twin of each item, or user, with the interactions `which` of it, to what is known."""
    parts = split.parts
    n_users, n_items = parts.test.shape
    history = parts.known if parts.test_shown is None else parts.known.union(parts.test_shown)
    source = history.union(parts.test) if which == "all" else parts.test
    users = source.users + (n_users if of == "user" else 0)
    items = source.items + (n_items if of == "item" else 0)
    sizes = (2 * n_users, n_items) if of == "user" else (n_users, 2 * n_items)
    in_shown = np.zeros(len(users), bool)
    if parts.test_shown is not None and of == "item":
        # Nobody is fitted on test users, so that the twins of their items are shown.
        in_shown = parts.test_shown.user_counts[source.users] > 0
    more = {"known": ~in_shown, "test_shown": in_shown}

    def change(name, part):
        rows = more.get(name, np.zeros(len(users), bool))
        return with_more(part, users[rows], items[rows], *sizes)

    return changed(split, change)


@IN_EVERY
def test_a_twin_of_each_item_in_train_is_found(name, options):
    twin = flagged(twinned(drawn(name, options), "item", "all"), "twin-items")
    assert twin.details["share"] > 0.5


@IN_EVERY
def test_a_twin_of_each_user_who_holds_the_test_pairs_is_found(name, options):
    twin = flagged(twinned(drawn(name, options), "user", "all"), "twin-users")
    assert twin.details["share"] > 0.9


# The few test users of `unseen-users` are too few for each item.
@pytest.mark.parametrize(("name", "options"), [v for v in BRIEFLY if v[0] != "unseen-users"])
def test_a_twin_of_each_item_with_nobody_but_those_who_are_tested_on_it_is_found(name, options):
    few_items = dataset(1, 400, 60, 8000)
    flagged(twinned(drawn(name, options, data=few_items), "item", "test"), "twin-items")


# One item, as in `leave-one-out`, makes no twin: nothing follows from it for anybody.
@pytest.mark.parametrize(("name", "options"), [v for v in BRIEFLY if v[0] != "leave-one-out"])
def test_a_twin_of_each_user_with_nothing_but_the_test_items_is_found(name, options):
    flagged(twinned(drawn(name, options), "user", "test"), "twin-users")


def test_twins_that_differ_here_and_there_are_found():
    split = drawn("random-holdout", {})
    planted = twinned(split, "user", "all").parts
    kept = np.random.default_rng(0).random(len(planted.known)) < 0.93
    rows = kept | (planted.known.users < split.parts.test.n_users)
    planted = replace(planted, known=planted.known.select(rows))
    flagged(replace(split, parts=planted), "twin-users")


def test_twins_of_few_items_are_told_with_their_number():
    split = drawn("random-holdout", {})
    few = twinned(split, "item", "all").parts
    n_items = split.parts.test.n_items
    rows = (few.known.items < n_items) | (few.known.items % 20 == 0)
    audit = replace(split, parts=replace(few, known=few.known.select(rows))).audit
    n_told = int((split.parts.test.items % 20 == 0).sum())
    told = found(audit)["twin-items"]
    assert (audit.verdict, told.severity) == ("clean", "note")
    assert told.interactions == pytest.approx(n_told, rel=0.1)


@pytest.mark.parametrize("seed", range(10))
def test_in_small_and_dense_data_sets_are_alike_by_chance(seed):
    rng = np.random.default_rng(seed)
    whole = made([(u, i, 0) for u in range(20) for i in range(12) if rng.random() < 0.85])
    split = published(whole, rng.random(len(whole)) < 0.2)
    told = found(audit_split(untimed(split.train), untimed(split.test)))
    assert not [kind for kind in ("twin-items", "twin-users") if kind in told]


# Values and features.


def popularity_of(split, levels=None):
    counts = split.parts.test.item_counts.astype(np.float64)
    if levels is None:
        return counts
    ranks = np.argsort(np.argsort(counts + np.arange(len(counts)) * 1e-6))
    return np.floor(ranks * levels / len(counts)) + 1


@IN_EVERY
@pytest.mark.parametrize("levels", [None, 10])
def test_values_that_encode_test_popularity_are_found(name, options, levels):
    split = drawn(name, options)
    told = popularity_of(split, levels).astype(np.float32)
    flagged(
        changed(split, lambda _, part: replace(part, values=told[part.items])), "values-know-test"
    )


def item_features(split, columns):
    ids = split.parts.test.item_ids
    matrix = csr_array(np.asarray(columns, np.float32))
    names = np.array([f"c{place}" for place in range(matrix.shape[1])])
    return Features((FeatureSet("item", "made-up", ids, matrix, names),))


@IN_EVERY
def test_features_that_encode_test_popularity_are_found(name, options):
    split, rng = drawn(name, options), np.random.default_rng(0)
    noise = rng.random((split.parts.test.n_items, 5)) < 0.3
    columns = np.column_stack([noise, popularity_of(split)])
    flagged(replace(split, features=item_features(split, columns)), "features-know-test")


@IN_EVERY
def test_features_that_encode_popularity_before_the_split_are_found(name, options):
    """They were computed from all interactions, test included, as features often are."""
    split = drawn(name, options)
    parts = split.parts
    whole = parts.known.item_counts + parts.test.item_counts
    if parts.test_shown is not None:
        whole = whole + parts.test_shown.item_counts
    columns = np.log1p(whole)[:, None]
    flagged(replace(split, features=item_features(split, columns)), "features-know-test")


def test_levels_of_test_popularity_as_tags_are_found():
    split = drawn("random-holdout", {})
    columns = popularity_of(split, 5)[:, None] == np.arange(1, 6)
    flagged(replace(split, features=item_features(split, columns)), "features-know-test")


@IN_EVERY
def test_values_and_features_that_know_train_only_are_not_flagged(name, options):
    split, rng = drawn(name, options), np.random.default_rng(0)
    n_items = split.parts.test.n_items
    of_train = np.log1p(split.parts.known.item_counts) + rng.normal(0, 0.3, n_items)
    quality = rng.normal(of_train, 1).astype(np.float32)
    columns = np.column_stack([rng.random((n_items, 6)) < 0.2, of_train])
    split = changed(split, lambda _, part: replace(part, values=quality[part.items]))
    audit = replace(split, features=item_features(split, columns)).audit
    assert audit.verdict == "clean", audit.line
    assert {"values", "features"} <= set(audit.checks)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_features_that_know_the_true_popularity_are_not_flagged_however_small_train_is(share):
    """As citations do: they are no test counts, but better than train counts."""
    rng = np.random.default_rng(11)
    appeal = rng.permutation(1 / (np.arange(300) + 5.0))
    rows = [
        (user, int(item), 0)
        for user in range(400)
        for item in rng.choice(300, 15, replace=False, p=appeal / appeal.sum())
    ]
    whole = made(rows)
    split = published(whole, rng.random(len(whole)) < share)
    names = np.array(["citations"])
    column = csr_array(np.float32(appeal[:, None]))
    known = Features((FeatureSet("item", "citations", whole.item_ids, column, names),))
    audit = audit_split(untimed(split.train), untimed(split.test), features=known)
    assert audit.verdict == "clean", audit.line
    assert "features" in audit.checks


# Equal times.


def published(whole, held):
    return PublishedSplit(whole.select(~held), whole.select(held))


@pytest.mark.parametrize(("name", "options"), BY_USERS_TIME)
def test_a_cut_inside_baskets_is_found(name, options):
    data = Dataset("d", baskets(1))
    flagged(drawn(name, options | {"cold_items": "keep"}, data=data), "cut-baskets")


@pytest.mark.parametrize("promise", [None, "temporal"])
def test_a_cut_inside_baskets_of_files_is_found(promise):
    whole = baskets(2)
    latest = np.array([whole.times[whole.users == u].max() for u in range(whole.n_users)])
    held = (whole.times == latest[whole.users]) & (
        np.random.default_rng(0).random(len(whole)) < 0.5
    )
    split = published(whole, held)
    audit = audit_split(split.train, split.test, promise=promise)
    assert found(audit)["cut-baskets"].severity == audit.verdict == "suspicious"


def test_a_cut_between_baskets_is_not_flagged():
    whole = baskets(2)
    latest = np.array([whole.times[whole.users == u].max() for u in range(whole.n_users)])
    split = published(whole, whole.times == latest[whole.users])
    assert audit_split(split.train, split.test, promise="temporal").verdict == "clean"


def test_ties_that_are_cut_as_often_as_chance_has_it_are_a_note():
    """Some interactions, here and there, are tied with the next one."""
    whole, rng = world(np.random.default_rng(3)), np.random.default_rng(4)
    tied = rng.random(len(whole)) < 0.4
    order = np.lexsort((whole.times, whole.users))
    times = whole.times.copy()
    for before, row in pairwise(order):
        if tied[row] and whole.users[row] == whole.users[before]:
            times[row] = times[before]
    audit = drawn("leave-one-out", {}, data=Dataset("d", replace(whole, times=times))).audit
    told = found(audit)["cut-baskets"]
    assert (audit.verdict, told.severity) == ("clean", "note")
    assert told.details["share"] == pytest.approx(told.details["chance"], abs=0.1)


# Orders of item numbers.


def numbered(whole, *, falling=False):
    """Put equal times in the order of item numbers; times become places in the sequence."""
    by_number = -whole.items if falling else whole.items
    order = np.lexsort((by_number, whole.times, whole.users))
    places = np.empty(len(whole), np.int64)
    starts = np.cumsum(whole.user_counts) - whole.user_counts
    places[order] = np.arange(len(whole)) - np.repeat(starts, whole.user_counts)
    return replace(whole, times=places)


@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize(
    ("name", "options"), [*BY_USERS_TIME, ("temporal", {}), ("sliding-windows", {})]
)
def test_sequences_with_equal_times_in_the_order_of_item_numbers_are_found(name, options, falling):
    data = Dataset("d", numbered(baskets(3), falling=falling))
    flagged(drawn(name, options | {"cold_items": "keep"}, data=data), "item-order")


@pytest.mark.parametrize("size", [2, 24])
def test_pairs_and_whole_sequences_in_the_order_of_item_numbers_are_found(size):
    whole = numbered(baskets(4, per_user=24 // size, size=size))
    held = whole.times == whole.user_counts[whole.users] - 1
    split = published(whole, held)
    audit = audit_split(split.train, split.test)
    assert found(audit)["item-order"].severity == audit.verdict == "suspicious"


@pytest.mark.parametrize("falling", [False, True])
def test_a_last_item_that_is_the_one_with_the_largest_number_of_its_time_is_found(falling):
    whole = baskets(5, size=2)
    last = numbered(whole, falling=falling).times == whole.user_counts[whole.users] - 1
    split = published(whole, last)
    told = found(audit_split(split.train, split.test))["item-order"]
    assert (told.severity, told.details["share"]) == ("suspicious", 1)


def test_sequences_in_their_own_order_are_not_flagged():
    rng = np.random.default_rng(6)
    whole = baskets(6)
    shuffled = numbered(replace(whole, times=rng.permutation(len(whole)).astype(np.int64)))
    assert drawn("leave-one-out", {}, data=Dataset("d", shuffled)).audit.verdict == "clean"


def test_new_items_with_larger_numbers_are_no_order_of_ties():
    rng = np.random.default_rng(7)
    rows = []
    for user in range(200):
        times = np.sort(rng.choice(2000, 20, replace=False))
        items = np.maximum(0, times // 5 - rng.integers(0, 200, 20))
        rows += dict.fromkeys(zip([user] * 20, items.tolist(), times.tolist(), strict=True))
    first = {(u, i): t for u, i, t in reversed(rows)}
    whole = made([(u, i, t) for (u, i), t in first.items()])
    audit = drawn("leave-one-out", {}, data=Dataset("d", numbered(whole))).audit
    assert "item-order" not in found(audit)


# The catalogue.


@IN_EVERY
def test_a_catalogue_that_was_reduced_to_the_test_items_is_found(name, options):
    whole = synthetic(400, 1200, 8000, seed=3)
    held = np.random.default_rng(3).random(len(whole)) < 0.1
    data = Dataset("d", whole, published(whole, held))
    split = drawn(
        name, options | ({"test_users": 0.3} if name == "unseen-users" else {}), data=data
    )
    tested = split.parts.test.item_counts > 0
    reduced = changed(split, lambda _, part: part.select(tested[part.items]))
    assert split.audit.verdict == "clean", split.audit.line
    flagged(reduced, "reduced-catalogue")


# A cut in time.


def cut_with_moved(share, *, into):
    """Cut a log in time, then move a share of one part into the other."""
    rng = np.random.default_rng(8)
    whole = made([(u, i, int(rng.integers(0, 10**6))) for u, i, _ in _rows(world(rng))])
    late = whole.times > np.quantile(whole.times, 0.8)
    moved = (late if into == "train" else ~late) & (rng.random(len(whole)) < share)
    return published(whole, late ^ moved)


def _rows(whole):
    return zip(whole.users.tolist(), whole.items.tolist(), whole.times.tolist(), strict=True)


@pytest.mark.parametrize(("share", "into"), [(0.045, "test"), (0.01, "test"), (0.05, "train")])
def test_a_broken_cut_without_a_promise_is_found(share, into):
    split = cut_with_moved(share, into=into)
    audit = audit_split(split.train, split.test)
    assert found(audit)["mixed-order"].severity == audit.verdict == "suspicious"
    assert audit_split(split.train, split.test, promise="temporal").verdict == "leaking"


def test_a_cut_with_users_who_are_wholly_in_train_is_found():
    split = cut_with_moved(0, into="test")
    whole, held = split.union, split.test
    in_test = whole.in_common_with(held) & (whole.users % 20 > 0)
    split = published(whole, in_test)
    for promise in (None, "temporal"):
        audit = audit_split(split.train, split.test, promise=promise)
        assert found(audit)["broken-cut"].severity == audit.verdict == "suspicious"


def test_sessions_that_are_cut_in_time_but_for_some_are_found():
    """No user is in both parts, so that the order of users tells nothing."""
    rng = np.random.default_rng(9)
    starts = rng.integers(0, 1000, 400)
    rows = [(u, int(i), int(starts[u])) for u in range(400) for i in rng.choice(80, 6, False)]
    whole = made(rows)
    held = (starts > 800) ^ (rng.random(400) < 0.05)
    split = published(whole, held[whole.users])
    assert audit_split(split.train, split.test).verdict == "suspicious"


def test_a_whole_cut_is_not_flagged():
    split = cut_with_moved(0, into="test")
    assert audit_split(split.train, split.test).verdict == "clean"


# Negatives.


@IN_EVERY
def test_the_least_popular_items_as_negatives_are_found(name, options):
    split = drawn(name, options)
    least = np.argsort(split.parts.known.item_counts, kind="stable")[:50]
    lists = np.zeros(split.parts.test.shape, np.int32)
    lists[np.ix_(split.parts.test.user_counts > 0, least)] = 1
    taken = split.parts.known.union(split.parts.test)
    lists[taken.users, taken.items] = 0
    told = flagged(replace(split, test_negatives=csr_array(lists)), "negatives-popularity")
    assert told.details["above"] < 0.5 * told.details["uniform_above"]


def test_negatives_that_only_tend_to_be_unpopular_are_found():
    split, rng = drawn("leave-one-out", {}), np.random.default_rng(0)
    counts = split.parts.known.item_counts
    lists = np.zeros(split.parts.test.shape, np.int32)
    taken = split.parts.known.union(split.parts.test).matrix
    chances = 1.0 / (1 + counts) ** 1.5
    for user in np.flatnonzero(split.parts.test.user_counts):
        free = np.ones(len(counts), bool)
        free[taken.indices[taken.indptr[user] : taken.indptr[user + 1]]] = False
        wanted = np.where(free, chances, 0)
        lists[user, rng.choice(len(counts), 20, replace=False, p=wanted / wanted.sum())] = 1
    flagged(replace(split, test_negatives=csr_array(lists)), "negatives-popularity")


def test_popular_negatives_are_harder_and_no_fault():
    split = drawn("leave-one-out", {})
    most = np.argsort(-split.parts.known.item_counts, kind="stable")[:60]
    lists = np.zeros(split.parts.test.shape, np.int32)
    lists[np.ix_(split.parts.test.user_counts > 0, most)] = 1
    taken = split.parts.known.union(split.parts.test)
    lists[taken.users, taken.items] = 0
    told = found(replace(split, test_negatives=csr_array(lists)).audit)
    assert told["negatives-popularity"].severity == "note"


def test_the_checks_that_could_not_be_made_are_not_counted():
    whole = dataset().published
    timed = audit_split(whole.train, whole.test)
    without = audit_split(untimed(whole.train), untimed(whole.test))
    missing = {"own future", "others' future", "items from the future", "mixed order"}
    assert missing <= set(timed.checks) - set(without.checks)
    assert without.line == f"nothing found by {len(without.checks)} checks"
    assert not {"values", "features", "easy negatives"} & set(timed.checks)
