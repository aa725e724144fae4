"""Neighbours of a user's latest items: the histories of others that share some of them."""

from typing import Annotated, Self

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.compute.threads import share_rows
from recrepro.interactions import UNKNOWN_TIME, Interactions, Sequences, row_starts, sorting_order
from recrepro.model import ModelConfig, Recommender
from recrepro.space import IntRange

from ._kernels import session_rows


class SessionConfig(ModelConfig):
    """What all models of neighbouring sessions have in common."""

    n_neighbors: Annotated[int, Ge(1), IntRange(20, 1000)] = 100
    """Number of most similar histories that count."""
    n_candidates: Annotated[int, Ge(1), IntRange(500, 10_000)] = 1000
    """Of the histories that share an item, how many are compared: those that ended last."""
    n_latest: Annotated[int, Ge(1), IntRange(1, 50)] = 10
    """How many of a user's latest items are the session."""


class SessionModel(Recommender):
    """A model that scores by the histories that are most similar to a user's latest items.

    Attributes
    ----------
    sequences : Sequences
        Histories of the training data in the order of time: the possible neighbours.
    ends : array of float64, shape (n_users,)
        When each of them ended, in the unit of the times; 0 for users without interactions that
        have a time.
    day : int
        Length of a day in this unit.
    sessions : Sequences
        Histories whose latest items are the sessions; those of the training data after `fit`.
    """

    deterministic = True
    needs_times = True
    uses = ("times",)

    Config = SessionConfig

    def session_weights(self, n: int) -> NDArray[np.float64]:
        """Return the weights of the items of a session of n items, the latest first; here 1."""
        return np.ones(n)

    def match_weights(self) -> NDArray[np.float64]:
        """Return what a history counts by its latest item in common, the latest first; here 1."""
        return np.ones(self.config.n_latest)

    def factors(self, lengths: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what the similarity to each history is multiplied with, by its length."""
        factors: NDArray[np.float64] = 1 / np.sqrt(lengths.clip(1))
        return factors

    def decays(self) -> tuple[float, float]:
        """Return the rates at which histories count less per unit of time, and items per place."""
        return 0.0, 0.0

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Order the histories; nothing is random."""
        self.sequences, self.ends, self.day = Sequences(train), _ends(train), train.day
        self.sessions, self._session_ends = self.sequences, self.ends
        order = np.argsort(self.ends, kind="stable")
        self.recency = np.empty(train.n_users, np.int64)
        self.recency[order] = np.arange(train.n_users)
        self._places = sorting_order(self.sequences.items)
        self._place_starts = row_starts(train.item_counts)
        self._owners = np.repeat(np.arange(train.n_users), self.sequences.lengths)
        self._n_items = train.n_items
        return self

    def set_histories(self, histories: Interactions) -> None:
        """Take the latest items of each user from here."""
        self.sessions, self._session_ends = Sequences(histories), _ends(histories)

    def score(
        self,
        users: NDArray[np.int32],
        histories: csr_array,  # noqa: ARG002  # rows have no order: see set_histories
    ) -> NDArray[np.float32]:
        """Find the neighbours of each user and add up their items."""
        sequences, sessions = self.fitted("sequences"), self.sessions
        c = self.config
        weights = np.zeros((c.n_latest, c.n_latest))
        for n in range(1, c.n_latest + 1):
            weights[n - 1, :n] = self.session_weights(n)
        found = np.zeros((len(users), self._n_items), np.float32)
        fixed = (
            *(users.astype(np.int64), sessions.starts, sessions.items, self._session_ends),
            *(sequences.starts, sequences.items),
            *(self._place_starts, self._places, self._owners),
            *(weights, self.match_weights(), self.factors(sequences.lengths)),
            *(self.ends, self.recency, *(-rate for rate in self.decays())),
            *(c.n_candidates, c.n_neighbors, found),
        )
        share_rows(lambda first, last: session_rows(first, last, *fixed), len(users))
        return found


def _ends(histories: Interactions) -> NDArray[np.float64]:
    """Return when each user's history ended; 0 without interactions with a time."""
    assert histories.times is not None
    ends = np.full(histories.n_users, UNKNOWN_TIME)
    np.maximum.at(ends, histories.users, histories.times)
    return np.where(ends == UNKNOWN_TIME, 0, ends).astype(np.float64)
