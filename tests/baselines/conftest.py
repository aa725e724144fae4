from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from recrepro.interactions import Interactions
from recrepro.model import Recommender


@pytest.fixture(scope="session")
def toy(interactions) -> Interactions:
    """The matrix of the worked examples."""
    return interactions([[1, 1, 0], [0, 1, 1], [1, 0, 0]])


@pytest.fixture(scope="session")
def scores(interactions) -> Callable[[Recommender, ArrayLike], NDArray[np.float32]]:
    """Fit a model on a dense matrix and score its users."""

    def fit_and_score(model: Recommender, rows: ArrayLike) -> NDArray[np.float32]:
        train = interactions(rows)
        model.fit(train, np.random.default_rng(0))
        return model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)

    return fit_and_score


@pytest.fixture(scope="session")
def item_weights(interactions) -> Callable[[Recommender, ArrayLike], NDArray[np.float32]]:
    """Fit a model on a dense matrix and return its item weights as a dense array."""

    def learn(model: Recommender, rows: ArrayLike) -> NDArray[np.float32]:
        weights = model.fit(interactions(rows), np.random.default_rng(0)).item_weights
        return weights if isinstance(weights, np.ndarray) else weights.toarray()

    return learn


@pytest.fixture(scope="session")
def largest() -> Callable[[NDArray[np.floating], int], NDArray[np.floating]]:
    """Keep the k largest positive values of each row; of equal ones the leftmost."""

    def keep(values: NDArray[np.floating], k: int) -> NDArray[np.floating]:
        kept = np.zeros_like(values)
        for row, out in zip(values, kept, strict=True):
            for j in np.lexsort((np.arange(len(row)), -row))[:k]:
                out[j] = max(row[j], 0)
        return kept

    return keep
