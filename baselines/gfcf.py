"""GF-CF: a closed-form low-pass filter on the user-item graph."""

from typing import Annotated, Self

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array, diags_array

from recrepro.interactions import Interactions
from recrepro.model import ModelConfig, Recommender
from recrepro.space import IntRange, Uniform

from ._decomposition import right_singular_vectors
from ._similarity import power, refuse_negative


class GFCF(Recommender):
    r"""Smooth a user's history over the item graph by a linear and an ideal low-pass filter.

    Shen et al.: How powerful is graph convolution for recommendation? CIKM 2021.

    .. math::

        N = D_U^{-1/2} R D_I^{-1/2}, \qquad
        \hat r_u = r_u N^\top N + \alpha \, r_u D_I^{-1/2} V_k V_k^\top D_I^{1/2}

    with V_k the first k right singular vectors of N. Items without interactions score 0.

    Notes
    -----
    The degrees are sums of the values. The item-item matrix is never formed: a block of users is
    multiplied with N twice.
    """

    deterministic = True
    version = 2

    class Config(ModelConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), IntRange(16, 512)] = 256
        """Number of singular vectors k that the ideal filter lets through."""
        alpha: Annotated[FiniteFloat, Ge(0), Uniform(0.0, 1.0)] = 0.3
        """Weight of the ideal filter."""

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:
        """Normalise the interaction matrix and compute its singular vectors."""
        refuse_negative(train.matrix)
        matrix = train.matrix.astype(np.float64)
        of_users = np.bincount(train.users, train.values, train.n_users).astype(np.float64)
        of_items = np.bincount(train.items, train.values, train.n_items).astype(np.float64)
        by_user, by_item = power(of_users, -0.5), power(of_items, -0.5)
        normalised = csr_array(diags_array(by_user) @ matrix @ diags_array(by_item))
        vectors = right_singular_vectors(normalised, self.config.n_factors, rng)
        self.items_of_users = csr_array(normalised.astype(np.float32))
        self.users_of_items = csr_array(self.items_of_users.T)
        self.into = np.ascontiguousarray(by_item[:, None] * vectors, np.float32)
        self.back = np.ascontiguousarray(power(of_items, 0.5)[:, None] * vectors, np.float32)
        return self

    def score(
        self,
        users: NDArray[np.int32],  # noqa: ARG002  # the history says it all
        histories: csr_array,
    ) -> NDArray[np.float32]:
        """Apply both filters to the histories."""
        smoothed = (histories @ self.fitted("users_of_items")) @ self.fitted("items_of_users")
        scores: NDArray[np.float32] = smoothed.toarray()
        if self.config.alpha > 0:
            scores += self.config.alpha * ((histories @ self.into) @ self.back.T)
        return scores
