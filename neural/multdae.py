"""Mult-DAE: a denoising autoencoder with a multinomial likelihood."""

from typing import Annotated

from annotated_types import Ge
from pydantic import FiniteFloat
from torch import Tensor, nn

from recrepro.interactions import Interactions
from recrepro.space import Choice, IntRange, LogUniform, OnlyWhere

from ._autoencoder import Autoencoder, AutoencoderConfig, TanhNetwork, as_rows, normalised
from ._products import SparseMatrix


class MultDAE(Autoencoder):
    r"""Encode a part of a user's items, and decode all of them as probabilities of items.

    Liang, Krishnan, Hoffman & Jebara: Variational autoencoders for collaborative filtering. WWW
    2018 (Mult-DAE).

    .. math::

        z_u = \tanh(W^\top x_u + b), \qquad
        \min_{\theta, \phi} -\sum_i x_{ui} \log \mathrm{softmax}(f_\theta(z_u))_i
        + \lambda \sum_W \|W\|^2

    with x of ones for the items a user has interacted with, divided by its length and with dropout
    on its way into the encoder only.

    Notes
    -----
    Scores are the logits f, for any history. The first and the last layer are all there are, unless
    `n_layers` asks for others; all but the last are followed by tanh.

    Weights start Glorot-uniform, biases from N(0, 0.001^2) cut at two deviations. Values of
    interactions are ignored. A step takes the mean over its users, and `l2` is added per step, for
    the weights and not the biases: the released code's 0.01 divided by its batch of 500. An epoch
    takes every user with an interaction once. The number of epochs is found on validation data.
    """

    class Config(AutoencoderConfig):
        """Hyperparameters."""

        n_layers: Annotated[int, Ge(0), IntRange(0, 1)] = 0
        """Number of hidden layers on either side of the code."""
        n_hidden: Annotated[int, Ge(1), Choice(200, 400, 600, 800), OnlyWhere("n_layers", 1)] = 600
        """Width of the hidden layers."""
        l2: Annotated[FiniteFloat, Ge(0), LogUniform(1e-6, 1e-3)] = 2e-5
        """Penalty of the squares of all weights."""
        epochs: Annotated[int, Ge(1)] = 200
        """Number of epochs."""

    network: TanhNetwork

    def build(self, train: Interactions) -> nn.Module:
        """Make the layers."""
        c, widths = self.config, [self.config.n_hidden] * self.config.n_layers
        down, up = [train.n_items, *widths, c.n_factors], [c.n_factors, *widths, train.n_items]
        return TanhNetwork(down, up)

    def loss(self, starts: Tensor, items: Tensor) -> Tensor:  # type: ignore[override]
        """Return the mean of the likelihoods, and the penalty."""
        network, config = self.network, self.config
        rows = as_rows(starts, items, network.n_items)
        code = network.encode(normalised(rows, config.dropout)).tanh()
        penalty = config.l2 * network.squares() if config.l2 else 0
        return network.loss(code, rows).mean() + penalty

    def logits(self, rows: SparseMatrix) -> Tensor:
        """Decode the codes."""
        return self.network.logits(self.network.encode(rows).tanh())
