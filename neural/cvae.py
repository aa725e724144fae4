"""CVAE: factors of items that stay near what a variational autoencoder makes of their content."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from pydantic import FiniteFloat
from torch import Tensor, nn

from recrepro.interactions import Interactions

from ._autoencoder import Layer
from ._collaborative import CollaborativeConfig, CollaborativeModel
from ._content import Content, Rows, as_input, chosen_rows, reconstruction_loss
from ._products import SparseMatrix
from ._stages import Denoising, encoded, row_numbers, tied_layer
from ._training import Batch
from .multvae import divergence

_LEAST_VARIANCE = 1e-10


class ContentVAE(nn.Module):
    """A variational autoencoder of content: sigmoid layers, and back through the same weights.

    The layer above the code is the decoder's own; below it the decoder has the encoder's weights,
    turned round, and the encoder's first bias.
    """

    def __init__(self, n_words: int, n_hidden: int, n_inner: int, n_factors: int) -> None:
        super().__init__()
        self.first = tied_layer(n_words, n_hidden)
        self.second = tied_layer(n_hidden, n_inner)
        self.mean = tied_layer(n_inner, n_factors)
        self.log_variance = tied_layer(n_inner, n_factors)
        self.above = tied_layer(n_factors, n_inner)
        self.bias = nn.Parameter(torch.zeros(n_words))

    def hidden(self, rows: SparseMatrix | Tensor) -> Tensor:
        """Return the units below the code."""
        units: Tensor = self.second(self.first(rows).sigmoid()).sigmoid()
        return units

    def loss(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Return each row's loss, of reconstruction and divergence, and its sample of the code."""
        code, divergences = sampled(self.hidden(as_input(rows)), self.mean, self.log_variance)
        inner = self.above(code).sigmoid()
        units = (inner @ self.second.weight.T + self.first.bias).sigmoid()
        return reconstruction_loss(units, self.first.weight, self.bias, rows) + divergences, code

    def mean_loss(self, rows: Rows) -> Tensor:
        """Return the mean of the rows' losses."""
        losses, _ = self.loss(rows)
        return losses.mean()

    def squares(self) -> Tensor:
        """Return the sum of the squares of the weights that are used twice."""
        return self.first.weight.square().sum() + self.second.weight.square().sum()


class CodeAlone(nn.Module):
    """The layers on both sides of the code, as a variational autoencoder of the units below."""

    def __init__(self, coder: ContentVAE) -> None:
        super().__init__()
        self.mean, self.log_variance, self.above = coder.mean, coder.log_variance, coder.above

    def loss(self, rows: Rows) -> Tensor:
        """Return the mean loss of rows of units."""
        code, divergences = sampled(as_input(rows), self.mean, self.log_variance)
        losses = reconstruction_loss(code, self.above.weight.T, self.above.bias, rows)
        return (losses + divergences).mean()


def sampled(
    units: SparseMatrix | Tensor, mean: Layer, log_variance: Layer
) -> tuple[Tensor, Tensor]:
    """Return a sample of each row's code, and its divergence from the prior."""
    means, logs = mean(units), log_variance(units)
    deviations = logs.exp().clamp(min=_LEAST_VARIANCE).sqrt()
    return means + deviations * torch.randn_like(means), divergence(means, logs)


class CVAE(CollaborativeModel):
    r"""Factorise the interactions, with items drawn to the codes of their content.

    Li & She: Collaborative variational autoencoder for recommender systems. KDD 2017.

    .. math::

        \min \sum_{u,i} \frac{c_{ui}}{2} (r_{ui} - x_u^\top y_i)^2
        + \frac{\lambda_u}{2} \sum_u \|x_u\|^2 + \frac{\lambda_v}{2} \sum_i \|y_i - \mu(d_i)\|^2

    with r = 1 and c = a for an interaction, else r = 0 and c = b, in turn with

    .. math::

        \min_{\phi,\theta} \sum_i \mathrm{BCE}\bigl(d_i, f_\theta(z_i)\bigr)
        + \mathrm{KL}\bigl(q_\phi(z_i | d_i) \,\|\, N(0, I)\bigr)
        + \frac{\lambda_v}{\lambda_r} \|y_i - z_i\|^2, \qquad
        z_i \sim q_\phi = N\bigl(\mu(d_i), \mathrm{diag}(\sigma^2(d_i))\bigr)

    for d_i the content of item i. Scores are the products of x and y.

    Notes
    -----
    The released code reads counts of words that somebody has scaled already to values between 0 and
    1, and does not say how. Divided by the largest count of the same word in any article, the words
    of CiteULike-t give simple models the published values, and no other reading does: that is the
    default. The notebook of CDL for MXNet divides the counts of an article by their largest, which
    is ``scaling = "item"``.

    Layers are trained first: as denoising autoencoders one after the other, then the code alone,
    then the whole autoencoder. In an epoch, the network makes a step for as many batches as there
    are whole ones, each drawn anew, then codes are computed, then users and items are solved for.
    `l2` counts the squares of the two weight matrices that encoder and decoder share, in these
    epochs only.

    In the released code the users' step leaves items out that nobody has interacted with
    (``every_item = False``), although the items' step solves for them. It makes one sweep after an
    epoch; that of Ferrari Dacrema et al. (TOIS 2021) up to 10 (`n_sweeps`), fewer if the likelihood
    changes by less than 1e-6 of it. Its mask takes exactly 30 % of an item's inputs, and here each
    one with this probability. Users without interactions get zeros, which is the optimum; the code
    leaves random numbers. Its probabilities have gradients of 0 where they are below 1e-10.

    Values of interactions are ignored. The number of epochs is found on validation data.
    """

    class Config(CollaborativeConfig):
        """Hyperparameters."""

        n_inner: Annotated[int, Ge(1)] = 100
        """Width of the second hidden layer."""
        reconstruction: Annotated[FiniteFloat, Gt(0)] = 1.0
        """What the weight of codes' distances from items is divided by, lambda_r."""
        l2: Annotated[FiniteFloat, Ge(0)] = 2e-4
        """Penalty of the squares of the weights that encoder and decoder share."""
        pretraining_share: Annotated[FiniteFloat, Gt(0), Le(1)] = 0.8
        """Share of the items, drawn at random, that layers learn from before the first epoch."""
        pretraining_epochs: Annotated[int, Ge(0)] = 50
        """Number of epochs of each layer before that; 0 for none."""
        vae_epochs: Annotated[int, Ge(0)] = 100
        """Number of epochs of the whole autoencoder before the first one with users."""
        pretraining_rate: Annotated[FiniteFloat, Gt(0)] = 0.01
        """Length of a step before the first epoch."""

    def make_coder(self, n_words: int) -> nn.Module:
        """Make the autoencoder."""
        c = self.config
        return ContentVAE(n_words, c.n_hidden, c.n_inner, c.n_factors)

    def prepare(self, train: Interactions, rng: np.random.Generator) -> None:
        """Train layers and autoencoder by content alone; items start from the codes."""
        config, coder = self.config, self.coder
        content = self.content_before(rng)
        settings = {"learning_rate": config.pretraining_rate, "draws": True}
        short = {**settings, "epochs": config.pretraining_epochs}
        inputs: Content = content
        for name, layer in (("first", coder.first), ("second", coder.second)):
            part = Denoising(layer, torch.zeros(inputs.shape[1]), config.mask)
            self.learn_before(name, part, inputs, part.loss, train, rng, **short)
            inputs = encoded(layer, inputs)
        code = CodeAlone(coder)
        self.learn_before("code", code, inputs, code.loss, train, rng, **short)
        long = {**settings, "epochs": config.vae_epochs}
        self.learn_before("autoencoder", coder, content, coder.mean_loss, train, rng, **long)
        _, codes = self.vectors_and_means()
        self.network.items.copy_(torch.from_numpy(codes))

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw items for each batch."""
        return row_numbers(train.n_items, self.config.batch_size, rng, draws=True)

    def loss(self, numbers: Tensor) -> Tensor:  # type: ignore[override]
        """Return the mean over some items, and the penalty."""
        config, coder = self.config, self.coder
        losses, codes = coder.loss(chosen_rows(self.content, numbers))
        distances = (codes - self.network.items[numbers].float()).square().sum(dim=1)
        losses = losses + config.l2_item / config.reconstruction * distances
        penalty: Tensor = config.l2 * coder.squares()
        total: Tensor = losses.mean() + penalty
        return total

    def codes(self, rows: SparseMatrix) -> Tensor:
        """Return the means."""
        means: Tensor = self.coder.mean(self.coder.hidden(rows))
        return means
