"""GMF: generalised matrix factorisation."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt
from pydantic import FiniteFloat
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from recrepro.interactions import Interactions
from recrepro.space import Choice, IntRange, LogUniform

from ._layers import embedding, lecun
from ._samples import labelled_pairs
from ._training import Batch, FactorModel, NeuralConfig


class GMFNetwork(nn.Module):
    """Two tables, whose product goes through a dense layer with one output."""

    def __init__(self, n_users: int, n_items: int, n_factors: int, std: float) -> None:
        super().__init__()
        self.users = embedding(n_users, n_factors, std)
        self.items = embedding(n_items, n_factors, std)
        self.output = lecun(n_factors, 1)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the logits of pairs."""
        logits: Tensor = self.output(self.users(users) * self.items(items)).squeeze(-1)
        return logits


class GMF(FactorModel):
    r"""Weigh the factors of a matrix factorisation, and learn them by logistic regression.

    He, Liao, Zhang, Nie, Hu & Chua: Neural collaborative filtering. WWW 2017, eq. 9.

    .. math::

        \hat y_{ui} = \sigma\bigl(h^\top (p_u \circ q_i) + b\bigr)

    learned by binary cross-entropy, with unseen items as negatives, drawn anew in every epoch.

    Notes
    -----
    Scores are logits. Factors start from N(0, `init_std`^2): the paper states 0.01, the released
    code has 0.05. Values of interactions are ignored. The number of epochs, which the released
    code picks on the test items, is found on validation data.
    """

    class Config(NeuralConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), Choice(8, 16, 32, 64)] = 64
        """Number of factors."""
        n_negatives: Annotated[int, Ge(1), IntRange(1, 10)] = 4
        """Unseen items drawn for each interaction."""
        batch_size: Annotated[int, Ge(1), Choice(128, 256, 512, 1024)] = 256
        """Number of samples for one step."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-2)] = 1e-3
        """Length of a step."""
        init_std: Annotated[FiniteFloat, Gt(0)] = 0.05
        """Standard deviation of the first factors."""

    network: GMFNetwork

    def build(self, train: Interactions) -> nn.Module:
        """Make the tables."""
        config = self.config
        return GMFNetwork(train.n_users, train.n_items, config.n_factors, config.init_std)

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw unseen items to every interaction."""
        return labelled_pairs(train, self.config.n_negatives, self.config.batch_size, rng)

    def loss(self, users: Tensor, items: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Return the binary cross-entropy."""
        return binary_cross_entropy_with_logits(self.network(users, items), labels)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Weigh the user's factors; the bias changes no order."""
        network = self.network
        return network.users.weight * network.output.weight, network.items.weight
