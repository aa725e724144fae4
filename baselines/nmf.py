"""NMF: non-negative factorisation of the interaction matrix."""

import warnings
from typing import Annotated, Literal, Self

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn import decomposition
from sklearn.exceptions import ConvergenceWarning

from recrepro.interactions import Interactions
from recrepro.model import ModelConfig, Recommender
from recrepro.space import Choice, IntRange, OnlyWhere

from ._similarity import refuse_negative


class NMF(Recommender):
    r"""Approximate the interaction matrix by a product of two matrices without negative entries.

    Cichocki & Phan: Fast local algorithms for large scale nonnegative matrix and tensor
    factorizations. IEICE Transactions 2009 (coordinate descent). Févotte & Idier: Algorithms for
    nonnegative matrix factorization with the β-divergence. Neural Computation 2011
    (multiplicative updates).

    .. math:: R \approx W H, \qquad W, H \ge 0, \qquad \hat r_u = w_u H

    Missing entries are zeros. The distance is the squared Frobenius norm of R - WH, or the
    Kullback-Leibler divergence of WH from R. It is scikit-learn's, without a penalty.

    Notes
    -----
    As in Ferrari Dacrema et al. (TOIS 2021), the user factors are not those of the fit but are
    computed anew for its H, there are at most 500 iterations, and these end once they lower the
    distance by less than 1e-4 of what it was at the start. There are never more factors than users
    or items.
    """

    inductive = False

    class Config(ModelConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), IntRange(1, 350)] = 50
        """Number of factors."""
        loss: Annotated[
            Literal["frobenius", "kullback-leibler"], Choice("frobenius", "kullback-leibler")
        ] = "frobenius"
        """Distance between the matrix and the product."""
        solver: Annotated[
            Literal["multiplicative", "coordinate"],
            Choice("multiplicative", "coordinate"),
            OnlyWhere("loss", "frobenius"),
        ] = "multiplicative"
        """Updates under the Frobenius loss; those of Kullback-Leibler are always multiplicative."""
        init: Annotated[Literal["nndsvda", "random"], Choice("nndsvda", "random")] = "random"
        """Start: singular vectors, with the mean of the matrix in place of zeros, or random."""

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:
        """Factorise, and solve once more for the users."""
        refuse_negative(train.matrix)
        # In float32 the updates end in NaN where data are very sparse.
        matrix = train.matrix.astype(np.float64)
        config = self.config
        coordinate = config.solver == "coordinate" and config.loss == "frobenius"
        model = decomposition.NMF(
            min(config.n_factors, *matrix.shape),
            init=config.init,
            solver="cd" if coordinate else "mu",
            beta_loss=config.loss,
            tol=1e-4,
            max_iter=500,
            shuffle=True,
            random_state=int(rng.integers(2**31)),
        )
        # Ending after the last iteration is part of the method; the distance of a perfect fit is
        # the square root of a rounding error, which may be negative.
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(matrix)
            self.user_factors = model.transform(matrix).astype(np.float32)
        self.item_factors = model.components_.astype(np.float32)
        return self

    def score(
        self,
        users: NDArray[np.int32],
        histories: csr_array,  # noqa: ARG002  # it knows its users
    ) -> NDArray[np.float32]:
        """Multiply the factors of the users with those of the items."""
        factors: NDArray[np.float32] = self.fitted("user_factors")
        scores: NDArray[np.float32] = factors[users] @ self.item_factors
        return scores
