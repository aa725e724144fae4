"""UltraGCN: a matrix factorisation whose losses are weighted by the graph of users and items."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from torch import Tensor, nn
from torch.nn.functional import softplus

from recrepro.compute.threads import share_rows
from recrepro.interactions import Interactions
from recrepro.space import Choice, LogUniform

from ._kernels import strongest_neighbours
from ._layers import embedding
from ._products import pair_products
from ._samples import pairs_with_drawn_items
from ._training import Batch, FactorModel, NeuralConfig


def degree_weights(train: Interactions) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what users and items contribute to beta, which is their product."""
    return _scales(train.user_counts)[0], _scales(train.item_counts)[1]


def item_neighbours(
    train: Interactions, n_neighbors: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return of each item the others of the largest omega, itself included, and these omegas.

    Where there are fewer, the rest are item 0 and 0.
    """
    by_user = train.matrix
    by_item = by_user.T.tocsr()
    degrees = by_item.astype(bool) @ train.user_counts  # row sums of the items' graph
    of_row, of_column = _scales(degrees)
    found = np.zeros((train.n_items, min(n_neighbors, train.n_items)), np.int32)
    strengths = np.zeros(found.shape, np.float32)
    graph = by_user.indptr, by_user.indices, by_item.indptr, by_item.indices
    share_rows(
        lambda first, last: strongest_neighbours(*graph, of_column, found, strengths, first, last),
        train.n_items,
    )
    return found, strengths * of_row[:, None]


def _scales(degrees: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return sqrt(d + 1) / d, which is 0 where d is, and 1 / sqrt(d + 1)."""
    roots = np.sqrt(degrees + 1.0)
    firsts = np.where(degrees > 0, roots / np.maximum(degrees, 1), 0)
    return firsts.astype(np.float32), (1 / roots).astype(np.float32)


class UltraGCNNetwork(nn.Module):
    """Two tables, and the constants of the graph."""

    user_weights: Tensor
    item_weights: Tensor
    neighbours: Tensor
    similarities: Tensor

    def __init__(self, train: Interactions, n_factors: int, n_neighbors: int, std: float) -> None:
        super().__init__()
        self.users = embedding(train.n_users, n_factors, std)
        self.items = embedding(train.n_items, n_factors, std)
        constants = *degree_weights(train), *item_neighbours(train, n_neighbors)
        names = "user_weights", "item_weights", "neighbours", "similarities"
        for name, constant in zip(names, constants, strict=True):
            self.register_buffer(name, torch.from_numpy(constant), persistent=False)


class UltraGCN(FactorModel):
    r"""Weigh the losses of a matrix factorisation as infinitely many graph convolutions would.

    Mao, Zhu, Xiao, Lu, Wang & He: UltraGCN: ultra simplification of graph convolutional networks
    for recommendation. CIKM 2021.

    .. math::

        \min \sum_{(u,i)} \Bigl( -(w_1 + w_2 \beta_{ui}) \ln \sigma(\hat y_{ui})
        - \frac{W}{N} \sum_{j} (w_3 + w_4 \beta_{uj}) \ln \sigma(-\hat y_{uj})
        - \lambda \sum_{k \in S(i)} \omega_{ik} \ln \sigma(\hat y_{uk}) \Bigr)
        + \tfrac{\gamma}{2} \bigl(\|P\|^2 + \|Q\|^2\bigr)

    with :math:`\hat y_{ui} = p_u^\top q_i`, over the interactions of a batch, each with N items j
    drawn from all, and with

    .. math::

        \beta_{ui} = \frac{\sqrt{d_u + 1}}{d_u \sqrt{d_i + 1}}, \qquad
        \omega_{ij} = \frac{\sqrt{D_i + 1}}{D_i \sqrt{D_j + 1}} A_{ij}, \qquad A = X^\top X, \quad
        D_i = \sum_j A_{ij}

    where d are numbers of interactions; S(i) are the items of the largest omega, which i itself
    usually is one of.

    Notes
    -----
    Losses are summed over a batch, as in the released code, and the penalty is of all factors, so
    that the batch size decides its share. Drawn items may be items of the user, unless
    `unseen_only`, which the released code has for Amazon-Electronics. Factors start from
    N(0, `init_std`^2). Values of interactions are ignored. The paper's A has a diagonal, too; the
    released code can set it to 0, which it does not.

    The defaults are those of the released code for Yelp2018. For Amazon-Books it has the weights of
    drawn items the other way round (w3 = 1, w4 = 1e-8): all count the same there.

    Omegas are found item by item, in no more memory than the neighbours take. The number of epochs,
    which the released code picks on the test items, is found on validation data; it trains for up
    to 2000.
    """

    class Config(NeuralConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), Choice(32, 64, 128, 256)] = 64
        """Number of factors."""
        n_negatives: Annotated[int, Ge(1), Choice(50, 100, 200, 500, 800, 1500)] = 800
        """Items N drawn for each interaction."""
        unseen_only: bool = False
        """Whether the items drawn are new to the user."""
        negative_weight: Annotated[FiniteFloat, Ge(0), LogUniform(10.0, 1500.0)] = 300.0
        """Weight W of the mean loss of drawn items."""
        positive_constant: Annotated[FiniteFloat, Ge(0)] = 1e-8
        """Weight w1 of an interaction, whatever its degrees."""
        positive_degrees: Annotated[FiniteFloat, Ge(0)] = 1.0
        """Weight w2 of an interaction's beta."""
        negative_constant: Annotated[FiniteFloat, Ge(0)] = 1e-8
        """Weight w3 of a drawn item, whatever its degrees."""
        negative_degrees: Annotated[FiniteFloat, Ge(0)] = 1.0
        """Weight w4 of a drawn item's beta."""
        l2: Annotated[FiniteFloat, Ge(0), LogUniform(1e-6, 1e-2)] = 1e-4
        """Penalty gamma of all factors, for each batch."""
        item_weight: Annotated[FiniteFloat, Ge(0), LogUniform(1e-4, 10.0)] = 5e-4
        """Weight lambda of the neighbours of the item."""
        n_neighbors: Annotated[int, Ge(1)] = 10
        """Number of neighbours of an item."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-2)] = 1e-3
        """Length of a step."""
        batch_size: Annotated[int, Ge(1), Choice(512, 1024, 2048)] = 1024
        """Number of interactions for one step."""
        init_std: Annotated[FiniteFloat, Gt(0)] = 1e-4
        """Standard deviation of the first factors."""

    network: UltraGCNNetwork

    def build(self, train: Interactions) -> nn.Module:
        """Make the tables, and find the weights."""
        c = self.config
        return UltraGCNNetwork(train, c.n_factors, c.n_neighbors, c.init_std)

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw items for the interactions of each batch."""
        c = self.config
        return pairs_with_drawn_items(
            train, c.n_negatives, c.batch_size, rng, unseen_only=c.unseen_only
        )

    def loss(self, users: Tensor, preferred: Tensor, others: Tensor) -> Tensor:  # type: ignore[override]
        """Return the sum of the weighted losses, and the penalty."""
        c, network = self.config, self.network
        near = network.neighbours[preferred]
        chosen = torch.cat([preferred[:, None], near, others], dim=1)
        scores = pair_products(network.users(users), network.items.weight, chosen)
        first = 1 + near.shape[1]
        of_users, of_items = network.user_weights[users], network.item_weights
        weights = c.positive_constant + c.positive_degrees * of_users * of_items[preferred]
        lost = (weights * softplus(-scores[:, 0])).sum()
        weights = c.negative_constant + c.negative_degrees * of_users[:, None] * of_items[others]
        share = c.negative_weight / c.n_negatives
        lost = lost + share * (weights * softplus(scores[:, first:])).sum()
        weights = network.similarities[preferred]
        lost = lost + c.item_weight * (weights * softplus(-scores[:, 1:first])).sum()
        norms = network.users.weight.square().sum() + network.items.weight.square().sum()
        total: Tensor = lost + c.l2 / 2 * norms
        return total

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the factors."""
        return self.network.users.weight, self.network.items.weight
