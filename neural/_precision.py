"""Mixed precision: what computes in single precision whatever surrounds it."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor


def in_float32(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate ``forward`` of an autograd function whose loops are compiled for float32 only.

    Under autocast its inputs are converted, and so is what leaves its ``backward``, by torch.
    """

    @wraps(forward)
    def converted(ctx: Any, *arguments: Any) -> Any:
        found = (
            one.float() if isinstance(one, Tensor) and one.dtype is torch.bfloat16 else one
            for one in arguments
        )
        with torch.autocast("cpu", enabled=False):
            return forward(ctx, *found)

    return converted
