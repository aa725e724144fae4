"""Values by group against counting, and groups that are never arbitrary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recrepro.evaluation.groups import activity_groups, by_activity, by_popularity
from recrepro.evaluation.rankings import Evaluation


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(1, 6))
def test_groups_are_in_order_and_equal_users_stay_together(activity, n_groups):
    activity = np.array(activity)
    groups = activity_groups(activity, n_groups)
    assert set(groups.tolist()) == set(range(groups.max() + 1))
    assert groups.max() < n_groups
    order = np.argsort(activity, kind="stable")
    assert (np.diff(groups[order]) >= 0).all()
    for value in np.unique(activity):
        assert len(set(groups[activity == value].tolist())) == 1


def test_groups_are_of_equal_size_where_all_differ():
    assert (
        np.bincount(activity_groups(np.random.default_rng(0).permutation(40))).tolist() == [10] * 4
    )


def test_values_of_users_are_averaged_by_group(interactions):
    values = {"ndcg@10": np.array([0.1, 0.3, 0.5, 0.7])}
    evaluation = Evaluation(np.array([0, 2, 3, 5]), values, activity=np.array([4, 1, 8, 20]))
    found = by_activity(evaluation)
    assert [(g["activity"], g["users"]) for g in found] == [
        ([1, 1], 1),
        ([4, 4], 1),
        ([8, 8], 1),
        ([20, 20], 1),
    ]
    assert [g["means"]["ndcg@10"] for g in found] == pytest.approx([0.3, 0.1, 0.5, 0.7])


def test_held_out_items_are_counted_by_popularity(interactions):
    held = interactions([[1, 0, 0, 0, 1, 0], [1, 1, 0, 0, 0, 1]])
    ranks = np.array([3, 1, 0, 12, 5], np.int32)  # of items 0, 4, 0, 1, 5
    evaluation = Evaluation(np.array([0, 1]), {}, held=held, ranks=ranks)
    head, tail, cold = by_popularity(evaluation, np.array([9, 9, 3, 3, 3, 0]), [1, 10])
    found = [(g["group"], g["items"], g["held_out"]) for g in (head, tail, cold)]
    assert found == [("head", 2, 3), ("tail", 3, 1), ("cold", 1, 1)]
    assert head["recall"] == {"@1": 0.0, "@10": 1 / 3}
    assert tail["recall"] == {"@1": 1.0, "@10": 1.0}
    assert cold["recall"] == {"@1": 0.0, "@10": 1.0}
