"""Products with sparse matrices and of chosen pairs, with gradients.

On a GPU torch computes them. On a CPU compiled loops do, or torch's sums of embeddings: measured in
``benchmarks/neural.py``, they take a fraction of the time, and give the same bits for every number
of threads.
"""

from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import embedding_bag

from recrepro.threads import default_threads, share_rows

from ._kernels import add_chosen, add_rows, dot_pairs, scatter_chosen

_COLUMNS_A_THREAD = 16
"""A thread gets whole cache lines of a row."""
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
        if self._symmetric:
            return self
        other = SparseMatrix(self._rows.T.tocsr())
        other.__dict__["transposed"] = self
        return other

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
    def forward(ctx: Any, left: Tensor, table: Tensor, chosen: Tensor) -> Tensor:
        ctx.save_for_backward(left, table, chosen)
        vectors, rows, which = (
            part.detach().contiguous().numpy() for part in (left, table, chosen)
        )
        out = np.empty(which.shape, np.float32)
        _dot_pairs(vectors, rows, which, out)
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        left, table, chosen = (part.detach().contiguous().numpy() for part in ctx.saved_tensors)
        slopes = gradients[0].contiguous().numpy()
        of_left, of_table = np.empty_like(left), np.zeros_like(table)
        _add_chosen(slopes, table, chosen, of_left)
        _scatter_chosen(slopes, left, chosen, of_table)
        return torch.from_numpy(of_left), torch.from_numpy(of_table), None


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
    def forward(ctx: Any, weights: Tensor, table: Tensor, chosen: Tensor) -> Tensor:
        ctx.save_for_backward(weights, table, chosen)
        factors, rows, which = (
            part.detach().contiguous().numpy() for part in (weights, table, chosen)
        )
        out = np.empty((len(factors), rows.shape[1]), np.float32)
        _add_chosen(factors, rows, which, out)
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        factors, rows, which = (part.detach().contiguous().numpy() for part in ctx.saved_tensors)
        slopes = gradients[0].contiguous().numpy()
        of_table = np.zeros_like(rows)
        _scatter_chosen(factors, slopes, which, of_table)
        if not ctx.needs_input_grad[0]:
            return None, torch.from_numpy(of_table), None
        of_weights = np.empty(which.shape, np.float32)
        _dot_pairs(slopes, rows, which, of_weights)
        return torch.from_numpy(of_weights), torch.from_numpy(of_table), None


def _dot_pairs(
    left: NDArray[np.float32],
    table: NDArray[np.float32],
    chosen: NDArray[Any],
    out: NDArray[np.float32],
) -> None:
    """Write products with chosen rows of a table to `out`, a thread some of its rows."""
    share_rows(
        lambda first, last: dot_pairs(left, table, chosen, out, first, last),
        len(out),
        _threads(chosen.size * table.shape[1]),
        shares=_SHARES,
    )


def _add_chosen(
    weights: NDArray[np.float32],
    table: NDArray[np.float32],
    chosen: NDArray[Any],
    out: NDArray[np.float32],
) -> None:
    """Write weighted sums of chosen rows of a table to `out`, a thread some of its rows."""
    share_rows(
        lambda first, last: add_chosen(weights, table, chosen, out, first, last),
        len(out),
        _threads(chosen.size * table.shape[1]),
        shares=_SHARES,
    )


def _scatter_chosen(
    weights: NDArray[np.float32],
    left: NDArray[np.float32],
    chosen: NDArray[Any],
    out: NDArray[np.float32],
) -> None:
    """Add weighted rows of `left` to chosen rows of `out`, a thread some of its columns."""
    width = out.shape[1]
    share_rows(
        lambda first, last: scatter_chosen(weights, left, chosen, out, first, last),
        width,
        min(_threads(chosen.size * width), -(-width // _COLUMNS_A_THREAD)),
        shares=1,
    )


def _threads(n_multiplications: int) -> int:
    return 1 if n_multiplications < _ALONE else default_threads()


def dense_product(left: Tensor, right: Tensor) -> Tensor:
    """Multiply two dense matrices, of shapes (n, m) and (m, k), with gradients for both.

    On a CPU by numpy's BLAS (OpenBLAS), which here is twice as fast for large matrices as the one
    that torch brings (MKL, on a processor of AMD).
    """
    if left.device.type != "cpu":
        return left @ right
    product: Tensor = _DenseProduct.apply(left, right)  # type: ignore[no-untyped-call]
    return product


class _DenseProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        return torch.from_numpy(left.detach().numpy() @ right.detach().numpy())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        left, right = (part.detach().numpy() for part in ctx.saved_tensors)
        slopes = gradients[0].numpy()
        return torch.from_numpy(slopes @ right.T), torch.from_numpy(left.T @ slopes)
