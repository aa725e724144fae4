"""Mult-VAE: a variational autoencoder with a multinomial likelihood."""

from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge
from pydantic import FiniteFloat
from torch import Tensor, nn

from recrepro.interactions import Interactions
from recrepro.space import Choice, Uniform

from ._autoencoder import Autoencoder, AutoencoderConfig, TanhNetwork, as_rows, normalised
from ._products import SparseMatrix


class MultVAENetwork(TanhNetwork):
    """An encoder with means and log-variances as its outputs, a decoder, and a count of steps."""

    n_steps: Tensor

    def __init__(self, n_items: int, n_factors: int, widths: list[int]) -> None:
        super().__init__([n_items, *widths, 2 * n_factors], [n_factors, *widths[::-1], n_items])
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.int64))


class MultVAE(Autoencoder):
    r"""Encode a user's items as a distribution, and decode a sample of it to probabilities.

    Liang, Krishnan, Hoffman & Jebara: Variational autoencoders for collaborative filtering. WWW
    2018 (Mult-VAE^PR).

    .. math::

        q_\phi(z_u | x_u) = N\bigl(\mu_\phi(x_u), \mathrm{diag}(\sigma^2_\phi(x_u))\bigr), \qquad
        \min_{\theta, \phi} -E_{q_\phi} \Bigl[\sum_i x_{ui} \log
        \mathrm{softmax}(f_\theta(z_u))_i\Bigr]
        + \beta \, \mathrm{KL}\bigl(q_\phi(z_u | x_u) \,\|\, N(0, I)\bigr)

    with x of ones for the items a user has interacted with, divided by its length and with dropout
    on its way into the encoder only.

    Notes
    -----
    Scores are the logits f of the mean of z, for any history. The weight beta of the divergence is
    the number of steps so far divided by `annealing_steps`, 0 in the first step, and at most
    `kl_weight`. On small data sets the published 200,000 steps leave it near 0 for the whole
    training; each epoch reports the beta it has reached.

    Weights start Glorot-uniform, biases from N(0, 0.001^2) cut at two deviations. Values of
    interactions are ignored. A step takes the mean over its users; `l2` is added per step, for the
    weights and not the biases, and is 0 in the released code. An epoch takes every user with an
    interaction once. The study of Ferrari Dacrema et al. (TOIS 2021) keeps users without any in the
    batches, where they count in the mean and have a divergence only. The number of epochs is found
    on validation data.
    """

    class Config(AutoencoderConfig):
        """Hyperparameters."""

        n_layers: Annotated[int, Ge(0)] = 1
        """Number of hidden layers on either side of the code."""
        kl_weight: Annotated[FiniteFloat, Ge(0), Uniform(0.0, 1.0)] = 0.2
        """Largest weight beta of the divergence from the prior."""
        annealing_steps: Annotated[int, Ge(0), Choice(0, 2_000, 20_000, 200_000)] = 200_000
        """Steps in which beta would grow to 1; 0 for the largest weight from the beginning."""
        l2: Annotated[FiniteFloat, Ge(0)] = 0.0
        """Penalty of the squares of all weights."""
        epochs: Annotated[int, Ge(1)] = 200
        """Number of epochs."""

    network: MultVAENetwork

    def build(self, train: Interactions) -> nn.Module:
        """Make the layers."""
        c = self.config
        return MultVAENetwork(train.n_items, c.n_factors, [c.n_hidden] * c.n_layers)

    @property
    def beta(self) -> float:
        """Weight of the divergence in the next step."""
        beta: float = self.config.kl_weight
        if self.config.annealing_steps:
            beta = min(beta, int(self.network.n_steps) / self.config.annealing_steps)
        return beta

    def train_epoch(self, train: Interactions, rng: np.random.Generator) -> dict[str, float]:
        """Train for an epoch; report the weight of the divergence, too."""
        return {**super().train_epoch(train, rng), "beta": self.beta}

    def loss(self, starts: Tensor, items: Tensor) -> Tensor:  # type: ignore[override]
        """Return the mean of likelihoods and divergences, with a sample of each user's code."""
        network, config = self.network, self.config
        rows = as_rows(starts, items, network.n_items)
        outputs = network.encode(normalised(rows, config.dropout))
        mean, log_variance = outputs.chunk(2, dim=1)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        losses = network.loss(code, rows) + self.beta * divergence(mean, log_variance)
        network.n_steps += 1
        penalty = config.l2 * network.squares() if config.l2 else 0
        return losses.mean() + penalty

    def logits(self, rows: SparseMatrix) -> Tensor:
        """Decode the means."""
        mean, _ = self.network.encode(rows).chunk(2, dim=1)
        return self.network.logits(mean)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of each row's normal distribution from N(0, I)."""
    return (log_variance.exp() + mean.square() - 1 - log_variance).sum(dim=1) / 2
