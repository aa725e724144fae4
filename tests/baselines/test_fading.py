"""Fading histories and time-weighted training, against loops; popularity of late, own items."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.logs import in_time

from recrepro.baselines.ease import EASE
from recrepro.baselines.edlae import EDLAE
from recrepro.baselines.gptopfreq import GPTopFreq
from recrepro.baselines.itemknn import ItemKNN
from recrepro.baselines.p3alpha import P3alpha
from recrepro.baselines.recentpopularity import RecentPopularity
from recrepro.baselines.rp3beta import RP3beta
from recrepro.baselines.slim import SLIM
from recrepro.baselines.stan import STAN
from recrepro.errors import ModelError
from recrepro.interactions import UNITS, UNKNOWN_TIME

MODELS = [ItemKNN, EASE, EDLAE, SLIM, P3alpha, RP3beta]
DAY = 86_400
N_ITEMS = 6

logs = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, N_ITEMS - 1), st.integers(0, 400)),
    min_size=1,
    max_size=40,
    unique_by=lambda row: row[:2],
).map(lambda rows: in_time([(u, i, 10**9 + t * DAY // 4) for u, i, t in rows], N_ITEMS, 8))


def fitted(model, log):
    return model.fit(log, np.random.default_rng(0))


def scores(model, log):
    return model.score(np.arange(log.n_users, dtype=np.int32), log.matrix)


def distinct(log):
    """The same log, but that no user has two interactions at a time."""
    return replace(log, times=log.times + log.items)


@pytest.mark.parametrize("model", MODELS)
def test_without_the_options_a_model_and_its_identity_are_as_before(model):
    assert model().information() == ()
    assert {"fading", "half_life"}.isdisjoint(model().config.model_dump())
    given = model(fading=0.9, half_life=30.0).config.model_dump()
    assert (given["fading"], given["half_life"]) == (0.9, 30.0)
    assert model(fading=0.9).information() == ("order",)
    assert model(half_life=30.0).information() == ("times",)


@pytest.mark.parametrize("model", MODELS)
@given(logs)
def test_a_history_that_does_not_fade_changes_no_bit(model, log):
    plain = scores(fitted(model(), replace(log, times=None)), log)
    for same in (model(fading=1.0), model(half_life=1e12)):
        np.testing.assert_array_equal(scores(fitted(same, log), log), plain)


def faded_by_loop(log, fading):
    rows = np.zeros(log.shape)
    frame = pd.DataFrame({"u": log.users, "i": log.items, "t": log.times, "v": log.values})
    for user, mine in frame.groupby("u"):
        for later, row in enumerate(mine.sort_values("t", ascending=False).itertuples()):
            rows[user, row.i] = row.v * fading**later
    return rows


@pytest.mark.parametrize("model", MODELS)
@given(logs, st.sampled_from([0.0, 0.5, 0.9]))
def test_scores_are_those_of_a_history_whose_earlier_items_count_less(model, log, fading):
    log = distinct(log)
    made = fitted(model(fading=fading), log)
    weights = (
        made.item_weights
        if isinstance(made.item_weights, np.ndarray)
        else (made.item_weights.toarray())
    )
    expected = faded_by_loop(log, fading) @ weights
    np.testing.assert_allclose(scores(made, log), expected, rtol=1e-4, atol=1e-5)


@given(logs, logs)
def test_histories_that_are_set_fade_by_their_own_order(log, later):
    log, later = distinct(log), distinct(later)
    made = fitted(EASE(l2=2.0, fading=0.7), log)
    made.set_histories(later)
    expected = faded_by_loop(later, 0.7) @ made.item_weights
    np.testing.assert_allclose(scores(made, later), expected, rtol=1e-4, atol=1e-5)


def test_a_weighted_profile_fades_after_it_was_weighted():
    log = distinct(in_time([(0, 0, 1), (0, 1, 2), (1, 1, 1), (1, 2, 5), (2, 0, 3)], 3))
    options = {"weighting": "tfidf", "profiles": "weighted", "n_neighbors": 3}
    plain, fading = (fitted(ItemKNN(**options, **more), log) for more in ({}, {"fading": 0.5}))
    rows = plain.weighting.apply(log.matrix).toarray() * faded_by_loop(log, 0.5)
    weights = plain.item_weights
    weights = weights if isinstance(weights, np.ndarray) else weights.toarray()
    np.testing.assert_allclose(scores(fading, log), rows @ weights, rtol=1e-5)


@given(logs, st.sampled_from([3.0, 50.0]))
def test_time_weighted_training_is_training_on_values_that_halve(log, half_life):
    ages = (log.times.max() - log.times) / DAY
    halved = replace(log, values=(log.values * 0.5 ** (ages / half_life)).astype(np.float32))
    for model in MODELS:
        one, other = fitted(model(half_life=half_life), log), fitted(model(), halved)
        np.testing.assert_allclose(scores(one, log), scores(other, log), rtol=1e-3, atol=1e-4)


def test_the_options_need_times():
    timeless = replace(in_time([(0, 0, 1), (0, 1, 2)], 2), times=None)
    for model in (EASE(fading=0.5), EASE(half_life=3.0)):
        with pytest.raises(ModelError, match="times"):
            fitted(model, timeless)


def test_worked_fading():
    # Ann has a, then b. Weights by hand: EASE with l2 = 1 on two users who have both, one only b.
    log = in_time([(0, 0, 1), (0, 1, 2), (1, 0, 1), (1, 1, 2), (2, 1, 1)], 2)
    made = fitted(EASE(l2=1.0, fading=0.5), log)
    # Gram with l2: [[3, 2], [2, 4]], so that B[a, b] = 2/3 and B[b, a] = 2/4.
    np.testing.assert_allclose(made.item_weights, [[0, 2 / 3], [1 / 2, 0]], rtol=1e-6)
    np.testing.assert_allclose(scores(made, log)[0], [1 / 2, 0.5 * 2 / 3], rtol=1e-6)


@given(logs, st.sampled_from([1.0, 20.0]))
def test_recent_popularity_has_the_counts_of_pandas(log, window):
    frame = pd.DataFrame({"i": log.items, "t": pd.to_datetime(log.times, unit="s")})
    recent = frame[frame["t"] >= frame["t"].max() - pd.Timedelta(days=window)]
    counts, whole = (
        f["i"].value_counts().reindex(range(N_ITEMS), fill_value=0) for f in (recent, frame)
    )
    found = scores(fitted(RecentPopularity(window=window), log), log)
    assert (found == found[0]).all()
    for i in range(N_ITEMS):
        for j in range(N_ITEMS):
            more = (counts[i], whole[i]) > (counts[j], whole[j])
            assert (found[0, i] > found[0, j]) == more


def test_recent_popularity_leaves_unknown_times_out_and_needs_times():
    log = in_time([(0, 0, 10**9), (1, 1, 10**9), (2, 1, 10**9), (3, 1, 10**9)], 2)
    unknown = replace(log, times=np.where(log.items == 1, UNKNOWN_TIME, log.times))
    first, second = scores(fitted(RecentPopularity(), unknown), unknown)[0]
    assert first > second
    with pytest.raises(ModelError, match="times"):
        fitted(RecentPopularity(), replace(log, times=None))


def test_own_items_come_first_by_frequency_then_the_popular_ones():
    log = in_time([(0, 0, 1), (0, 1, 2), (0, 2, 3), (1, 3, 1), (2, 3, 1), (2, 4, 2)], 5)
    log = replace(log, values=np.float32([3, 1, 2, 1, 1, 1]))
    order = np.argsort(-scores(fitted(GPTopFreq(), log), log)[0], kind="stable")
    assert order.tolist() == [0, 2, 1, 3, 4]
    late_first = scores(fitted(GPTopFreq(fading=0.1), log), log)[0]
    assert np.argsort(-late_first, kind="stable").tolist() == [2, 1, 0, 3, 4]


def test_long_histories_that_fade_fast_keep_their_order():
    log = in_time([(0, item, item) for item in range(40)] + [(1, 41, 0)], 42)
    found = scores(fitted(GPTopFreq(fading=0.5), log), log)[0]
    assert np.argsort(-found, kind="stable")[:40].tolist() == list(range(39, -1, -1))
    assert len(set(found[:40].tolist())) == 40
    assert (found[40:] < found[:40].min()).all()


@pytest.mark.parametrize("similarity", ["dice", "jaccard", "tversky"])
def test_a_half_life_without_an_effect_is_refused(similarity):
    with pytest.raises(ValueError, match="half_life has no effect with similarity"):
        ItemKNN(similarity=similarity, half_life=3.0)
    assert ItemKNN(similarity=similarity, fading=0.9).config.fading == 0.9
    with pytest.raises(ValueError, match="half_life has no effect here"):
        GPTopFreq(half_life=3.0)


IN_DAYS = [
    lambda: EASE(l2=2.0, half_life=20.0),
    lambda: RecentPopularity(window=20.0),
    lambda: STAN(recency_decay=20.0),
]


@pytest.mark.parametrize("make", IN_DAYS)
@given(logs, st.sampled_from(["ms", "us", "ns"]))
def test_days_are_days_in_every_unit_of_the_times(make, log, unit):
    finer = replace(log, times=log.times * 1000 ** UNITS.index(unit), time_unit=unit)
    one, other = (scores(fitted(make(), each), log) for each in (log, finer))
    np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("make", IN_DAYS)
@given(logs)
def test_only_the_distance_of_times_counts_before_1970_too(make, log):
    earlier = replace(log, times=log.times - 4 * 10**9)
    one, other = (scores(fitted(make(), each), log) for each in (log, earlier))
    np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-7)


def test_an_option_that_is_off_is_no_other_identity_when_it_is_written():
    assert EASE(fading=1.0, half_life=None).config.model_dump() == EASE().config.model_dump()
