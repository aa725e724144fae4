"""Builders that the evaluation tests share."""

import numpy as np
import pytest
from numpy.typing import ArrayLike

from recrepro.evaluation.metrics import Hits, Ranking
from recrepro.model import ModelConfig, Recommender


class Fixed(Recommender):
    """Scores from a table, one row a user; keeps what it was shown."""

    class Config(ModelConfig):
        """Nothing to set."""

    def __init__(self, table: ArrayLike) -> None:
        super().__init__()
        self.table = np.asarray(table)
        self.shown: list[tuple[np.ndarray, np.ndarray]] = []

    def fit(self, train, rng):
        return self

    def score(self, users, histories):
        self.shown.append((users.copy(), histories.toarray()))
        return self.table[users]


@pytest.fixture(scope="session")
def fixed() -> type[Fixed]:
    """Model class that scores from a table."""
    return Fixed


def make_ranking(made, *, catalogue=None, lists=None, n_unsampled=None):
    """Build a `Ranking` from one (hits, R, N) a user: hits are 0 or 1 (or values) from rank 1 on.

    N is the number of ranked items; hits behind it are refused.
    """
    users, ranks, numbers, values = [], [], [], []
    for user, (hits, _, n_ranked) in enumerate(made):
        places = [i for i, h in enumerate(hits, start=1) if h]
        assert all(place <= n_ranked for place in places)
        users += [user] * len(places)
        ranks += places
        numbers += range(1, len(places) + 1)
        values += [float(hits[i - 1]) for i in places]
    n_relevant = np.array([r for _, r, _ in made], np.int64)
    ones = np.concatenate([np.ones(r) for r in n_relevant])
    whole = ones
    if any(v != 1 for v in values):  # the relevant items that were not found have the value 1
        of_user = [
            [v for u, v in zip(users, values, strict=True) if u == n] for n in range(len(made))
        ]
        whole = np.concatenate(
            [
                sorted(v + [1.0] * (r - len(v)), reverse=True)
                for v, r in zip(of_user, n_relevant, strict=True)
            ]
        )
    found = Hits(
        *(np.array(a, t) for a, t in ((users, int), (ranks, int), (numbers, int), (values, float)))
    )
    n_ranked = np.array([n for *_, n in made], np.int64)
    return Ranking(found, n_relevant, n_ranked, whole, lists, catalogue, n_unsampled)


@pytest.fixture(scope="session")
def ranking():
    """Builder of rankings from hits, R and N of each user."""
    return make_ranking
