"""SpectralCF: convolutions in the spectral domain of the graph of users and items."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.linalg import eigh
from scipy.sparse import csr_array, diags_array, eye_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from recrepro.compute.memory import require_memory
from recrepro.compute.sampling import draw_unseen
from recrepro.interactions import Interactions
from recrepro.space import Choice, IntRange, LogUniform

from ._layers import embedding
from ._optimizers import OptimizerName
from ._products import SparseMatrix
from ._training import Batch, FactorModel, NeuralConfig

_MEAN, _STD = 0.01, 0.02
"""Of the normal distribution that all parameters start from."""


class DenseMatrix(SparseMatrix):
    """A symmetric dense matrix that others are multiplied with."""

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self._dense = torch.from_numpy(rows)

    @property
    def transposed(self) -> "DenseMatrix":
        """The same."""
        return self

    def _times(self, dense: Tensor) -> Tensor:
        if dense.device.type != "cpu":
            self._dense = self._dense.to(dense.device)
            return self._dense @ dense
        return torch.from_numpy((dense.detach().numpy().T @ self._dense.numpy()).T)

    def __getstate__(self) -> dict[str, Any]:
        return {"_dense": self._dense.cpu()}


class SpectralNetwork(nn.Module):
    """Vectors of all users and then all items, and what follows from them in every layer."""

    def __init__(self, n_users: int, n_items: int, n_factors: int, n_layers: int) -> None:
        super().__init__()
        self.n_users = n_users
        self.nodes = embedding(n_users + n_items, n_factors, _STD, _MEAN)
        self.maps = nn.ParameterList(torch.empty(n_factors, n_factors) for _ in range(n_layers))
        for weights in self.maps:
            nn.init.normal_(weights, _MEAN, _STD)

    def forward(self, matrix: SparseMatrix) -> tuple[Tensor, Tensor]:
        """Return the vectors of all layers side by side, of users and of items."""
        layers = [self.nodes.weight]
        for weights in self.maps:
            layers.append(torch.sigmoid(matrix.times(layers[-1]) @ weights))
        vectors = torch.cat(layers, dim=1)
        return vectors[: self.n_users], vectors[self.n_users :]


class SpectralCF(FactorModel):
    r"""Convolve the vectors of users and items with the Laplacian of their graph, layer by layer.

    Zheng, Lu, Jiang, Zhang & Yu: Spectral collaborative filtering. RecSys 2018.

    .. math::

        X^{k} = \sigma\bigl((V V^\top + V \Lambda V^\top) X^{k-1} \Theta_k\bigr), \qquad
        \hat r_{ui} = \sum_{k=0}^K x^k_u \cdot x^k_i

    learned by BPR. A user and an item are joined where they have interacted, and every node with
    itself; V and :math:`\Lambda` are eigenvectors and eigenvalues of the graph's Laplacian.

    Notes
    -----
    The equation takes V to be orthonormal. Then, with the symmetric Laplacian, the filter is

    .. math:: V V^\top + V \Lambda V^\top = I + L = 2 I - D^{-1/2} (A + I) D^{-1/2}

    which is sparse and needs no decomposition (``filter = "paper"``). The released code, and
    with it Ferrari Dacrema et al. (TOIS 2021), decomposes the random-walk Laplacian
    :math:`I - D^{-1} (A + I)`, whose eigenvectors are not orthogonal, and takes them of length 1
    (``filter = "code"``). They are :math:`D^{-1/2}` times those of the symmetric one, which are
    found here, each connected part of the graph by itself. That takes minutes for 10,000 nodes,
    and 28 bytes times the square of their number; `fit` refuses what does not fit. The code's
    general solver returns other vectors where eigenvalues repeat.

    An epoch is `steps_per_epoch` batches, one as in the code. A batch has a sample of each of
    `batch_size` users, drawn uniformly: without replacement, unless there are fewer users. A sample
    is an item of the user's and an unseen one, both uniform. The penalty is half of `l2` times the
    mean over samples of the squared lengths of what the scores are products of, all layers of the
    user and of both items.

    All parameters start from N(0.01, 0.02^2). RMSprop is that of TensorFlow, as in the code. Values
    of interactions are ignored. The number of epochs, which the code picks on the test items, is
    found on validation data.
    """

    class Config(NeuralConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), Choice(4, 8, 16, 32)] = 16
        """Number of factors of every layer."""
        n_layers: Annotated[int, Ge(0), IntRange(1, 6)] = 3
        """Number of convolutions."""
        l2: Annotated[FiniteFloat, Ge(0), LogUniform(1e-5, 1e-1)] = 1e-3
        """Penalty of the vectors of a sample."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-5, 1e-2)] = 1e-3
        """Length of a step."""
        batch_size: Annotated[int, Ge(1), Choice(128, 256, 512, 1024, 2048)] = 1024
        """Number of samples for one step, each of another user."""
        steps_per_epoch: Annotated[int, Ge(1)] = 1
        """Number of steps that are counted as an epoch."""
        epochs: Annotated[int, Ge(1)] = 200
        """Number of epochs."""
        filter: Literal["paper", "code"] = "paper"
        """Whether of the symmetric Laplacian, or as the code has it of the random-walk one."""
        optimizer: OptimizerName = "rmsprop-tf"
        """What turns a gradient into a step."""

    network: SpectralNetwork

    def build(self, train: Interactions) -> nn.Module:
        """Make the filter and the parameters."""
        if self.config.filter == "paper":
            matrix = laplacian(train) + eye_array(sum(train.shape))
            self._filter = SparseMatrix(matrix.astype(np.float32).tocsr(), symmetric=True)
        else:
            require_memory(
                f"{type(self).__name__} for {sum(train.shape):,} users and items",
                self.memory_needed(train),
                "Set filter to 'paper', or keep fewer users and items (filters).",
            )
            self._filter = DenseMatrix(filter_of_code(train))
        return SpectralNetwork(*train.shape, self.config.n_factors, self.config.n_layers)

    def memory_needed(self, train: Interactions) -> int:
        """Estimate the bytes of the filter and of what its decomposition takes."""
        return 28 * sum(train.shape) ** 2 if self.config.filter == "code" else 0

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw users, an item of each, and an unseen one."""
        counts = train.user_counts
        learnable = np.flatnonzero((counts > 0) & (counts < train.n_items)).astype(np.int32)
        if not len(learnable):
            return
        size = self.config.batch_size
        for _ in range(self.config.steps_per_epoch):
            users = rng.choice(learnable, size, replace=size > len(learnable))
            places = train.matrix.indptr[users] + rng.integers(counts[users])
            yield users, train.items[places], draw_unseen(rng, users, train.matrix)

    def loss(self, users: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:  # type: ignore[override]
        """Return the loss of BPR, with the penalty."""
        of_users, of_items = self.network(self._filter)
        u, i, j = of_users[users], of_items[positives], of_items[negatives]
        squares = torch.cat([u, i, j]).square().sum()
        penalty: Tensor = self.config.l2 / 2 * squares / len(users)
        return penalty - logsigmoid((u * (i - j)).sum(dim=1)).mean()

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Convolve."""
        of_users, of_items = self.network(self._filter)
        return of_users, of_items


def laplacian(train: Interactions) -> csr_array:
    """Return the symmetric Laplacian of users and then items, each joined with itself too."""
    adjacency = _adjacency(train)
    scale = diags_array(adjacency.sum(axis=1) ** -0.5)
    symmetric: csr_array = (eye_array(sum(train.shape)) - scale @ adjacency @ scale).tocsr()
    return symmetric


def filter_of_code(train: Interactions) -> NDArray[np.float32]:
    """Return the filter of the random-walk Laplacian, as if its vectors were orthogonal."""
    symmetric = laplacian(train)
    root = np.sqrt(_adjacency(train).sum(axis=1))
    matrix = np.eye(len(root), dtype=np.float32)  # what it is for a node that is joined to none
    _, part_of = connected_components(symmetric)
    order, sizes = np.argsort(part_of, kind="stable"), np.bincount(part_of)
    for end, size in zip(np.cumsum(sizes)[sizes > 1], sizes[sizes > 1], strict=True):
        nodes = order[end - size : end]
        part = symmetric[nodes][:, nodes].toarray(order="F")
        values, vectors = eigh(part, overwrite_a=True, driver="evd")
        vectors /= root[nodes, None]
        vectors *= np.sqrt(1 + values) / np.linalg.norm(vectors, axis=0)
        matrix[np.ix_(nodes, nodes)] = vectors @ vectors.T
    return matrix


def _adjacency(train: Interactions) -> csr_array:
    """Return which users and items are joined."""
    n = sum(train.shape)
    users, items, nodes = train.users, train.items + train.n_users, np.arange(n)
    rows, columns = np.concatenate([users, items, nodes]), np.concatenate([items, users, nodes])
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))
