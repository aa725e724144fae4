"""Neighbourhoods: their hyperparameters and similarities, for items and users alike."""

from typing import Annotated, Literal, get_args

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.model import ModelConfig
from recrepro.space import Choice, IntRange

from ._similarity import as_ones, gram_blocks, top_k
from ._weighting import WeightingKind


class NeighbourConfig(ModelConfig):
    """What item and user neighbourhoods have in common."""

    n_neighbors: Annotated[int, Ge(1), IntRange(5, 1000)] = 50
    """Number of nearest neighbours kept."""
    shrinkage: Annotated[int, Ge(0), IntRange(0, 1000)] = 100
    """Added to the similarity's denominator: damps similarities that rest on few interactions."""
    similarity: Literal["cosine", "dice"] = "cosine"
    """Cosine of the interaction values, or Dice of the pairs; a study tunes once for each."""
    weighting: Annotated[WeightingKind, Choice(*get_args(WeightingKind))] = "none"
    """Weighting of interactions; with dice it changes the profiles but not the similarity."""
    profiles: Annotated[Literal["raw", "weighted"], Choice("raw", "weighted")] = "raw"
    """Whether scores sum the interactions themselves, or weighted ones as the study's code does."""
    normalise: Annotated[bool, Choice(True, False)] = True
    """Whether cosine divides by the norms; without, shrinkage only rescales. Dice ignores it."""


def nearest_columns(matrix: csr_array, config: NeighbourConfig) -> csr_array:
    r"""Find the nearest neighbours among the columns of a matrix.

    With c the sum of products of columns i and j, :math:`n` their numbers of interactions and h
    the shrinkage:

    .. math::

        \text{cosine} = \frac{c}{\lVert i \rVert \lVert j \rVert + h + \epsilon} \qquad
        \text{dice} = \frac{c}{n_i + n_j + h + \epsilon}, \quad \epsilon = 10^{-6}

    Dice takes every interaction as 1 and has no factor 2. Cosine without `normalise` is c / h, or
    c where h is 0. Similarities are rounded to float32 before they are ranked, so that those
    that are equal in theory tie.

    Returns
    -------
    csr_array of float32, shape (n_columns, n_columns)
        Row i holds the similarities of i's own neighbours (ties: see `top_k`).
    """
    dice = config.similarity == "dice"
    if dice:
        matrix = as_ones(matrix)
    sizes = np.bincount(
        matrix.indices, matrix.data.astype(np.float64) ** 2, minlength=matrix.shape[1]
    )
    combine = np.add if dice else np.multiply
    if not dice:
        sizes = np.sqrt(sizes)

    def similarity(start: int, block: NDArray[np.float32]) -> NDArray[np.float32]:
        if not dice and not config.normalise:
            return block / np.float32(config.shrinkage or 1)
        denominator = combine.outer(sizes[start : start + len(block)], sizes)
        return (block / (denominator + config.shrinkage + 1e-6)).astype(np.float32)

    blocks = ((start, similarity(start, block)) for start, block in gram_blocks(matrix))
    return top_k(blocks, config.n_neighbors)
