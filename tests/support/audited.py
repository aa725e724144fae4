"""Splits for the tests of the audit: every strategy, honest set-ups, and baskets."""

from dataclasses import replace
from functools import cache

import numpy as np

from recrepro.data.dataset import Dataset, PublishedSplit
from recrepro.data.synthetic import synthetic
from recrepro.interactions import Interactions
from recrepro.splits import SPLITS
from recrepro.splits.audit import audit_split
from recrepro.splits.draw import draw_split

EVERY = {
    "random-holdout": [{}, {"over": "all"}, {"fraction": 0.5}],
    "leave-one-out": [{}, {"pick": "random"}],
    "leave-k-out": [{"k": 3}, {"k": 3, "pick": "random"}],
    "temporal": [{}, {"fraction": 0.05}],
    "temporal-user": [{}],
    "sliding-windows": [{}, {"train_windows": 3}],
    "k-fold": [{}, {"over": "all"}],
    "unseen-users": [{}, {"pick": "last"}],
    "unseen-sessions": [{"fraction": 0.4, "hidden": 8}, {"fraction": 0.4, "hidden": 4}],
    "published": [{}, {"validation": "leave-one-out"}],
}
VARIANTS = [(name, options) for name, each in EVERY.items() for options in each]
BRIEFLY = [
    *((name, each[0]) for name, each in EVERY.items()),
    ("leave-one-out", {"pick": "random"}),
    ("unseen-users", {"pick": "last"}),
]
"""Every strategy once, or twice where it may keep to time."""


def made(rows):
    """Make interactions of (user, item, time) with labels 0, 1, 2, ..."""
    users, items, times = np.array(sorted(set(map(tuple, rows)))).T
    labels = (np.arange(n.max() + 1) for n in (users, items))
    ones = np.ones(len(users), np.float32)
    return Interactions(users.astype(np.int32), items.astype(np.int32), ones, times, *labels)


@cache
def dataset(seed=0, users=300, items=200, interactions=6000):
    """Make a data set whose published split is a random one."""
    whole = synthetic(users, items, interactions, seed=seed)
    held = np.random.default_rng(seed).random(len(whole)) < 0.2
    return Dataset("d", whole, PublishedSplit(whole.select(~held), whole.select(held)))


def drawn(name, options, seed=1, candidates="full", data=None):
    """Draw the last fold of a split; of the same data set each time if none is given."""
    if data is None and candidates == "full":
        return _drawn(name, tuple(options.items()), seed)
    splitter = SPLITS.resolve(name)(**options)
    return draw_split(data or dataset(), splitter, seed, candidates, fold=splitter.n_folds - 1)


@cache
def _drawn(name, options, seed):
    return drawn(name, dict(options), seed, data=dataset())


def found(audit):
    return {finding.id: finding for finding in audit.findings}


def untimed(part):
    return replace(part, times=None)


def world(rng, n_users=200, n_items=150, n=4000, uneven=(0.3, 1.1)):
    """Make a log of its own: tastes, uneven popularity, each user's times in a stretch."""
    appeal = 1 / (np.arange(n_items) + 5.0) ** rng.uniform(*uneven)
    sizes = np.maximum(rng.poisson(n / n_users, n_users), 6)
    starts = rng.integers(0, 10**6, n_users)
    groups = rng.integers(0, 5, n_items)
    rows = []
    for user in range(n_users):
        liked = appeal * np.where(groups == user % 5, 4.0, 1.0)
        size = min(sizes[user], n_items // 2)
        items = rng.choice(n_items, size, replace=False, p=liked / liked.sum())
        times = starts[user] + np.sort(rng.integers(0, 10**5, len(items)))
        rows += [(user, int(item), int(time)) for item, time in zip(items, times, strict=True)]
    return made(rows)


def repeat_consumption(rng, *, times=True):
    """Users who buy what they bought before, as often as not; the last of it is tested."""
    whole = world(rng)
    latest = {u: whole.times[whole.users == u].max() for u in range(whole.n_users)}
    rows = []
    for user in range(whole.n_users):
        mine = whole.items[whole.users == user]
        again = rng.choice(mine, min(len(mine), 3), replace=False)
        new = rng.choice(whole.items, 2)
        rows += [
            (user, int(item), int(latest[user]) + place + 1)
            for place, item in enumerate(dict.fromkeys([*again.tolist(), *new.tolist()]))
        ]
    test = made(rows)
    test = replace(test, user_ids=whole.user_ids, item_ids=whole.item_ids)
    return (whole, test) if times else (untimed(whole), untimed(test))


def random_exposure(rng, *, times=False):
    """Train as users chose; in test each item was shown to as many, and some were liked."""
    whole = world(rng, uneven=(1.2, 1.5))
    shown = rng.random((whole.n_users, whole.n_items)) < 0.05
    shown[whole.users, whole.items] = False
    liked = shown & (rng.random(shown.shape) < rng.uniform(0.3, 0.9, whole.n_items))
    users, items = (a.astype(np.int32) for a in np.nonzero(liked))
    moments = rng.integers(0, 10**6, len(users))
    ones = np.ones(len(users), np.float32)
    test = Interactions(users, items, ones, moments, whole.user_ids, whole.item_ids)
    return (whole, test) if times else (untimed(whole), untimed(test))


def long_tail(rng, *, times=False):
    """Test on a share of the interactions with the less popular items."""
    whole = world(rng)
    rank = np.argsort(np.argsort(-whole.item_counts))
    tail = rank >= rng.uniform(0.2, 0.5) * whole.n_items
    held = tail[whole.items] & (rng.random(len(whole)) < rng.uniform(0.2, 0.5))
    parts = whole.select(~held), whole.select(held)
    return parts if times else tuple(map(untimed, parts))


def drifting(rng, *, times=True):
    """Cut a log in time, in which other items come into fashion, at one moment for all."""
    rows, n_items = [], 150
    turn = rng.integers(0, n_items)
    for user in range(200):
        moments = np.sort(rng.integers(0, 1000, 25))
        for moment in moments:
            item = int((turn + rng.normal(moment / 10, 15)) % n_items)
            rows.append((user, item, int(moment)))
    first = {}
    for user, item, moment in rows:
        first.setdefault((user, item), moment)
    whole = made([(u, i, t) for (u, i), t in first.items()])
    late = whole.times > np.quantile(whole.times, rng.uniform(0.7, 0.9))
    parts = whole.select(~late), whole.select(late)
    return parts if times else tuple(map(untimed, parts))


def random_draw(rng, *, times=False):
    """Hold out a share of each user's interactions at random."""
    whole = world(rng)
    held = rng.random(len(whole)) < rng.uniform(0.1, 0.4)
    parts = whole.select(~held), whole.select(held)
    return parts if times else tuple(map(untimed, parts))


HONEST = {
    "random": random_draw,
    "temporal": drifting,
    "repeat": repeat_consumption,
    "random-exposure": random_exposure,
    "long-tail": long_tail,
}


def baskets(seed, users=250, items=300, per_user=6, size=4):
    """Make a data set whose users buy several items at a time."""
    rng = np.random.default_rng(seed)
    appeal = 1 / (np.arange(items) + 10.0)
    rows = []
    for user in range(users):
        chosen = rng.choice(items, per_user * size, replace=False, p=appeal / appeal.sum())
        days = np.sort(rng.choice(1000, per_user, replace=False))
        rows += [(user, int(i), int(t)) for i, t in zip(chosen, np.repeat(days, size), strict=True)]
    # Popular items have no smaller numbers than others.
    numbers = rng.permutation(items)
    return made([(u, int(numbers[i]), t) for u, i, t in rows])


def audit_parts(parts, **more):
    return audit_split(*parts, **more)
