"""TF-IDF and BM25 weighting of histories: items are the documents, users the terms.

Where features describe items or users, these are the documents, and features stand for users.
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ._similarity import refuse_negative

WeightingKind = Literal["none", "tfidf", "bm25"]

K1 = 1.2
B = 0.75


@dataclass(frozen=True)
class Weighting:
    r"""A weighting whose item statistics come from the training matrix.

    An interaction x of user u and item i becomes

    .. math::

        \text{tfidf: } \sqrt{x}\, \ln\frac{N}{1 + n_u} \qquad
        \text{bm25: } \frac{x (K_1 + 1)}{K_1 (1 - B + B\, l_i / \bar l) + x}
        \ln\frac{N}{1 + n_u}

    where N is the number of items, :math:`n_u` the length of the user's history, and
    :math:`l_i` the sum of the item's training values. The logarithm has no floor: it is 0 for a
    history of N - 1 items and negative for one of all N.

    Parameters
    ----------
    kind : {"none", "tfidf", "bm25"}
        Which one.
    damping : array of float64, shape (n_items,)
        :math:`K_1 (1 - B + B\, l_i / \bar l)` of each item.
    """

    kind: WeightingKind
    damping: NDArray[np.float64]

    @classmethod
    def fit(cls, kind: WeightingKind, matrix: csr_array) -> Self:
        """Take the item lengths from a training matrix."""
        lengths = np.bincount(matrix.indices, matrix.data, minlength=matrix.shape[1])
        mean = lengths.mean() if lengths.any() else 1.0
        return cls(kind, K1 * (1 - B + B * lengths / mean))

    def apply(self, histories: csr_array) -> csr_array:
        """Return the histories, float32, weighted; as they are with "none"."""
        if self.kind == "none":
            return histories
        refuse_negative(histories)
        sizes = np.diff(histories.indptr)
        idf = np.repeat(np.log(histories.shape[1] / (1 + sizes)), sizes)
        values = histories.data.astype(np.float64)
        if self.kind == "tfidf":
            weighted = np.sqrt(values) * idf
        else:
            weighted = values * (K1 + 1) / (self.damping[histories.indices] + values) * idf
        return csr_array(
            (weighted.astype(np.float32), histories.indices, histories.indptr), histories.shape
        )
