"""Neighbouring sessions against the papers' sums, written as loops over pairs of users."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.logs import in_time

from recrepro.baselines.sknn import SKNN
from recrepro.baselines.stan import STAN
from recrepro.baselines.vsknn import VSKNN

N_ITEMS = 8
DAY = 86_400


def in_order(sequences, ends):
    """Interactions of users: items from the first to the latest, an hour apart, up to an end."""
    rows = [
        (user, item, end - 3600 * (len(items) - 1 - at))
        for user, (items, end) in enumerate(zip(sequences, ends, strict=True))
        for at, item in enumerate(items)
    ]
    return in_time(rows, N_ITEMS, len(sequences))


def scores(model, sequences, ends):
    train = in_order(sequences, ends)
    made = model.fit(train, np.random.default_rng(0))
    return made.score(np.arange(len(sequences), dtype=np.int32), train.matrix)


def by_loops(model, sequences, ends, similarity, share):
    """Scores by definition; `similarity` and `share` are those of the model."""
    c = model.config
    found = np.zeros((len(sequences), N_ITEMS))
    for user, items in enumerate(sequences):
        session = items[::-1][: c.n_latest]  # the latest first
        others = [
            v for v, theirs in enumerate(sequences) if v != user and set(theirs) & set(session)
        ]
        others = sorted(others, key=lambda v: (ends[v], v))[-c.n_candidates :]
        near = {v: similarity(session, sequences[v], ends[user] - ends[v]) for v in others}
        for v in sorted(others, key=lambda v: (-near[v], v))[: c.n_neighbors]:
            for item in sequences[v]:
                found[user, item] += near[v] * share(session, sequences[v], item)
    return found


def falling(kind, k, n):
    return {
        "same": 1.0,
        "linear": 1 - k / n,
        "reciprocal": 1 / (k + 1),
        "logarithmic": 1 / np.log10(k + 2.7),
        "quadratic": 1 / (k + 1) ** 2,
    }[kind]


@st.composite
def logs(draw):
    lists = st.permutations(range(N_ITEMS)).flatmap(
        lambda items: st.integers(1, N_ITEMS).map(lambda n: items[:n])
    )
    sequences = draw(st.lists(lists, min_size=2, max_size=9))
    n = len(sequences)
    days = draw(st.lists(st.integers(0, 40), min_size=n, max_size=n))
    return sequences, [day * DAY + 10**9 for day in days]


LIMITS = {
    "n_neighbors": st.integers(1, 6),
    "n_candidates": st.integers(1, 6),
    "n_latest": st.integers(1, 6),
}
KINDS = st.sampled_from(["same", "linear", "reciprocal", "logarithmic", "quadratic"])


def test_worked_neighbours():
    # Ann has 0, 1, 2; Bob 1, 3; Cy 0, 4, 5. Ann's two latest items are 1 and 2: only Bob has one.
    sequences, ends = [[0, 1, 2], [1, 3], [0, 4, 5]], [DAY, DAY, DAY]
    found = scores(SKNN(n_latest=2), sequences, ends)[0]
    np.testing.assert_allclose(found, [0, 2**-0.5, 0, 2**-0.5, 0, 0, 0, 0], rtol=1e-6)
    # Item 1 is the second latest of two: it weighs 1/2 in the similarity and 1/2 as the match.
    found = scores(VSKNN(n_latest=2), sequences, ends)[0]
    np.testing.assert_allclose(found, [0, 0.25, 0, 0.25, 0, 0, 0, 0], rtol=1e-6)


@given(logs(), st.builds(SKNN, **LIMITS))
def test_sknn_is_the_sum_of_the_paper(log, model):
    expected = by_loops(
        model,
        *log,
        lambda session, theirs, _: len(set(session) & set(theirs)) / len(theirs) ** 0.5,
        lambda *_: 1.0,
    )
    np.testing.assert_allclose(scores(model, *log), expected, rtol=1e-5)


@given(logs(), st.builds(VSKNN, weighting=KINDS, match_weighting=KINDS, **LIMITS))
def test_vsknn_is_the_sum_of_the_paper(log, model):
    c = model.config

    def similarity(session, theirs, _):
        n = len(session)
        return sum(falling(c.weighting, k, n) for k, i in enumerate(session) if i in theirs)

    def share(session, theirs, _):
        latest = min(k for k, item in enumerate(session) if item in theirs)
        return falling(c.match_weighting, latest, c.n_latest)

    found, expected = scores(model, *log), by_loops(model, *log, similarity, share)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


DECAY = st.sampled_from([0.7, 3.0])


@given(
    logs(), st.builds(STAN, session_decay=DECAY, recency_decay=DECAY, item_decay=DECAY, **LIMITS)
)
def test_stan_is_the_sum_of_the_paper(log, model):
    c = model.config

    def similarity(session, theirs, apart):
        shared = sum(np.exp(-k / c.session_decay) for k, i in enumerate(session) if i in theirs)
        return shared / len(theirs) ** 0.5 * np.exp(-abs(apart) / DAY / c.recency_decay)

    def share(session, theirs, item):
        match = max(place for place, one in enumerate(theirs) if one in session)
        return np.exp(-abs(theirs.index(item) - match) / c.item_decay)

    found, expected = scores(model, *log), by_loops(model, *log, similarity, share)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-30)


def test_a_user_is_no_neighbour_of_its_own_and_without_items_nothing_is_scored():
    found = scores(SKNN(), [[0, 1], [2], []], [DAY] * 3)
    assert not found.any()


@pytest.mark.parametrize("model", [SKNN, VSKNN, STAN])
def test_users_are_scored_alike_in_any_company(model):
    rng = np.random.default_rng(3)
    sequences = [rng.permutation(N_ITEMS)[: rng.integers(1, 8)].tolist() for _ in range(30)]
    ends = (rng.integers(0, 99, 30) * DAY).tolist()
    train = in_order(sequences, ends)
    made = model(n_neighbors=4, n_candidates=9).fit(train, rng)
    everyone = np.arange(30, dtype=np.int32)
    some = everyone[[7, 3, 21]]
    np.testing.assert_array_equal(
        made.score(some, train.matrix[some]), made.score(everyone, train.matrix)[some]
    )
