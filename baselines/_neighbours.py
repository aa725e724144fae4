"""Neighbourhoods: their hyperparameters and similarities, for items and users alike."""

from typing import Annotated, Literal, get_args

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array, hstack

from recrepro.errors import DataError
from recrepro.model import ModelConfig
from recrepro.space import Choice, IntRange, OnlyWhere, Uniform

from ._similarity import Divisor, as_ones, largest_products, power
from ._weighting import Weighting, WeightingKind

Similarity = Literal["cosine", "asymmetric", "adjusted", "pearson", "dice", "jaccard", "tversky"]
OF_PAIRS = ("dice", "jaccard", "tversky")
"""Similarities that take every interaction as 1."""
EPSILON = 1e-6
"""Added to every denominator."""


class SimilarityConfig(ModelConfig):
    """What all neighbourhoods have in common."""

    n_neighbors: Annotated[int, Ge(1), IntRange(5, 1000)] = 50
    """Number of nearest neighbours kept."""
    shrinkage: Annotated[int, Ge(0), IntRange(0, 1000)] = 100
    """Added to the similarity's denominator: damps similarities that rest on few interactions."""
    similarity: Similarity = "cosine"
    """How alike two of them are: formulas in docs/baselines.md; a study tunes once for each."""
    asymmetry: Annotated[
        FiniteFloat, Ge(0), Uniform(0.0, 2.0), OnlyWhere("similarity", "asymmetric")
    ] = 0.5
    """Exponent of asymmetric cosine: 0.5 is cosine; the larger, the more popular the neighbours."""
    tversky_alpha: Annotated[
        FiniteFloat, Ge(0), Uniform(0.0, 2.0), OnlyWhere("similarity", "tversky")
    ] = 1.0
    """Tversky's weight of what only the one has whose neighbours are looked for."""
    tversky_beta: Annotated[
        FiniteFloat, Ge(0), Uniform(0.0, 2.0), OnlyWhere("similarity", "tversky")
    ] = 1.0
    """Tversky's weight of what only the possible neighbour has."""
    weighting: Annotated[
        WeightingKind,
        Choice(*get_args(WeightingKind)),
        OnlyWhere("similarity", "cosine", "asymmetric"),
    ] = "none"
    """Weighting of interactions; similarities of pairs use it for weighted profiles only."""
    normalise: Annotated[bool, Choice(True, False), OnlyWhere("similarity", "cosine")] = True
    """Whether cosines divide by the norms; without, shrinkage only rescales."""


class ContentConfig(SimilarityConfig):
    """What neighbourhoods by features have in common."""

    scaling: Literal["none", "largest"] = "none"
    """Whether each feature is divided by its largest value, so that counts lie between 0 and 1."""


class NeighbourConfig(SimilarityConfig):
    """What neighbourhoods by interactions have in common."""

    profiles: Annotated[
        Literal["raw", "weighted"],
        Choice("raw", "weighted"),
        OnlyWhere("similarity", "cosine", "asymmetric"),
    ] = "raw"
    """Whether scores sum the interactions themselves, or weighted ones as the study's code does."""


def nearest_described(described: csr_array, config: SimilarityConfig) -> csr_array:
    """Find the nearest neighbours among users or items by what describes them.

    Parameters
    ----------
    described : csr_array of float32, shape (n, n_features)
        A row for each. For TF-IDF and BM25 it is a document, and the features are its terms.
    config : SimilarityConfig
        Similarity and weighting.

    Returns
    -------
    csr_array of float32, shape (n, n)
        As `nearest_columns`.
    """
    if config.weighting != "none" and (described.data < 0).any():
        raise DataError(
            f"TF-IDF and BM25 need features of at least 0, but there is {described.data.min():g}: "
            'leave out the set that it is in, or set weighting = "none".'
        )
    columns = described.T.tocsr()
    return nearest_columns(Weighting.fit(config.weighting, columns).apply(columns), config)


def beside(features: csr_array, weight: float, interactions: csr_array) -> csr_array:
    """Put weighted features and interactions side by side; a weight of 0 leaves features out."""
    if not weight:
        return interactions
    return csr_array(hstack([features * np.float32(weight), interactions], format="csr"))


def nearest_columns(matrix: csr_array, config: SimilarityConfig) -> csr_array:
    r"""Find the nearest neighbours among the columns of a matrix.

    With c the sum of products of columns i and j, h the shrinkage, and :math:`\epsilon = 10^{-6}`:

    .. math::

        \text{cosine} = \frac{c}{\lVert i \rVert \lVert j \rVert + h + \epsilon} \qquad
        \text{asymmetric} = \frac{c}{\lVert i \rVert^{2a} \lVert j \rVert^{2(1 - a)} + h + \epsilon}

    where i is the column whose neighbours are looked for and a is `asymmetry`. Before cosine,
    ``adjusted`` subtracts from each interaction the mean of its row's interactions, and ``pearson``
    that of its column's. (Of values that are all 1 nothing is left by either.) Without `normalise`
    all four are c / h, or c where h is 0.

    With every interaction taken as 1, and :math:`n_i` the number of those of i:

    .. math::

        \text{dice} = \frac{c}{n_i + n_j + h + \epsilon} \qquad
        \text{jaccard} = \frac{c}{n_i + n_j - c + h + \epsilon} \qquad
        \text{tversky} = \frac{c}{c + \alpha (n_i - c) + \beta (n_j - c) + h + \epsilon}

    Dice has no factor 2, as in the code of Ferrari Dacrema et al. (TOIS 2021).

    Returns
    -------
    csr_array of float32, shape (n_columns, n_columns)
        Row i holds the similarities of i's own neighbours (ties: see `largest_products`).
    """
    if config.similarity in OF_PAIRS:
        matrix = as_ones(matrix)
    elif config.similarity in ("adjusted", "pearson"):
        matrix = _centred(matrix, by_rows=config.similarity == "adjusted")
    divisor = _divisor(_squares(matrix), config)
    return largest_products(matrix.T.tocsr(), matrix, config.n_neighbors, divisor)


def _squares(matrix: csr_array) -> NDArray[np.float64]:
    """Return the sum of squares of each column."""
    squares = matrix.data.astype(np.float64) ** 2
    return np.asarray(np.bincount(matrix.indices, squares, minlength=matrix.shape[1]), np.float64)


def _divisor(squares: NDArray[np.float64], config: SimilarityConfig) -> Divisor:
    """Return what the sum of products is divided by; `squares` are numbers if all values are 1."""
    constant = config.shrinkage + EPSILON
    alpha = beta = share = 1.0
    match config.similarity:
        case "dice":
            share = 0.0
        case "jaccard":
            share = -1.0
        case "tversky":
            alpha, beta = config.tversky_alpha, config.tversky_beta
            share = 1 - alpha - beta
        case "asymmetric" if config.normalise:
            a = config.asymmetry
            return Divisor(constant, power(squares, a), power(squares, 1 - a))
        case _ if config.normalise:
            return Divisor(constant, np.sqrt(squares), np.sqrt(squares))
        case _:
            return Divisor(config.shrinkage or 1.0)
    return Divisor(constant, row_terms=alpha * squares, column_terms=beta * squares, share=share)


def _centred(matrix: csr_array, *, by_rows: bool) -> csr_array:
    """Subtract from each stored value the mean of those of its row, or of its column."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    groups = rows if by_rows else matrix.indices
    sums, sizes = np.bincount(groups, matrix.data), np.bincount(groups)
    means = sums / np.maximum(sizes, 1)
    values = (matrix.data - means[groups]).astype(np.float32)
    return csr_array((values, matrix.indices, matrix.indptr), matrix.shape)
