"""Content of items, such as words: as the input of a layer, and as what it has to reconstruct."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from recrepro.errors import ModelError
from recrepro.features import over_largest

from ._precision import in_float32
from ._products import SparseMatrix

Content = csr_array | NDArray[np.float32]
"""A row an item: sparse, as features come, or dense, as the layers above see them."""
Rows = csr_array | Tensor
"""Some rows of it."""


def scaled(features: csr_array, *, of_row: bool) -> csr_array:
    """Divide by the largest value of each row, or of each column, so that all are from 0 to 1.

    Raises
    ------
    ModelError
        If a value is below 0.
    """
    if features.nnz and features.data.min() < 0:
        raise ModelError(
            f"features of items have to be 0 or more, but there is {features.data.min():g}: use "
            "item_features to leave out the set that it is in."
        )
    return over_largest(features, of_row=of_row)


def chosen_rows(content: Content, numbers: Tensor) -> Rows:
    """Return some rows, on the device of the numbers if they are dense."""
    rows = content[numbers.cpu().numpy()]
    return torch.from_numpy(rows).to(numbers.device) if isinstance(rows, np.ndarray) else rows


def masked(rows: Rows, share: float) -> Rows:
    """Set a share of all values to 0, at random and with nothing scaled up."""
    if isinstance(rows, Tensor):
        return rows * (torch.rand_like(rows) >= share)
    kept = np.flatnonzero(torch.rand(rows.nnz).numpy() >= share)
    starts = np.searchsorted(kept, rows.indptr).astype(rows.indptr.dtype)
    return csr_array((rows.data[kept], rows.indices[kept], starts), shape=rows.shape)


def as_input(rows: Rows) -> SparseMatrix | Tensor:
    """Return what a `Layer` takes."""
    return rows if isinstance(rows, Tensor) else SparseMatrix(rows)


def reconstruction_loss(
    hidden: Tensor, weight: Tensor, bias: Tensor, rows: Rows, *, squared: bool = False
) -> Tensor:
    r"""Return how far the sigmoids of a dense layer are from each row.

    .. math::

        -\sum_s \bigl(x_s \log p_s + (1 - x_s) \log (1 - p_s)\bigr) \quad\text{ or }\quad
        \frac12 \sum_s (p_s - x_s)^2, \qquad p = \sigma(W h + b)

    For sparse rows there is one array of the outputs' size: theirs, and then that of the gradient.

    Parameters
    ----------
    hidden : Tensor, shape (n, k)
        Inputs of the layer, h.
    weight, bias : Tensor, shapes (n_words, k) and (n_words,)
        Of the layer: the weights of the first layer, turned round.
    rows : csr_array or Tensor, shape (n, n_words)
        Between 0 and 1, x.
    squared : bool
        Whether half the squared distance is taken, instead of the cross-entropy.

    Returns
    -------
    Tensor, shape (n,)
        With gradients for the first three.
    """
    if isinstance(rows, Tensor):
        logits = hidden @ weight.T + bias
        if squared:
            return (logits.sigmoid() - rows).square().sum(dim=1) / 2
        return binary_cross_entropy_with_logits(logits, rows, reduction="none").sum(dim=1)
    losses: Tensor = _Reconstruction.apply(hidden, weight, bias, rows, squared)  # type: ignore[no-untyped-call]
    return losses


class _Reconstruction(torch.autograd.Function):
    @staticmethod
    @in_float32
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, rows: csr_array, squared: bool
    ) -> Tensor:
        block = _product(hidden, weight.T).float().add_(bias)
        of_row = np.repeat(np.arange(len(block)), np.diff(rows.indptr))
        places = of_row * block.shape[1] + rows.indices
        at, values, owners = (
            torch.from_numpy(part).to(block.device) for part in (places, rows.data, of_row)
        )
        flat = block.view(-1)
        if squared:
            slopes = block.sigmoid_() * (1 - block)
            flat[at] -= values
            losses = block.square().sum(dim=1) / 2
            block *= slopes
        else:
            losses = softplus(block).sum(dim=1)
            losses.index_add_(0, owners, values * flat[at], alpha=-1)
            block.sigmoid_()
            flat[at] -= values
        ctx.save_for_backward(hidden, weight)
        ctx.block = block  # the gradient of the logits, but for a factor of each row
        return losses

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight = ctx.saved_tensors
        factors = gradients[0][:, None]
        of_hidden = _product(ctx.block, weight) * factors
        of_weight = _product(ctx.block.T, hidden * factors)
        return of_hidden, of_weight, gradients[0] @ ctx.block, None, None


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Multiply without gradients; on a CPU by numpy's BLAS, as `dense_product` does."""
    if left.device.type != "cpu":
        return left @ right
    return torch.from_numpy(left.detach().numpy() @ right.detach().numpy())
