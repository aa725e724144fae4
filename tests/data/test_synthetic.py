"""The generator: exact counts, the same each time, and traits that models can find."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recrepro.data.synthetic import FIRST_DAY, LARGEST, N_DAYS, synthetic
from recrepro.errors import UsageError


@given(st.data())
def test_counts_are_exact(data):
    n_users = data.draw(st.integers(1, 30))
    n_items = data.draw(st.integers(1, 30))
    n = data.draw(st.integers(1, n_users * n_items))
    made = synthetic(n_users, n_items, n, seed=data.draw(st.integers(0, 99)), n_topics=5)
    assert made.shape == (n_users, n_items)
    assert len(made) == n
    key = made.users.astype(np.int64) * n_items + made.items
    assert (np.diff(key) > 0).all()
    assert made.user_counts.min() >= min(5, n // n_users, n_items)
    assert (made.values == 1).all()
    assert made.users.dtype == made.items.dtype == np.int32
    assert ((made.times >= FIRST_DAY) & (made.times <= FIRST_DAY + N_DAYS * 86_400)).all()


def test_the_seed_decides():
    first, again, other = (synthetic(50, 40, 600, seed=seed) for seed in (1, 1, 2))
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != other.fingerprint


@pytest.mark.parametrize("numbers", [(0, 5, 5), (5, 5, 0), (5, 5, 26)])
def test_what_cannot_be_made(numbers):
    with pytest.raises(UsageError, match=str(numbers[2])):
        synthetic(*numbers)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_absurd_sizes_are_refused_before_anything_is_made(at):
    numbers = [50, 40, 600]
    numbers[at] = 10**12
    with pytest.raises(UsageError, match=rf"at most {LARGEST:,} users.* given: .*{10**12}"):
        synthetic(*numbers)


@pytest.fixture(scope="module")
def made():
    return synthetic(2_000, 800, 60_000, seed=3)


def test_tails_are_long(made):
    for counts in (made.user_counts, made.item_counts):
        largest = np.sort(counts)[::-1]
        assert largest[: len(counts) // 5].sum() > 0.45 * counts.sum()
        assert counts.mean() > 1.2 * np.median(counts)


def test_taste_beats_popularity_and_popularity_beats_chance(made):
    held_out = np.random.default_rng(0).random(len(made)) < 0.2
    seen = made.select(~held_out).binarised().matrix.toarray()
    hidden = made.select(held_out).matrix.toarray() > 0
    norms = np.sqrt(seen.sum(axis=0)) + 1e-9
    similarity = seen.T @ seen / np.outer(norms, norms)
    np.fill_diagonal(similarity, 0)

    def recall(scores):
        top = np.argsort(-np.where(seen > 0, -np.inf, scores), axis=1)[:, :20]
        return np.take_along_axis(hidden, top, axis=1).sum() / hidden.sum()

    neighbours = recall(seen @ similarity)
    popular = recall(np.broadcast_to(seen.sum(axis=0), seen.shape))
    chance = recall(np.random.default_rng(1).random(seen.shape))
    assert neighbours > 1.5 * popular
    assert popular > 2 * chance


def test_time_brings_new_users_and_new_items(made):
    cut = np.quantile(made.times, 0.8)
    late = made.times > cut
    for of in (made.users, made.items):
        new = ~np.isin(of[late], of[~late])
        assert 0.005 < new.mean() < 0.9
    first = np.full(made.n_items, np.iinfo(np.int64).max)
    np.minimum.at(first, made.items, made.times)
    assert (first > FIRST_DAY + N_DAYS * 86_400 // 4).mean() > 0.1
