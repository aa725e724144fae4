"""Rules from an item to those near it in time, and scoring by a user's latest items."""

from typing import Annotated, Any, Self

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.interactions import Interactions, Sequences, row_starts, sorting_order
from recrepro.model import ModelConfig, Recommender
from recrepro.space import IntRange

from ._kernels import rule_rows
from ._similarity import dense, kept_of_rows, power


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

    def exponents(self) -> tuple[float, float]:
        """Return the powers of popularity, from and to, that rules are divided by; here none."""
        return 0.0, 0.0

    def fading(self) -> NDArray[np.float64]:
        """Return the weights of a user's latest item, the one before it, ...; here one item."""
        return np.ones(1)

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Count the rules and find the latest items; nothing is random."""
        sequences = Sequences(train)
        self.rules = self.learn_rules(sequences, train)
        self.latest = self._latest(sequences, train.n_items)
        return self

    def score(
        self,
        users: NDArray[np.int32],
        histories: csr_array,  # noqa: ARG002  # they have no order
    ) -> NDArray[np.float32]:
        """Multiply the latest items with the rules."""
        return dense(self.fitted("latest")[users] @ self.rules)

    def learn_rules(self, sequences: Sequences, train: Interactions) -> csr_array:
        """Return the rules: weights of what follows each item, the largest of them."""
        places = sorting_order(sequences.items)
        ends = np.repeat(sequences.starts[1:], sequences.lengths)
        popularity = train.item_counts.clip(1).astype(np.float64)
        factors = [power(popularity, exponent) for exponent in self.exponents()]
        fixed = (row_starts(train.item_counts), places, sequences.items, ends, self.after())

        def run(first: int, last: int, *out: Any) -> None:
            rule_rows(first, last, *fixed, *factors, *out)

        return kept_of_rows(run, train.n_items, self.config.n_neighbors)

    def _latest(self, sequences: Sequences, n_items: int) -> csr_array:
        weights = self.fading()
        users = np.repeat(np.arange(len(sequences.lengths)), sequences.lengths)
        ages = sequences.starts[users + 1] - 1 - np.arange(len(users))
        counted = ages < len(weights)
        found = (
            weights[ages[counted]].astype(np.float32),
            (users[counted], sequences.items[counted]),
        )
        return csr_array(found, shape=(len(sequences.lengths), n_items))
