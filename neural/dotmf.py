"""DotMF: a matrix factorisation with biases, by logistic regression on drawn items."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt
from pydantic import FiniteFloat
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from recrepro.interactions import Interactions
from recrepro.space import Choice, IntRange, LogUniform

from ._kernels import descend_logistic
from ._layers import embedding
from ._optimizers import OptimizerName
from ._samples import in_batches
from ._training import Batch, FactorModel, NeuralConfig

_SAMPLES_AT_ONCE = 2**16


class DotMFNetwork(nn.Module):
    """Two tables, whose last column has the biases, and a bias of all."""

    def __init__(self, n_users: int, n_items: int, n_factors: int, std: float) -> None:
        super().__init__()
        self.users = embedding(n_users, n_factors + 1, std)
        self.items = embedding(n_items, n_factors + 1, std)
        self.bias = nn.Parameter(torch.zeros(1))
        for table in (self.users, self.items):
            nn.init.zeros_(table.weight[:, -1])


class DotMF(FactorModel):
    r"""Factorise the matrix by logistic regression on interactions and items drawn from all.

    Rendle, Krichene, Zhang & Anderson: Neural collaborative filtering vs. matrix factorization
    revisited. RecSys 2020.

    .. math::

        \hat y_{ui} = b + b_u + b_i + p_u^\top q_i, \qquad
        \min \sum_{(u,i,y)} \Bigl( -\ln \sigma\bigl((2y - 1)\, \hat y_{ui}\bigr)
        + \tfrac{\lambda}{2} \bigl(\|p_u\|^2 + \|q_i\|^2 + b_u^2 + b_i^2 + b^2\bigr) \Bigr)

    over the interactions, with y = 1, and N drawn items for each of them, with y = 0.

    Notes
    -----
    Drawn items may be items of the user, and are drawn anew in every epoch. Every sample makes a
    step of its own, as in the paper. (In the released code the item's step sees the user's factors
    after theirs; here both are from before.) Factors start from N(0, `init_std`^2), biases from 0.
    `n_factors` counts no bias: the dimension 192 of the paper is 191 here. Values of interactions
    are ignored.

    In a batch losses and penalties are summed: its step is the sum of those that its samples would
    make alone, each from the parameters before the batch. That takes longer than single steps,
    which are compiled, and run on the CPU in one thread wherever the parameters are.

    The defaults are the paper's for MovieLens 1M; for Pinterest it has ``l2 = 0.01``,
    ``n_negatives = 10`` and ``learning_rate = 0.007``.
    """

    class Config(NeuralConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), Choice(15, 31, 63, 95, 127, 191)] = 191
        """Number of factors."""
        n_negatives: Annotated[int, Ge(1), IntRange(1, 16)] = 8
        """Items drawn for each interaction."""
        l2: Annotated[FiniteFloat, Ge(0), LogUniform(1e-4, 1e-1)] = 0.005
        """Penalty of factors and biases, for each sample."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-1)] = 0.002
        """Length of a step, for each sample."""
        batch_size: Annotated[int, Ge(1)] = 1
        """Number of samples for one step."""
        optimizer: OptimizerName = "sgd"
        """What turns a gradient into a step."""
        init_std: Annotated[FiniteFloat, Gt(0)] = 0.1
        """Standard deviation of the first factors."""
        epochs: Annotated[int, Ge(1)] = 256
        """Number of epochs."""

    network: DotMFNetwork

    def build(self, train: Interactions) -> nn.Module:
        """Make the tables."""
        config = self.config
        return DotMFNetwork(train.n_users, train.n_items, config.n_factors, config.init_std)

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw items to every interaction, and shuffle all."""
        return self._samples(train, rng, self.config.batch_size)

    def loss(self, users: Tensor, items: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Return the sum of the losses and penalties of samples."""
        bias = self.network.bias
        p, q = self.network.users(users), self.network.items(items)
        logits = (p[:, :-1] * q[:, :-1]).sum(dim=1) + p[:, -1] + q[:, -1] + bias
        lost = binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        squares = p.square().sum() + q.square().sum() + len(users) * bias.square().sum()
        total: Tensor = lost + self.config.l2 / 2 * squares
        return total

    def train_epoch(self, train: Interactions, rng: np.random.Generator) -> dict[str, float]:
        """Train for an epoch: single steps of SGD in a compiled loop, others as all models do."""
        config, network = self.config, self.network
        if config.batch_size > 1 or config.optimizer != "sgd" or config.clip_norm:
            return super().train_epoch(train, rng)
        tensors = [network.users.weight.data, network.items.weight.data, network.bias.data]
        arrays = [tensor.cpu().numpy() for tensor in tensors]
        lost, n = 0.0, 0
        for samples in self._samples(train, rng, _SAMPLES_AT_ONCE):
            lost += descend_logistic(*samples, *arrays, config.learning_rate, config.l2)
            n += len(samples[0])
        for tensor, array in zip(tensors, arrays, strict=True):
            tensor.copy_(torch.from_numpy(array))
        return {"loss": lost / max(n, 1)}

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return factors and biases, so that products are logits."""
        p, q = self.network.users.weight, self.network.items.weight
        ones_of_users, ones_of_items = torch.ones_like(p[:, :1]), torch.ones_like(q[:, :1])
        of_users = torch.cat([p[:, :-1], ones_of_users, p[:, -1:] + self.network.bias], dim=1)
        return of_users, torch.cat([q, ones_of_items], dim=1)

    def _samples(self, train: Interactions, rng: np.random.Generator, size: int) -> Iterator[Batch]:
        """Yield users, items and labels, so many at a time."""
        of_each = 1 + self.config.n_negatives
        numbers = np.arange(len(train) * of_each)
        for (chosen,) in in_batches((numbers,), size, rng):
            pairs, which = np.divmod(chosen, of_each)
            drawn = rng.integers(train.n_items, size=len(chosen), dtype=np.int32)
            items = np.where(which == 0, train.items[pairs], drawn)
            yield train.users[pairs], items, (which == 0).astype(np.float32)
