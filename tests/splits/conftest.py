"""Builders that the tests of splits share."""

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from recrepro.interactions import UNKNOWN_TIME, Interactions

Row = tuple[int, int, int | None]


@pytest.fixture(scope="session")
def log() -> Callable[..., Interactions]:
    """Make interactions from (user, item, time) rows, whose values tell the rows apart."""

    def make(rows: Iterable[Row], *, times: bool = True) -> Interactions:
        known = [(u, i, UNKNOWN_TIME if t is None else t) for u, i, t in rows]
        users, items, moments = np.array(known).T[:, np.lexsort(np.array(known).T[1::-1])]
        return Interactions(
            users.astype(np.int32),
            items.astype(np.int32),
            (users * 100 + items).astype(np.float32),
            moments if times else None,
            np.arange(users.max() + 1),
            np.arange(items.max() + 1),
        )

    return make


@pytest.fixture(scope="session")
def busy(log) -> Interactions:
    """Twenty users with one to twenty of forty items, no two at one time."""
    rng = np.random.default_rng(5)
    moments = iter(rng.permutation(1000).tolist())
    return log(
        (user, int(item), next(moments))
        for user in range(20)
        for item in rng.choice(40, user + 1, replace=False)
    )
