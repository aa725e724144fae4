"""Builders that the evaluation tests share."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import ArrayLike

from recrepro.interactions import Interactions
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
def interactions() -> Callable[[ArrayLike], Interactions]:
    """Make interactions from a dense matrix; zeros are no interactions."""

    def make(rows: ArrayLike) -> Interactions:
        matrix = np.asarray(rows, np.float32)
        users, items = np.nonzero(matrix)
        return Interactions(
            users.astype(np.int32),
            items.astype(np.int32),
            matrix[users, items],
            None,
            np.arange(matrix.shape[0]),
            np.arange(matrix.shape[1]),
        )

    return make


@pytest.fixture(scope="session")
def fixed() -> type[Fixed]:
    """Model class that scores from a table."""
    return Fixed
