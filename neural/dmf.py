"""DMF: deep matrix factorisation of rows and columns with their values."""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize

from recrepro.compute.sampling import draw_unseen
from recrepro.errors import ModelError
from recrepro.interactions import Interactions
from recrepro.space import Choice, IntRange, LogUniform

from ._autoencoder import Layer
from ._products import SparseMatrix
from ._rows import Rows
from ._samples import in_batches
from ._training import Batch, NeuralConfig, NeuralRecommender

SMALLEST_NORM = 1e-6
"""Of a vector that is divided by its norm: a cosine with zeros is 0."""
INSIDE_LOGARITHMS = 1e-10
"""Added to what may be 0."""


class Tower(nn.Module):
    """Two layers, the first rectified, from a sparse row to a vector of length 1."""

    def __init__(self, n_in: int, n_hidden: int, n_factors: int) -> None:
        super().__init__()
        self.first = Layer(n_in, n_hidden)
        self.last = Layer(n_hidden, n_factors)
        for layer in (self.first, self.last):
            nn.init.xavier_uniform_(layer.weight)
            end = (3 / len(layer.bias)) ** 0.5
            nn.init.uniform_(layer.bias, -end, end)

    def above(self, hidden: Tensor) -> Tensor:
        """Return the vectors, given what comes out of the first layer before it is rectified."""
        return normalize(self.last(hidden.relu()), eps=SMALLEST_NORM)

    def forward(self, rows: SparseMatrix) -> Tensor:
        """Return the vectors of all rows."""
        return self.above(self.first(rows))


class DMFNetwork(nn.Module):
    """A tower for users, whose inputs are items, and one for items, whose inputs are users."""

    def __init__(self, n_users: int, n_items: int, n_hidden: int, n_factors: int) -> None:
        super().__init__()
        self.users = Tower(n_items, n_hidden, n_factors)
        self.items = Tower(n_users, n_hidden, n_factors)


class DMF(NeuralRecommender):
    r"""Let two perceptrons turn a user's row and an item's column into vectors with a cosine.

    Xue, Dai, Zhang, Huang & Chen: Deep matrix factorization models for recommender systems.
    IJCAI 2017.

    .. math::

        \hat y_{ui} = \max\bigl(\mu, \cos(f(R_{u*}), g(R_{*i}))\bigr), \qquad
        \min -\sum_{u,i} y_{ui} \ln \hat y_{ui} + (1 - y_{ui}) \ln (1 - \hat y_{ui})

    over the interactions and sampled other pairs. Inputs are the values of interactions, and 0
    elsewhere. Labels y are :math:`R_{ui} / \max R` (``loss = "nce"``, the normalised cross-entropy
    of the paper) or 1 (``loss = "bce"``), and 0 for other pairs.

    Notes
    -----
    Scores are cosines, without the floor :math:`\mu`, which would only make ties. A user's is that
    of the history, so that old and new users are treated alike; item columns are those of the
    training data.

    The authors' code is not public. Two layers, the first with 300 outputs, and Glorot-uniform
    weights and biases are those of an adaptation in the code of DELF; there the floor is 0, which
    ``floor = 0`` gives, and each number of the gradient is cut to 0.01, which is left out. As
    there, 1e-10 is added inside the logarithms.

    Other pairs are drawn in every epoch, uniformly from all that are no interactions, as many for
    each interaction as `n_negatives` says, and shuffled with these: `batch_size` counts both. The
    value to be predicted stands in both inputs in training, never when an item is recommended;
    ``hide_target`` takes it out of both, which the paper does not.

    A start may have nearly all cosines below the floor, where there is no gradient.
    """

    inductive = True
    version = 2

    class Config(NeuralConfig):
        """Hyperparameters."""

        loss: Annotated[Literal["nce", "bce"], Choice("nce", "bce")] = "nce"
        """Whether labels are shares of the largest value, or 1."""
        n_factors: Annotated[int, Ge(1), Choice(16, 32, 64, 128)] = 64
        """Length of the vectors."""
        n_hidden: Annotated[int, Ge(1), Choice(100, 200, 300)] = 300
        """Width of the first layers."""
        n_negatives: Annotated[int, Ge(0), IntRange(1, 10)] = 7
        """Other pairs drawn for each interaction."""
        floor: Annotated[FiniteFloat, Ge(0), Lt(1)] = 1e-6
        """Least prediction in training."""
        hide_target: bool = False
        """Whether the value to be predicted is left out of the inputs."""
        epochs: Annotated[int, Ge(1)] = 300
        """Number of epochs."""
        batch_size: Annotated[int, Ge(1), Choice(128, 256, 512, 1024)] = 256
        """Number of samples for one step."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-5, 1e-2)] = 1e-4
        """Length of a step."""

    network: DMFNetwork
    _item_vectors: NDArray[np.float32] | None = None

    def build(self, train: Interactions) -> nn.Module:
        """Make the towers, and keep rows and columns."""
        matrix = train.matrix
        self._users, self._items = Rows(matrix), Rows(matrix.T.tocsr())
        return DMFNetwork(*train.shape, self.config.n_hidden, self.config.n_factors)

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw other pairs, uniformly, and shuffle all: users, items, labels and values."""
        users, items = other_pairs(train, self.config.n_negatives * len(train), rng)
        zeros = np.zeros(len(users), np.float32)
        samples = (
            np.concatenate([train.users, users]),
            np.concatenate([train.items, items]),
            np.concatenate([self._labels(train.values), zeros]),
            np.concatenate([train.values, zeros]),
        )
        return in_batches(samples, self.config.batch_size, rng)

    def predictions(self, users: Tensor, items: Tensor, values: Tensor) -> Tensor:
        """Return cosines from the floor to 1, for pairs and the values these have in the inputs."""
        of_users, of_items = self.network.users, self.network.items
        rows, at = self._users.of(users)
        columns, place = self._items.of(items)
        left, right = of_users.first(rows), of_items.first(columns)
        if self.config.hide_target:
            left = left[at] - values[:, None] * embedding(items, of_users.first.weight)
            right = right[place] - values[:, None] * embedding(users, of_items.first.weight)
            left, right = of_users.above(left), of_items.above(right)
        else:  # the same row has the same vector in all its pairs
            left = embedding(at, of_users.above(left))
            right = embedding(place, of_items.above(right))
        cosines = (left * right).sum(dim=1)
        return cosines.clamp(self.config.floor, 1)

    def loss(  # type: ignore[override]
        self, users: Tensor, items: Tensor, labels: Tensor, values: Tensor
    ) -> Tensor:
        """Return the mean cross-entropy."""
        found = self.predictions(users, items, values).float()
        own, other = (found + INSIDE_LOGARITHMS).log(), (1 - found + INSIDE_LOGARITHMS).log()
        return -(labels * own + (1 - labels) * other).mean()

    def score(
        self,
        users: NDArray[np.int32],  # noqa: ARG002  # the history says it all
        histories: csr_array,
    ) -> NDArray[np.float32]:
        """Return the cosines of the histories with all items."""
        network: DMFNetwork = self.fitted("network")
        with torch.inference_mode():
            if self._item_vectors is None:
                self._item_vectors = network.items(self._items.all).cpu().numpy()
            of_users = network.users(SparseMatrix(histories)).cpu().numpy()
        scores: NDArray[np.float32] = of_users @ self._item_vectors.T
        return scores

    def _labels(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.config.loss == "bce" or not len(values):
            return np.ones_like(values)
        if not 0 <= values.min() <= values.max() > 0:
            raise ModelError(
                'DMF with loss = "nce" needs values of at least 0, and not all 0, but they lie '
                f'between {values.min():g} and {values.max():g}. Set loss to "bce".'
            )
        shares: NDArray[np.float32] = values / values.max()
        return shares

    def _epoch_ended(self) -> None:
        self._item_vectors = None


def other_pairs(
    train: Interactions, n: int, rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Draw n pairs uniformly from those that are no interactions; none if there are none."""
    up_to = np.cumsum(train.n_items - train.user_counts)
    total = int(up_to[-1])
    ranks = rng.integers(max(total, 1), size=n if total else 0)
    users = np.searchsorted(up_to, ranks, side="right").astype(np.int32)
    return users, draw_unseen(rng, users, train.matrix)
