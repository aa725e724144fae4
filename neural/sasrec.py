"""SASRec: self-attentive sequential recommendation."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray
from pydantic import FiniteFloat, model_validator
from torch import Tensor, nn
from torch.nn.functional import softplus

from recrepro.compute.sampling import draw_unseen
from recrepro.interactions import Interactions, Sequences
from recrepro.space import Choice, LogUniform

from ._attention import SASRecNetwork
from ._cross_entropy import cross_entropy_over
from ._optimizers import make_optimizer
from ._products import pair_products
from ._sequences import of_similar_length
from ._training import Batch, FactorModel, NeuralConfig

_PLACES_AT_ONCE, _PADDING = 2**12, 2**9
"""On a CPU: places of a block, few enough for the cache, and how many may be padding."""
_PLACES_ON_A_GPU = 2**18


class SASRec(FactorModel):
    r"""Predict the next item from the latest ones, by attention of each place to those before.

    Kang & McAuley: Self-attentive sequential recommendation. ICDM 2018.

    .. math::

        x^0_t = \sqrt d\, m_{s_t} + p_t, \qquad
        z_t = q_t + \operatorname{softmax}\Bigl(\tfrac{Q_t K^\top}{\sqrt{d / h}}\Bigr) V, \qquad
        x^{b+1}_t = y_t + W_2 \max(0, W_1 y_t + b_1) + b_2

    with :math:`q = LN(x^b)`, :math:`y = LN(z)`, queries Q from q, keys K and values V from
    :math:`x^b`, and h heads. Place t attends to itself and earlier places. The score of item i
    after place t is :math:`LN(x^B_t)^\top m_i`, with the item factors of the input. Learned by
    binary cross-entropy of the next item and an unseen one at every place.

    Notes
    -----
    The order is that of the times in the training data. Unknown times come first. Items of a user
    at the same time are in a random order, always the same for the same data. Items of a history
    that are not in the training data are ignored: nothing says when they come. Users without items
    get zeros. Values are ignored. An item occurs once in a sequence, where the paper's may repeat.

    Blocks are those of the released code, by which the results were found: both residual
    connections add what was normalised, and keys and values come from what was not. The paper's
    text has :math:`x + \operatorname{Dropout}(g(LN(x)))` for attention and layers: `pre_norm`.
    Attention weights are dropped in both, and no dense layer follows the heads. Factors and weights
    start Glorot-uniform, biases from 0; padding has factors of 0. 1e-8 is added to a variance.

    An epoch has as many steps as there are whole batches of users, but at least one. Each step
    draws users uniformly and with replacement, from those with two items or more, and for each
    place an item uniformly from those that are not in the user's training row. Users with every
    item are left out. The loss is a mean over places. Adam's second momentum is 0.98, as in the
    code. The code trains for 201 epochs; here their number is found on validation data.

    `n_negatives` above 1 (their losses are added) and ``loss = "softmax"`` (cross-entropy of a
    softmax over all items) are not in the paper. They can be much better (Klenitskiy & Vasilev,
    RecSys 2023), and are to be named as variants.
    """

    version = 2
    needs_times = True
    uses = ("order",)

    class Config(NeuralConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), Choice(50, 64, 128)] = 50
        """Number of factors, a multiple of `n_heads`."""
        n_blocks: Annotated[int, Ge(1), Choice(1, 2, 3)] = 2
        """Number of blocks of attention and two dense layers."""
        n_heads: Annotated[int, Ge(1), Choice(1, 2)] = 1
        """Number of heads of the attention, which share the factors."""
        pre_norm: bool = False
        """Whether blocks are those of the paper's text instead of the released code's."""
        max_length: Annotated[int, Ge(1), Choice(50, 100, 200)] = 50
        """Number of a user's latest items that are looked at."""
        dropout: Annotated[FiniteFloat, Ge(0), Lt(1), Choice(0.2, 0.5)] = 0.5
        """Share of the factors, of hidden units and of attention that is dropped in training."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-2)] = 1e-3
        """Length of a step."""
        batch_size: Annotated[int, Ge(1)] = 128
        """Number of users drawn for one step."""
        loss: Literal["bce", "softmax"] = "bce"
        """Cross-entropy of single items, as in the paper, or of a softmax over all."""
        n_negatives: Annotated[int, Ge(1)] = 1
        """Unseen items drawn for each place, where `loss` is "bce"."""
        l2: Annotated[FiniteFloat, Ge(0)] = 0.0
        """Penalty of half the squared factors of items and places."""
        epochs: Annotated[int, Ge(1)] = 201
        """Number of epochs."""

        @model_validator(mode="after")
        def _check_heads(self) -> Self:
            if self.n_factors % self.n_heads:
                raise ValueError(
                    f"n_factors = {self.n_factors} cannot be shared by n_heads = {self.n_heads}."
                )
            return self

    network: SASRecNetwork

    def build(self, train: Interactions) -> nn.Module:
        """Order the items in time, and make tables and layers."""
        self._sequences = Sequences(train)
        c = self.config
        sizes = (train.n_items, c.max_length, c.n_factors, c.n_blocks, c.n_heads)
        return SASRecNetwork(*sizes, c.dropout, pre_norm=c.pre_norm)

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return Adam with the paper's second momentum, or what is asked for."""
        c = self.config
        settings = {"betas": (0.9, 0.98)} if c.optimizer in {"adam", "adamw"} else {}
        return [make_optimizer(c.optimizer, self.network.parameters(), c.learning_rate, **settings)]

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw users, and unseen items for each place; sequences of like length share an array."""
        c = self.config
        lengths = np.minimum(self._sequences.lengths - 1, c.max_length)
        drawn = lengths > 0
        if c.loss == "bce":
            drawn &= train.user_counts < train.n_items
        pool = np.flatnonzero(drawn)
        n_steps = max(1, np.count_nonzero(train.user_counts) // c.batch_size)
        for _ in range(n_steps if len(pool) else 0):
            users = pool[rng.integers(len(pool), size=c.batch_size)]
            yield tuple(
                self._samples(users[block], train, rng) for block in self._blocks(lengths[users])
            )

    def loss(self, *blocks: Tensor) -> Tensor:
        """Return the cross-entropy, a mean over places, and the penalty."""
        c, table = self.config, self.network.items.weight
        states = self.network(*(block[..., 0] for block in blocks))
        chosen = torch.cat([block[..., 1:].flatten(0, 1) for block in blocks])
        real = chosen[:, 0] > 0
        if c.loss == "softmax":
            loss = cross_entropy_over(table[1:], states[real], chosen[real, 0] - 1)
        else:
            products = pair_products(states, table, chosen)
            losses = softplus(-products[:, 0]) + softplus(products[:, 1:]).sum(dim=1)
            loss = (losses * real).sum() / real.sum()
        if c.l2:
            squares = table.square().sum() + self.network.places.weight.square().sum()
            loss = loss + c.l2 / 2 * squares
        return loss

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the states after the last items, and the item factors."""
        network, table = self.network, self.network.items.weight
        n = self.config.max_length
        lengths = np.minimum(self._sequences.lengths, n)
        states = table.new_zeros(len(lengths), table.shape[1])
        known = np.flatnonzero(lengths)
        for block in self._blocks(lengths[known]):
            users = known[block]
            items = torch.from_numpy(self._sequences.last(users, n)).to(self.device)
            found = network.encode(network.items(items), items > 0, n_last=1)
            states[torch.from_numpy(users).to(self.device)] = found[:, 0]
        return states, table[1:]

    def _blocks(self, lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Yield the numbers of sequences that are computed together."""
        if self.device.type == "cpu":
            return of_similar_length(lengths, _PLACES_AT_ONCE, _PADDING)
        return of_similar_length(lengths, _PLACES_ON_A_GPU, _PLACES_ON_A_GPU)

    def _samples(
        self, users: NDArray[np.int64], train: Interactions, rng: np.random.Generator
    ) -> NDArray[np.int32]:
        """Return the item at each place, the next one and unseen ones: (users, places, items)."""
        c = self.config
        inputs = self._sequences.last(users, c.max_length, without=1)
        targets = self._sequences.last(users, inputs.shape[1])
        real = inputs > 0
        n_negatives = c.n_negatives if c.loss == "bce" else 0
        samples = np.zeros((*inputs.shape, 2 + n_negatives), np.int32)
        samples[..., 0], samples[..., 1] = inputs, targets * real
        if n_negatives:
            owners = np.repeat(users.astype(np.int32), real.sum(axis=1) * n_negatives)
            negatives = draw_unseen(rng, owners, train.matrix) + np.int32(1)
            samples[real, 2:] = negatives.reshape(-1, n_negatives)
        return samples
