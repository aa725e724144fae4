"""Interactions with times, from rows."""

import numpy as np

from recrepro.interactions import Interactions


def in_time(rows, n_items, n_users=None):
    """Make interactions of (user, item, time); by default with the users that have some."""
    users, items, times = np.array(sorted(rows), np.int64).reshape(-1, 3).T
    n_users = users.max() + 1 if n_users is None else n_users
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.ones(len(users), np.float32),
        times,
        np.arange(n_users),
        np.arange(n_items),
    )
