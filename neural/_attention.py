"""The network of SASRec: attention of each place of a sequence to the places before."""

import torch
from torch import Tensor, nn

from ._dropout import Dropout
from ._layers import glorot

_HIDDEN = 1.0 - 2**32
"""In place of the logit of what must not be attended to; finite, as a row may have nothing else."""


class AttentionBlock(nn.Module):
    """Attention to earlier places, and two dense layers, as the released code has them."""

    def __init__(self, n_factors: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.LayerNorm(n_factors, eps=1e-8)
        self.query, self.key, self.value = (glorot(n_factors, n_factors) for _ in range(3))
        self.norm_between = nn.LayerNorm(n_factors, eps=1e-8)
        self.inner, self.outer = (glorot(n_factors, n_factors) for _ in range(2))
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, mask: Tensor, n_last: int) -> Tensor:
        """Return the last `n_last` places, shape (n, n_last, n_factors).

        Parameters
        ----------
        hidden : Tensor, shape (n, length, n_factors)
            All places.
        mask : Tensor, shape (n * n_heads, length, length)
            Added to the logits.
        n_last : int
            How many places are asked for.
        """
        normal = self.norm(hidden[:, -n_last:])
        attended = self.attend(normal, hidden, mask[:, -n_last:])
        between = self.norm_between(attended + normal)
        inner = self.dropout(self.inner(between).relu_())
        out: Tensor = self.dropout(self.outer(inner)) + between
        return out

    def attend(self, normal: Tensor, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return sums of values, weighted by how well keys fit the queries."""
        query = self._heads(self.query(normal))
        key, value = self._heads(self.key(hidden)), self._heads(self.value(hidden))
        logits = torch.baddbmm(mask, query, key.mT, alpha=query.shape[-1] ** -0.5)
        attended = self.dropout(logits.softmax(-1)) @ value
        together: Tensor = attended.view(-1, self.n_heads, *attended.shape[1:]).transpose(1, 2)
        return together.flatten(2)

    def _heads(self, x: Tensor) -> Tensor:
        """Turn shape (n, length, width) into (n * n_heads, length, width / n_heads)."""
        return x.view(*x.shape[:2], self.n_heads, -1).transpose(1, 2).flatten(0, 1)


class PreNormBlock(AttentionBlock):
    """The same as the paper's text has it: x + Dropout(g(LN(x))), for attention and for layers."""

    def forward(self, hidden: Tensor, mask: Tensor, n_last: int) -> Tensor:
        """Return the last `n_last` places."""
        normal = self.norm(hidden)
        attended = self.attend(normal[:, -n_last:], normal, mask[:, -n_last:])
        between = hidden[:, -n_last:] + self.dropout(attended)
        inner = self.dropout(self.inner(self.norm_between(between)).relu_())
        out: Tensor = between + self.dropout(self.outer(inner))
        return out


class SASRecNetwork(nn.Module):
    """Blocks of attention above the factors of items and places."""

    def __init__(
        self,
        n_items: int,
        max_length: int,
        n_factors: int,
        n_blocks: int,
        n_heads: int,
        dropout: float,
        *,
        pre_norm: bool = False,
    ) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items + 1, n_factors, padding_idx=0)
        self.places = nn.Embedding(max_length, n_factors)
        for table in (self.items, self.places):
            nn.init.xavier_uniform_(table.weight)
        with torch.no_grad():
            self.items.weight[0] = 0
        self.n_heads = n_heads
        self.dropout = Dropout(dropout)
        kind = PreNormBlock if pre_norm else AttentionBlock
        self.blocks = nn.ModuleList(kind(n_factors, n_heads, dropout) for _ in range(n_blocks))
        self.norm = nn.LayerNorm(n_factors, eps=1e-8)

    def forward(self, *sequences: Tensor) -> Tensor:
        """Return the states at all places of some arrays of sequences, one below the other.

        Parameters
        ----------
        *sequences : Tensor of int, shape (n, length)
            Items from 1 on, after zeros.
        """
        flat = self.items(torch.cat([part.flatten() for part in sequences]))
        parts = flat.split([part.numel() for part in sequences])
        return torch.cat(
            [
                self.encode(looked_up.unflatten(0, part.shape), part > 0).flatten(0, 1)
                for looked_up, part in zip(parts, sequences, strict=True)
            ]
        )

    def encode(self, looked_up: Tensor, real: Tensor, n_last: int | None = None) -> Tensor:
        """Return the states at the last places, or at all: shape (n, n_last, n_factors)."""
        length, n_factors = looked_up.shape[1:]
        real_rows = real[..., None].to(looked_up.dtype)
        places = self.places.weight[len(self.places.weight) - length :]
        hidden = self.dropout(looked_up * n_factors**0.5 + places) * real_rows
        seen = torch.ones(length, length, dtype=torch.bool, device=real.device).tril_()
        mask = hidden.new_zeros(()).where(seen & real[:, None], _HIDDEN)
        mask = mask[:, None].expand(-1, self.n_heads, -1, -1).flatten(0, 1)
        for number, block in enumerate(self.blocks, start=1):
            n = length if number < len(self.blocks) or n_last is None else n_last
            hidden = block(hidden, mask, n) * real_rows[:, -n:]
        states: Tensor = self.norm(hidden)
        return states
