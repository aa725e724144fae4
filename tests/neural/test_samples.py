import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="neural models need torch")

from recrepro.interactions import Interactions
from recrepro.neural._samples import in_batches, labelled_pairs, ranked_pairs


@st.composite
def interactions(draw):
    matrix = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random((6, 5)) < 0.5
    matrix[0] = draw(st.booleans())  # a user with every item, or with none
    users, items = np.nonzero(matrix)
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.full(len(users), 3, np.float32),
        None,
        np.arange(6),
        np.arange(5),
    )


def joined(batches):
    return tuple(np.concatenate(parts) for parts in zip(*batches, strict=True))


def learnable_pairs(train):
    full = train.user_counts == train.n_items
    return sorted((u, i) for u, i in zip(train.users, train.items, strict=True) if not full[u])


@given(interactions(), st.integers(1, 4), st.integers(1, 9))
def test_every_interaction_once_and_unseen_items_of_the_same_users(train, n_negatives, size):
    if not learnable_pairs(train):
        return
    rng = np.random.default_rng(1)
    users, items, labels = joined(labelled_pairs(train, n_negatives, size, rng))
    positive = labels == 1
    assert sorted(zip(users[positive], items[positive], strict=True)) == learnable_pairs(train)
    seen = train.matrix.toarray() > 0
    assert not seen[users[~positive], items[~positive]].any()
    per_user = np.bincount(users[positive], minlength=train.n_users)
    np.testing.assert_array_equal(
        np.bincount(users[~positive], minlength=train.n_users), n_negatives * per_user
    )


@given(interactions(), st.integers(1, 4), st.integers(1, 9))
def test_pairs_are_ranked_an_own_item_before_an_unseen_one(train, n_negatives, size):
    if not learnable_pairs(train):
        return
    rng = np.random.default_rng(1)
    users, own, others = joined(ranked_pairs(train, n_negatives, size, rng))
    assert sorted(zip(users, own, strict=True)) == sorted(learnable_pairs(train) * n_negatives)
    assert not (train.matrix.toarray() > 0)[users, others].any()


@given(st.integers(1, 30), st.integers(1, 8), st.booleans())
def test_batches_hold_every_sample_once_and_only_the_last_is_small(n, size, shuffled):
    rng = np.random.default_rng(1) if shuffled else None
    numbers = np.arange(n)
    batches = list(in_batches((numbers, -numbers), size, rng))
    assert [len(one) for one, _ in batches[:-1]] == [size] * (len(batches) - 1)
    assert 0 < len(batches[-1][0]) <= size
    first, second = joined(batches)
    np.testing.assert_array_equal(first, -second)
    np.testing.assert_array_equal(np.sort(first) if shuffled else first, numbers)
