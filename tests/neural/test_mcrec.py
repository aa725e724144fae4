"""MCRec, and the paths that it looks at."""

from itertools import product
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.features import Features, FeatureSet  # noqa: E402
from recrepro.interactions import Interactions  # noqa: E402
from recrepro.neural._metapaths import METAPATHS, MetapathFinder, bytes_held  # noqa: E402


def cosine(a, b):
    a, b = a.astype(float), b.astype(float)
    return float(a @ b / sqrt((a @ a) * (b @ b)))


def linked(rows, n_neighbors):
    """Return who is linked with whom, and how similar they are, by definition."""
    n = len(rows)
    close = np.zeros((n, n))
    for a, b in product(range(n), repeat=2):
        if a != b and rows[a].any() and rows[b].any():
            close[a, b] = (rows[a] & rows[b]).sum() / sqrt(rows[a].sum() * rows[b].sum())
    links = np.zeros((n, n), bool)
    for a in range(n):
        for b in sorted(range(n), key=lambda other: -close[a, other])[:n_neighbors]:
            links[a, b] |= close[a, b] > 0
    return links | links.T, close


def all_paths(seen, had, user_vectors, item_vectors, limits, user, item):
    """Return the best instances of each meta-path between a user and an item, by definition."""
    n_neighbors, n_hops, n_instances, threshold = limits
    user_links, user_close = linked(seen, n_neighbors)
    item_links, item_close = linked(seen.T, n_neighbors)
    near = lambda u, m: cosine(user_vectors[u], item_vectors[m])  # noqa: E731
    mine = sorted(np.flatnonzero(seen[user]), key=lambda m: -near(user, m))[:n_hops]
    its = sorted(np.flatnonzero(seen[:, item]), key=lambda u: -near(u, item))[:n_hops]
    found = {name: [] for name in METAPATHS}  # how close, ties, nodes between
    for m in mine:
        for t in np.flatnonzero(had[m] & had[item]):
            found["umtm"].append((-near(user, m), mine.index(m), t, (m, t)))
        for s in np.flatnonzero(item_links[m] & item_links[item]):
            found["ummm"].append((-near(user, m), mine.index(m), -item_close[item, s], s, (m, s)))
        for v in its:
            if seen[v, m] and v != user:
                mean = (near(user, m) + near(v, m) + near(v, item)) / 3
                found["umum"].append((-mean, mine.index(m), its.index(v), (m, v)))
    for v in its:
        for w in np.flatnonzero(user_links[v] & user_links[user]):
            if v != user:
                ties = its.index(v), -user_close[user, w], w
                found["uuum"].append((-near(v, item), *ties, (w, v)))
    paths = []
    for name in METAPATHS:
        kept = [path for path in sorted(found[name]) if -path[0] > threshold]
        if name != "uuum":
            kept = [path for path in kept if path[-1][0] != item]
        paths.append([tuple(map(int, path[-1])) for path in kept[:n_instances]])
    return paths


@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(2, 9), st.integers(2, 9), st.integers(1, 4)),
    share=st.sampled_from([0.2, 0.5, 0.9]),
    limits=st.tuples(
        st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.sampled_from([-1.0, 0.0, 0.5])
    ),
)
def test_paths_are_those_of_the_definition(interactions, seed, shape, share, limits):
    rng = np.random.default_rng(seed)
    n_users, n_items, n_features = shape
    seen, had = rng.random((n_users, n_items)) < share, rng.random((n_items, n_features)) < 0.5
    vectors = [rng.standard_normal((n, 3)).astype(np.float32) for n in (n_users, n_items)]
    finder = MetapathFinder(interactions(seen), csr_array(had.astype(np.float32)), *limits)
    finder.measure(*vectors)
    users, items = (part.ravel().astype(np.int32) for part in np.indices(seen.shape))
    paths = finder.find(users, items)
    for user, item, found in zip(users, items, paths, strict=True):
        expected = all_paths(seen, had, *vectors, limits, user, item)
        got = [[tuple(p.tolist()) for p in some if p[0] >= 0] for some in found]
        assert got == expected, (user, item)
    finder.hold()
    np.testing.assert_array_equal(finder.find(users[::-1], items[::-1]), paths[::-1])
    assert finder.held.nbytes == bytes_held(shape, limits[2])
