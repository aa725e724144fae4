"""What a memory network reads: outputs of neighbours, weighted by attention, with gradients.

On a CPU compiled loops compute it, pair by pair, and give the same bits for every number of
threads; on a GPU torch does. Neighbourhoods are stretches of one list, whatever their lengths.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recrepro.compute.threads import default_threads, share_rows

from ._memory_kernels import read_outputs, scatter_slopes, slopes_of_matches
from ._precision import in_float32

_COLUMNS_A_THREAD = 16
"""A thread gets whole cache lines of a row."""
_NUMBERS_A_THREAD = 2**20
"""Numbers below which to start a thread takes longer than what it does."""
_NEIGHBOURS_AT_ONCE = 2**21
"""Neighbours, of all pairs, whose vectors a GPU holds at once."""


class Neighbours(NamedTuple):
    """The neighbours of pairs: a stretch of a list for each."""

    begins: Tensor
    """Where a pair's neighbours begin in the list."""
    ends: Tensor
    """Where they end."""
    listed: Tensor
    """The list: rows of memories and outputs."""
    passed: Tensor
    """A row that is passed over, for each pair; -1 for none."""


def read(queries: Tensor, memories: Tensor, outputs: Tensor, neighbours: Neighbours) -> Tensor:
    r"""Return the outputs of neighbours, weighted by a softmax of what their memories match.

    .. math:: o = \sum_v a_v c_v, \qquad a = \operatorname{softmax}_v(z \cdot m_v)

    Parameters
    ----------
    queries : Tensor of float32, shape (n, k)
        z, for each pair.
    memories, outputs : Tensor of float32, shape (m, k)
        m and c, for each possible neighbour.
    neighbours : Neighbours
        Those of the pairs.

    Returns
    -------
    Tensor of float32, shape (n, k)
        0 where a pair has no neighbours.
    """
    if queries.device.type != "cpu":
        return _read_in_blocks(queries, memories, outputs, neighbours)
    result: Tensor = _Read.apply(queries, memories, outputs, *neighbours)  # type: ignore[no-untyped-call]
    return result


class _Read(torch.autograd.Function):
    @staticmethod
    @in_float32
    def forward(ctx: Any, *tensors: Tensor) -> Tensor:
        parts = [tensor.detach().contiguous().numpy() for tensor in tensors]
        queries, begins, ends = parts[0], parts[3], parts[4]
        out, logs = np.empty_like(queries), np.empty(len(queries), np.float32)
        _share(
            lambda first, last: read_outputs(*parts, out, logs, first, last),
            len(out),
            _threads(int((ends - begins).sum()) * queries.shape[1]),
        )
        result = torch.from_numpy(out)
        ctx.save_for_backward(*tensors, result, torch.from_numpy(logs))
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        parts = [tensor.detach().contiguous().numpy() for tensor in ctx.saved_tensors]
        queries, memories, outputs, begins, ends, listed = parts[:6]
        slopes = gradients[0].contiguous().numpy()
        offsets = np.concatenate([[0], np.cumsum(ends - begins)])
        weights, matches = (np.empty(offsets[-1], np.float32) for _ in range(2))
        of_queries, of_memories = np.empty_like(queries), np.zeros_like(memories)
        of_outputs = np.zeros_like(outputs)
        found = offsets, weights, matches
        width = queries.shape[1]
        threads = _threads(len(weights) * width)
        _share(
            lambda first, last: slopes_of_matches(slopes, *parts, *found, of_queries, first, last),
            len(queries),
            threads,
        )
        where = begins, ends, listed
        to = of_memories, of_outputs
        _share(
            lambda first, last: scatter_slopes(slopes, queries, *where, *found, *to, first, last),
            width,
            min(threads, -(-width // _COLUMNS_A_THREAD)),
        )
        return *map(torch.from_numpy, (of_queries, of_memories, of_outputs)), *[None] * 4


def _share(run: Callable[[int, int], object], n: int, threads: int) -> None:
    """Share what takes long."""
    if threads == 1:
        run(0, n)
    else:
        share_rows(run, n, threads)


def _threads(n_numbers: int) -> int:
    """Return how many threads are worth it."""
    return max(1, min(default_threads(), n_numbers // _NUMBERS_A_THREAD))


def _read_in_blocks(
    queries: Tensor, memories: Tensor, outputs: Tensor, neighbours: Neighbours
) -> Tensor:
    """Read by torch, for as many pairs at once as there is room for."""
    begins, ends, listed, passed = neighbours
    block = (ends - begins).cumsum(0) // _NEIGHBOURS_AT_ONCE
    sizes = torch.unique_consecutive(block, return_counts=True)[1].tolist()
    parts = [torch.split(part, sizes) for part in (queries, begins, ends, passed)]
    blocks = [
        _read_by_torch(z, memories, outputs, Neighbours(begin, end, listed, skip))
        for z, begin, end, skip in zip(*parts, strict=True)
    ]
    return torch.cat(blocks) if blocks else torch.zeros_like(queries)


def _read_by_torch(
    queries: Tensor, memories: Tensor, outputs: Tensor, neighbours: Neighbours
) -> Tensor:
    """Read by torch, which holds the vectors of all neighbours."""
    begins, ends, listed, passed = neighbours
    sizes = ends - begins
    pairs = torch.repeat_interleave(torch.arange(len(sizes), device=sizes.device), sizes)
    before = torch.cumsum(sizes, 0) - sizes
    rows = listed[torch.arange(len(pairs), device=sizes.device) + (begins - before)[pairs]]
    matches = (queries[pairs] * memories[rows]).sum(dim=1)
    matches = matches.masked_fill(rows == passed[pairs], -torch.inf)
    largest = torch.zeros_like(queries[:, 0]).scatter_reduce(
        0, pairs, matches.detach(), "amax", include_self=False
    )
    weights = (matches - largest.clamp(min=torch.finfo(largest.dtype).min)[pairs]).exp()
    whole = torch.zeros_like(queries[:, 0]).index_add(0, pairs, weights)
    total = torch.zeros_like(queries).index_add(0, pairs, weights[:, None] * outputs[rows])
    return total / whole.where(whole > 0, 1)[:, None]
