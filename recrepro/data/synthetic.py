"""Made-up interactions with the traits that matter: long tails, tastes, arrivals, new items."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.compute.memory import require_memory
from recrepro.errors import UsageError
from recrepro.features import Features, FeatureSet, Side
from recrepro.interactions import Interactions
from recrepro.randomness import generator

FIRST_DAY = 1_577_836_800
"""2020-01-01, in seconds since 1970; nothing happens before."""

N_DAYS = 1_095
"""Length of the period in days."""

LARGEST = 100_000_000
"""At most so many users, items and interactions."""
BYTES_EACH = 200
"""Memory for each user, item and interaction: 120 to make and split them, the rest for a cell."""

_DAY_S = 86_400
_MIN_ACTIVITY = 5
_TOPICS_OF_A_USER = 3
_ON_TOPIC = 0.8
_NEW_ITEMS = 1 / 3
_ROUNDS = 20


def synthetic(
    n_users: int, n_items: int, n_interactions: int, seed: int = 0, n_topics: int = 20
) -> Interactions:
    """Make interactions from users who each like a few topics.

    A user acts within a stretch of the period of three years. Eight in ten actions fall on the
    user's three topics, the others anywhere; always in proportion to popularity (Zipf-like), and
    never before the item's release. One item in three is released during the period.

    Parameters
    ----------
    n_users, n_items : int
        The labels are 0, 1, 2, ...; an item may go without interactions.
    n_interactions : int
        Number of distinct pairs; like users and items at most `LARGEST`. Every user has at
        least 5 where the numbers allow it.
    seed : int
        Equal arguments and seeds give equal interactions.
    n_topics : int
        Number of topics; no more than items are used.

    Returns
    -------
    Interactions
        Every value is 1; times are in seconds since 1970.

    Raises
    ------
    UsageError
        If the numbers cannot be met, or need more memory than there is.
    """
    if min(n_users, n_items, n_interactions, n_topics) < 1:
        raise UsageError(
            f"users, items, interactions and topics must each be at least 1; given: {n_users}, "
            f"{n_items}, {n_interactions}, {n_topics}."
        )
    if max(n_users, n_items, n_interactions) > LARGEST:
        raise UsageError(
            f"the generator makes at most {LARGEST:,} users, items and interactions each; given: "
            f"{n_users} users, {n_items} items, {n_interactions} interactions. Ask for fewer."
        )
    if n_interactions > n_users * n_items:
        raise UsageError(
            f"{n_users} users and {n_items} items have {n_users * n_items} pairs, fewer than the "
            f"{n_interactions} interactions asked for. Ask for fewer, or for more users or items."
        )
    n_bytes = BYTES_EACH * (n_users + n_items + n_interactions)
    advice = "Ask for fewer users, items or interactions."
    require_memory("the generator of synthetic data", n_bytes, advice, UsageError)
    rng, catalogue, degrees, tastes = _world(n_users, n_items, n_interactions, seed, n_topics)
    arrivals = rng.uniform(0, 0.95 * N_DAYS, n_users)
    stays = (N_DAYS - arrivals) * rng.beta(1, 3, n_users)

    pairs, days = np.empty(0, np.int64), np.empty(0)
    missing = degrees
    for _ in range(_ROUNDS):
        users = np.repeat(np.arange(n_users), missing)
        when = arrivals[users] + stays[users] * rng.random(len(users))
        topics = tastes[users, rng.integers(_TOPICS_OF_A_USER, size=len(users))]
        items = catalogue.draw(rng, topics)
        out = catalogue.released[items] <= when
        pairs, days = _merge(pairs, days, (users * n_items + items)[out], when[out])
        missing = degrees - np.bincount(pairs // n_items, minlength=n_users)

    more_pairs, more_days = [pairs[:0]], [days[:0]]
    # Very active users have met nearly all that they would draw; they fill up with what is left.
    for user in np.flatnonzero(missing):
        begin, end = np.searchsorted(pairs, [user * n_items, (user + 1) * n_items])
        left = np.ones(n_items, bool)
        left[pairs[begin:end] - user * n_items] = False
        items = catalogue.pick(rng, np.flatnonzero(left), int(missing[user]))
        when = arrivals[user] + stays[user] * rng.random(len(items))
        more_pairs.append(user * n_items + items)
        more_days.append(np.maximum(when, catalogue.released[items]))
    pairs, days = _merge(pairs, days, np.concatenate(more_pairs), np.concatenate(more_days))

    return Interactions(
        (pairs // n_items).astype(np.int32),
        (pairs % n_items).astype(np.int32),
        np.ones(len(pairs), np.float32),
        FIRST_DAY + (days * _DAY_S).astype(np.int64),
        np.arange(n_users),
        np.arange(n_items),
    )


def synthetic_features(
    n_users: int, n_items: int, n_interactions: int, seed: int = 0, n_topics: int = 20
) -> Features:
    """Make side information of the users and items of `synthetic`, with the same arguments.

    Items have their topic and two topics more by chance, users the topics that they like and one
    more: what is known of them helps, and is not all.
    """
    _, catalogue, _, tastes = _world(n_users, n_items, n_interactions, seed, n_topics)
    rng = generator(seed, "synthetic", "features")
    n_topics = len(catalogue.mass)
    strays = (rng.integers(n_topics, size=(n_items, 2)), rng.integers(n_topics, size=(n_users, 1)))
    of_items = np.column_stack([catalogue.topics, strays[0]])
    return Features(
        (
            _topics("item", "topics", of_items, n_topics),
            _topics("user", "tastes", np.column_stack([tastes, strays[1]]), n_topics),
        )
    )


def _topics(side: Side, name: str, chosen: NDArray[np.int64], n_topics: int) -> FeatureSet:
    rows = np.repeat(np.arange(len(chosen)), chosen.shape[1])
    ones = np.ones(chosen.size, np.float32)
    matrix = csr_array((ones, (rows, chosen.ravel())), shape=(len(chosen), n_topics))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    columns = np.array([f"topic {number + 1}" for number in range(n_topics)])
    return FeatureSet(side, name, np.arange(len(chosen)), matrix, columns)


def _world(
    n_users: int, n_items: int, n_interactions: int, seed: int, n_topics: int
) -> "tuple[np.random.Generator, _Catalogue, NDArray[np.int64], NDArray[np.int64]]":
    """Draw the items, and how active users are and what they like, before anything happens."""
    rng = generator(seed, "synthetic")
    catalogue = _Catalogue(rng, n_items, min(n_topics, n_items))
    degrees = _activity(rng, n_users, n_items, n_interactions)
    tastes = rng.integers(len(catalogue.mass), size=(n_users, _TOPICS_OF_A_USER))
    return rng, catalogue, degrees, tastes


class _Catalogue:
    """The items: popularity, topic and release; kept in the order of their topics."""

    def __init__(self, rng: np.random.Generator, n_items: int, n_topics: int) -> None:
        self.popularity = rng.permutation((np.arange(n_items) + 10.0) ** -0.9)
        topics = np.concatenate([np.arange(n_topics), rng.integers(n_topics, size=n_items)])
        self.topics = topics = topics[:n_items]
        self.order = np.argsort(topics, kind="stable")
        self.reach = np.cumsum(self.popularity[self.order])
        self.mass = np.bincount(topics, self.popularity, minlength=n_topics)
        self.start = np.cumsum(self.mass) - self.mass
        new = rng.random(n_items) < _NEW_ITEMS
        self.released = np.where(new, rng.uniform(0, 0.9 * N_DAYS, n_items), 0.0)

    def draw(self, rng: np.random.Generator, topics: NDArray[np.int64]) -> NDArray[np.int64]:
        """Draw an item for each topic, or now and then from all items."""
        stray = rng.random(len(topics)) >= _ON_TOPIC
        start = np.where(stray, 0.0, self.start[topics])
        mass = np.where(stray, self.reach[-1], self.mass[topics])
        at = np.searchsorted(self.reach, start + mass * rng.random(len(topics)), side="right")
        return self.order[np.minimum(at, len(self.order) - 1)]

    def pick(
        self, rng: np.random.Generator, candidates: NDArray[np.int64], count: int
    ) -> NDArray[np.int64]:
        """Draw `count` distinct candidates, popular ones more often."""
        # The smallest of exponential variables with these rates are a weighted sample.
        keys = rng.exponential(size=len(candidates)) / self.popularity[candidates]
        return candidates[np.argsort(keys)[:count]]


def _activity(
    rng: np.random.Generator, n_users: int, n_items: int, n_interactions: int
) -> NDArray[np.int64]:
    """Share the interactions out to the users, log-normally."""
    floor = min(_MIN_ACTIVITY, n_interactions // n_users, n_items)
    most = max(n_items // 2, -(-n_interactions // n_users))
    weights = rng.lognormal(0.0, 1.1, n_users)
    degrees = np.full(n_users, floor, np.int64)
    while rest := n_interactions - int(degrees.sum()):
        free = np.flatnonzero(degrees < most)
        shares = rng.multinomial(rest, weights[free] / weights[free].sum())
        degrees[free] += np.minimum(shares, most - degrees[free])
    return degrees


def _merge(
    pairs: NDArray[np.int64],
    days: NDArray[np.float64],
    more_pairs: NDArray[np.int64],
    more_days: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Add those of `more_pairs` that are new to the sorted `pairs`."""
    new, first = np.unique(more_pairs, return_index=True)
    at = np.searchsorted(pairs, new)
    fresh = np.ones(len(new), bool)
    inside = at < len(pairs)
    fresh[inside] = pairs[at[inside]] != new[inside]
    return (
        np.insert(pairs, at[fresh], new[fresh]),
        np.insert(days, at[fresh], more_days[first[fresh]]),
    )
