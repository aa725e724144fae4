"""Dropout that costs little on a CPU."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from recrepro.compute.threads import share_rows

from ._kernels import drop_values
from ._precision import in_float32

_RANGE = 2**32
_VALUES_A_THREAD = 2**16
"""Fewer are not worth another thread."""


class Dropout(nn.Module):
    """Sets random values to 0 while training, and scales the others up.

    On a CPU a compiled loop decides by a hash of the value's number and of a seed from torch's
    generator, and decides again in the backward pass, where torch draws one random number after the
    other and stores them: it takes a sixth of the time, and gives the same bits for every number of
    threads.

    Parameters
    ----------
    share : float
        Of the values that become 0.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Drop values, or return them as they are when not training."""
        if not self.training or self.share == 0:
            return values
        if values.device.type != "cpu" or values.dtype != torch.float32:
            return dropout(values, self.share)
        seeds = torch.randint(_RANGE, (2,)).tolist()
        dropped: Tensor = _Dropped.apply(values, self.share, *seeds)  # type: ignore[no-untyped-call]
        return dropped


class _Dropped(torch.autograd.Function):
    @staticmethod
    @in_float32
    def forward(ctx: Any, values: Tensor, *settings: float) -> Tensor:
        ctx.settings = settings
        return _drop(values.detach(), *settings)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return _drop(gradients[0], *ctx.settings), None, None, None


def _drop(values: Tensor, share: float, low: float, high: float) -> Tensor:
    source = values.contiguous().numpy()
    out = np.empty_like(source)
    kept = np.uint32(round((1 - share) * _RANGE))
    flat = source.reshape(-1), np.uint32(low), np.uint32(high), kept, np.float32(1 / (1 - share))
    target = out.reshape(-1)
    threads = 1 if len(target) < 2 * _VALUES_A_THREAD else None
    share_rows(
        lambda first, last: drop_values(*flat, target, first, last), len(target), threads, shares=1
    )
    return torch.from_numpy(out)
