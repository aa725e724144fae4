"""NeuRec: a deep encoder of rows or columns, times a table of the other side."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array
from torch import Tensor, nn

from recrepro.interactions import Interactions
from recrepro.space import Choice, IntRange, LogUniform, Uniform

from ._autoencoder import Layer
from ._cells import cells_in_batches
from ._layers import embedding
from ._products import SparseMatrix
from ._rows import Rows
from ._samples import in_batches
from ._training import Batch, FactorModel, NeuralConfig, NeuralRecommender

N_LAYERS = 5
FIRST_STD = 0.005
"""Standard deviation of the first numbers in the table."""


class NeuRecNetwork(nn.Module):
    """Layers with sigmoids, from a sparse row to its code, and a table with a row a column.

    Parameters
    ----------
    n_columns : int
        Length of the rows that are encoded.
    n_hidden, n_factors : int
        Width of all layers but the last, and of the last.
    """

    def __init__(self, n_columns: int, n_hidden: int, n_factors: int) -> None:
        super().__init__()
        widths = [n_columns, *[n_hidden] * (N_LAYERS - 1), n_factors]
        self.layers = nn.ModuleList(Layer(*widths[n : n + 2]) for n in range(N_LAYERS))
        for parameter in self.layers.parameters():
            nn.init.normal_(parameter)
        self.table = embedding(n_columns, n_factors, FIRST_STD)

    def encode(self, rows: SparseMatrix) -> Tensor:
        """Return the codes of sparse rows."""
        hidden: Tensor | SparseMatrix = rows
        for layer in self.layers:
            hidden = layer(hidden).sigmoid()
        assert isinstance(hidden, Tensor)
        return hidden

    def norms(self) -> Tensor:
        """Return the norms of all weights and of the table; biases are not counted."""
        counted = [p for p in self.parameters() if p.ndim == 2]
        return torch.stack([torch.linalg.vector_norm(weights) for weights in counted])


class NeuRecConfig(NeuralConfig):
    """Hyperparameters of both variants."""

    n_hidden: Annotated[int, Ge(1), IntRange(100, 400)] = 300
    """Width of the four lower layers."""
    n_factors: Annotated[int, Ge(1), IntRange(20, 70)] = 50
    """Length of a code."""
    dropout: Annotated[FiniteFloat, Ge(0), Lt(1), Uniform(0.0, 0.1)] = 0.03
    """Share of the inputs that are dropped in training."""
    l2: Annotated[FiniteFloat, Ge(0), Uniform(0.0, 0.2)] = 0.1
    """Penalty of weights and table, beside the sum of squares of a batch."""
    sampling: Literal["cells", "rows"] = "cells"
    """Whether a batch is made of cells of the matrix, or of whole encoded rows."""
    epochs: Annotated[int, Ge(1)] = 300
    """Number of epochs."""
    batch_size: Annotated[int, Ge(1), Choice(128, 256, 512, 1024, 2048)] = 1024
    """Number of cells for one step."""
    learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-5, 1e-3)] = 1e-4
    """Length of a step."""


class NeuRec(NeuralRecommender):
    """What U-NeuRec and I-NeuRec have in common: `matrix` says what is encoded."""

    Config = NeuRecConfig
    network: NeuRecNetwork

    @abstractmethod
    def matrix(self, train: Interactions) -> csr_array:
        """Return a matrix of ones, a row for everything that is encoded."""

    @abstractmethod
    def penalty(self) -> Tensor:
        """Return the regulariser."""

    def build(self, train: Interactions) -> nn.Module:
        """Make layers and table, and keep the rows."""
        self._rows = Rows(self.matrix(train))
        n_columns = self._rows.matrix.shape[1]
        return NeuRecNetwork(n_columns, self.config.n_hidden, self.config.n_factors)

    def batches(
        self,
        train: Interactions,  # noqa: ARG002  # `build` has kept the rows
        rng: np.random.Generator,
    ) -> Iterator[Batch]:
        """Yield rows and labels of all cells, with the columns of these or of all columns."""
        matrix, batch_size = self._rows.matrix, self.config.batch_size
        if self.config.sampling == "cells":
            yield from cells_in_batches(matrix, batch_size, rng)
            return
        numbers = np.arange(matrix.shape[0])
        for (chosen,) in in_batches((numbers,), max(1, batch_size // matrix.shape[1]), rng):
            yield chosen, matrix[chosen].toarray()

    def loss(  # type: ignore[override]
        self, rows: Tensor, labels: Tensor, columns: Tensor | None = None
    ) -> Tensor:
        """Return the sum of squared errors and the penalty."""
        network = self.network
        inputs, at = self._rows.of(rows, self.config.dropout)
        codes = network.encode(inputs)[at].float()
        if columns is None:
            errors = labels - codes @ network.table.weight.T
            share = self.config.batch_size / labels.numel()
        else:
            errors = labels - (codes * network.table(columns)).sum(dim=1)
            share = 1
        total: Tensor = share * errors.square().sum() + self.config.l2 * self.penalty()
        return total


class UNeuRec(NeuRec):
    r"""Encode a user's row by five layers of sigmoids, and multiply it with a table of items.

    Zhang, Yao, Sun, Wang, Long & Dong: NeuRec: On nonlinear transformation for personalized
    ranking. IJCAI 2018, user-based.

    .. math::

        \hat r_{ui} = q_i^\top \phi_5(\dots \phi_1(R_{u*})), \qquad
        \phi_l(z) = \sigma(W_l z + b_l), \qquad
        \min \sum_{u,i} (r_{ui} - \hat r_{ui})^2
        + \frac{\lambda}{2} \Bigl(\sum_l \|W_l\|^2 + \|Q\|^2\Bigr)

    over all cells of the matrix of ones and zeros, a batch at a time; each batch has the whole
    penalty.

    Notes
    -----
    A user's scores are those of the history, so that old and new users are treated alike. Values of
    interactions are ignored. Weights and biases start from N(0, 1), the table from N(0, 0.005^2).
    Input is dropped for each row of a batch: cells of the same row share it, which the released
    code, with a row for each cell, has not. That code drops none here; ``dropout = 0`` gives that.

    An epoch is a permutation of all cells without those that do not fill a batch, unless there is
    one batch only. Above some 33 million cells the permutation is a keyed scrambling of row and
    column numbers in place of a shuffled list, which would not fit in memory.

    With ``sampling = "rows"``, which the paper has not, a batch is made of whole rows, as many as
    `batch_size` cells fill and one at least, and its errors are scaled to `batch_size` cells: the
    expected gradient is the same, the cells of a batch are less independent, and an epoch takes far
    less time.
    """

    inductive = True

    def matrix(self, train: Interactions) -> csr_array:
        """Return a row for every user."""
        return train.binarised().matrix

    def penalty(self) -> Tensor:
        """Return half of the sum of squares."""
        return self.network.norms().square().sum() / 2

    def score(
        self,
        users: NDArray[np.int32],  # noqa: ARG002  # the history says it all
        histories: csr_array,
    ) -> NDArray[np.float32]:
        """Encode the histories and multiply with the table."""
        network: NeuRecNetwork = self.fitted("network")
        ones = np.ones(histories.nnz, np.float32)
        rows = csr_array((ones, histories.indices, histories.indptr), shape=histories.shape)
        with torch.inference_mode():
            codes = network.encode(SparseMatrix(rows)).cpu().numpy()
            scores: NDArray[np.float32] = codes @ network.table.weight.cpu().numpy().T
        return scores


class INeuRec(NeuRec, FactorModel):
    r"""Encode an item's column by five layers of sigmoids, and multiply it with a table of users.

    Zhang, Yao, Sun, Wang, Long & Dong: NeuRec: On nonlinear transformation for personalized
    ranking. IJCAI 2018, item-based.

    .. math::

        \hat r_{ui} = p_u^\top \phi_5(\dots \phi_1(R_{*i})), \qquad
        \phi_l(z) = \sigma(W_l z + b_l), \qquad
        \min \sum_{u,i} (r_{ui} - \hat r_{ui})^2
        + \lambda \Bigl(\sum_l \|W_l\| + \|P\|\Bigr)

    over all cells of the matrix of ones and zeros, a batch at a time; each batch has the whole
    penalty.

    Notes
    -----
    Norms in the penalty are not squared, as in the released code: each matrix is pulled towards 0
    by a gradient of the same length, however large it is. All else, and the options, are those of
    U-NeuRec with rows and columns exchanged; the released code drops 0.03 of the input here, too.
    """

    def matrix(self, train: Interactions) -> csr_array:
        """Return a row for every item."""
        return train.binarised().matrix.T.tocsr()

    def penalty(self) -> Tensor:
        """Return the sum of norms."""
        return self.network.norms().sum()

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the table and the codes of all items."""
        return self.network.table.weight, self.network.encode(self._rows.all)
