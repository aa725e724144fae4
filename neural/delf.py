"""DELF: each user and item has a second vector, pooled from what it has interacted with."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import product
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Gt
from pydantic import FiniteFloat
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn.functional import embedding, linear

from recrepro.interactions import Interactions
from recrepro.space import Choice, IntRange, LogUniform

from ._layers import glorot
from ._logistic import LogisticPairModel
from ._rows import Rows
from ._training import NeuralConfig

Kind = Literal["own", "pooled"]
KINDS: tuple[Kind, ...] = ("own", "pooled")
PAIRS = tuple(product(KINDS, repeat=2))
"""Vectors of user and item that a tower is put on."""
LEAST_SUM = 1e-10
"""What sums of weights are at least, so that who has no interactions gets zeros."""
TRUSTED = 4
"""Interactions from which on DELF-EF looks at the own vector only."""


def table(n: int, size: int) -> nn.Embedding:
    """Return a table of n vectors, Glorot-uniform."""
    vectors = nn.Embedding(n, size)
    nn.init.xavier_uniform_(vectors.weight)
    return vectors


class Pooling(nn.Module):
    """Sums of others' vectors, weighted by attention that looks at the other alone.

    Parameters
    ----------
    n : int
        Number of others.
    size, width : int
        Length of their vectors, and width of the attention's layer.
    power : float
        Of the sum of weights that is divided by.
    """

    def __init__(self, n: int, size: int, width: int, power: float) -> None:
        super().__init__()
        self.table = table(n, size)
        self.attention = nn.Sequential(glorot(size, width), nn.ReLU(), glorot(width, 1))
        self.power = power

    def forward(self, rows: Rows, numbers: Tensor) -> Tensor:
        """Return the sums of those others that are in some rows."""
        vectors = self.table.weight
        weights = self.attention(vectors).exp()
        distinct, at = rows.of(numbers)
        sums = distinct.times(torch.cat([weights * vectors, weights], dim=1))
        pooled: Tensor = sums[:, :-1] / sums[:, -1:].clamp_min(LEAST_SUM) ** self.power
        return pooled[at]


class Chosen(NamedTuple):
    """Vectors of distinct users, or items, and which of them each pair has."""

    vectors: Tensor
    places: Tensor


class Tower(nn.Module):
    """Two rectified layers above a vector of a user and one of an item."""

    def __init__(self, size: int, widths: tuple[int, int]) -> None:
        super().__init__()
        self.first = glorot(2 * size, widths[0])
        self.last = glorot(*widths)

    def forward(self, left: "Chosen", right: "Chosen") -> Tensor:
        """Return the last layer for pairs of vectors.

        Its share of the first layer is computed once for each distinct user, and item.
        """
        of_left, of_right = self.first.weight.chunk(2, dim=1)
        hidden = embedding(left.places, linear(left.vectors, of_left))
        share = linear(right.vectors, of_right, self.first.bias)
        return self._above(hidden + embedding(right.places, share))

    def with_each(self, right: Tensor) -> Callable[[Tensor], Tensor]:
        """Return a function of a user's vector, with the last layer for each item's."""
        of_users, of_items = self.first.weight.chunk(2, dim=1)
        share = linear(right, of_items, self.first.bias)
        return lambda left: self._above(share + of_users @ left)

    def _above(self, hidden: Tensor) -> Tensor:
        last: Tensor = self.last(hidden.relu_()).relu_()
        return last


class DELFNetwork(nn.Module):
    """Own and pooled vectors, a tower for each pair of them, and an output above the towers.

    Parameters
    ----------
    shape : tuple of int
        Numbers of users and items.
    config : DELF.Config
        Widths.
    power : float
        Of the sums of weights that are divided by.
    n_joined : int
        Towers that the last layer sees side by side.
    """

    def __init__(
        self, shape: tuple[int, int], config: "DELF.Config", power: float, n_joined: int
    ) -> None:
        super().__init__()
        (n_users, n_items), size = shape, config.n_factors
        widths = config.width // 2, config.width // 4
        self.users, self.items = table(n_users, size), table(n_items, size)
        self.of_items = Pooling(n_items, size, config.attention_width, power)
        self.of_users = Pooling(n_users, size, config.attention_width, power)
        self.towers = nn.ModuleList(Tower(size, widths) for _ in PAIRS)
        self.last = glorot(n_joined * widths[1], config.width // 2)
        self.output = glorot(config.width // 2, 1)

    def above(self, joined: Tensor) -> Tensor:
        """Return the logits, given what comes out of the towers."""
        logits: Tensor = self.output(self.last(joined).relu_()).squeeze(1)
        return logits


class DELF(LogisticPairModel):
    """What DELF-MLP and DELF-EF have in common: `joined` says how towers are joined."""

    version = 2
    power: float
    n_joined: int

    class Config(NeuralConfig):
        """Hyperparameters of both variants."""

        n_factors: Annotated[int, Ge(1), Choice(32, 64, 128)] = 128
        """Length of all vectors."""
        width: Annotated[int, Ge(4), Choice(32, 64, 128)] = 128
        """Twice the width of a tower's first layer; the second has a half of that."""
        attention_width: Annotated[int, Ge(1)] = 64
        """Width of the layer that gives the weights of a pool."""
        n_negatives: Annotated[int, Ge(1), IntRange(1, 10)] = 4
        """Unseen items drawn for each interaction."""
        clip_value: Annotated[FiniteFloat, Ge(0)] = 0.1
        """Largest number of a gradient; 0 for no limit."""
        epochs: Annotated[int, Ge(1)] = 500
        """Number of epochs."""
        batch_size: Annotated[int, Ge(1), Choice(1024, 4096, 16384)] = 4096
        """Number of samples for one step."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-2)] = 1e-3
        """Length of a step."""

    network: DELFNetwork

    @abstractmethod
    def for_all_items(self) -> Callable[[Tensor], Tensor]:
        """Return a function of a user's number, with the logits of every item."""

    def chosen_users(self, users: Tensor, kinds: Sequence[Kind] = KINDS) -> dict[Kind, Chosen]:
        """Return own or pooled vectors of the users of pairs."""
        distinct, places = torch.unique(users, return_inverse=True)
        return {kind: Chosen(self.user_vectors(kind, distinct), places) for kind in kinds}

    def chosen_items(self, items: Tensor, kinds: Sequence[Kind] = KINDS) -> dict[Kind, Chosen]:
        """Return own or pooled vectors of the items of pairs."""
        distinct, places = torch.unique(items, return_inverse=True)
        return {kind: Chosen(self.item_vectors(kind, distinct), places) for kind in kinds}

    def user_vectors(self, kind: Kind, users: Tensor) -> Tensor:
        """Return own or pooled vectors of users."""
        network = self.network
        own: Callable[[Tensor], Tensor] = network.users
        return own(users) if kind == "own" else network.of_items(self._rows, users)

    def item_vectors(self, kind: Kind, items: Tensor) -> Tensor:
        """Return own or pooled vectors of items."""
        network = self.network
        own: Callable[[Tensor], Tensor] = network.items
        return own(items) if kind == "own" else network.of_users(self._columns, items)

    def towers_for_all_items(self) -> list[Callable[[Tensor], Tensor]]:
        """Return a function for each tower, of a user's number, with its layer for every item."""
        everyone, everything = (torch.arange(n, device=self.device) for n in self._shape)
        left = {kind: self.user_vectors(kind, everyone) for kind in KINDS}
        right = {kind: self.item_vectors(kind, everything) for kind in KINDS}

        def of_tower(tower: Tower, of_user: Kind, of_item: Kind) -> Callable[[Tensor], Tensor]:
            with_each = tower.with_each(right[of_item])
            return lambda user: with_each(left[of_user][user])

        towers = zip(self.network.towers, PAIRS, strict=True)
        return [of_tower(tower, *kinds) for tower, kinds in towers]  # type: ignore[arg-type]

    def build(self, train: Interactions) -> nn.Module:
        """Make tables and layers, and keep rows and columns."""
        ones = csr_array(train.matrix, copy=True)
        ones.data[:] = 1
        self._rows, self._columns = Rows(ones), Rows(ones.T.tocsr())
        self._shape = train.shape
        return DELFNetwork(train.shape, self.config, self.power, self.n_joined)

    def clip(self, parameters: list[nn.Parameter]) -> None:
        """Shorten the gradient, then cut each of its numbers to ``config.clip_value``."""
        super().clip(parameters)
        if self.config.clip_value:
            nn.utils.clip_grad_value_(parameters, self.config.clip_value)


class DELFMLP(DELF):
    r"""Join perceptrons of own and pooled vectors of user and item by one layer above all four.

    Cheng, Shen, Zhu & Huang: DELF: a dual-embedding based deep latent factor model for
    recommendation. IJCAI 2018, DELF-MLP.

    .. math::

        \bar p_u = \frac{\sum_{j \in I_u} e^{a_j} x_j}{\bigl(\sum_{j \in I_u} e^{a_j}\bigr)^{1/2}},
        \qquad a_j = w^\top \mathrm{ReLU}(W x_j + b) + b_0

        \hat y_{ui} = \sigma\bigl(h^\top \mathrm{ReLU}(C\, [\phi_1(p_u, q_i),
        \phi_2(p_u, \bar q_i), \phi_3(\bar p_u, q_i), \phi_4(\bar p_u, \bar q_i)] + c) + c_0\bigr)

    with a second table of vectors x for the items, another one for the users that items are pooled
    from, and towers :math:`\phi` of two rectified layers; learned by binary cross-entropy, with
    unseen items as negatives, drawn anew in every epoch.

    Notes
    -----
    Scores are logits. All first values are Glorot-uniform, biases 0. Each number of the gradient is
    cut to `clip_value`, as in the released code. There the option for the batch size is the number
    of batches of an epoch; `batch_size` is the number of samples. Those left over are a batch of
    their own, and not dropped. The penalty of that code has no effect with Adam, and is left out.
    Values of interactions are ignored. In training, the item itself is among those that the user's
    vector is pooled from; when it is recommended, it is not. The number of epochs, which the
    released code picks on the test items, too, is found on validation data.
    """

    power = 0.5
    n_joined = len(PAIRS)

    def pair_scores(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the logits of pairs."""
        left, right = self.chosen_users(users), self.chosen_items(items)
        towers = zip(self.network.towers, PAIRS, strict=True)
        joined = [tower(left[of_user], right[of_item]) for tower, (of_user, of_item) in towers]
        return self.network.above(torch.cat(joined, dim=1))

    def for_all_items(self) -> Callable[[Tensor], Tensor]:
        """Return a function of a user's number, with the logits of every item."""
        towers = self.towers_for_all_items()
        above = self.network.above
        return lambda user: above(torch.cat([tower(user) for tower in towers], dim=1))


class DELFEF(DELF):
    r"""Weigh perceptrons of own and pooled vectors by how much is known of user and item.

    Cheng, Shen, Zhu & Huang: DELF: a dual-embedding based deep latent factor model for
    recommendation. IJCAI 2018, DELF-EF (empirical fusion).

    .. math::

        \bar p_u = \sum_{j \in I_u} \frac{e^{a_j}}{\sum_{l \in I_u} e^{a_l}} x_j, \qquad
        \alpha_u = \min\bigl(\tfrac12 \sqrt{|I_u|}, 1\bigr)

        z_{ui} = \alpha_u \alpha_i\, \phi_1(p_u, q_i) + \alpha_u (1 - \alpha_i)\, \phi_2(p_u, \bar
        q_i) + (1 - \alpha_u) \alpha_i\, \phi_3(\bar p_u, q_i)
        + (1 - \alpha_u)(1 - \alpha_i)\, \phi_4(\bar p_u, \bar q_i)

        \hat y_{ui} = \sigma\bigl(h^\top \mathrm{ReLU}(C z_{ui} + c) + c_0\bigr)

    Otherwise like `DELFMLP`.

    Notes
    -----
    From four interactions on, a user or item is its own vector alone. An item without any has the
    same score as all others without any; on a split with many of them in the test part (Amazon
    Music in the paper) ties decide, and hit rates say nothing. What has a weight of 0 is not
    computed.
    """

    power = 1.0
    n_joined = 1

    def build(self, train: Interactions) -> nn.Module:
        """Make tables and layers, and keep rows, columns and what is known of each."""
        network = super().build(train)
        counts = {"user_shares": train.user_counts, "item_shares": train.item_counts}
        for name, of_side in counts.items():
            own = np.minimum(np.sqrt(of_side / TRUSTED), 1).astype(np.float32)
            shares = torch.from_numpy(np.stack([own, 1 - own]))  # in the order of KINDS
            network.register_buffer(name, shares, persistent=False)
        return network

    def pair_scores(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the logits of pairs."""
        joined = torch.zeros(len(users), self.network.last.in_features, device=self.device)
        towers = zip(self.network.towers, PAIRS, self._shares(), strict=True)
        for tower, (of_user, of_item), (of_users, of_items) in towers:
            weights = of_users[users] * of_items[items]
            at = weights.nonzero().squeeze(1)
            if len(at):
                left = self.chosen_users(users[at], [of_user])[of_user]
                right = self.chosen_items(items[at], [of_item])[of_item]
                joined = joined.index_add(0, at, weights[at, None] * tower(left, right).float())
        return self.network.above(joined)

    def for_all_items(self) -> Callable[[Tensor], Tensor]:
        """Return a function of a user's number, with the logits of every item."""
        towers = list(zip(self.towers_for_all_items(), self._shares(), strict=True))

        def of_user(user: Tensor) -> Tensor:
            parts = [
                of_users[user] * of_items[:, None] * tower(user)
                for tower, (of_users, of_items) in towers
                if of_users[user] and of_items.any()
            ]
            return self.network.above(torch.stack(parts).sum(dim=0))

        return of_user

    def _shares(self) -> list[tuple[Tensor, Tensor]]:
        """Return the weights of all users and of all items, for each tower."""
        users, items = (self.network.get_buffer(name) for name in ("user_shares", "item_shares"))
        return list(product(users, items))
