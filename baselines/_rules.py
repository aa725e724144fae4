"""Rules from an item to those near it in time, and scoring by a user's latest items."""

from typing import Annotated, Any, Self

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.compute.threads import share_rows
from recrepro.interactions import Interactions, Sequences, row_starts, sorting_order
from recrepro.model import ModelConfig, Recommender
from recrepro.space import IntRange

from ._kernels import rule_rows
from ._similarity import dense, power


class RulesConfig(ModelConfig):
    """What all models of rules have in common."""

    n_neighbors: Annotated[int, Ge(1), IntRange(20, 1000)] = 500
    """Number of rules kept for each item: those with the largest weights."""


class RulesModel(Recommender):
    """A model whose score is a sum of rules from the latest items of a user.

    Attributes
    ----------
    rules : csr_array of float32, shape (n_items, n_items)
        Row: item that a user has interacted with; column: item scored.
    latest : csr_array of float32, shape (n_users, n_items)
        How much each of the latest items of a user counts.
    """

    deterministic = True
    needs_times = True
    uses = ("order",)
    inductive = False

    Config = RulesConfig

    def after(self) -> NDArray[np.float64]:
        """Return what an item adds that follows 1, 2, ... places later; here the next one only."""
        return np.ones(1)

    def before(self) -> NDArray[np.float64]:
        """Return what an item adds that comes 1, 2, ... places earlier; here nothing."""
        return np.empty(0)

    def exponents(self) -> tuple[float, float]:
        """Return the powers of popularity, from and to, that rules are divided by; here none."""
        return 0.0, 0.0

    def fading(self) -> NDArray[np.float64]:
        """Return the weights of a user's latest item, the one before it, ...; here one item."""
        return np.ones(1)

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Count the rules and find the latest items; nothing is random."""
        sequences = Sequences(train)
        self.rules = self._rules(sequences, train)
        self.latest = self._latest(sequences, train.n_items)
        return self

    def score(
        self,
        users: NDArray[np.int32],
        histories: csr_array,  # noqa: ARG002  # they have no order
    ) -> NDArray[np.float32]:
        """Multiply the latest items with the rules."""
        return dense(self.fitted("latest")[users] @ self.rules)

    def _rules(self, sequences: Sequences, train: Interactions) -> csr_array:
        n_items = train.n_items
        n_kept = min(self.config.n_neighbors, n_items)
        places = sorting_order(sequences.items)
        ends = np.repeat(sequences.starts[1:], sequences.lengths)
        popularity = train.item_counts.clip(1).astype(np.float64)
        factors = [power(popularity, exponent) for exponent in self.exponents()]
        columns = np.empty((n_items, n_kept), np.int32)
        values = np.empty((n_items, n_kept), np.float32)
        counts = np.zeros(n_items, np.int64)
        fixed = (row_starts(train.item_counts), places, sequences.items, ends)
        weights: tuple[Any, ...] = (self.before(), self.after(), *factors)

        def run(first: int, last: int) -> None:
            rule_rows(first, last, *fixed, *weights, n_kept, columns, values, counts)

        share_rows(run, n_items)
        kept = np.arange(n_kept) < counts[:, np.newaxis]
        starts = np.append(0, counts.cumsum())
        return csr_array((values[kept], columns[kept], starts), shape=(n_items, n_items))

    def _latest(self, sequences: Sequences, n_items: int) -> csr_array:
        weights = self.fading()
        n_users = len(sequences.lengths)
        ages = (
            np.repeat(sequences.starts[1:], sequences.lengths) - 1 - np.arange(len(sequences.items))
        )
        counted = ages < len(weights)
        users = np.repeat(np.arange(n_users), sequences.lengths)[counted]
        found = (weights[ages[counted]].astype(np.float32), (users, sequences.items[counted]))
        return csr_array(found, shape=(n_users, n_items))
