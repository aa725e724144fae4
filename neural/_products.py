"""Products with sparse matrices and of chosen pairs, with gradients.

On a GPU torch computes them. On a CPU compiled loops do, or torch's sums of embeddings: they take
a fraction of the time of torch's sparse products, and give the same bits for every number of
threads.
"""

from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import embedding_bag

from recrepro.compute.threads import default_threads, share_rows

from ._kernels import add_rows, dot_pairs
from ._precision import in_float32

_NARROW = 256
"""Columns up to which torch sums rows faster than our loop: for 64 in half of the time."""
_ALONE = 2**20
"""Multiplications that one thread has done by the time that others have started."""
_SHARES = 4
"""Stretches for each thread where all rows take about as long."""


class SparseMatrix:
    """A sparse matrix that dense ones are multiplied with, with gradients for these.

    Parameters
    ----------
    rows : csr_array of float32, shape (n, m)
        Not copied.
    symmetric : bool
        Whether it equals its transpose, which then is not made.
    """

    def __init__(self, rows: csr_array, *, symmetric: bool = False) -> None:
        self._rows = rows
        self._symmetric = symmetric
        self._on_device: dict[torch.device, Tensor] = {}

    @cached_property
    def transposed(self) -> "SparseMatrix":
        """The transpose."""
        return self if self._symmetric else SparseMatrix(self._rows.T.tocsr())

    def times(self, dense: Tensor) -> Tensor:
        """Return the product with a dense matrix of shape (m, k), of shape (n, k)."""
        product: Tensor = _SparseProduct.apply(dense, self)  # type: ignore[no-untyped-call]
        return product

    def _times(self, dense: Tensor) -> Tensor:
        """Compute without gradients."""
        if dense.device.type != "cpu":
            return self._for(dense.device) @ dense
        rows = self._rows
        if dense.shape[1] <= _NARROW:
            starts, columns, values = (
                torch.from_numpy(part) for part in (rows.indptr, rows.indices, rows.data)
            )
            return embedding_bag(
                columns,
                dense.detach(),
                starts,
                mode="sum",
                per_sample_weights=values,
                include_last_offset=True,
            )
        matrix = dense.detach().contiguous().numpy()
        out = np.empty((rows.shape[0], matrix.shape[1]), np.float32)

        def run(first: int, last: int) -> None:
            add_rows(rows.indptr, rows.indices, rows.data, matrix, out, first, last)

        share_rows(run, rows.shape[0], _threads(rows.nnz * matrix.shape[1]))
        return torch.from_numpy(out)

    def _for(self, device: torch.device) -> Tensor:
        if device not in self._on_device:
            rows = self._rows
            starts, columns, values = (
                torch.from_numpy(part).to(device) for part in (rows.indptr, rows.indices, rows.data)
            )
            tensor = torch.sparse_csr_tensor(starts, columns, values, size=rows.shape)
            self._on_device[device] = tensor
        return self._on_device[device]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_on_device": {}}


class _SparseProduct(torch.autograd.Function):
    @staticmethod
    @in_float32
    def forward(ctx: Any, dense: Tensor, matrix: SparseMatrix) -> Tensor:
        ctx.matrix = matrix
        return matrix._times(dense)  # noqa: SLF001

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.matrix.transposed._times(gradients[0]), None  # noqa: SLF001


def pair_products(left: Tensor, table: Tensor, chosen: Tensor) -> Tensor:
    """Multiply each row of a matrix with chosen rows of a table, with gradients for both.

    Parameters
    ----------
    left : Tensor of float32, shape (n, k)
        One vector a sample.
    table : Tensor of float32, shape (m, k)
        Vectors to choose from.
    chosen : Tensor of int, shape (n, c)
        Which of them, for each sample; may repeat.

    Returns
    -------
    Tensor of float32, shape (n, c)
        Entry (a, b) is ``left[a] @ table[chosen[a, b]]``. On a CPU, where gradients are 0 no work
        is done for them.
    """
    if left.device.type != "cpu":
        if len(table) <= table.shape[1] * chosen.shape[1]:  # less memory than the chosen rows
            return (left @ table.T).gather(1, chosen.long())
        return torch.einsum("nk,nck->nc", left, table[chosen])
    products: Tensor = _PairProducts.apply(left, table, chosen)  # type: ignore[no-untyped-call]
    return products


class _PairProducts(torch.autograd.Function):
    @staticmethod
    @in_float32
    def forward(ctx: Any, left: Tensor, table: Tensor, chosen: Tensor) -> Tensor:
        ctx.save_for_backward(left, table, chosen)
        return _products_of_pairs(left, table, chosen)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        left, table, chosen = ctx.saved_tensors
        slopes = _as_sparse(gradients[0], chosen, len(table))
        return slopes.times(table), slopes.transposed.times(left), None


def chosen_sums(weights: Tensor, table: Tensor, chosen: Tensor) -> Tensor:
    """Sum chosen rows of a table with weights, with gradients for weights and table.

    Parameters
    ----------
    weights : Tensor of float32, shape (n, c)
        Where they are 0, no work is done on a CPU.
    table : Tensor of float32, shape (m, k)
        Vectors to choose from.
    chosen : Tensor of int, shape (n, c)
        Which of them, for each row of weights; may repeat.

    Returns
    -------
    Tensor of float32, shape (n, k)
        Row a is the sum over b of ``weights[a, b] * table[chosen[a, b]]``.
    """
    if weights.device.type != "cpu":
        return torch.einsum("nc,nck->nk", weights, table[chosen])
    sums: Tensor = _ChosenSums.apply(weights, table, chosen)  # type: ignore[no-untyped-call]
    return sums


class _ChosenSums(torch.autograd.Function):
    @staticmethod
    @in_float32
    def forward(ctx: Any, weights: Tensor, table: Tensor, chosen: Tensor) -> Tensor:
        ctx.save_for_backward(table, chosen)
        ctx.weights = matrix = _as_sparse(weights, chosen, len(table))
        return matrix.times(table)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        table, chosen = ctx.saved_tensors
        of_table = ctx.weights.transposed.times(gradients[0])
        if not ctx.needs_input_grad[0]:
            return None, of_table, None
        return _products_of_pairs(gradients[0], table, chosen), of_table, None


def _as_sparse(weights: Tensor, chosen: Tensor, n_columns: int) -> SparseMatrix:
    """Return the weights that are not 0, in the columns that were chosen; these may repeat."""
    values, columns = (part.detach().contiguous().numpy() for part in (weights, chosen))
    kept = values != 0
    starts = np.zeros(len(values) + 1, columns.dtype)
    np.cumsum(np.count_nonzero(kept, axis=1), out=starts[1:])
    at = slice(None) if starts[-1] == values.size else np.flatnonzero(kept)
    parts = values.ravel()[at], columns.ravel()[at], starts
    return SparseMatrix(csr_array(parts, shape=(len(values), n_columns)))


def _products_of_pairs(left: Tensor, table: Tensor, chosen: Tensor) -> Tensor:
    """Compute without gradients."""
    vectors, rows, which = (part.detach().contiguous().numpy() for part in (left, table, chosen))
    out = np.empty(which.shape, np.float32)
    share_rows(
        lambda first, last: dot_pairs(vectors, rows, which, out, first, last),
        len(out),
        _threads(which.size * rows.shape[1]),
        shares=_SHARES,
    )
    return torch.from_numpy(out)


def _threads(n_multiplications: int) -> int:
    return 1 if n_multiplications < _ALONE else default_threads()


def dense_product(left: Tensor, right: Tensor) -> Tensor:
    """Multiply two dense matrices, of shapes (n, m) and (m, k), with gradients for both.

    On a CPU by numpy's BLAS (OpenBLAS), as fast as the one that torch brings or faster, unless it
    is to be in bfloat16.
    """
    if left.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return left @ right
    product: Tensor = _DenseProduct.apply(left, right)  # type: ignore[no-untyped-call]
    return product


class _DenseProduct(torch.autograd.Function):
    @staticmethod
    @in_float32
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        return torch.from_numpy(left.detach().numpy() @ right.detach().numpy())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        left, right = (part.detach().numpy() for part in ctx.saved_tensors)
        slopes = gradients[0].numpy()
        return torch.from_numpy(slopes @ right.T), torch.from_numpy(left.T @ slopes)
