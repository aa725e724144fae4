"""MCRec: meta-paths between user and item as context, and co-attention."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, embedding_bag, linear

from recrepro.compute.memory import require_memory
from recrepro.features import FeatureNames
from recrepro.interactions import Interactions
from recrepro.space import Choice, IntRange, LogUniform, Uniform

from ._dropout import Dropout
from ._metapaths import METAPATHS, MetapathFinder, Paths, bytes_held, ones_of
from ._mfbpr import MFBPR, squares, truncated
from ._samples import pairs_with_drawn_items
from ._training import Batch, NeuralConfig, PairModel

CoAttention = Literal["relu", "softmax"]
_PAIRS_AT_ONCE = 2048
"""Whose paths are pooled at once where pairs are scored: 21 MB of intermediate results."""


def normal(n_in: int, n_out: int, fan: float) -> nn.Linear:
    """Return a dense layer with normal weights of variance 1 / fan, cut as in Keras."""
    layer = nn.Linear(n_in, n_out)
    truncated(layer.weight, fan**-0.5)
    nn.init.zeros_(layer.bias)
    return layer


def glorot_normal(n_in: int, n_out: int) -> nn.Linear:
    """Return a dense layer as Keras makes it with ``glorot_normal``."""
    return normal(n_in, n_out, (n_in + n_out) / 2)


class MCRecNetwork(nn.Module):
    """Convolutions of paths, attention, and a tower on user, context and item.

    A convolution is as long as a path, so that it is a sum of what each node adds at its place.
    That is computed once for all nodes (`table`), and then looked up.

    Parameters
    ----------
    sizes : mapping of str to int
        Number of users ("u"), items ("m") and features of items ("t").
    node_factors : int
        Length of the vectors of nodes, which are not learned here.
    n_factors : int
        Length of all other vectors.
    widths : sequence of int
        Of the tower's layers.
    dropout : float
        Share of an instance's values that are dropped.
    co_attention : {"relu", "softmax"}
        What makes the weights of a user's and of an item's factors.
    """

    offsets: Tensor
    absent: Tensor
    steps: Tensor

    def __init__(
        self,
        sizes: dict[str, int],
        node_factors: int,
        n_factors: int,
        widths: list[int],
        dropout: float,
        co_attention: CoAttention,
    ) -> None:
        super().__init__()
        d, n_paths = n_factors, len(METAPATHS)
        self.co_attention = co_attention
        self.users, self.items = nn.Embedding(sizes["u"], d), nn.Embedding(sizes["m"], d)
        for table in (self.users, self.items):
            truncated(table.weight, (2 / (len(table.weight) + d)) ** 0.5)
        end = (6 / (4 * node_factors + 4 * d)) ** 0.5
        self.filters = nn.Parameter(torch.empty(n_paths, 4, node_factors, d).uniform_(-end, end))
        self.filter_bias = nn.Parameter(torch.zeros(n_paths, d))
        self.dropout = Dropout(dropout)
        self.path_attention = glorot_normal(3 * d, d)
        self.path_weight = glorot_normal(d, 1)
        self.user_attention, self.item_attention = glorot_normal(2 * d, d), glorot_normal(2 * d, d)
        self.tower = nn.ModuleList(glorot_normal(*pair) for pair in pairwise([3 * d, *widths]))
        self.output = normal(widths[-1], 1, widths[-1])
        for kind, size in sizes.items():  # the last row stands for nodes that there are not
            self.register_buffer(f"nodes_{kind}", torch.zeros(size + 1, node_factors))
        absent = np.array([[sizes[kind] for kind in kinds] for kinds in METAPATHS])
        offsets = np.cumsum(absent.ravel() + 1) - (absent.ravel() + 1)
        for name, rows in (("absent", absent), ("offsets", offsets.reshape(absent.shape))):
            self.register_buffer(name, torch.from_numpy(rows)[:, None], persistent=False)
        self.register_buffer("steps", torch.tensor(0))

    def kernels(self) -> list[Tensor]:
        """Return the weights that are penalised: those of attention and tower."""
        layers = [self.path_attention, self.path_weight, self.user_attention, self.item_attention]
        return [layer.weight for layer in (*layers, *self.tower)]

    def table(self) -> Tensor:
        """Return what each node adds at each place of each meta-path, one below the other."""
        parts = []
        for filters, bias, kinds in zip(self.filters, self.filter_bias, METAPATHS, strict=True):
            for place, kind in enumerate(kinds):
                added = self.get_buffer(f"nodes_{kind}") @ filters[place]
                parts.append(added if place else added + bias)
        return torch.cat(parts)

    def metapaths(self, users: Tensor, items: Tensor, between: Tensor, table: Tensor) -> Tensor:
        """Return a vector for each pair and meta-path, shape (n, 4, n_factors).

        As rectifying changes no order, it is done once, after pooling.
        """
        n, n_paths, n_instances, _ = between.shape
        first, last = (
            part[:, None, None, None].expand(n, n_paths, n_instances, 1) for part in (users, items)
        )
        nodes = torch.cat([first, between, last], dim=3)
        rows = torch.where(between[..., :1] < 0, self.absent, nodes) + self.offsets
        sums = embedding_bag(rows.reshape(-1, 4), table, mode="sum")
        instances = self.dropout(sums.view(n, n_paths, n_instances, -1))
        # Without a gradient `amax` takes a tenth of the time of `max`, with it half as much again.
        highest = instances.max(dim=2).values if self.training else instances.amax(dim=2)
        pooled: Tensor = highest.relu()
        return pooled

    def context(self, user: Tensor, item: Tensor, metapaths: Tensor) -> Tensor:
        """Return the mean of the meta-paths, weighted by what user and item attend to."""
        of_pair, of_path = self.path_attention.weight.tensor_split([2 * user.shape[1]], dim=1)
        both = linear(torch.cat([user, item], dim=1), of_pair, self.path_attention.bias)
        hidden = (both[:, None] + linear(metapaths, of_path)).relu()
        weights = self.path_weight(hidden).relu().softmax(dim=1)
        mean: Tensor = (weights * metapaths).sum(dim=1)
        return mean

    def attended(self, layer: nn.Module, vector: Tensor, context: Tensor) -> Tensor:
        """Return a user's or an item's vector, weighted by what the context attends to."""
        weights: Tensor = layer(torch.cat([vector, context], dim=1)).relu()
        return vector * (weights.softmax(dim=1) if self.co_attention == "softmax" else weights)

    def forward(self, users: Tensor, items: Tensor, between: Tensor, table: Tensor) -> Tensor:
        """Return the logits of pairs, given the nodes between them (`MetapathFinder.find`)."""
        user, item = self.users(users), self.items(items)
        context = self.context(user, item, self.metapaths(users, items, between, table))
        left = self.attended(self.user_attention, user, context)
        right = self.attended(self.item_attention, item, context)
        hidden = torch.cat([left, context, right], dim=1)
        for layer in self.tower:
            hidden = layer(hidden).relu_()
        logits: Tensor = self.output(hidden).squeeze(1)
        return logits


class MCRec(PairModel):
    r"""Look at the paths between user and item through other users, items and genres.

    Hu, Shi, Zhao & Yu: Leveraging meta-path based context for top-N recommendation with a neural
    co-attention model. KDD 2018.

    .. math::

        c_\rho = \max_p \mathrm{ReLU}\Bigl(\sum_{l=1}^4 W_{\rho l} v_{p_l} + b_\rho\Bigr), \qquad
        \alpha_\rho = \mathrm{softmax}_\rho \mathrm{ReLU}\bigl(w^\top \mathrm{ReLU}(A [x_u, y_i,
        c_\rho] + a) + b\bigr), \qquad c = \sum_\rho \alpha_\rho c_\rho

        \tilde x_u = x_u \circ \mathrm{ReLU}(B [x_u, c] + b'), \qquad
        \hat y_{ui} = \sigma\bigl(\phi_L(\dots \phi_1([\tilde x_u, c, \tilde y_i]))\bigr)

    with the instances p of the meta-path :math:`\rho` between u and i, their nodes' vectors v, and
    the item's :math:`\tilde y_i` like the user's; learned by binary cross-entropy with unseen items
    as negatives, drawn anew in every epoch. A batch has `batch_size` interactions and the negatives
    of each. There are four meta-paths: user, item, feature, item (``umtm``); ``umum``; ``uuum`` and
    ``ummm`` over links between similar users or items. Which instances count is said at
    `MetapathFinder`. All come from what the model is fitted on; in the released code, the links
    between users and between items are made from the test part, too.

    Notes
    -----
    Scores are logits. Vectors of nodes come first, and are not learned any further: users' and
    items' from a matrix factorisation by BPR (`MFBPR`, as ConvNCF has it), those of features from
    another one, of items and their features. In the paper, all come from SVDFeature; the released
    ones are files. Paths that there are not count as instances with vectors of zeros.

    By default as in the paper; ``co_attention = "softmax"`` is what the released code does: a
    softmax over the factors, so that the vectors of user and item shrink to about a hundredth.
    Where they differ in numbers, defaults are those of the code: a filter of 4 nodes, which is a
    whole path, instead of 3; a penalty of 0.001, without a half, instead of 0.0001; a tower of four
    layers instead of two. The learning rate is divided by 1 + `decay` t at step t. Not taken over:
    the item with the last number is never drawn there, and the last batch is filled up with rows of
    zeros; links that both sides have chosen are listed twice, and so are paths over them.

    With `hold_paths`, the paths of all users and items are found before the first epoch: 40 numbers
    of 2 bytes (from 32,768 nodes of a kind on, 4) for each pair. Without, they are found again for
    every batch, which takes less memory and more time, and changes no result.
    """

    needs_features = ("item",)

    class Config(NeuralConfig):
        """Hyperparameters."""

        item_features: FeatureNames = "all"
        """Feature sets of items that paths go over, separated by commas."""
        n_factors: Annotated[int, Ge(1), Choice(32, 64, 128)] = 128
        """Length of the vectors of users, items and paths."""
        width: Annotated[int, Ge(1)] = 512
        """Width of the first layer above them; each further one has half of it."""
        n_layers: Annotated[int, Ge(1), IntRange(2, 4)] = 4
        """Number of layers above them."""
        co_attention: Annotated[CoAttention, Choice("relu", "softmax")] = "relu"
        """Weights of a user's and of an item's factors: rectified, or a softmax of that."""
        node_factors: Annotated[int, Ge(1)] = 64
        """Length of the vectors of nodes on paths."""
        pretraining_epochs: Annotated[int, Ge(1)] = 50
        """Number of epochs of the matrix factorisations that give these."""
        n_neighbors: Annotated[int, Ge(1)] = 50
        """Number of other users, and other items, that each is linked with."""
        n_hops: Annotated[int, Ge(1)] = 10
        """Closest items of the user, and users of the item, that paths may go over."""
        n_instances: Annotated[int, Ge(1)] = 5
        """Number of paths of each kind."""
        threshold: Annotated[FiniteFloat, Ge(-1), Le(1)] = 0.7
        """How close the nodes of a path have to be."""
        hold_paths: bool = True
        """Whether the paths of all pairs are held in memory."""
        epochs: Annotated[int, Ge(1)] = 130
        """Number of epochs."""
        n_negatives: Annotated[int, Ge(1), IntRange(1, 10)] = 4
        """Unseen items drawn for each interaction."""
        batch_size: Annotated[int, Ge(1), Choice(128, 256, 512, 1024)] = 256
        """Number of interactions for one step."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-2)] = 1e-3
        """Length of a step."""
        decay: Annotated[FiniteFloat, Ge(0)] = 1e-4
        """How fast the learning rate falls."""
        dropout: Annotated[FiniteFloat, Ge(0), Lt(1), Uniform(0.0, 0.8)] = 0.5
        """Share of the values of a path that are dropped."""
        l2: Annotated[FiniteFloat, Ge(0), LogUniform(1e-5, 1e-2)] = 1e-3
        """Penalty of the weights of attention and tower."""

    network: MCRecNetwork

    def build(self, train: Interactions) -> nn.Module:
        """Make the layers, and the graph that paths are found in."""
        c = self.config
        features = self.feature_matrix("item", train)
        n_users, n_items, n_features = *train.shape, features.shape[1]
        if c.hold_paths:
            needed = bytes_held((n_users, n_items, n_features), c.n_instances)
            advice = (
                "Set hold_paths = false: they are then found for each batch, which takes longer."
            )
            require_memory(f"{type(self).__name__} for paths", needed, advice)
        limits = c.n_hops, c.n_instances, c.threshold
        self._finder = MetapathFinder(train, features, c.n_neighbors, *limits)
        sizes = {"u": n_users, "m": n_items, "t": n_features}
        widths = [max(c.width >> layer, 1) for layer in range(c.n_layers)]
        return MCRecNetwork(sizes, c.node_factors, c.n_factors, widths, c.dropout, c.co_attention)

    def memory_needed(self, train: Interactions) -> int:
        """Return what the paths of all pairs take, where they are held."""
        c = self.config
        return bytes_held(train.shape, c.n_instances) if c.hold_paths else 0

    def prepare(self, train: Interactions, rng: np.random.Generator) -> None:
        """Learn the vectors of users, items and features of items."""
        had = ones_of(self.feature_matrix("item", train)).tocoo()
        rows, columns = (part.astype(np.int32) for part in had.coords)
        of_items = Interactions(
            rows, columns, had.data, None, train.item_ids, np.arange(had.shape[1])
        )
        users, items = self._factors("nodes", train, rng)
        _, features = self._factors("features", of_items, rng)
        for kind, vectors in (("u", users), ("m", items), ("t", features)):
            self.network.get_buffer(f"nodes_{kind}")[:-1] = vectors

    def _factors(
        self, name: str, known: Interactions, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Learn a matrix factorisation."""
        shared = self.config.model_dump(include={"device", "mixed_precision", "clip_norm"})
        c = self.config
        part = MFBPR(**shared, n_factors=c.node_factors, epochs=c.pretraining_epochs)
        self.train_before(name, part, known, rng)
        left, right = part.vectors()
        return left.detach(), right.detach()

    def between(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> Paths:
        """Return the nodes between users and items; looks at vectors of nodes when first called."""
        if not self._finder.measured:
            tables = (self.network.get_buffer(f"nodes_{kind}")[:-1] for kind in "um")
            self._finder.measure(*(table.cpu().numpy() for table in tables))
            if self.config.hold_paths:
                self._finder.hold()
        return self._finder.find(users, items)

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return one whose steps become shorter."""
        (optimizer,) = super().make_optimizers()
        optimizer.register_step_pre_hook(self._shorten)
        return [optimizer]

    def _shorten(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        steps = self.network.steps
        for group in optimizer.param_groups:
            group["lr"] = self.config.learning_rate / (1 + self.config.decay * int(steps))
        steps += 1

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw unseen items to every interaction, and look up the paths to all of them."""
        c = self.config
        for users, own, drawn in pairs_with_drawn_items(
            train, c.n_negatives, c.batch_size, rng, unseen_only=True
        ):
            everyone = np.repeat(users, 1 + c.n_negatives)
            items = np.column_stack([own, drawn])
            labels = np.zeros(items.shape, np.float32)
            labels[:, 0] = 1
            paths = self.between(everyone, items.ravel())
            yield everyone, items.ravel(), paths, labels.ravel()

    def loss(  # type: ignore[override]
        self, users: Tensor, items: Tensor, between: Tensor, labels: Tensor
    ) -> Tensor:
        """Return the binary cross-entropy and the penalty."""
        network = self.network
        logits = network(users, items, between, network.table())
        entropy = binary_cross_entropy_with_logits(logits, labels)
        total: Tensor = entropy + self.config.l2 * squares(*network.kernels())
        return total

    def pair_scores(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the logits of pairs; only some are computed at once."""
        between = torch.from_numpy(self.between(users.cpu().numpy(), items.cpu().numpy()))
        table = self.network.table()
        all_parts = (torch.split(part, _PAIRS_AT_ONCE) for part in (users, items, between))
        parts = zip(*all_parts, strict=True)
        return torch.cat([self.network(u, i, b.to(u.device), table) for u, i, b in parts])
