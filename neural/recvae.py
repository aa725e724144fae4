"""RecVAE: Mult-VAE with a deeper encoder, a composite prior and alternating updates."""

from itertools import chain
from math import log, pi
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from torch import Tensor, nn
from torch.nn.functional import silu

from recrepro.interactions import Interactions
from recrepro.space import IntRange, LogUniform

from ._autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    Layer,
    as_rows,
    normalised,
    row_batches,
)
from ._multinomial import multinomial_loss
from ._optimizers import make_optimizer
from ._products import SparseMatrix

PRIOR_WEIGHTS = 3 / 20, 3 / 4, 1 / 10
"""Of the standard normal distribution, of the old posterior and of a wide normal distribution."""
WIDE_LOG_VARIANCE = 10.0


class RecVAENetwork(nn.Module):
    """An encoder, each layer of which adds the outputs of all before it, and a linear decoder."""

    def __init__(
        self, n_items: int, n_factors: int, n_hidden: int, n_layers: int, eps: float
    ) -> None:
        super().__init__()
        widths = [n_items] + [n_hidden] * (n_layers - 1)
        self.n_items = n_items
        self.layers = nn.ModuleList(Layer(width, n_hidden) for width in widths)
        self.norms = nn.ModuleList(nn.LayerNorm(n_hidden, eps) for _ in widths)
        self.heads = Layer(n_hidden, 2 * n_factors)
        self.decoder = Layer(n_factors, n_items)

    def encode(self, rows: SparseMatrix) -> tuple[Tensor, Tensor]:
        """Return the mean and the log-variance of each row's code."""
        hidden = total = self.norms[0](silu(self.layers[0](rows)))
        for layer, norm in zip(self.layers[1:], self.norms[1:], strict=True):
            hidden = norm(silu(layer(hidden) + total))
            total = total + hidden
        mean, log_variance = self.heads(hidden).float().chunk(2, dim=1)
        return mean, log_variance

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Return all parameters but the decoder's."""
        parts = self.layers, self.norms, self.heads
        return list(chain.from_iterable(part.parameters() for part in parts))


class RecVAE(Autoencoder):
    r"""Keep each user's code near what it was an epoch ago, and learn encoder and decoder in turn.

    Shenbin, Alekseev, Tutubalina, Malykh & Nikolenko: RecVAE: a new variational autoencoder for
    top-N recommendations with implicit feedback. WSDM 2020.

    .. math::

        \min_{\theta, \phi} -E_{q_\phi} \Bigl[\sum_i x_{ui} \log
        \mathrm{softmax}(W z_u + b)_i - \gamma |x_u| \bigl(\log q_\phi(z_u | x_u)
        - \log p(z_u | x_u)\bigr)\Bigr]

        p(z | x) = \prod_k \Bigl(\tfrac{3}{20} N(z_k; 0, 1)
        + \tfrac{3}{4} \, q_{\phi_{\mathrm{old}}}(z_k | x) + \tfrac{1}{10} N(z_k; 0, e^{10})\Bigr)

    with x as in Mult-VAE, and :math:`|x_u|` the number of the user's items. The encoder's layers
    are dense, with swish and layer normalisation; each takes the outputs of all before it, added
    up, beside its own product. The decoder is one linear layer.

    An epoch is `encoder_passes` over the users that change the encoder only, with dropout, and then
    `decoder_passes` that change the decoder only, by the likelihood alone and without dropout. The
    code is a sample in both. The old posterior is that of the encoder at the beginning of the
    epoch, without dropout.

    Notes
    -----
    Scores are the logits of the mean of z, for any history. Parameters start as torch's own layers
    do. The expectation is taken with one sample for each user, the same for both terms. In the
    first epoch the old posterior is that of the untrained encoder, as in the notebook that came
    with the paper; in later code it is that of another encoder, untrained too. Decoder passes do
    not change the encoder, so the old encoder need not be kept: its means and log-variances are
    computed once an epoch, :math:`2 n` `n_factors` numbers for n users.

    The epsilon of the layer normalisation is 0.1 in the released code, and torch's 1e-5 in the
    notebook. Values of interactions are ignored. A pass takes every user with an interaction once;
    a step takes the mean over its users. The loss of an epoch is that of the encoder passes. The
    number of epochs is found on validation data.
    """

    class Config(AutoencoderConfig):
        """Hyperparameters."""

        n_layers: Annotated[int, Ge(1)] = 5
        """Number of hidden layers of the encoder."""
        kl_weight: Annotated[FiniteFloat, Ge(0), LogUniform(1e-4, 5e-2)] = 0.005
        """Weight gamma of the divergence from the prior."""
        kl_per_interaction: bool = True
        """Whether that weight is multiplied by the number of the user's interactions."""
        normalisation_eps: Annotated[FiniteFloat, Gt(0)] = 0.1
        """Added to the variances of the layer normalisation."""
        encoder_passes: Annotated[int, Ge(1), IntRange(1, 5)] = 3
        """Passes over the users in an epoch that change the encoder."""
        decoder_passes: Annotated[int, Ge(1)] = 1
        """Passes over the users in an epoch that change the decoder."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-2)] = 5e-4
        """Length of a step."""
        epochs: Annotated[int, Ge(1)] = 50
        """Number of epochs."""

    network: RecVAENetwork

    def build(self, train: Interactions) -> nn.Module:
        """Make the layers."""
        c = self.config
        return RecVAENetwork(
            train.n_items, c.n_factors, c.n_hidden, c.n_layers, c.normalisation_eps
        )

    def memory_needed(self, train: Interactions) -> int:
        """Add the bytes of the old posteriors."""
        n_values: int = train.n_users * 2 * self.config.n_factors
        return super().memory_needed(train) + 4 * n_values

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return that of the encoder and that of the decoder."""
        parts = self.network.encoder_parameters(), self.network.decoder.parameters()
        name, length = self.config.optimizer, self.config.learning_rate
        return [make_optimizer(name, parameters, length) for parameters in parts]

    def train_epoch(self, train: Interactions, rng: np.random.Generator) -> dict[str, float]:
        """Change the encoder, and then the decoder."""
        of_encoder, of_decoder = self.optimizers
        config = self.config
        old = self.posteriors(train)
        loss = 0.0
        for _ in range(config.encoder_passes):
            batches = row_batches(train, config.batch_size, rng, *old)
            loss += self.descend(batches, [of_encoder]) / config.encoder_passes
        for _ in range(config.decoder_passes):
            of_likelihood = self.descend(self.batches(train, rng), [of_decoder])
        return {"loss": loss, "decoder_loss": of_likelihood}

    def posteriors(self, train: Interactions) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the means and log-variances of all users' codes, without dropout."""
        size, n = self.config.batch_size, train.n_users
        parts = []
        with torch.no_grad():
            for start in range(0, n, size):
                rows = train.matrix[start : start + size]
                parts.append(self.network.encode(normalised(rows)))
        means, log_variances = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
        return means, log_variances

    def loss(self, starts: Tensor, items: Tensor, *old: Tensor) -> Tensor:  # type: ignore[override]
        """Return what the encoder's passes make small, or, without an old posterior, the decoder's.

        Gradients are those of one of the two only.
        """
        network, config = self.network, self.config
        rows = as_rows(starts, items, network.n_items)
        with torch.set_grad_enabled(bool(old)):
            mean, log_variance = network.encode(normalised(rows, config.dropout if old else 0))
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        weight, bias = network.decoder.weight, network.decoder.bias
        if not old:
            return multinomial_loss(code, weight, bias, rows).mean()
        losses = multinomial_loss(code, weight.detach(), bias.detach(), rows)
        divergence = log_density(code, mean, log_variance) - log_prior(code, old[0], old[1])
        weights = config.kl_weight * (starts.diff() if config.kl_per_interaction else 1)
        mean_loss: Tensor = (losses + weights * divergence.sum(dim=1)).mean()
        return mean_loss

    def logits(self, rows: SparseMatrix) -> Tensor:
        """Decode the means."""
        mean, _ = self.network.encode(rows)
        logits: Tensor = self.network.decoder(mean)
        return logits


def log_density(values: Tensor, mean: Tensor | float, log_variance: Tensor | float) -> Tensor:
    """Return the logarithm of the normal density, one by one."""
    log_variance = torch.as_tensor(log_variance, device=values.device)
    return -(log(2 * pi) + log_variance + (values - mean).square() / log_variance.exp()) / 2


def log_prior(
    code: Tensor,
    old_mean: Tensor,
    old_log_variance: Tensor,
    weights: tuple[float, float, float] = PRIOR_WEIGHTS,
) -> Tensor:
    """Return the logarithm of the density of the composite prior, one by one."""
    parts = [
        log_density(code, 0.0, 0.0),
        log_density(code, old_mean, old_log_variance),
        log_density(code, 0.0, WIDE_LOG_VARIANCE),
    ]
    logs = torch.tensor(weights, device=code.device).log()
    return torch.stack(parts, dim=-1).add_(logs).logsumexp(dim=-1)
