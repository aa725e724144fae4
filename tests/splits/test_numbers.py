"""Secret numbers of users and items."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recrepro.features import Features, FeatureSet
from recrepro.interactions import Interactions
from recrepro.splits.numbers import SecretNumbers, in_secret_order

HIDDEN = [f"hidden-{number}" for number in range(1000)]


@given(st.binary(min_size=32, max_size=32), st.integers(0, 50), st.integers(0, 50))
def test_numbers_are_permutations_that_the_key_decides(key, n_users, n_items):
    numbers = SecretNumbers.derive(key, n_users, n_items)
    assert sorted(numbers.users.tolist()) == list(range(n_users))
    assert sorted(numbers.items.tolist()) == list(range(n_items))
    again = SecretNumbers.derive(key, n_users, n_items)
    assert np.array_equal(again.users, numbers.users)
    assert np.array_equal(again.items, numbers.items)


def test_numbers_are_pinned():
    # Every result of a model that draws random numbers hangs on them.
    numbers = SecretNumbers.derive(bytes(range(32)), 6, 5)
    assert (numbers.users.tolist(), numbers.items.tolist()) == ([5, 3, 2, 4, 0, 1], [3, 4, 0, 1, 2])


def test_another_key_gives_other_numbers():
    found = [SecretNumbers.derive(bytes([n]) * 32, 100, 100) for n in range(3)]
    for n, one in enumerate(found):
        for other in found[n + 1 :]:
            # Of 100 places a random permutation keeps one on average.
            assert (one.users == other.users).sum() < 10
            assert (one.items == other.items).sum() < 10


def test_the_order_of_rows_and_labels_tells_nothing():
    n = 200
    frame = pd.DataFrame({"user": np.repeat(np.arange(n), 2), "item": np.arange(2 * n) % n})
    plain = Interactions.from_frame(frame)
    hidden = SecretNumbers.derive(b"k" * 32, n, n).hide(plain)
    assert np.array_equal(hidden.users, np.sort(hidden.users))
    assert hidden.user_ids.tolist() == hidden.item_ids.tolist() == HIDDEN[:n]
    with pytest.raises(ValueError, match="read-only"):
        hidden.user_ids[0] = "x"


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("side", ["user", "item"])
def test_features_move_with_their_users_and_items(side, links):
    rng = np.random.default_rng(3)
    numbers = SecretNumbers.derive(b"k" * 32, 7, 9)
    n, moved = (7, numbers.users) if side == "user" else (9, numbers.items)
    matrix = rng.random((n, n if links else 4)).astype(np.float32)
    matrix[matrix < 0.4] = 0
    ids = np.arange(n) + 100
    columns = ids if links else np.array(list("abcd"))
    one = FeatureSet(side, "x", ids, csr_array(matrix), columns, links)
    (hidden,) = numbers.hide_features(Features((one,))).sets
    found = hidden.matrix.toarray()
    for row in range(n):
        for column in range(matrix.shape[1]):
            to = moved[column] if links else column
            assert found[moved[row], to] == matrix[row, column]
    assert hidden.ids.tolist() == HIDDEN[:n]
    assert hidden.columns.tolist() == (HIDDEN[:n] if links else list("abcd"))


def test_labels_are_found_by_secret_number():
    numbers = np.array([2, 0, 1], np.int32)
    assert in_secret_order(np.array([10, 11, 12]), numbers).tolist() == [11, 12, 10]
