"""A pairwise factorisation that others start from, and the samples that both learn from."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from annotated_types import Ge
from pydantic import FiniteFloat
from torch import Tensor, nn
from torch.nn.functional import softplus

from recrepro.compute.sampling import draw_unseen
from recrepro.interactions import Interactions

from ._products import pair_products
from ._samples import in_batches
from ._training import Batch, NeuralConfig, PairModel

_STD = 0.01
"""Of the truncated normal distribution that tables start from."""


class PairwiseGMFNetwork(nn.Module):
    """Two tables, and the weights of their product."""

    def __init__(self, n_users: int, n_items: int, n_factors: int) -> None:
        super().__init__()
        self.users = truncated_table(n_users, n_factors)
        self.items = truncated_table(n_items, n_factors)
        self.output = nn.Linear(n_factors, 1, bias=False)
        nn.init.xavier_uniform_(self.output.weight)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the products of users and of each one's items, of shape (n, n_items_each)."""
        return pair_products(self.users(users) * self.output.weight, self.items.weight, items)


class PairwiseGMF(PairModel):
    """A weighted matrix factorisation, learned by BPR: what CMN starts from."""

    class Config(NeuralConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1)] = 50
        """Number of factors."""
        n_negatives: Annotated[int, Ge(1)] = 4
        """Unseen items drawn for each interaction."""
        l2: Annotated[FiniteFloat, Ge(0)] = 1e-3
        """Penalty of the weights of the product."""
        relu: bool = True
        """Whether scores below 0 become 0."""

    network: PairwiseGMFNetwork

    def build(self, train: Interactions) -> nn.Module:
        """Make the tables."""
        return PairwiseGMFNetwork(*train.shape, self.config.n_factors)

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw unseen items to every interaction."""
        return grouped_pairs(train, self.config.n_negatives, self.config.batch_size, rng)

    def loss(self, users: Tensor, items: Tensor) -> Tensor:  # type: ignore[override]
        """Return the loss of BPR, with the penalty."""
        scores = self._scores(users, items)
        penalty: Tensor = self.config.l2 / 2 * self.network.output.weight.square().sum()
        return softplus(scores[:, 1:] - scores[:, :1]).mean() + penalty

    def pair_scores(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the scores of pairs."""
        return self._scores(users, items[:, None]).squeeze(1)

    def _scores(self, users: Tensor, items: Tensor) -> Tensor:
        products: Tensor = self.network(users, items)
        return products.relu() if self.config.relu else products


def grouped_pairs(
    train: Interactions, n_negatives: int, batch_size: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Yield users, and in a row an item of the user's and unseen items that others have.

    Batches have about `batch_size` unseen items. Users with every item that anyone has are left
    out.
    """
    present = np.flatnonzero(train.item_counts).astype(np.int32)
    matrix = train.matrix if len(present) == train.n_items else train.matrix[:, present]
    chosen = np.flatnonzero(train.user_counts[train.users] < len(present))
    users = train.users[chosen]
    negatives = present[draw_unseen(rng, np.repeat(users, n_negatives), matrix)]
    items = np.column_stack([train.items[chosen], negatives.reshape(-1, n_negatives)])
    return in_batches((users, items), max(1, batch_size // n_negatives), rng)


def truncated_table(n: int, size: int) -> nn.Embedding:
    """Return a table with truncated normal rows."""
    table = nn.Embedding(n, size)
    nn.init.trunc_normal_(table.weight, 0, _STD, -2 * _STD, 2 * _STD)
    return table
