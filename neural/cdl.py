"""CDL: factors of items that stay near what a denoising autoencoder makes of their content."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt
from pydantic import FiniteFloat
from torch import Tensor, nn

from recrepro.interactions import Interactions
from recrepro.space import LogUniform

from ._collaborative import CollaborativeConfig, CollaborativeModel
from ._content import Content, Rows, as_input, chosen_rows, masked, reconstruction_loss
from ._optimizers import OptimizerName
from ._products import SparseMatrix
from ._stages import Denoising, encoded, penalised_optimizer, row_numbers, tied_layer
from ._training import Batch

_LARGEST_LOGIT = 4.0


class DenoisingStack(nn.Module):
    """Two layers of sigmoids down to the code, and back through the same weights.

    On its way back the middle layer has the bias that it has on its way down, as in the code.
    """

    n_epochs: Tensor

    def __init__(self, n_words: int, n_hidden: int, n_factors: int, dropout: float) -> None:
        super().__init__()
        self.first = tied_layer(n_words, n_hidden)
        self.second = tied_layer(n_hidden, n_factors)
        self.bias = nn.Parameter(torch.zeros(n_words))
        self.register_buffer("n_epochs", torch.zeros((), dtype=torch.int64))
        self._dropout = dropout

    def losses(self, rows: Rows, mask: float, *, squared: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Return what rows lose that come back from a mask, their codes then, and codes for items.

        The two kinds of codes differ in what was dropped on the way: of those for items, nothing in
        the code itself.
        """
        units = self.first(as_input(masked(rows, mask))).sigmoid()
        noisy = self._dropped(self.second(self._dropped(units)).sigmoid())
        above = (noisy @ self.second.weight.T + self.first.bias).sigmoid()
        losses = reconstruction_loss(
            self._dropped(above), self.first.weight, self.bias, rows, squared=squared
        )
        return losses, noisy, self.second(self._dropped(units)).sigmoid()

    def encode(self, rows: SparseMatrix) -> Tensor:
        """Return the codes, without noise: what goes into the first sigmoid is scaled instead."""
        units = ((1 - self._dropout) * self.first(rows)).sigmoid()
        codes: Tensor = self.second(units).sigmoid()
        return codes

    def _dropped(self, units: Tensor) -> Tensor:
        """Set units to 0; the others are not scaled up."""
        return units * (torch.rand_like(units) >= self._dropout) if self._dropout else units


class CDL(CollaborativeModel):
    r"""Factorise the interactions, with items drawn to the codes of a denoising autoencoder.

    Wang, Wang & Yeung: Collaborative deep learning for recommender systems. KDD 2015.

    .. math::

        \min \sum_{u,i} \frac{c_{ui}}{2} (r_{ui} - x_u^\top y_i)^2
        + \frac{\lambda_u}{2} \sum_u \|x_u\|^2 + \frac{\lambda_v}{2} \sum_i \|y_i - f_e(d_i)\|^2
        + \lambda_n \sum_i \ell\bigl(d_i, f_r(d_i)\bigr)
        + \frac{\lambda_w}{2} \|W\|^2

    with r = 1 and c = a for an interaction, else r = 0 and c = b; d_i the content of item i, f_e
    its code and f_r what is made of that again, from inputs of which a share was set to 0. Factors
    and network are learned in turn. Scores are the products of x and y.

    Notes
    -----
    The loss l of the paper is half the squared distance (``squared = True``). By default it is the
    cross-entropy, which the released code has, and with which all values were found that others
    have published.

    The file that the code reads has been scaled already: see `CVAE`. With ``scaling = "item"`` the
    counts of an article are divided by their largest, as the notebook of CDL for MXNet does.

    Layers are trained first, one after the other, with a term that keeps hidden units small. The
    code stops a layer early if the loss of other items doubles; here it does not look. Then an
    epoch takes each item once, in any order, where the code has always the same, and solves for
    users and items once. In the first epoch codes are drawn to themselves with other noise, as
    there are no items' vectors yet. `l2` is in units of the mean reconstruction, as in the code,
    and penalises biases as well.

    In the code the last epoch makes up to 100 sweeps. Which epoch is the last one is not known
    here, so that these sweeps are made whenever scores are asked for (`final_sweeps`), and training
    goes on without them. The users' step of the code leaves items out that nobody has interacted
    with (``every_item = False``), although the items' step solves for them. Users without
    interactions get zeros.

    Values of interactions are ignored. The number of epochs is found on validation data.
    """

    class Config(CollaborativeConfig):
        """Hyperparameters."""

        l2_user: Annotated[FiniteFloat, Gt(0), LogUniform(1e-2, 10.0)] = 1.0
        """Penalty of the users' vectors, lambda_u."""
        reconstruction: Annotated[FiniteFloat, Gt(0), LogUniform(1.0, 1e5)] = 1000.0
        """Weight of the reconstruction, lambda_n."""
        squared: bool = False
        """Whether the reconstruction is that of the paper, by squared distance."""
        l2: Annotated[FiniteFloat, Ge(0)] = 1e-4
        """Penalty of all parameters of the network."""
        dropout: Annotated[FiniteFloat, Ge(0), Lt(1)] = 0.1
        """Share of the hidden units that are 0 in training."""
        sparsity: Annotated[FiniteFloat, Ge(0)] = 0.1
        """How strongly hidden units are kept small before the first epoch."""
        pretraining_epochs: Annotated[int, Ge(0)] = 200
        """Number of epochs of each layer before the first epoch; 0 for none."""
        epochs: Annotated[int, Ge(1)] = 200
        """Number of epochs."""
        final_sweeps: Annotated[int, Ge(1)] = 100
        """Most sweeps of least squares before users and items are scored."""
        optimizer: OptimizerName = "adadelta"
        """What turns a gradient into a step."""
        learning_rate: Annotated[FiniteFloat, Gt(0)] = 1.0
        """Length of a step; 1 for Adadelta."""

    def make_coder(self, n_words: int) -> nn.Module:
        """Make the autoencoder."""
        c = self.config
        return DenoisingStack(n_words, c.n_hidden, c.n_factors, c.dropout)

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return an optimiser, with the penalty."""
        return [penalised_optimizer(self.config, self.network)]

    def prepare(self, train: Interactions, rng: np.random.Generator) -> None:
        """Train the layers one after the other, by content alone."""
        c = self.config
        inputs: Content = self.content_before(rng)
        settings = {"epochs": c.pretraining_epochs, "learning_rate": c.learning_rate, "l2": c.l2}
        for name, layer in (("first", self.coder.first), ("second", self.coder.second)):
            part = Denoising(layer, mean_logits(inputs), c.mask, c.dropout, c.sparsity)
            self.learn_before(name, part, inputs, part.loss, train, rng, **settings)
            inputs = encoded(layer, inputs)

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Shuffle the items."""
        return row_numbers(train.n_items, self.config.batch_size, rng, draws=False)

    def loss(self, numbers: Tensor) -> Tensor:  # type: ignore[override]
        """Return the mean over some items."""
        config, coder = self.config, self.coder
        rows = chosen_rows(self.content, numbers)
        losses, noisy, codes = coder.losses(rows, config.mask, squared=config.squared)
        first = not coder.n_epochs
        targets = noisy.detach() if first else self.network.items[numbers].float()
        distances = (codes - targets).square().sum(dim=1) / 2
        total: Tensor = (losses + config.l2_item / config.reconstruction * distances).mean()
        return total

    def start_vectors(self) -> None:
        """Let items start from the codes of the first epoch."""
        if not self.coder.n_epochs:
            _, codes = self.vectors_and_means()
            self.network.items.copy_(torch.from_numpy(codes))
        self.coder.n_epochs += 1

    def codes(self, rows: SparseMatrix) -> Tensor:
        """Return the codes."""
        codes: Tensor = self.coder.encode(rows)
        return codes

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Make the last sweeps, and return what they give."""
        if self.config.final_sweeps <= self.config.n_sweeps:
            return super().vectors()
        left = self.config.final_sweeps - self.config.n_sweeps
        users, items = self.squares.sweeps(*self.vectors_and_means(), left)
        return torch.from_numpy(users).float(), torch.from_numpy(items).float()


def mean_logits(content: Content) -> Tensor:
    """Return the logits of the features' means, between -4 and 4."""
    means = torch.from_numpy(content.mean(axis=0)).float()
    return means.logit().clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT)
