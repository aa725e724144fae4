"""Items of users in the order of time."""

import numpy as np
import pytest
from support.logs import in_time

from recrepro.errors import ModelError
from recrepro.interactions import UNKNOWN_TIME, Sequences


def test_items_come_in_the_order_of_time_at_the_right_end():
    train = in_time([(0, 4, 9), (0, 1, 7), (0, 2, 8), (2, 0, 5)], 5)
    found = Sequences(train).last(np.arange(3), 10)
    np.testing.assert_array_equal(found, [[2, 3, 5], [0, 0, 0], [0, 0, 1]])
    assert found.dtype == np.int32


def test_older_items_are_cut_and_the_last_can_be_left_out():
    train = in_time([(0, item, item) for item in range(6)] + [(1, 3, 0)], 6)
    sequences = Sequences(train)
    users = np.array([1, 0])
    np.testing.assert_array_equal(sequences.last(users, 3), [[0, 0, 4], [4, 5, 6]])
    np.testing.assert_array_equal(sequences.last(users, 3, without=1), [[0, 0, 0], [3, 4, 5]])


def test_unknown_times_come_first():
    train = in_time([(0, 0, -5), (0, 1, UNKNOWN_TIME), (0, 2, -9)], 3)
    np.testing.assert_array_equal(Sequences(train).last(np.array([0]), 3), [[2, 3, 1]])


def test_items_at_the_same_time_are_in_a_random_order_that_is_always_the_same():
    n_items = 50
    train = in_time([(user, item, 0) for user in range(20) for item in range(n_items)], n_items)
    everyone = np.arange(20)
    found = Sequences(train).last(everyone, n_items)
    np.testing.assert_array_equal(np.sort(found), np.tile(np.arange(1, n_items + 1), (20, 1)))
    np.testing.assert_array_equal(found, Sequences(train).last(everyone, n_items))
    rising = (np.diff(found) > 0).mean()
    assert 0.4 < rising < 0.6
    assert len(np.unique(found[:, -1])) > 10


def test_interactions_without_times_are_refused(interactions):
    with pytest.raises(ModelError, match="need the times"):
        Sequences(interactions([[1, 1]]))


def test_nobody_with_items_is_no_error():
    nothing = in_time([(0, 0, 0)], 3).select(np.array([False]))
    assert Sequences(nothing).last(np.array([0]), 5).shape == (1, 0)
