"""Random scores: the floor of every comparison."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.interactions import Interactions
from recrepro.model import ModelConfig, Recommender


class Random(Recommender):
    """Independent uniform scores.

    The score of a user and an item depends on the seed and these two alone: user u reads its
    own stretch of one counter-based stream (Philox), whatever the batch.

    Attributes
    ----------
    key : int
        Key of the stream, drawn in `fit`.
    """

    class Config(ModelConfig):
        """There is nothing to set."""

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Draw the key of the stream; the interactions do not matter."""
        self.key = int(rng.integers(2**63))
        return self

    def score(self, users: NDArray[np.int32], histories: csr_array) -> NDArray[np.float32]:
        """Draw scores in [0, 1)."""
        key = self.fitted("key")
        scores = np.empty(histories.shape, np.float32)
        for row, user in zip(scores, users, strict=True):
            stream = np.random.Philox(key=key, counter=[0, 0, int(user), 0])
            np.random.Generator(stream).random(out=row, dtype=np.float32)
        return scores
