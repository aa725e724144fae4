"""iALS: matrix factorisation of implicit feedback by alternating least squares."""

from collections.abc import Iterator
from itertools import count
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array

from recrepro.compute.threads import default_threads, single_blas_thread
from recrepro.interactions import Interactions
from recrepro.model import EpochStats, IterativeRecommender, ModelConfig
from recrepro.space import Choice, IntRange, LogUniform, OnlyWhere

from ._als import gram, solve
from ._similarity import refuse_negative


class IALS(IterativeRecommender):
    r"""Fit 1 to what was observed and, with less confidence, 0 to everything else.

    Hu, Koren & Volinsky: Collaborative filtering for implicit feedback datasets. ICDM 2008.

    .. math::

        \min_{x, y} \sum_{u,i} c_{ui} (p_{ui} - x_u^\top y_i)^2
        + \lambda \Bigl(\sum_u \|x_u\|^2 + \sum_i \|y_i\|^2\Bigr), \qquad
        c_{ui} = 1 + \alpha r_{ui} \;\text{ or }\; 1 + \alpha \ln(1 + r_{ui} / \epsilon)

    with r the interaction values and p = 1 where r > 0, else 0. An epoch solves for all users and
    then for all items. Users and items without interactions get zeros.

    Notes
    -----
    Every user is scored by the user step from the history and the final item factors, so that old
    and new users are treated alike. Ferrari Dacrema et al. (TOIS 2021) score with the user factors
    from before the last item step. The start is theirs: item factors uniform between 0 and
    :math:`1/\sqrt d`.

    The solver "cg" is that of the library implicit: three steps of conjugate gradients from the
    factors of the epoch before (Takács, Pilászy & Tikk, RecSys 2011). The paper's is "cholesky".
    """

    class Config(ModelConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), IntRange(1, 200)] = 50
        """Number of factors d."""
        confidence: Annotated[Literal["linear", "log"], Choice("linear", "log")] = "linear"
        """Whether confidence grows with the value or with its logarithm."""
        alpha: Annotated[FiniteFloat, Ge(0), LogUniform(1e-3, 50.0)] = 10.0
        """How fast confidence grows."""
        epsilon: Annotated[
            FiniteFloat, Gt(0), LogUniform(1e-3, 10.0), OnlyWhere("confidence", "log")
        ] = 1.0
        """Unit of the values under the logarithm."""
        l2: Annotated[FiniteFloat, Gt(0), LogUniform(1e-5, 1e-2)] = 1e-2
        """Ridge penalty of all factors."""
        epochs: Annotated[int, Ge(1)] = 100
        """Number of epochs."""
        solver: Literal["cholesky", "cg"] = "cholesky"
        """Whether each step is solved exactly or, faster with many factors, approximately."""

    def fit_epochs(self, train: Interactions, rng: np.random.Generator) -> Iterator[EpochStats]:
        """Solve for the users and for the items in turn."""
        refuse_negative(train.matrix)
        n_factors = self.config.n_factors
        by_user = self._confidences(train.matrix)
        by_item = by_user.T.tocsr()
        users = np.zeros((train.n_users, n_factors), np.float32)
        items = rng.random((train.n_items, n_factors), np.float32) / np.float32(n_factors**0.5)
        for epoch in count(1):
            users = self._step(by_user, users, items)
            items = self._step(by_item, items, users)
            self.item_factors, self.item_gram = items, gram(items)
            yield EpochStats(epoch)

    def score(
        self,
        users: NDArray[np.int32],  # noqa: ARG002  # the history says it all
        histories: csr_array,
    ) -> NDArray[np.float32]:
        """Solve for the users and multiply with the item factors."""
        items: NDArray[np.float32] = self.fitted("item_factors")
        factors = self._solve(self._confidences(histories), items, self.item_gram)
        scores: NDArray[np.float32] = factors @ items.T
        return scores

    def _confidences(self, matrix: csr_array) -> csr_array:
        """Replace the values of interactions by confidences."""
        confidences = matrix.copy()
        confidences.eliminate_zeros()
        if self.config.confidence == "log":
            confidences.data = np.log1p(confidences.data / self.config.epsilon)
        confidences.data = 1 + self.config.alpha * confidences.data
        return confidences

    def _step(
        self, confidences: csr_array, old: NDArray[np.float32], others: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return new factors of one side, given those of the other."""
        if self.config.solver == "cholesky":
            return self._solve(confidences, others, gram(others))
        with single_blas_thread():
            conjugate_gradients = AlternatingLeastSquares(use_cg=True).solver
            conjugate_gradients(
                confidences, old, others, self.config.l2, num_threads=default_threads()
            )
        return old

    def _solve(
        self, confidences: csr_array, others: NDArray[np.float32], whole: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        l2 = np.full(confidences.shape[0], self.config.l2)
        return solve(confidences, others, whole, l2, counted=1.0)
