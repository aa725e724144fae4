"""Products with sparse matrices and of chosen pairs, with gradients.

On a GPU torch computes them. On a CPU compiled loops do: measured in ``benchmarks/neural.py``, they
take a fraction of the time, and give the same bits for every number of threads.
"""

from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from recrepro.threads import default_threads, share_rows

from ._kernels import add_chosen, add_rows, dot_pairs, scatter_chosen

_COLUMNS_A_THREAD = 16
"""A thread gets whole cache lines of a row."""


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
        rows, matrix = self._rows, dense.detach().contiguous().numpy()
        out = np.empty((rows.shape[0], matrix.shape[1]), np.float32)

        def run(first: int, last: int) -> None:
            add_rows(rows.indptr, rows.indices, rows.data, matrix, out, first, last)

        share_rows(run, rows.shape[0])
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
        return torch.einsum("nk,nck->nc", left, table[chosen])
    products: Tensor = _PairProducts.apply(left, table, chosen)  # type: ignore[no-untyped-call]
    return products


class _PairProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, table: Tensor, chosen: Tensor) -> Tensor:
        ctx.save_for_backward(left, table, chosen)
        parts = [part.detach().contiguous().numpy() for part in (left, table, chosen)]
        out = np.empty(chosen.shape, np.float32)
        share_rows(lambda first, last: dot_pairs(*parts, out, first, last), len(out))
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        left, table, chosen = (part.detach().contiguous().numpy() for part in ctx.saved_tensors)
        slopes = gradients[0].contiguous().numpy()
        of_left = np.empty_like(left)
        share_rows(
            lambda first, last: add_chosen(slopes, table, chosen, of_left, first, last), len(left)
        )
        of_table = np.zeros_like(table)
        width = table.shape[1]
        threads = min(default_threads(), -(-width // _COLUMNS_A_THREAD))
        share_rows(
            lambda first, last: scatter_chosen(slopes, left, chosen, of_table, first, last),
            width,
            threads,
            shares=1,
        )
        return torch.from_numpy(of_left), torch.from_numpy(of_table), None


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
