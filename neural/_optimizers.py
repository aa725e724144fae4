"""Optimisers by name, among them two that torch has in another form only."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ._kernels import step_rows

OptimizerName = Literal[
    "adam", "adamw", "sgd", "adagrad", "rmsprop", "rmsprop-tf", "adafactor", "adadelta"
]

_NUMBERS_AT_ONCE = 2**16


def make_optimizer(
    name: OptimizerName, parameters: Iterable[nn.Parameter], learning_rate: float, **settings: Any
) -> torch.optim.Optimizer:
    """Return an optimiser.

    Parameters
    ----------
    name : str
        ``rmsprop-tf`` is RMSprop as TensorFlow 1 has it, and ``adadelta`` is our own; the others
        are torch's.
    parameters : iterable of Parameter
        What it changes.
    learning_rate : float
        Length of its steps.
    **settings
        Others than torch's, by torch's names.
    """
    makers: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "sgd": torch.optim.SGD,
        "adagrad": torch.optim.Adagrad,
        "rmsprop": torch.optim.RMSprop,
        "rmsprop-tf": TensorFlowRMSprop,
        "adafactor": torch.optim.Adafactor,
        "adadelta": Adadelta,
    }
    if name in ("adam", "adamw", "sgd", "adagrad"):
        settings = {"fused": True, **settings}  # one pass over the parameters instead of many
    return makers[name](list(parameters), lr=learning_rate, **settings)


class TensorFlowRMSprop(torch.optim.Optimizer):
    """RMSprop with the constant inside the root, and mean squares that start from 1.

    That is how TensorFlow 1 has it, and with it the code that came with some papers. The first
    steps are much shorter than those of torch's, whose mean squares start from 0. Of a table with a
    sparse gradient only the rows that are in it change, and what is remembered of them.

    Parameters
    ----------
    params : iterable of Parameter
        What it changes.
    lr : float
        Length of its steps.
    decay : float
        Share of the old mean square in the new one.
    momentum : float
        Share of the last step in the next one.
    eps : float
        Added to the mean square.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        decay: float = 0.9,
        momentum: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(params, {"lr": lr, "decay": decay, "momentum": momentum, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> None:  # type: ignore[override]
        """Change the parameters by their gradients."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["square"] = torch.ones_like(parameter)
                    state["move"] = torch.zeros_like(parameter)
                square, move = state["square"], state["move"]
                if parameter.grad.is_sparse:
                    _step_rows(parameter, square, move, group)
                    continue
                square.lerp_(parameter.grad.square(), 1 - group["decay"])
                step = parameter.grad * (square + group["eps"]).rsqrt_()
                move.mul_(group["momentum"]).add_(step, alpha=group["lr"])
                parameter.sub_(move)


class Adadelta(torch.optim.Optimizer):
    """Adadelta whose means start from the first gradient and step, instead of from 0.

    That is how deepmat has it, and with it the code of CDL. The penalty is added to a gradient
    after its square was taken. A few numbers at a time go through all operations, while they are in
    the cache: that takes half of the time of torch's, which has the means start from 0.

    Zeiler: ADADELTA: An adaptive learning rate method. arXiv:1212.5701, 2012.

    Parameters
    ----------
    params : iterable of Parameter
        What it changes.
    lr : float
        What steps are multiplied by; 1 in the paper.
    decay : float
        Share of the old means in the new ones.
    eps : float
        Added to the means.
    weight_decay : float
        Penalty: half of it times the squares of the parameters.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1.0,
        decay: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "decay": decay, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> None:  # type: ignore[override]
        """Change the parameters by their gradients."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                decay = group["decay"] if state else 0.0
                if not state:
                    state["square"] = torch.zeros_like(parameter)
                    state["move"] = torch.zeros_like(parameter)
                parts = parameter, parameter.grad, state["square"], state["move"]
                for values, slopes, square, move in zip(
                    *(part.reshape(-1).split(_NUMBERS_AT_ONCE) for part in parts), strict=True
                ):
                    square.mul_(decay).addcmul_(slopes, slopes, value=1 - decay)
                    step = (move + group["eps"]).div_(square + group["eps"]).sqrt_()
                    step *= slopes.add(values, alpha=group["weight_decay"])
                    values.sub_(step, alpha=group["lr"])
                    move.mul_(decay).addcmul_(step, step, value=1 - decay)


def _step_rows(parameter: Tensor, square: Tensor, move: Tensor, group: dict[str, Any]) -> None:
    """Change the rows that are in a sparse gradient."""
    assert parameter.grad is not None
    gradient = parameter.grad.coalesce()
    rows, slopes = gradient.indices()[0], gradient.values()
    settings = [group[name] for name in ("lr", "decay", "momentum", "eps")]
    if parameter.device.type == "cpu":
        arrays = (part.detach().numpy() for part in (parameter, square, move, rows, slopes))
        step_rows(*arrays, *map(np.float32, settings))
        return
    rate, decay, momentum, eps = settings
    squares = square[rows].lerp_(slopes.square(), 1 - decay)
    moves = move[rows].mul_(momentum).add_(slopes * (squares + eps).rsqrt(), alpha=rate)
    square[rows], move[rows] = squares, moves
    parameter.index_add_(0, rows, moves, alpha=-1)
