"""Builders that the evaluation tests share."""

import numpy as np
import pytest
from numpy.typing import ArrayLike

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
