"""The cross-entropy of a softmax over all rows of a table, without all of its logits at once."""

from typing import Any

import torch
from torch import Tensor

from ._precision import in_float32

_LOGITS_AT_ONCE = 2**20


def cross_entropy_over(table: Tensor, states: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy, with gradients for table and states.

    Parameters
    ----------
    table : Tensor of float32, shape (m, k)
        A logit is the product of one of its rows with a state.
    states : Tensor of float32, shape (n, k)
        One a sample.
    targets : Tensor of int, shape (n,)
        Row of the table that each sample has.

    Notes
    -----
    The gradients are computed together with the loss, a block of samples at a time.
    """
    loss: Tensor = _CrossEntropy.apply(table, states, targets)  # type: ignore[no-untyped-call]
    return loss


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    @in_float32
    def forward(ctx: Any, table: Tensor, states: Tensor, targets: Tensor) -> Tensor:
        table, states = table.detach(), states.detach()
        n = len(states)
        of_states, of_table = torch.empty_like(states), torch.zeros_like(table)
        total = states.new_zeros(())
        size = max(1, _LOGITS_AT_ONCE // len(table))
        with torch.autocast(states.device.type, enabled=False):
            for start in range(0, n, size):
                at = slice(start, start + size)
                chosen = targets[at, None].long()
                logits = states[at] @ table.T
                logits -= logits.amax(dim=1, keepdim=True)
                wanted = logits.gather(1, chosen)
                sums = logits.exp_().sum(dim=1, keepdim=True)
                total += (sums.log() - wanted).sum()
                slopes = logits.div_(n * sums)
                slopes.scatter_add_(1, chosen, wanted.new_full(wanted.shape, -1 / n))
                of_states[at] = slopes @ table
                of_table.addmm_(slopes.T, states[at])
        ctx.save_for_backward(of_table, of_states)
        return total / n

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        of_table, of_states = ctx.saved_tensors
        return gradients[0] * of_table, gradients[0] * of_states, None
