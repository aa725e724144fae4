"""DeepCF: layers above the product of user and item factors; CoupledCF without attributes."""

from collections.abc import Callable
from typing import Annotated

from annotated_types import Ge, Gt
from pydantic import FiniteFloat
from torch import Tensor, nn
from torch.nn.functional import linear

from recrepro.interactions import Interactions
from recrepro.space import Choice, IntRange, LogUniform

from ._layers import embedding, glorot, lecun
from ._logistic import LogisticPairModel
from ._training import NeuralConfig

FIRST_STD = 0.01
"""Standard deviation of the first factors."""


class ProductLayer(nn.Module):
    """A rectified layer above the product of two tables, as wide as these."""

    def __init__(self, n_users: int, n_items: int, n_factors: int) -> None:
        super().__init__()
        self.users = embedding(n_users, n_factors, FIRST_STD)
        self.items = embedding(n_items, n_factors, FIRST_STD)
        self.layer = glorot(n_factors, n_factors)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the layer for pairs."""
        hidden: Tensor = self.layer(self.users(users) * self.items(items)).relu_()
        return hidden

    def of_all_items(self, user: Tensor) -> Tensor:
        """Return the layer for a user and every item: the user's factors go into the weights."""
        weight = self.layer.weight * self.users(user)
        return linear(self.items.weight, weight, self.layer.bias).relu_()


class DeepCFNetwork(nn.Module):
    """Two rectified layers and an output above the product of two tables."""

    def __init__(self, n_users: int, n_items: int, n_factors: int, width: int) -> None:
        super().__init__()
        self.product = ProductLayer(n_users, n_items, n_factors)
        self.last = glorot(n_factors, width)
        self.output = lecun(width, 1)

    def above(self, hidden: Tensor) -> Tensor:
        """Return the logits, given the layer above the product."""
        logits: Tensor = self.output(self.last(hidden).relu_()).squeeze(-1)
        return logits

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the logits of pairs."""
        return self.above(self.product(users, items))

    def for_all_items(self) -> Callable[[Tensor], Tensor]:
        """Return a function of a user's number, with the logits of every item."""
        return lambda user: self.above(self.product.of_all_items(user))


class DeepCF(LogisticPairModel):
    r"""Put two layers above the product of a user's and an item's factors.

    Zhang, Cao, Zhu, Li & Sun: CoupledCF: learning explicit and implicit user-item couplings in
    recommendation for deep collaborative filtering. IJCAI 2018; there the part without attributes.

    .. math::

        \hat y_{ui} = \sigma\bigl(h^\top \mathrm{ReLU}(W_2 \mathrm{ReLU}(W_1 (p_u \circ q_i) + b_1)
        + b_2) + b\bigr)

    learned by binary cross-entropy, with unseen items as negatives, drawn anew in every epoch.

    Notes
    -----
    Scores are logits. Widths and first values are those of the released code: the first layer is as
    wide as the factors, these start from N(0, 0.01^2), layers Glorot-uniform. Values of
    interactions are ignored. The number of epochs, which the released code picks on the test items,
    for each metric another, is found on validation data.
    """

    class Config(NeuralConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), Choice(8, 16, 32, 64)] = 32
        """Number of factors, and width of the layer above their product."""
        width: Annotated[int, Ge(1), Choice(16, 32, 64, 128)] = 64
        """Width of the last layer."""
        n_negatives: Annotated[int, Ge(1), IntRange(1, 10)] = 4
        """Unseen items drawn for each interaction."""
        batch_size: Annotated[int, Ge(1), Choice(128, 256, 512, 1024)] = 256
        """Number of samples for one step."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-2)] = 1e-3
        """Length of a step."""

    network: DeepCFNetwork

    def build(self, train: Interactions) -> nn.Module:
        """Make tables and layers."""
        return DeepCFNetwork(*train.shape, self.config.n_factors, self.config.width)
