"""The likelihood of rows of ones under the softmax of a dense layer, in one array of its size."""

from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from recrepro.compute.threads import share_rows

from ._kernels import shift_stored
from ._precision import in_float32
from ._products import dense_product


def multinomial_loss(hidden: Tensor, weight: Tensor, bias: Tensor, rows: csr_array) -> Tensor:
    r"""Return each row's negative log-likelihood under the softmax of a dense layer.

    .. math::

        -\sum_i x_i \log \mathrm{softmax}(o)_i
        = \Bigl(\sum_i x_i\Bigr) \log \sum_j e^{o_j} - \sum_i x_i o_i, \qquad o = h W + b

    On a CPU there is one array of the logits' size: theirs, and then that of their gradient.

    Parameters
    ----------
    hidden : Tensor, shape (n, k)
        Inputs of the layer.
    weight, bias : Tensor, shape (k, n_items), (n_items,)
        Of the layer.
    rows : csr_array, shape (n, n_items)
        Ones, in any order, none twice.

    Returns
    -------
    Tensor, shape (n,)
        With gradients for all three.
    """
    if hidden.device.type != "cpu":
        return plain_multinomial_loss((hidden @ weight + bias).float(), rows)
    losses: Tensor = _Multinomial.apply(hidden, weight, bias, rows)  # type: ignore[no-untyped-call]
    return losses


def plain_multinomial_loss(logits: Tensor, rows: csr_array) -> Tensor:
    """Return the same for given logits, with gradients that torch finds."""
    counts = torch.from_numpy(np.diff(rows.indptr)).to(logits.device)
    users = torch.arange(len(counts), device=logits.device).repeat_interleave(counts)
    chosen = logits[users, torch.from_numpy(rows.indices).to(logits.device)]
    sums = torch.zeros_like(logits[:, 0]).index_add(0, users, chosen)
    return counts * logits.logsumexp(dim=1) - sums


class _Multinomial(torch.autograd.Function):
    @staticmethod
    @in_float32
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, rows: csr_array) -> Tensor:
        block = dense_product(hidden, weight).add_(bias)
        counts = torch.from_numpy(np.diff(rows.indptr).astype(np.float32))
        sums = _shift(rows, torch.zeros_like(counts), block)
        largest = block.amax(dim=1)
        torch.softmax(block, dim=1, out=block)
        log_totals = largest - block.amax(dim=1).log_()
        _shift(rows, -1 / counts.clamp(min=1), block)
        ctx.save_for_backward(hidden, weight)
        ctx.block, ctx.counts = block, counts
        return counts * log_totals - sums

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight = (part.detach().numpy() for part in ctx.saved_tensors)
        block = ctx.block.numpy()  # the gradient of the logits, but for a factor of each row
        factors = (gradients[0] * ctx.counts).numpy()
        of_hidden = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_hidden = torch.from_numpy((block @ weight.T) * factors[:, None])
        if ctx.needs_input_grad[1]:
            of_weight = torch.from_numpy((hidden * factors[:, None]).T @ block)
        if ctx.needs_input_grad[2]:
            of_bias = torch.from_numpy(factors @ block)
        return of_hidden, of_weight, of_bias, None


def _shift(rows: csr_array, shifts: Tensor, block: Tensor) -> Tensor:
    """Add to what a block has where rows have something; return each row's sum from before."""
    sums = torch.empty_like(shifts)
    parts = rows.indptr, rows.indices, shifts.numpy(), block.numpy(), sums.numpy()
    share_rows(lambda first, last: shift_stored(*parts, first, last), len(sums))
    return sums
