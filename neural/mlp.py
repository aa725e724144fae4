"""MLP: a multi-layer perceptron of the concatenated user and item factors."""

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from pydantic import FiniteFloat
from torch import Tensor, nn

from recrepro.interactions import Interactions
from recrepro.space import Choice, IntRange, LogUniform

from ._layers import embedding, glorot, lecun
from ._logistic import LogisticPairModel
from ._training import NeuralConfig


class Tower(nn.Module):
    """Two tables, concatenated, below layers that halve the width down to `n_factors`."""

    def __init__(
        self, n_users: int, n_items: int, n_factors: int, n_layers: int, std: float
    ) -> None:
        super().__init__()
        widths = [n_factors * 2**n for n in range(n_layers, -1, -1)]
        self.users = embedding(n_users, widths[0] // 2, std)
        self.items = embedding(n_items, widths[0] // 2, std)
        self.layers = nn.ModuleList(glorot(n_in, n_out) for n_in, n_out in pairwise(widths))

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the last layer for pairs."""
        hidden = torch.cat([self.users(users), self.items(items)], dim=-1)
        for layer in self.layers:
            hidden = layer(hidden).relu_()
        return hidden

    def for_all_items(self) -> Callable[[Tensor], Tensor]:
        """Return a function of a user's number, with the last layer for every item.

        The first layer is a sum of what the user and what the item adds; the latter is computed
        here, once.
        """
        first, half = self.layers[0], self.users.embedding_dim
        assert isinstance(first, nn.Linear)
        of_users, of_items = first.weight[:, :half], first.weight[:, half:]
        of_items = nn.functional.linear(self.items.weight, of_items, first.bias)

        def of_user(user: Tensor) -> Tensor:
            hidden: Tensor = (of_items + of_users @ self.users(user)).relu_()
            for layer in self.layers[1:]:
                hidden = layer(hidden).relu_()
            return hidden

        return of_user


class MLPNetwork(nn.Module):
    """A tower below a dense layer with one output."""

    def __init__(
        self, n_users: int, n_items: int, n_factors: int, n_layers: int, std: float
    ) -> None:
        super().__init__()
        self.tower = Tower(n_users, n_items, n_factors, n_layers, std)
        self.output = lecun(n_factors, 1)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the logits of pairs."""
        logits: Tensor = self.output(self.tower(users, items)).squeeze(-1)
        return logits

    def for_all_items(self) -> Callable[[Tensor], Tensor]:
        """Return a function of a user's number, with the logits of every item."""
        tower = self.tower.for_all_items()
        return lambda user: self.output(tower(user)).squeeze(-1)


class MLP(LogisticPairModel):
    r"""Let a perceptron find how user and item factors interact.

    He, Liao, Zhang, Nie, Hu & Chua: Neural collaborative filtering. WWW 2017, eq. 10.

    .. math::

        \hat y_{ui} = \sigma\bigl(h^\top \phi_L(\dots \phi_1([p_u, q_i])) + b\bigr), \qquad
        \phi_l(z) = \max(0, W_l z + b_l)

    learned by binary cross-entropy, with unseen items as negatives, drawn anew in every epoch.
    Each layer is half as wide as the one below; the last has `n_factors` outputs, p and q have
    :math:`2^{L-1}` times as many.

    Notes
    -----
    Scores are logits. Factors start from N(0, `init_std`^2): the paper states 0.01, the released
    code has 0.05. Values of interactions are ignored. The number of epochs, which the released
    code picks on the test items, is found on validation data.
    """

    class Config(NeuralConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), Choice(8, 16, 32, 64)] = 64
        """Width of the last layer."""
        n_layers: Annotated[int, Ge(1), IntRange(1, 4)] = 2
        """Number of layers above the factors."""
        n_negatives: Annotated[int, Ge(1), IntRange(1, 10)] = 4
        """Unseen items drawn for each interaction."""
        batch_size: Annotated[int, Ge(1), Choice(128, 256, 512, 1024)] = 256
        """Number of samples for one step."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-2)] = 1e-3
        """Length of a step."""
        init_std: Annotated[FiniteFloat, Gt(0)] = 0.05
        """Standard deviation of the first factors."""

    network: MLPNetwork

    def build(self, train: Interactions) -> nn.Module:
        """Make tables and layers."""
        c = self.config
        return MLPNetwork(train.n_users, train.n_items, c.n_factors, c.n_layers, c.init_std)
