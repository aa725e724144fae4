"""ConvNCF: convolutions on the outer product of user and item factors."""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray
from pydantic import AfterValidator, FiniteFloat
from torch import Tensor, nn
from torch.nn.functional import linear, pad, softplus

from recrepro.interactions import Interactions
from recrepro.randomness import generator
from recrepro.space import Choice, IntRange, LogUniform, OnlyWhere

from ._mfbpr import MFBPR, Tables, full_batches, optimizer_of, squares, truncated
from ._optimizers import OptimizerName
from ._training import Batch, NeuralConfig, PairModel

Map = Literal["full", "diagonal", "off-diagonal"]
FIRST_BIAS = 0.1
"""Of convolutions."""
_WHOLE_BLOCK = 16
"""Pairs that are scored at once are a multiple of it: BLAS sums those left over differently."""
_ROWS_AT_ONCE = {"cpu": 2**16, "cuda": 2**22}
"""Cells of the first layer that are computed at once: on a CPU they stay in the cache."""


def power_of_two(n: int) -> int:
    """Refuse other numbers."""
    if n & (n - 1):
        raise ValueError("must be a power of two, since each layer halves the sides of the map")
    return n


def nested_order(side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of a square's cells, in an order with all patches side by side.

    The first four cells are a patch of 2 x 2; the next three fours are the patches that make one of
    4 x 4 with it, and so on.
    """
    places = np.arange(side * side)
    rows, columns = np.zeros_like(places), np.zeros_like(places)
    for bit in range(side.bit_length() - 1):
        rows |= (places >> (2 * bit + 1) & 1) << bit
        columns |= (places >> (2 * bit) & 1) << bit
    return rows, columns


class ConvNetwork(nn.Module):
    """Tables below convolutions of their outer product, which end in one cell, and an output.

    Parameters
    ----------
    tables : Tables
        With a power of two as number of factors.
    n_channels : int
        Numbers for each cell of a layer.
    std : float
        Standard deviation of the first weights.
    dropout : float
        Share of the channels that are dropped below the output.
    order : array of int
        Order of the factors in the map.
    part : str
        Which cells of the map are not 0.
    """

    rows: Tensor
    columns: Tensor
    kept: Tensor | None
    started: Tensor

    def __init__(
        self,
        tables: Tables,
        n_channels: int,
        std: float,
        dropout: float,
        order: NDArray[np.int64],
        part: Map,
    ) -> None:
        super().__init__()
        side = len(order)
        self.tables = tables
        widths = [1, *[n_channels] * (side.bit_length() - 1)]
        layers = [nn.Conv2d(n_in, n_channels, 2, stride=2) for n_in in widths[:-1]]
        self.layers = nn.ModuleList(layers)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(n_channels, 1)
        for layer in layers:
            truncated(layer.weight, std)
            layer.bias = nn.Parameter(torch.full((n_channels,), FIRST_BIAS))
        truncated(self.output.weight, std)
        truncated(self.output.bias, std)
        rows, columns = nested_order(side)
        kept = {
            "full": None,
            "diagonal": torch.from_numpy((rows == columns).astype(np.float32)),
            "off-diagonal": torch.from_numpy((rows != columns).astype(np.float32)),
        }[part]
        self.register_buffer("rows", torch.from_numpy(order[rows]), persistent=False)
        self.register_buffer("columns", torch.from_numpy(order[columns]), persistent=False)
        self.register_buffer("kept", kept, persistent=False)
        self.register_buffer("started", torch.tensor(False))

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the scores of pairs of vectors."""
        size = max(1, 4 * _ROWS_AT_ONCE[left.device.type] // len(self.rows))
        parts = zip(torch.split(left, size), torch.split(right, size), strict=True)
        cells = [self._convolve(*part) for part in parts]
        scores: Tensor = self.output(self.dropout(torch.cat(cells))).squeeze(1)
        return scores

    def _convolve(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the channels of the last cell; in nested order each layer is a dense product."""
        hidden = left[:, self.rows] * right[:, self.columns]
        if self.kept is not None:
            hidden = hidden * self.kept
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d)
            weight = layer.weight.permute(0, 2, 3, 1).flatten(1)
            hidden = linear(hidden.reshape(-1, weight.shape[1]), weight, layer.bias).relu_()
        return hidden


class ConvNCF(PairModel):
    r"""Convolve the outer product of a user's and an item's factors.

    He, Du, Wang, Tian, Tang & Chua: Outer product-based neural collaborative filtering. IJCAI 2018.

    .. math::

        E_{ui} = p_u q_i^\top, \qquad \hat y_{ui} = w^\top \phi_L(\dots \phi_1(E_{ui})) + b, \qquad
        \min \sum_{(u,i,j)} -\ln \sigma(\hat y_{ui} - \hat y_{uj})
        + \lambda_1 \bigl(\|p_u\|^2 + \|q_i\|^2 + \|q_j\|^2\bigr)
        + \lambda_2 \|\Phi\|^2 + \lambda_3 \|(w, b)\|^2

    Each layer has a kernel of 2 x 2 with a stride of 2, and is rectified: with a power of two as
    number of factors, as many layers as its logarithm end in one cell, of 32 channels. Factors
    start from those of a matrix factorisation, learned before by the same loss.

    Notes
    -----
    Errors are summed over a batch, not averaged, so that learning rates and penalties belong to the
    batch size. As in the released code, penalties are of squares without a half, factors count as
    often as they occur in the batch, every batch has the whole penalty of the network, and that of
    the output is the sum of `l2_network` and `l2_output`. Its first epoch with convolutions is
    without penalties and with a learning rate of its own, `first_learning_rate`; without it numbers
    overflow. Then factors and network have each their AdaGrad. Sums of squares of all start at 0.1.

    In every epoch each interaction gets one item, uniform among those that the user has not in the
    training data. The released code spares the user's test item as well: that is a leak, and left
    out. Those that do not fill a batch are left out of the epoch, as in the released code, unless
    they are all there is. Values are ignored.

    Factors and weights start from normal distributions cut at two deviations, of 0.01 and 0.1;
    biases of convolutions at 0.1. `epochs` counts those with convolutions, of which the paper has
    1500. Options of the released code that have no effect, and that of drawing several items and
    keeping the one with the highest score, are left out.

    Ferrari Dacrema, Parroni, Cremonesi & Jannach (CIKM 2020) ask whether convolutions find anything
    in a map whose neighbours are arbitrary. For their experiments, `permutation` puts the factors
    into another order, the same for users and items, and `map` keeps only the diagonal, which is
    all that the matrix factorisation sees, or only what is off it. Neither changes the start.
    """

    class Config(NeuralConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(2), AfterValidator(power_of_two), Choice(16, 32, 64)] = 64
        """Number of factors, a power of two."""
        n_channels: Annotated[int, Ge(1)] = 32
        """Number of channels of each layer."""
        map: Map = "full"
        """Which cells of the outer product are not set to 0."""
        permutation: Annotated[int, Ge(0)] = 0
        """Number of a random order of the factors in the map; 0 for none."""
        pretraining: bool = True
        """Whether factors come from a matrix factorisation."""
        pretraining_epochs: Annotated[
            int, Ge(1), IntRange(10, 500), OnlyWhere("pretraining", True)
        ] = 500
        """Number of epochs of the matrix factorisation."""
        epochs: Annotated[int, Ge(1)] = 500
        """Number of epochs."""
        batch_size: Annotated[int, Ge(1)] = 512
        """Number of samples for one step."""
        optimizer: OptimizerName = "adagrad"
        """What turns a gradient into a step."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-3, 0.1)] = 0.05
        """Length of a step of the factors."""
        network_learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-3, 0.1)] = 0.05
        """Length of a step of the network."""
        first_learning_rate: Annotated[FiniteFloat, Gt(0)] = 0.01
        """Length of all steps in the first epoch with convolutions."""
        l2: Annotated[FiniteFloat, Ge(0), LogUniform(1e-4, 1.0)] = 0.01
        """Penalty of the factors of a sample."""
        l2_network: Annotated[FiniteFloat, Ge(0), LogUniform(1e-3, 10.0)] = 1.0
        """Penalty of convolutions and output, in every batch."""
        l2_output: Annotated[FiniteFloat, Ge(0), LogUniform(1e-2, 100.0)] = 10.0
        """Further penalty of the output."""
        dropout: Annotated[FiniteFloat, Ge(0), Lt(1)] = 0.0
        """Share of channels that are dropped below the output."""
        init_std: Annotated[FiniteFloat, Gt(0)] = 0.01
        """Standard deviation of the first factors."""
        network_std: Annotated[FiniteFloat, Gt(0)] = 0.1
        """Standard deviation of the first weights of the network."""

    network: ConvNetwork
    penalised = False

    def build(self, train: Interactions) -> nn.Module:
        """Make tables and network."""
        c = self.config
        order = np.arange(c.n_factors)
        if c.permutation:
            order = generator(c.permutation, "order of factors").permutation(order)
        tables = Tables(*train.shape, c.n_factors, c.init_std)
        return ConvNetwork(tables, c.n_channels, c.network_std, c.dropout, order, c.map)

    def prepare(self, train: Interactions, rng: np.random.Generator) -> None:
        """Learn the factors of a matrix factorisation."""
        if not self.config.pretraining:
            return
        shared = self.config.model_dump(
            include={"n_factors", "l2", "init_std", "batch_size", "learning_rate", "optimizer"}
            | {"device", "mixed_precision", "clip_norm"}
        )
        factors = MFBPR(**shared, epochs=self.config.pretraining_epochs)
        self.train_before("mfbpr", factors, train, rng)
        self.network.tables.load_state_dict(factors.network.state_dict())

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return one for all in the first epoch; then one for factors and one for the network."""
        c, network = self.config, self.network
        above = nn.ModuleList([*network.layers, network.output])
        return [
            optimizer_of(c.optimizer, network, c.first_learning_rate),
            optimizer_of(c.optimizer, network.tables, c.learning_rate),
            optimizer_of(c.optimizer, above, c.network_learning_rate),
        ]

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw an unseen item to every interaction."""
        return full_batches(train, self.config.batch_size, rng)

    def train_epoch(self, train: Interactions, rng: np.random.Generator) -> dict[str, float]:
        """Train for an epoch, the first one without penalties."""
        self.penalised = bool(self.network.started)
        optimizers = self.optimizers[1:] if self.penalised else self.optimizers[:1]
        mean = self.descend(self.batches(train, rng), optimizers)
        self.network.started.fill_(True)
        return {"loss": mean}

    def loss(self, users: Tensor, own: Tensor, others: Tensor) -> Tensor:  # type: ignore[override]
        """Return the sum of a batch, and the penalties after the first epoch."""
        network, c = self.network, self.config
        p, items = network.tables.users(users), network.tables.items(torch.cat([own, others]))
        better, worse = network(torch.cat([p, p]), items).float().chunk(2)
        total = softplus(worse - better).sum()
        if not self.penalised:
            return total
        penalty: Tensor = (
            c.l2 * squares(p, items)
            + c.l2_network * squares(*network.layers.parameters())
            + (c.l2_network + c.l2_output) * squares(*network.output.parameters())
        )
        return total + penalty

    def pair_scores(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the scores of pairs; only some are computed at once."""
        tables, fill = self.network.tables, (0, -len(users) % _WHOLE_BLOCK)
        scores: Tensor = self.network(
            tables.users(pad(users, fill)), tables.items(pad(items, fill))
        )
        return scores[: len(users)]
