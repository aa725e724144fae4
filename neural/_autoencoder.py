"""What autoencoders have in common: a user's sparse row goes in, logits of all items come out."""

from abc import abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array
from torch import Tensor, nn

from recrepro.compute.memory import require_memory
from recrepro.interactions import Interactions
from recrepro.model import EpochStats
from recrepro.space import Choice, LogUniform, Uniform

from ._multinomial import multinomial_loss
from ._products import SparseMatrix, dense_product
from ._samples import in_batches
from ._training import Batch, NeuralConfig, NeuralRecommender

WHOLE_BLOCK = 16
"""What is scored at once is a multiple of it: BLAS sums rows left over in another order."""


class AutoencoderConfig(NeuralConfig):
    """Hyperparameters that all autoencoders have."""

    n_factors: Annotated[int, Ge(1), Choice(50, 100, 200, 400)] = 200
    """Width of the code."""
    n_hidden: Annotated[int, Ge(1), Choice(200, 400, 600, 800)] = 600
    """Width of the hidden layers."""
    dropout: Annotated[FiniteFloat, Ge(0), Lt(1), Uniform(0.0, 0.8)] = 0.5
    """Probability that an input is dropped in training."""
    batch_size: Annotated[int, Ge(1)] = 500
    """Number of users for one step."""
    learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-2)] = 1e-3
    """Length of a step."""


class Layer(nn.Module):
    """A dense layer, whose weights have a row an input; they start as torch's own do.

    Where no gradients are wanted, torch multiplies: that is slower than numpy, but a row's result
    has the same bits wherever it stands (MKL, in whole blocks).
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.empty(n_out))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(n_in**-0.5), n_in**-0.5)

    def forward(self, inputs: Tensor | SparseMatrix) -> Tensor:
        """Multiply, and add the bias."""
        if isinstance(inputs, SparseMatrix):
            product = inputs.times(self.weight)
        elif torch.is_grad_enabled():
            product = dense_product(inputs, self.weight)
        else:
            product = inputs @ self.weight
        return product.add_(self.bias)


class TanhNetwork(nn.Module):
    """Dense layers down to the code and up to the items, with tanh between those of each half.

    Weights start Glorot-uniform, biases from a normal distribution cut at two deviations.
    """

    def __init__(self, down: list[int], up: list[int]) -> None:
        super().__init__()
        self.n_items = up[-1]
        self.encoder = nn.ModuleList(Layer(*widths) for widths in pairwise(down))
        self.decoder = nn.ModuleList(Layer(*widths) for widths in pairwise(up))
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.trunc_normal_(parameter, std=1e-3, a=-2e-3, b=2e-3)

    def encode(self, rows: SparseMatrix) -> Tensor:
        """Return the outputs of the encoder."""
        hidden: Any = rows
        for layer in self.encoder[:-1]:
            hidden = layer(hidden).tanh_()
        outputs: Tensor = self.encoder[-1](hidden).float()
        return outputs

    def logits(self, code: Tensor) -> Tensor:
        """Return the logits of all items."""
        logits: Tensor = self.decoder[-1](self._below(code))
        return logits

    def loss(self, code: Tensor, rows: csr_array) -> Tensor:
        """Return the negative log-likelihood of each row of ones."""
        last = self.decoder[-1]
        assert isinstance(last, Layer)
        return multinomial_loss(self._below(code), last.weight, last.bias, rows)

    def squares(self) -> Tensor:
        """Return the sum of the squares of all weights, biases not among them."""
        weights = [parameter for parameter in self.parameters() if parameter.ndim == 2]
        return torch.stack([weight.square().sum() for weight in weights]).sum()

    def _below(self, hidden: Tensor) -> Tensor:
        for layer in self.decoder[:-1]:
            hidden = layer(hidden).tanh_()
        return hidden


class Autoencoder(NeuralRecommender):
    """A neural recommender to which a user is a row of ones: it can score anyone."""

    inductive = True

    @abstractmethod
    def logits(self, rows: SparseMatrix) -> Tensor:
        """Return the logits of all items, for rows of length 1."""

    def memory_needed(self, train: Interactions) -> int:
        """Estimate the bytes of parameters, gradients, Adam's moments and the logits of a batch."""
        with torch.device("meta"):
            network = self.build(train)
        n_parameters = sum(parameter.numel() for parameter in network.parameters())
        n_rows: int = min(self.config.batch_size, train.n_users)
        return 4 * (4 * n_parameters + n_rows * train.n_items)

    def fit_epochs(self, train: Interactions, rng: np.random.Generator) -> Iterator[EpochStats]:
        """Learn epoch by epoch, or go on from the checkpoint."""
        require_memory(
            f"{type(self).__name__} for {train.n_items:,} items",
            self.memory_needed(train),
            "Keep fewer items (filters), or set a smaller n_hidden, n_factors or batch_size.",
        )
        return super().fit_epochs(train, rng)

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Shuffle the users who have interacted with something."""
        return row_batches(train, self.config.batch_size, rng)

    def score(
        self,
        users: NDArray[np.int32],  # noqa: ARG002  # the history says it all
        histories: csr_array,
    ) -> NDArray[np.float32]:
        """Encode and decode the histories."""
        self.fitted("network")
        n, n_items = histories.shape
        starts = np.pad(histories.indptr, (0, -n % WHOLE_BLOCK), mode="edge")
        parts = histories.data, histories.indices, starts
        rows = csr_array(parts, shape=(len(starts) - 1, n_items))
        with torch.inference_mode():
            scores: NDArray[np.float32] = self.logits(normalised(rows)).cpu().numpy()
        return scores[:n]


def row_batches(
    train: Interactions, batch_size: int, rng: np.random.Generator, *tables: NDArray[np.float32]
) -> Iterator[Batch]:
    """Yield users' rows in a sparse form: where each starts, and the items.

    Parameters
    ----------
    train : Interactions
        Values are ignored. Users without interactions are left out.
    batch_size : int
        Users in a batch.
    rng : numpy.random.Generator
        Shuffles.
    *tables : array, shape (n_users, k)
        More about the users, of which their rows are yielded, too.
    """
    users = np.flatnonzero(train.user_counts)
    for (chosen,) in in_batches((users,), batch_size, rng):
        rows = train.matrix[chosen]
        yield rows.indptr, rows.indices, *(table[chosen] for table in tables)


def as_rows(starts: Tensor, items: Tensor, n_items: int) -> csr_array:
    """Return what `row_batches` yields as a sparse matrix of ones."""
    columns = items.cpu().numpy()
    ones = np.ones(len(columns), np.float32)
    return csr_array((ones, columns, starts.cpu().numpy()), shape=(len(starts) - 1, n_items))


def normalised(rows: csr_array, dropout: float = 0.0) -> SparseMatrix:
    """Take what is stored as ones, and divide each row by its length, that of an empty one being 1.

    Parameters
    ----------
    rows : csr_array
        Values are ignored.
    dropout : float
        Share of what is stored that is then dropped, at random; the rest is scaled up.
    """
    counts = np.diff(rows.indptr)
    values = np.repeat(np.maximum(counts, 1).astype(np.float32) ** -0.5, counts)
    items, starts = rows.indices, rows.indptr
    if dropout:
        kept = np.flatnonzero(torch.rand(len(values)).numpy() >= dropout)
        values, items = values[kept] / np.float32(1 - dropout), items[kept]
        starts = np.searchsorted(kept, starts).astype(starts.dtype)
    return SparseMatrix(csr_array((values, items, starts), shape=rows.shape))
