"""Unseen sessions, against a plain reading, and with models whose hits are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.logs import in_time

from recrepro.baselines.ease import EASE
from recrepro.baselines.markovchain import MarkovChain
from recrepro.baselines.sknn import SKNN
from recrepro.baselines.toppopular import TopPopular
from recrepro.data.dataset import Dataset
from recrepro.errors import DataError
from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.splits.base import Role
from recrepro.splits.sealed import OpenedTest
from recrepro.splits.unseen_sessions import UnseenSessions


def roles(splitter, log):
    return splitter.assign(log, np.random.default_rng(0), np.random.default_rng(1), 0)


@st.composite
def sessions(draw):
    """Sessions that end at times of their own, as rows; each with its items in order."""
    n = draw(st.integers(3, 12))
    ends = draw(st.permutations(range(100, 100 + 10 * n, 10)))
    lengths = draw(st.lists(st.integers(1, 5), min_size=n, max_size=n))
    rows = [
        (session, item, end - (length - 1 - item))
        for session, (end, length) in enumerate(zip(ends, lengths, strict=True))
        for item in range(length)
    ]
    return rows, ends, lengths


@given(sessions(), st.sampled_from([0.1, 0.25, 0.4]), st.integers(1, 2))
def test_the_latest_sessions_are_held_out_and_their_last_items_hidden(made, fraction, hidden):
    rows, ends, lengths = made
    n = max(1, round(fraction * len(ends)))
    latest = sorted(range(len(ends)), key=lambda session: -ends[session])
    if len(ends) <= 2 * n:
        with pytest.raises(DataError, match="holds out all of the"):
            roles(UnseenSessions(fraction=fraction, hidden=hidden), in_time(rows, 5))
        return
    found = roles(UnseenSessions(fraction=fraction, hidden=hidden), in_time(rows, 5))
    for (session, item, time), role in zip(sorted(rows), found, strict=True):
        is_hidden = lengths[session] > hidden and item >= lengths[session] - hidden
        cut = ends[latest[n]] if session in latest[:n] else ends[latest[2 * n]]
        is_hidden = is_hidden and time > cut
        if session in latest[:n]:
            assert role == (Role.TEST if is_hidden else Role.TEST_SHOWN)
        elif session in latest[n : 2 * n]:
            assert role == (Role.VALIDATION if is_hidden else Role.VALIDATION_SHOWN)
        else:
            assert role == Role.TRAIN


def test_sessions_can_be_held_out_by_the_time_in_which_they_end():
    rows = [(session, item, 100 * session + item) for session in range(6) for item in range(3)]
    found = roles(UnseenSessions(length=200), in_time(rows, 3)).reshape(6, 3)
    test, validation = [Role.TEST_SHOWN] * 2 + [Role.TEST], [3, 3, 1]
    expected = [[0, 0, 0]] * 2 + [validation] * 2 + [test] * 2
    assert found.tolist() == expected


def test_fraction_and_length_exclude_each_other_and_all_cannot_be_held_out():
    with pytest.raises(ValueError, match="not both"):
        UnseenSessions(fraction=0.2, length=5)
    with pytest.raises(DataError, match="Lower 'length'"):
        roles(UnseenSessions(length=1000), in_time([(0, 0, 1), (1, 0, 2)], 1))


def test_models_find_in_unseen_sessions_what_they_should():
    # In every session, item i is followed by i + 1: only the order tells what comes next.
    rng, n_items = np.random.default_rng(4), 30
    rows = [
        (session, int(start + place) % n_items, 1000 * session + place)
        for session, start in enumerate(rng.integers(n_items, size=400))
        for place in range(4)
    ]
    log = in_time(rows, n_items)
    parts = UnseenSessions().split(Dataset("log", log), rng, rng)
    assert not (parts.known.user_counts[np.unique(parts.test.users)]).any()
    task = OpenedTest(parts.test, None, parts.test_shown, parts.test.user_ids, b"").view(
        parts.known, parts.known, "refit"
    )
    hits = {}
    for model in (MarkovChain(), SKNN(n_latest=3), EASE(l2=1.0), TopPopular()):
        model.fit(parts.known, rng)
        found = Evaluator([parse_metric("hit_rate@1")], tie_seed=0).evaluate(
            model, parts.known, task.histories, task.validation, seen=task.seen
        )
        assert len(found.users) == 40
        hits[type(model).__name__] = found.means["hit_rate@1"]
    assert hits["MarkovChain"] == 1
    # The one before the shown items is as near as the one after them.
    assert 0.2 < hits["SKNN"] < 0.8
    assert 0.2 < hits["EASE"] < 0.8
    assert hits["TopPopular"] < 0.2
