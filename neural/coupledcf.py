"""CoupledCF: convolutions on the outer product of user and item attributes, beside DeepCF."""

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge
from numpy.typing import NDArray
from torch import Tensor, nn

from recrepro.features import FeatureNames, Side
from recrepro.interactions import Interactions
from recrepro.space import Choice

from ._autoencoder import Layer
from ._layers import glorot, lecun
from ._rows import Rows, distinct_rows
from .deepcf import DeepCF, ProductLayer

Couplings = Literal["both", "local", "global"]
N_CHANNELS = 8
"""Numbers for each cell of a convolution."""
KERNEL = 3
"""Sides of its kernel."""
_TABLE_NUMBERS = 2**24
"""Numbers that are held of couplings that were computed: 64 MB."""


class AttributeLayer(Layer):
    """A rectified layer from sparse attributes to a few numbers."""

    def __init__(self, n_attributes: int, width: int) -> None:
        super().__init__(n_attributes, width)
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def of(self, rows: Rows, numbers: Tensor) -> Tensor:
        """Return the layer for some rows."""
        distinct, at = rows.of(numbers)
        found: Tensor = self(distinct).relu()[at]
        return found


class CouplingLayers(nn.Module):
    """What follows from the outer product of a user's and an item's attributes.

    Parameters
    ----------
    side : int
        Length of both.
    width : int
        Length of the result.
    kind : str
        Whether it looks at the product itself ("global"), at two convolutions of it ("local"), or
        at both.
    """

    def __init__(self, side: int, width: int, kind: Couplings) -> None:
        super().__init__()
        left = side - 2 * (KERNEL - 1)
        n_local, n_global = N_CHANNELS * left**2, side**2
        sizes = {"both": n_local + n_global, "local": n_local, "global": n_global}
        self.kind: Couplings = kind
        self.convolutions = nn.Sequential()
        if kind != "global":
            for n_in in (1, N_CHANNELS):
                layer = nn.Conv2d(n_in, N_CHANNELS, KERNEL)
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # there is one
                norm = nn.BatchNorm2d(N_CHANNELS, eps=1e-3, momentum=0.01)  # as Keras
                self.convolutions.extend([layer, norm, nn.ReLU()])
        self.joined = glorot(sizes[kind], width)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the couplings of pairs of vectors; a user's number belongs to a row of the map."""
        outer = users[:, :, None] * items[:, None, :]
        parts = []
        if self.kind != "global":
            parts.append(self.convolutions(outer[:, None]).flatten(1))
        if self.kind != "local":
            parts.append(outer.flatten(1))
        joined: Tensor = self.joined(torch.cat(parts, dim=1)).relu_()
        return joined


class CoupledCFNetwork(nn.Module):
    """Attributes' couplings and the product of factors, side by side below two layers.

    Parameters
    ----------
    shape : tuple of int
        Numbers of users and items.
    n_attributes : tuple of int
        Numbers of attributes of users and of items.
    config : CoupledCF.Config
        Widths.
    """

    def __init__(
        self, shape: tuple[int, int], n_attributes: tuple[int, int], config: "CoupledCF.Config"
    ) -> None:
        super().__init__()
        side, width = config.n_attribute_factors, config.coupling_width
        self.user_attributes = AttributeLayer(n_attributes[0], side)
        self.item_attributes = AttributeLayer(n_attributes[1], side)
        self.couplings = CouplingLayers(side, width, config.couplings)
        self.product = ProductLayer(*shape, config.n_factors)
        self.last = glorot(width + config.n_factors, config.width)
        self.output = lecun(config.width, 1)

    def above(self, coupled: Tensor, product: Tensor) -> Tensor:
        """Return the logits, given couplings and the layer above the product of factors."""
        hidden = self.last(torch.cat([coupled, product], dim=1)).relu_()
        logits: Tensor = self.output(hidden).squeeze(1)
        return logits


class CoupledCF(DeepCF):
    r"""Couple the attributes of user and item by convolutions, beside the product of factors.

    Zhang, Cao, Zhu, Li & Sun: CoupledCF: learning explicit and implicit user-item couplings in
    recommendation for deep collaborative filtering. IJCAI 2018.

    .. math::

        E_{ui} = \mathrm{ReLU}(A x_u + a)\, \mathrm{ReLU}(B y_i + b)^\top, \qquad
        c_{ui} = \mathrm{ReLU}\bigl(C\, [\phi_2(\phi_1(E_{ui})), \mathrm{vec}\, E_{ui}] + c\bigr)

        z_{ui} = \mathrm{ReLU}(W_1 (p_u \circ q_i) + b_1), \qquad
        \hat y_{ui} = \sigma\bigl(h^\top \mathrm{ReLU}(W_2 [c_{ui}, z_{ui}] + b_2) + b_0\bigr)

    with attributes x and y, and convolutions :math:`\phi` of 8 channels, a kernel of 3 x 3 and
    batch normalisation; learned by binary cross-entropy, with unseen items as negatives, drawn anew
    in every epoch. A map of 8 x 8 becomes 6 x 6, and then 4 x 4.

    Notes
    -----
    Scores are logits. ``couplings = "global"`` leaves the convolutions out, ``"local"`` the map
    itself; the released code has all three, and it trains the first of them on MovieLens 1M.
    Without attributes it is `DeepCF`. That code looks up the attributes of a candidate by its place
    in the list of candidates, not by the item: a bug, and left out. Where the paper embeds the
    category of an item, here it is an attribute like all others.

    Users, and items, that have the same attributes share what is computed of these.
    """

    needs_features = ("user", "item")

    class Config(DeepCF.Config):
        """Hyperparameters."""

        user_features: FeatureNames = "all"
        """Feature sets of users, separated by commas."""
        item_features: FeatureNames = "all"
        """Feature sets of items, separated by commas."""
        couplings: Annotated[Couplings, Choice("both", "local", "global")] = "both"
        """What is made of the map of attributes."""
        n_attribute_factors: Annotated[int, Ge(2 * KERNEL - 1), Choice(8, 16)] = 8
        """Sides of this map."""
        coupling_width: Annotated[int, Ge(1), Choice(8, 16, 32)] = 16
        """Width of the layer above it."""

    network: CoupledCFNetwork  # type: ignore[assignment]  # made of the same parts, and more

    def build(self, train: Interactions) -> nn.Module:
        """Make tables and layers, and keep the attributes."""
        self._users, user_profiles = self._attributes("user", train)
        self._items, item_profiles = self._attributes("item", train)
        self._profiles = user_profiles, item_profiles
        n_attributes = self._users.matrix.shape[1], self._items.matrix.shape[1]
        return CoupledCFNetwork(train.shape, n_attributes, self.config)

    def _attributes(self, side: Side, train: Interactions) -> tuple[Rows, NDArray[np.int64]]:
        rows, profiles = distinct_rows(self.feature_matrix(side, train))
        return Rows(rows), profiles

    def pair_scores(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the logits of pairs."""
        network = self.network
        of_users, of_items = (
            torch.from_numpy(profiles[numbers.cpu().numpy()]).to(numbers.device)
            for profiles, numbers in zip(self._profiles, (users, items), strict=True)
        )
        left = network.user_attributes.of(self._users, of_users)
        right = network.item_attributes.of(self._items, of_items)
        return network.above(network.couplings(left, right), network.product(users, items))

    def for_all_items(self) -> Callable[[Tensor], Tensor]:
        """Return a function of a user's number, with the logits of every item."""
        network, (user_profiles, item_profiles) = self.network, self._profiles
        left = network.user_attributes(self._users.all).relu()
        right = network.item_attributes(self._items.all).relu()
        of_items = torch.from_numpy(item_profiles).to(self.device)

        def of_profile(profile: int) -> Tensor:
            found: Tensor = network.couplings(left[profile].expand(len(right), -1), right)
            return found

        n_held = max(1, _TABLE_NUMBERS // (len(right) * self.config.coupling_width))
        couplings = lru_cache(n_held)(of_profile)

        def of_user(user: Tensor) -> Tensor:
            coupled = couplings(int(user_profiles[int(user)]))[of_items]
            return network.above(coupled, network.product.of_all_items(user))

        return of_user
