"""LightGCN: factors that are averaged over neighbours in the graph of users and items."""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt
from pydantic import FiniteFloat
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn.functional import embedding as rows_of
from torch.nn.functional import softplus

from recrepro.compute.sampling import draw_unseen
from recrepro.interactions import Interactions
from recrepro.space import Choice, IntRange, LogUniform

from ._layers import embedding
from ._products import SparseMatrix
from ._samples import in_batches, learnable, ranked_pairs
from ._training import Batch, FactorModel, NeuralConfig


def normalised(train: Interactions) -> csr_array:
    """Return the matrix of interactions, each divided by the roots of both degrees.

    Their values are ignored.
    """
    of_users, of_items = (
        np.maximum(counts, 1) ** -0.5 for counts in (train.user_counts, train.item_counts)
    )
    values = (of_users[train.users] * of_items[train.items]).astype(np.float32)
    return csr_array((values, train.items, train.matrix.indptr), shape=train.shape)


class LightGCNNetwork(nn.Module):
    """Two tables, and the matrices that they are multiplied with."""

    def __init__(self, train: Interactions, n_factors: int, n_layers: int, std: float) -> None:
        super().__init__()
        self.n_layers = n_layers
        self.by_user = SparseMatrix(normalised(train))
        self.by_item = self.by_user.transposed
        self.by_item.transposed = self.by_user
        self.users = embedding(train.n_users, n_factors, std)
        self.items = embedding(train.n_items, n_factors, std)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Return the means of all layers of users and items, summed from the last to the first."""
        first_users, first_items = self.users.weight, self.items.weight
        users, items = first_users, first_items
        for _ in range(self.n_layers):
            of_users, of_items = self.by_user.times(items), self.by_item.times(users)
            users, items = first_users + of_users, first_items + of_items
        return users / (self.n_layers + 1), items / (self.n_layers + 1)


class LightGCN(FactorModel):
    r"""Average factors over neighbours, neighbours of neighbours and so on, and rank by them.

    He, Deng, Wang, Li, Zhang & Wang: LightGCN: simplifying and powering graph convolution network
    for recommendation. SIGIR 2020, eq. 7, 8 and 15.

    .. math::

        E^{(k+1)} = D^{-1/2} A D^{-1/2} E^{(k)}, \qquad
        E = \frac{1}{K+1} \sum_{k=0}^{K} E^{(k)}, \qquad \hat y_{ui} = e_u^\top e_i

    with A the adjacency matrix of users and items and D its row sums. First factors are learned by

    .. math::

        \min \frac{1}{|B|} \sum_{(u,i,j) \in B} \Bigl( -\ln \sigma(\hat y_{ui} - \hat y_{uj})
        + \tfrac{\lambda}{2} \bigl(\|e^{(0)}_u\|^2 + \|e^{(0)}_i\|^2 + \|e^{(0)}_j\|^2\bigr) \Bigr)

    over batches B of samples: user u has interacted with item i, and not with item j.

    Notes
    -----
    Layers are computed anew for every batch, from all interactions. Factors start from
    N(0, `init_std`^2). There is no dropout of edges, which the released code has, switched off.
    Values of interactions are ignored.

    Every interaction is a sample once an epoch, with an item drawn from those unseen. The released
    code has ``sampling = "users"``: as many samples as there are interactions, each a user, all
    equally often, and one of the user's items. The penalty is of the samples' first factors, as in
    the released code; the paper writes that of all.

    The number of epochs, which the released code picks on the test items, is found on validation
    data; it trains for 1000.
    """

    class Config(NeuralConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), Choice(32, 64, 128, 256)] = 64
        """Number of factors."""
        n_layers: Annotated[int, Ge(0), IntRange(1, 4)] = 3
        """Number of layers K above the first factors; with 0 it is a matrix factorisation."""
        l2: Annotated[FiniteFloat, Ge(0), LogUniform(1e-6, 1e-2)] = 1e-4
        """Penalty of the first factors, for each sample."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-2)] = 1e-3
        """Length of a step."""
        batch_size: Annotated[int, Ge(1), Choice(1024, 2048, 4096, 8192)] = 2048
        """Number of samples for one step."""
        sampling: Literal["interactions", "users"] = "interactions"
        """Whether samples are uniform over interactions, or over users and then their items."""
        init_std: Annotated[FiniteFloat, Gt(0)] = 0.1
        """Standard deviation of the first factors."""
        epochs: Annotated[int, Ge(1)] = 300
        """Number of epochs."""

    network: LightGCNNetwork

    def build(self, train: Interactions) -> nn.Module:
        """Make the graph and the table."""
        c = self.config
        return LightGCNNetwork(train, c.n_factors, c.n_layers, c.init_std)

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw an unseen item to every interaction, or to drawn ones."""
        if self.config.sampling == "interactions":
            return ranked_pairs(train, 1, self.config.batch_size, rng)
        pool = np.unique(train.users[learnable(train)])
        if not len(pool):
            return iter(())
        users = pool[rng.integers(len(pool), size=len(train))]
        chosen = train.matrix.indptr[users] + rng.integers(train.user_counts[users])
        samples = users, train.items[chosen], draw_unseen(rng, users, train.matrix)
        return in_batches(samples, self.config.batch_size)

    def loss(self, users: Tensor, preferred: Tensor, others: Tensor) -> Tensor:  # type: ignore[override]
        """Return the mean logistic loss of the differences, with the penalty."""
        network, both = self.network, torch.cat([preferred, others])
        of_users, of_items = network()
        p, (q, r) = rows_of(users, of_users), rows_of(both, of_items).chunk(2)
        lost = softplus((p * (r - q)).sum(dim=1)).mean()
        squares = network.users(users).square().sum() + network.items(both).square().sum()
        penalty: Tensor = self.config.l2 / 2 * squares / len(users)
        return lost + penalty

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the means of the layers."""
        vectors: tuple[Tensor, Tensor] = self.network()
        return vectors
