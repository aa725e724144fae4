"""The matrix factorisation that ConvNCF starts from, and what both do alike."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt
from pydantic import FiniteFloat
from torch import Tensor, nn
from torch.nn.functional import softplus

from recrepro.interactions import Interactions

from ._optimizers import OptimizerName, make_optimizer
from ._samples import ranked_pairs
from ._training import Batch, FactorModel, NeuralConfig

FIRST_ACCUMULATOR = 0.1
"""What TensorFlow's AdaGrad starts its sums of squares from."""


def truncated(parameter: Tensor, std: float) -> None:
    """Draw numbers from a normal distribution that is cut at two standard deviations."""
    nn.init.trunc_normal_(parameter, std=std, a=-2 * std, b=2 * std)


class Tables(nn.Module):
    """Factors of users and items."""

    def __init__(self, n_users: int, n_items: int, n_factors: int, std: float) -> None:
        super().__init__()
        self.users = nn.Embedding(n_users, n_factors)
        self.items = nn.Embedding(n_items, n_factors)
        for table in (self.users, self.items):
            truncated(table.weight, std)


class MFBPR(FactorModel):
    """The matrix factorisation that ConvNCF starts from: products of factors, learned by BPR."""

    class Config(NeuralConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1)] = 64
        """Number of factors."""
        l2: Annotated[FiniteFloat, Ge(0)] = 0.01
        """Penalty of the factors of a sample."""
        init_std: Annotated[FiniteFloat, Gt(0)] = 0.01
        """Standard deviation of the first factors."""
        batch_size: Annotated[int, Ge(1)] = 512
        """Number of samples for one step."""
        learning_rate: Annotated[FiniteFloat, Gt(0)] = 0.05
        """Length of a step."""
        optimizer: OptimizerName = "adagrad"
        """What turns a gradient into a step."""

    network: Tables

    def build(self, train: Interactions) -> nn.Module:
        """Make the tables."""
        return Tables(*train.shape, self.config.n_factors, self.config.init_std)

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return one whose sums of squares start as TensorFlow's do."""
        config = self.config
        return [optimizer_of(config.optimizer, self.network, config.learning_rate)]

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw an unseen item to every interaction."""
        return full_batches(train, self.config.batch_size, rng)

    def loss(self, users: Tensor, own: Tensor, others: Tensor) -> Tensor:  # type: ignore[override]
        """Return the sum of a batch."""
        p, q, r = self.network.users(users), self.network.items(own), self.network.items(others)
        total: Tensor = softplus((p * (r - q)).sum(dim=1)).sum() + self.config.l2 * squares(p, q, r)
        return total

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the tables."""
        return self.network.users.weight, self.network.items.weight


def squares(*parts: Tensor) -> Tensor:
    """Return the sum of all squares."""
    return torch.stack([part.square().sum() for part in parts]).sum()


def optimizer_of(
    name: OptimizerName, module: nn.Module, learning_rate: float
) -> torch.optim.Optimizer:
    """Return an optimiser; sums of squares start as TensorFlow's do."""
    settings = {"initial_accumulator_value": FIRST_ACCUMULATOR} if name == "adagrad" else {}
    return make_optimizer(name, module.parameters(), learning_rate, **settings)


def full_batches(train: Interactions, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Yield users, items of theirs and unseen ones, without a last batch that is not full.

    If there is no full one, there is one of all samples.
    """
    for number, batch in enumerate(ranked_pairs(train, 1, batch_size, rng)):
        if number and len(batch[0]) < batch_size:
            return
        yield batch
