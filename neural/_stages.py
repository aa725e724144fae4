"""Parts of a network that learn before the rest, layer by layer."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn.functional import softplus

from recrepro.errors import ModelError
from recrepro.interactions import Interactions

from ._autoencoder import Layer
from ._content import Content, Rows, as_input, chosen_rows, masked, reconstruction_loss
from ._optimizers import make_optimizer
from ._samples import in_batches
from ._training import Batch, NeuralConfig, NeuralRecommender


class StageConfig(NeuralConfig):
    """Hyperparameters of a stage."""

    epochs: Annotated[int, Ge(0)] = 50
    """Number of epochs; 0 for none."""
    l2: Annotated[FiniteFloat, Ge(0)] = 0.0
    """Penalty of all parameters, if the optimiser knows one."""
    draws: bool = False
    """Whether batches are drawn one by one; else each row is in one batch of an epoch."""


class Stage(NeuralRecommender):
    """A part of a network that learns before the rest, in place."""

    Config = StageConfig

    def __init__(
        self, module: nn.Module, inputs: Content, loss: Callable[[Rows], Tensor], **settings: Any
    ) -> None:
        super().__init__(**settings)
        self._module, self._inputs, self._loss = module, inputs, loss

    def build(self, train: Interactions) -> nn.Module:  # noqa: ARG002
        """Take what is there."""
        return self._module

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return an optimiser, with the penalty."""
        return [penalised_optimizer(self.config, self.network)]

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:  # noqa: ARG002
        """Yield numbers of rows."""
        config = self.config
        return row_numbers(self._inputs.shape[0], config.batch_size, rng, draws=config.draws)

    def loss(self, numbers: Tensor) -> Tensor:  # type: ignore[override]
        """Return the loss of some rows."""
        return self._loss(chosen_rows(self._inputs, numbers))

    def score(
        self,
        users: NDArray[np.int32],  # noqa: ARG002
        histories: csr_array,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        """Refuse: it is a part only."""
        raise ModelError("a stage of a training scores nothing.")

    def _identity(self, train: Interactions) -> str:
        inputs = self._inputs
        parts: list[NDArray[Any]] = (
            [inputs]
            if isinstance(inputs, np.ndarray)
            else [inputs.indptr, inputs.indices, inputs.data]
        )
        digest = hashlib.sha256(super()._identity(train).encode())
        for part in parts:
            digest.update(part.tobytes())
        return digest.hexdigest()


def penalised_optimizer(config: Any, module: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser that a configuration names, with its penalty `l2` of all parameters.

    Raises
    ------
    ModelError
        If the optimiser knows no penalty.
    """
    if config.l2 and config.optimizer == "rmsprop-tf":
        raise ModelError('optimizer = "rmsprop-tf" knows no penalty: take another, or set l2 = 0.')
    settings = {"weight_decay": config.l2} if config.l2 else {}
    return make_optimizer(config.optimizer, module.parameters(), config.learning_rate, **settings)


def row_numbers(
    n: int, batch_size: int, rng: np.random.Generator, *, draws: bool
) -> Iterator[Batch]:
    """Yield batches of row numbers: each row once, or drawn anew for every whole batch."""
    if not draws:
        yield from in_batches((np.arange(n),), batch_size, rng)
        return
    size = min(n, batch_size)
    for _ in range(n // size):
        yield (rng.choice(n, size, replace=False, shuffle=False),)


def tied_layer(n_in: int, n_out: int) -> Layer:
    """Return a dense layer with Glorot-uniform weights, a row an input, and a bias of 0."""
    layer = Layer(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Denoising(nn.Module):
    """A layer as a denoising autoencoder, with the same weights back.

    Parameters
    ----------
    layer : Layer
        From inputs to hidden units, which are sigmoids.
    bias : Tensor, shape (n_in,)
        First bias of the outputs.
    mask : float
        Share of the inputs that are 0.
    dropout : float
        Share of the hidden units that are 0; the others are not scaled up.
    sparsity : float
        Times each hidden unit, this is added to the gradient of what its sigmoid is taken of.
    """

    def __init__(
        self, layer: Layer, bias: Tensor, mask: float, dropout: float = 0.0, sparsity: float = 0.0
    ) -> None:
        super().__init__()
        self.layer = layer
        self.bias = nn.Parameter(bias)
        self._noise = mask, dropout, sparsity

    def loss(self, rows: Rows) -> Tensor:
        """Return the mean loss of rows, which have to come out as they were before the mask."""
        mask, dropout, sparsity = self._noise
        before = self.layer(as_input(masked(rows, mask)))
        hidden = before.sigmoid()
        kept = torch.rand_like(hidden) >= dropout
        losses = reconstruction_loss(hidden * kept, self.layer.weight, self.bias, rows)
        if sparsity:
            losses = losses + sparsity * (kept * softplus(before)).sum(dim=1)
        return losses.mean()


def encoded(layer: Layer, content: Content) -> NDArray[np.float32]:
    """Return the hidden units of all rows."""
    rows = content if isinstance(content, csr_array) else torch.from_numpy(content)
    with torch.no_grad():
        device = layer.bias.device
        inputs = as_input(rows if isinstance(rows, csr_array) else rows.to(device))
        units: NDArray[np.float32] = layer(inputs).sigmoid_().cpu().numpy()
    return units
