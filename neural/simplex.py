"""SimpleX: cosines, many negatives and a margin; without a history, MF-CCL."""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from torch import Tensor, nn
from torch.nn.functional import dropout, normalize, relu

from recrepro.interactions import Interactions
from recrepro.space import Choice, LogUniform, Uniform

from ._layers import embedding
from ._products import chosen_sums, pair_products
from ._samples import pairs_with_drawn_items
from ._training import Batch, FactorModel, NeuralConfig

Aggregation = Literal["mean", "user_attention", "self_attention"]
_USERS_AT_ONCE = 1024


class Histories:
    """The items of each user, `limit` of them at most: the latest, or without times the last."""

    def __init__(self, train: Interactions, limit: int) -> None:
        self._counts = np.minimum(train.user_counts, limit)
        self._starts = np.cumsum(self._counts) - self._counts
        items = train.items
        if train.times is not None:
            items = items[np.lexsort((train.times, train.users))]
        behind = train.matrix.indptr[train.users + 1] - np.arange(len(items))
        self._items = items[behind <= limit]

    def of(self, users: NDArray[np.integer]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the items of users, a row each, filled up with item 0, and how many there are."""
        counts = self._counts[users]
        place = np.arange(counts.max(initial=0))
        at = np.where(place < counts[:, None], self._starts[users, None] + place, 0)
        return np.where(place < counts[:, None], self._items[at], np.int32(0)), counts


class SimpleXNetwork(nn.Module):
    """Two tables, and layers for the sum over a user's history."""

    n_epochs: Tensor

    def __init__(self, train: Interactions, config: "SimpleX.Config") -> None:
        super().__init__()
        size, std = config.n_factors, config.init_std
        self.share, self.limit = config.user_share, config.max_history
        self.aggregation, self.attends_padding = config.aggregation, config.attend_padding
        self.histories = Histories(train, 0 if config.user_share == 1 else config.max_history)
        self.users = embedding(train.n_users, size, std)
        self.items = embedding(train.n_items, size, std)
        if config.user_share < 1:
            self.values = _dense(size, bias=False)
            if config.aggregation != "mean":
                self.keys = _dense(size, bias=True)
            if config.aggregation == "self_attention":
                self.query = nn.Parameter(nn.init.xavier_normal_(torch.empty(1, size)))
        if config.biases:
            self.user_biases = embedding(train.n_users, 1, std)
            self.item_biases = embedding(train.n_items, 1, std)
            self.bias = nn.Parameter(torch.zeros(()))
        self.register_buffer("n_epochs", torch.zeros((), dtype=torch.int64))

    def vectors(self, users: Tensor, history: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors of some users and of all items, whose products are the scores."""
        of_users = self.users(users)
        if self.share < 1:
            weights = self.weights(of_users, history, counts)
            of_history = self.values(chosen_sums(weights, self.items.weight, history))
            of_users = self.share * of_users + (1 - self.share) * of_history
        of_users, of_items = normalize(of_users), normalize(self.items.weight)
        if "item_biases" in self._modules:
            of_users = torch.cat([of_users, of_users.new_ones(len(users), 1)], dim=1)
            of_items = torch.cat([of_items, self.item_biases.weight], dim=1)
        return of_users, of_items

    def weights(self, of_users: Tensor, history: Tensor, counts: Tensor) -> Tensor:
        """Return the weights of the items in the histories."""
        counts = counts[:, None]
        inside = torch.arange(history.shape[1], device=history.device) < counts
        if self.aggregation == "mean":
            return inside / counts.clamp(min=1)
        keys = torch.tanh(self.keys(self.items.weight))
        if self.aggregation == "self_attention":
            logits = (keys @ self.query[0])[history]
        else:
            logits = pair_products(of_users, keys, history)
        # All that is outside is one more item, of weight 0 unless there is no other.
        outside = torch.where(counts == 0, 0.0, -torch.inf)
        if self.attends_padding:
            outside = (self.limit - counts).log()
        logits = torch.cat([logits.where(inside, -torch.inf), outside], dim=1)
        return logits.softmax(dim=1)[:, :-1]


class SimpleX(FactorModel):
    r"""Pull users to their items, and push them from items that are nearer than a margin.

    Mao, Zhu, Wang, Dai, Dong, Xiao & He: SimpleX: a simple and strong baseline for collaborative
    filtering. CIKM 2021.

    .. math::

        h_u = g\, p_u + (1 - g)\, V \sum_{i \in H_u} a_i q_i, \qquad
        \hat y_{ui} = \cos(h_u, q_i), \qquad
        \min \sum_{(u,i)} \Bigl( 1 - \hat y_{ui}
        + \frac{w}{N} \sum_{j} \max(0, \hat y_{uj} - m) \Bigr)

    with N items j drawn for each interaction. In the sum over the history H all items have the same
    weight, or those of an attention, a softmax of :math:`x^\top \tanh(K q_i + k)` where x is
    :math:`p_u` or learned. With g = 1 it is what the paper calls MF-CCL.

    Notes
    -----
    The history is that of training, with the item to predict in it, as in the released code: its
    `max_history` latest items, or, without times, those with the largest numbers. Factors start
    from N(0, `init_std`^2), layers Glorot-normal. Values of interactions are ignored. The loss is
    the mean over a batch, the penalty half the squares of all factors and biases. Dropout is
    of the user's vector after it is normalised, in MF-CCL too. Drawn items may be items of the
    user, unless `unseen_only`. A sum over them, as the paper also has it, is that of a weight w
    times N. Only cosines are here, not dot products.

    Departures in the released code, as options: `biases` are those of its MovieLens 1M; the item's
    is added to the cosine under the same dropout as the vector, the user's and the common one help
    in training only. `attend_padding` lets the attention give weight to the places of the history,
    up to `max_history`, that are empty.

    The released code divides the learning rate by 10 when the metric on the test items stalls, goes
    back to the best epoch then, and stops when it stalls three times: `decay_after` stands for the
    first time. By its logs that was after epoch 12 on MovieLens 1M, 6 on Amazon CDs and 10 on
    Yelp2018, and NDCG rose by 4, 152 and 11 % from there on. The number of epochs is found on
    validation data.
    """

    uses = ("order",)

    class Config(NeuralConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1)] = 64
        """Number of factors."""
        aggregation: Aggregation = "mean"
        """How the items of a history are weighed."""
        user_share: Annotated[FiniteFloat, Ge(0), Le(1), Uniform(0.0, 1.0)] = 0.5
        """Share g of the user's own factors; the rest is the history's."""
        max_history: Annotated[int, Ge(1)] = 500
        """Largest number of items in a history."""
        attend_padding: bool = False
        """Whether an attention counts empty places of the history, too."""
        biases: bool = False
        """Whether users and items have biases."""
        n_negatives: Annotated[int, Ge(1), Choice(100, 200, 500, 1000, 1500, 2000)] = 1000
        """Items N drawn for each interaction."""
        unseen_only: bool = False
        """Whether the items drawn are new to the user."""
        margin: Annotated[FiniteFloat, Ge(-1), Le(1), Uniform(0.0, 0.95)] = 0.4
        """Cosine m up to which drawn items may stay."""
        negative_weight: Annotated[FiniteFloat, Ge(0), LogUniform(1.0, 1000.0)] = 300.0
        """Weight w of the mean loss of drawn items."""
        l2: Annotated[FiniteFloat, Ge(0), LogUniform(1e-9, 1e-1)] = 1e-6
        """Penalty of all factors and biases, for each batch."""
        dropout: Annotated[FiniteFloat, Ge(0), Lt(1), Uniform(0.0, 0.5)] = 0.1
        """Share of the user's vector that is left out in training."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-5, 1e-2)] = 1e-3
        """Length of a step."""
        decay_after: Annotated[int, Ge(0)] = 0
        """Epochs after which the learning rate is divided by 10; 0 for never."""
        batch_size: Annotated[int, Ge(1)] = 1024
        """Number of interactions for one step."""
        clip_norm: Annotated[FiniteFloat, Ge(0)] = 10.0
        """Largest norm of the gradient of a step; 0 for no limit."""
        init_std: Annotated[FiniteFloat, Gt(0)] = 1e-4
        """Standard deviation of the first factors."""

    network: SimpleXNetwork

    def build(self, train: Interactions) -> nn.Module:
        """Make tables and layers."""
        return SimpleXNetwork(train, self.config)

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw items for the interactions of each batch, and look up the users' histories."""
        c = self.config
        for users, *others in pairs_with_drawn_items(
            train, c.n_negatives, c.batch_size, rng, unseen_only=c.unseen_only
        ):
            yield users, *others, *self.network.histories.of(users)

    def loss(  # type: ignore[override]
        self, users: Tensor, preferred: Tensor, drawn: Tensor, history: Tensor, counts: Tensor
    ) -> Tensor:
        """Return the cosine contrastive loss and the penalty."""
        config, network = self.config, self.network
        of_users, of_items = network.vectors(users, history, counts)
        chosen = torch.cat([preferred[:, None], drawn], dim=1)
        scores = pair_products(
            dropout(of_users, config.dropout, network.training), of_items, chosen
        )
        if config.biases:
            scores = scores + network.user_biases(users) + network.bias
        lost = relu(1 - scores[:, 0]).mean()
        lost = lost + config.negative_weight * relu(scores[:, 1:] - config.margin).mean()
        tables = (layer.weight for layer in network.children() if isinstance(layer, nn.Embedding))
        norms = torch.stack([table.square().sum() for table in tables])
        total: Tensor = lost + config.l2 / 2 * norms.sum()
        return total

    def train_epoch(self, train: Interactions, rng: np.random.Generator) -> dict[str, float]:
        """Train for an epoch, with a smaller learning rate where it is time for it."""
        self.network.n_epochs += 1
        if 0 < self.config.decay_after < self.network.n_epochs:
            for optimizer in self.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = self.config.learning_rate / 10
        return super().train_epoch(train, rng)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors, without what counts in training only."""
        network, device = self.network, self.device
        users = np.arange(network.users.num_embeddings)
        parts = []
        for start in range(0, max(len(users), 1), _USERS_AT_ONCE):
            block = users[start : start + _USERS_AT_ONCE]
            arrays = block, *network.histories.of(block)
            batch = (torch.from_numpy(array).to(device) for array in arrays)
            of_users, of_items = network.vectors(*batch)
            parts.append(of_users)
        return torch.cat(parts), of_items


def _dense(size: int, *, bias: bool) -> nn.Linear:
    """Return a square layer with Glorot-normal weights and, if any, biases of 0."""
    layer = nn.Linear(size, size, bias=bias)
    nn.init.xavier_normal_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
