"""PureSVD: the truncated singular value decomposition of the interaction matrix."""

from typing import Annotated, Self

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.interactions import Interactions
from recrepro.model import ModelConfig, Recommender
from recrepro.space import IntRange

from ._decomposition import right_singular_vectors


class PureSVD(Recommender):
    r"""Project a user's history on the first singular vectors of the interaction matrix.

    Cremonesi, Koren & Turrin: Performance of recommender algorithms on top-N recommendation tasks.
    RecSys 2010.

    .. math:: R \approx U_d \Sigma_d V_d^\top, \qquad \hat r_u = r_u V_d V_d^\top

    Missing entries are zeros, and nothing is centred.

    Notes
    -----
    The decomposition is exact to single precision. Ferrari Dacrema et al. (TOIS 2021) use a
    randomised one, whose last factors depend on its seed: their values are met to some thousandths.
    Factors beyond the rank of the matrix add nothing.
    """

    deterministic = True
    version = 2

    class Config(ModelConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), IntRange(1, 350)] = 50
        """Number of singular vectors."""

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:
        """Compute the right singular vectors."""
        vectors = right_singular_vectors(train.matrix, self.config.n_factors, rng)
        self.item_factors = np.ascontiguousarray(vectors, np.float32)
        return self

    def score(
        self,
        users: NDArray[np.int32],  # noqa: ARG002  # the history says it all
        histories: csr_array,
    ) -> NDArray[np.float32]:
        """Multiply the histories with the factors, and back."""
        factors: NDArray[np.float32] = self.fitted("item_factors")
        scores: NDArray[np.float32] = (histories @ factors) @ factors.T
        return scores
