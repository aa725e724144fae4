"""CMN: collaborative memory network.

Longer than 350 lines: the network is computed for pairs in training, and by item in scoring.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn.functional import embedding as rows_of
from torch.nn.functional import softplus

from recrepro.interactions import Interactions
from recrepro.space import Choice, IntRange, LogUniform

from ._memory import Neighbours, read
from ._memory_kernels import read_of_items, renumber
from ._optimizers import OptimizerName, make_optimizer
from ._pairwise_gmf import PairwiseGMF, grouped_pairs, truncated_table
from ._training import Batch, NeuralConfig, PairModel

_PAIRS_AT_ONCE = 20_000
"""Pairs that are scored at once: their vectors, 4 MB for 50 factors, stay near the processor."""
_SHARE = 0.5
"""Of pre-trained tables, that the network starts from."""
_RMSPROP = {"decay": 0.9, "momentum": 0.9}


class CMNNetwork(nn.Module):
    """Tables of users and items, hops over the users of an item, and two layers above.

    Parameters
    ----------
    n_users, n_items, n_factors, n_hops : int
        Sizes.
    neighbours : Tensor
        Lists of users, of each item and then of each user alone.
    """

    neighbours: Tensor

    def __init__(
        self, n_users: int, n_items: int, n_factors: int, n_hops: int, neighbours: Tensor
    ) -> None:
        super().__init__()
        self.memories = truncated_table(n_users, n_factors)
        self.outputs = truncated_table(n_users, n_factors)
        self.items = truncated_table(n_items, n_factors)
        self.hops = nn.ModuleList(_layer(n_factors, n_factors, 1) for _ in range(n_hops - 1))
        self.hidden = _layer(2 * n_factors, n_factors, 0)
        self.output = nn.Linear(n_factors, 1, bias=False)
        nn.init.xavier_uniform_(self.output.weight)
        self.register_buffer("neighbours", neighbours, persistent=False)

    @property
    def weights(self) -> list[Tensor]:
        """What is penalised: matrices, no tables and no biases."""
        return [layer.weight for layer in (*self.hops, self.hidden, self.output)]

    def tables(self, users: Tensor, items: Tensor, *, sparse: bool) -> tuple[Tensor, ...]:
        """Return some rows of the tables."""
        chosen = (self.memories, users), (self.outputs, users), (self.items, items)
        return tuple(rows_of(rows, table.weight, sparse=sparse) for table, rows in chosen)

    def forward(
        self,
        tables: tuple[Tensor, ...],
        users: Tensor,
        items: Tensor,
        neighbours: Neighbours,
    ) -> Tensor:
        """Return the scores of pairs, all given by their rows in the tables."""
        memories, outputs, all_items = tables
        m, e = rows_of(users, memories), rows_of(items, all_items)
        query = m + e
        found = read(query, memories, outputs, neighbours)
        for hop in self.hops:
            query = (hop(query) + found).relu()
            found = read(query, memories, outputs, neighbours)
        hidden = self.hidden(torch.cat([m * e, found], dim=1)).relu()
        # Not a product of matrix and vector, in which a row's sum depends on where the row is.
        scores: Tensor = (hidden * self.output.weight).sum(dim=1)
        return scores


class CMN(PairModel):
    r"""Attend to those users of an item who are like the user, in hops, beside a factorisation.

    Ebesu, Shen & Fang: Collaborative memory network for recommendation systems. SIGIR 2018.

    .. math::

        z^1 = m_u + e_i, \qquad z^{h+1} = \phi(W_h z^h + b_h + o^h), \qquad
        o^h = \sum_{v \in N(i)} \operatorname{softmax}_v(z^h \cdot m_v)\, c_v

    .. math::

        \hat r_{ui} = v^\top \phi\bigl(U [m_u \circ e_i, o^H] + b\bigr), \qquad
        \phi(x) = \max(0, x)

    with N(i) the users of item i, learned by BPR. The tables m and e start from half of what a
    factorisation, :math:`\max(0, w^\top (m_u \circ e_i))`, has learned by BPR before.

    Notes
    -----
    Every interaction is in a batch together with all its unseen items, drawn anew in every epoch
    from those that any user has; a batch has `batch_size` pairs of such, or one interaction. As in
    the paper and its code, the user is one of N(i) for what he has interacted with, which holds in
    training only; ``includes_user = False`` passes over him. For an item without users, the sum
    is 0; the code has c of the user, ``without_users = "user"``.

    Tables start from N(0, 0.01^2), cut off at 0.02; W and U from a normal distribution of variance
    2 / n for n inputs, cut off likewise; v from Glorot's uniform distribution; b is 1 in hops, so
    that they are above 0 at first, and else 0. The penalty is half of `l2` times the squares of W,
    U and v. `clip_norm` is for each parameter by itself. RMSprop is that of TensorFlow, with a
    momentum of 0.9: of tables it changes only those rows that are in the batch.

    The pre-training takes Adam, its own `pretraining_l2` of w, and no early stopping; by default
    the 15 epochs and 1e-3 of the released code, where Ferrari Dacrema et al. (TOIS 2021) have 100
    and 1e-4. The network needs it: with an `l2` as large as 0.1 and tables as small as they are at
    first, all of its weights can go to 0, and then stay there. Where both scores of the
    factorisation are cut off there is no gradient, which ``pretraining_relu = False`` avoids.

    Values of interactions are ignored. The number of epochs is found on validation data.
    """

    version = 2

    class Config(NeuralConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), Choice(10, 20, 30, 40, 50)] = 50
        """Number of factors."""
        n_hops: Annotated[int, Ge(1), IntRange(1, 4)] = 3
        """How often the users of an item are attended to."""
        n_negatives: Annotated[int, Ge(1), IntRange(1, 10)] = 4
        """Unseen items drawn for each interaction."""
        l2: Annotated[FiniteFloat, Ge(0), LogUniform(1e-4, 1.0)] = 0.1
        """Penalty of the weights of layers."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-2)] = 1e-3
        """Length of a step, of the pre-training too."""
        batch_size: Annotated[int, Ge(1), Choice(128, 256, 512)] = 128
        """Number of pairs of an item of the user and an unseen one for one step."""
        epochs: Annotated[int, Ge(1)] = 50
        """Number of epochs."""
        optimizer: OptimizerName = "rmsprop-tf"
        """What turns a gradient into a step."""
        clip_norm: Annotated[FiniteFloat, Ge(0)] = 5.0
        """Largest norm of the gradient of each parameter; 0 for no limit."""
        includes_user: bool = True
        """Whether the user is one of the users of the item, in training."""
        without_users: Literal["nothing", "user"] = "nothing"
        """What is read for an item without users: nothing, or what the user himself adds."""
        pretraining_epochs: Annotated[int, Ge(0)] = 15
        """Number of epochs of the factorisation; 0 for none."""
        pretraining_l2: Annotated[FiniteFloat, Ge(0)] = 1e-3
        """Penalty of the weights of the factorisation."""
        pretraining_relu: bool = True
        """Whether scores of the factorisation below 0 become 0."""

    network: CMNNetwork

    def build(self, train: Interactions) -> nn.Module:
        """Make tables, layers and lists of users."""
        by_item = train.matrix.T.tocsr()
        self._starts = by_item.indptr.astype(np.int64)
        everyone = np.arange(train.n_users, dtype=np.int32)
        listed = torch.from_numpy(np.concatenate([by_item.indices.astype(np.int32), everyone]))
        return CMNNetwork(*train.shape, self.config.n_factors, self.config.n_hops, listed)

    def prepare(self, train: Interactions, rng: np.random.Generator) -> None:
        """Train the factorisation, and start from half of its tables."""
        config = self.config
        if not config.pretraining_epochs:
            return
        shared = config.model_dump(
            include={"n_factors", "n_negatives", "batch_size", "learning_rate", "clip_norm"}
            | {"device", "mixed_precision"}
        )
        part = PairwiseGMF(
            **shared,
            epochs=config.pretraining_epochs,
            l2=config.pretraining_l2,
            relu=config.pretraining_relu,
        )
        self.train_before("gmf", part, train, rng)
        with torch.no_grad():
            self.network.memories.weight.copy_(_SHARE * part.network.users.weight)
            self.network.items.weight.copy_(_SHARE * part.network.items.weight)

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return the optimiser, with momentum if it is TensorFlow's."""
        config = self.config
        settings = _RMSPROP if config.optimizer == "rmsprop-tf" else {}
        parameters = self.network.parameters()
        return [make_optimizer(config.optimizer, parameters, config.learning_rate, **settings)]

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw unseen items to every interaction, and collect what a batch has to do with."""
        listed = self.network.neighbours.cpu().numpy()
        numbers = np.full(train.n_users, -1, np.int32)
        found = np.empty(train.n_users, np.int32)
        config = self.config
        for users, items in grouped_pairs(train, config.n_negatives, config.batch_size, rng):
            pair_users = np.concatenate([users, np.repeat(users, config.n_negatives)])
            pair_items = np.concatenate([items[:, 0], items[:, 1:].ravel()])
            begins, ends, passed = self._neighbours(pair_users, pair_items, listed)
            bounds = np.concatenate([[0], np.cumsum(ends - begins)])
            places, flat = np.empty(len(pair_users), np.int32), np.empty(bounds[-1], np.int32)
            n = renumber(begins, ends, listed, pair_users, numbers, found, places, flat)
            distinct, item_places = np.unique(pair_items, return_inverse=True)
            stretches = bounds[:-1], bounds[1:], flat, np.where(passed < 0, passed, places)
            yield found[:n].copy(), distinct, places, item_places, *stretches

    def loss(  # type: ignore[override]
        self,
        table_users: Tensor,
        table_items: Tensor,
        users: Tensor,
        items: Tensor,
        begins: Tensor,
        ends: Tensor,
        listed: Tensor,
        passed: Tensor,
    ) -> Tensor:
        """Return the loss of BPR, with the penalty."""
        config = self.config
        tables = self.network.tables(
            table_users, table_items, sparse=config.optimizer == "rmsprop-tf"
        )
        scores = self.network(tables, users, items, Neighbours(begins, ends, listed, passed))
        positive, negative = scores.tensor_split([len(scores) // (1 + config.n_negatives)])
        differences = negative.view(-1, config.n_negatives) - positive[:, None]
        squares = torch.cat([weights.flatten() for weights in self.network.weights]).square()
        penalty: Tensor = config.l2 / 2 * squares.sum()
        return softplus(differences).mean() + penalty

    def clip(self, parameters: list[nn.Parameter]) -> None:
        """Shorten the gradient of each parameter to ``config.clip_norm``."""
        limit = self.config.clip_norm
        for parameter in parameters:
            if parameter.grad is None or not limit:
                continue
            if parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()
            gradient = parameter.grad.values() if parameter.grad.is_sparse else parameter.grad
            gradient.mul_(limit / torch.linalg.vector_norm(gradient).clamp(min=limit))

    def pair_scores(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the scores of pairs."""
        network = self.network
        listed = network.neighbours
        places = self._neighbours(*(part.cpu().numpy() for part in (users, items, listed)))
        begins, ends, passed = (torch.from_numpy(part).to(users.device) for part in places)
        tables = network.memories.weight, network.outputs.weight, network.items.weight
        scores: Tensor = network(tables, users, items, Neighbours(begins, ends, listed, passed))
        return scores

    def score(self, users: NDArray[np.int32], histories: csr_array) -> NDArray[np.float32]:
        """Score all pairs; on a CPU some items at a time, with the same users for each."""
        network: CMNNetwork = self.fitted("network")
        if self.device.type != "cpu":
            return super().score(users, histories)
        scores = np.empty(histories.shape, np.float32)
        size = max(1, _PAIRS_AT_ONCE // len(users))
        with torch.inference_mode():
            for first in range(0, scores.shape[1], size):
                last = min(first + size, scores.shape[1])
                scores[:, first:last] = self._of_items(network, users, first, last)
        if (
            not self.config.includes_user
        ):  # those who have interacted with an item do not read themselves
            rows, items = self._own(users, scores.shape[1])
            if len(rows):
                scores[rows, items] = self._score_pairs(users[rows], items)
        return scores

    def _of_items(
        self, network: CMNNetwork, users: NDArray[np.int32], first: int, last: int
    ) -> NDArray[np.float32]:
        """Return the scores of some users for the items from first up to last."""
        memories, outputs, items = (
            table.weight.detach() for table in (network.memories, network.outputs, network.items)
        )
        starts = self._starts[first : last + 1]
        alone = np.flatnonzero(np.diff(starts) == 0)
        chosen = torch.from_numpy(users)
        own = outputs[chosen] if self.config.without_users == "user" else None

        def read(queries: Tensor) -> Tensor:
            found = torch.empty_like(queries)
            tables = (memories.numpy(), outputs.numpy())
            listed = network.neighbours.numpy()
            read_of_items(queries.numpy(), *tables, starts, listed, found.numpy())
            if own is not None:
                found[alone] = own
            return found

        m, e = memories[chosen], items[first:last]
        query = m + e[:, None]
        found = read(query)
        for number, hop in enumerate(network.hops):
            assert isinstance(hop, nn.Linear)
            if number == 0:  # of a sum, the layer is the sum of what it makes of both
                query = found.add_(m @ hop.weight.T).add_((e @ hop.weight.T + hop.bias)[:, None])
            else:
                query = _added(found.add_(hop.bias), query, hop.weight)
            found = read(query.relu_())
        of_product, of_found = network.hidden.weight.chunk(2, dim=1)
        hidden = network.hidden.bias.expand_as(found).contiguous()
        hidden = _added(hidden, m * e[:, None], of_product)
        hidden = _added(hidden, found, of_found).relu_()
        scores: NDArray[np.float32] = (hidden @ network.output.weight[0]).T.numpy()
        return scores

    def _own(
        self, users: NDArray[np.int32], n_items: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return the pairs of these users and items that they are neighbours of."""
        listed = self.network.neighbours.numpy()[: self._starts[-1]]
        row_of = np.full(len(self.network.memories.weight), -1, np.int64)
        row_of[users] = np.arange(len(users))
        of_items = np.repeat(np.arange(n_items, dtype=np.int32), np.diff(self._starts))
        rows = row_of[listed]
        return rows[rows >= 0], of_items[rows >= 0]

    def _neighbours(
        self, users: NDArray[np.int32], items: NDArray[np.int32], listed: NDArray[np.int32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """Return where neighbours of pairs begin and end in the list, and whom to pass over."""
        begins, ends = self._starts[items], self._starts[items + 1]
        passed = np.full_like(users, -1) if self.config.includes_user else users
        if self.config.without_users == "user":
            alone = (ends == begins) | ((ends == begins + 1) & (listed[begins] == passed))
            begins = np.where(alone, self._starts[-1] + users, begins)
            ends = np.where(alone, begins + 1, ends)
            passed = np.where(alone, np.int32(-1), passed)
        return begins, ends, passed


def _added(to: Tensor, vectors: Tensor, weight: Tensor) -> Tensor:
    """Add what a layer without bias makes of vectors, in place."""
    to.view(-1, to.shape[-1]).addmm_(vectors.view(-1, vectors.shape[-1]), weight.T)
    return to


def _layer(n_in: int, n_out: int, bias: float) -> nn.Linear:
    """Return a dense layer with truncated normal weights, of variance 2 / n_in."""
    layer = nn.Linear(n_in, n_out)
    std = (2.6 / n_in) ** 0.5  # of the whole distribution; without its ends, that is about 2 / n_in
    nn.init.trunc_normal_(layer.weight, 0, std, -2 * std, 2 * std)
    nn.init.constant_(layer.bias, bias)
    return layer
