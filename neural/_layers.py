"""Layers with the first weights that papers and their code state."""

from torch import nn


def embedding(n: int, size: int, std: float, mean: float = 0.0) -> nn.Embedding:
    """Return a table of n rows, drawn from a normal distribution."""
    table = nn.Embedding(n, size)
    nn.init.normal_(table.weight, mean, std)
    return table


def glorot(n_in: int, n_out: int, *, bias: bool = True) -> nn.Linear:
    """Return a dense layer with Glorot-uniform weights and a bias of 0, as Keras makes it."""
    layer = nn.Linear(n_in, n_out, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def lecun(n_in: int, n_out: int, *, bias: bool = True) -> nn.Linear:
    """Return a dense layer with LeCun-uniform weights and a bias of 0."""
    layer = nn.Linear(n_in, n_out, bias=bias)
    end = (3 / n_in) ** 0.5
    nn.init.uniform_(layer.weight, -end, end)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
