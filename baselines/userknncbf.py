"""User-based nearest neighbours by what is known of users, alone or with interactions."""

from typing import Annotated, Literal, Self

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array

from recrepro.features import FeatureNames, over_largest
from recrepro.interactions import Interactions
from recrepro.model import Recommender
from recrepro.space import Choice, LogUniform

from ._neighbours import ContentConfig, beside, nearest_described
from ._similarity import dense


class UserKNNCBF(Recommender):
    r"""Recommend what users have who are described alike.

    Content-based neighbourhood as in Ferrari Dacrema, Boglio, Cremonesi, Jannach: A troubling
    analysis of reproducibility and progress in recommender systems research. TOIS 2021.

    .. math:: \hat r_{ui} = \sum_{v \in N(u)} s_{uv}\, r_{vi}

    where N(u) are the `n_neighbors` users whose features are most similar to those of u.

    Attributes
    ----------
    user_weights : csr_array of float32, shape (n_users, n_users)
        Row: user scored; column: user whose interactions count.
    profiles : csr_array of float32, shape (n_users, n_items)
        The training matrix.

    Notes
    -----
    Features are weighted (users are documents, features terms), interactions are not. Whose
    neighbours count (`neighbours`) and ties: see `UserKNN`.
    """

    deterministic = True

    inductive = False
    needs_features = ("user",)

    class Config(ContentConfig):
        """Hyperparameters; neighbours are users."""

        user_features: FeatureNames = "all"
        """Names of the feature sets, separated by commas; "all" leaves links out."""
        neighbours: Annotated[Literal["own", "reversed"], Choice("own", "reversed")] = "own"
        """Whether a user's own neighbours count, or those it is a neighbour of, as in the study."""

    def describe(self, train: Interactions) -> csr_array:
        """Return what users are compared by, a row a user."""
        features = self.feature_matrix("user", train)
        return features if self.config.scaling == "none" else over_largest(features)

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Find the neighbours of each user; nothing is random."""
        nearest = nearest_described(self.describe(train), self.config)
        self.profiles = train.matrix
        self.user_weights = nearest if self.config.neighbours == "own" else nearest.T.tocsr()
        return self

    def score(
        self,
        users: NDArray[np.int32],
        histories: csr_array,  # noqa: ARG002  # neighbours are those of the features
    ) -> NDArray[np.float32]:
        """Sum the neighbours' interactions."""
        return dense(self.fitted("user_weights")[users] @ self.fitted("profiles"))


class UserKNNCFCBF(UserKNNCBF):
    """Recommend what users have who have the same features and items.

    Hybrid neighbourhood as in Ferrari Dacrema, Boglio, Cremonesi, Jannach: A troubling analysis of
    reproducibility and progress in recommender systems research. TOIS 2021.

    A user is described by features, times `feature_weight`, beside items; else as `UserKNNCBF`.
    With a weight of 0 it is `UserKNN` with raw profiles, but for TF-IDF and BM25: there, as in the
    study, `UserKNN` takes items for documents and this model takes users.
    """

    class Config(UserKNNCBF.Config):
        """Hyperparameters; neighbours are users."""

        feature_weight: Annotated[FiniteFloat, Ge(0), LogUniform(0.01, 100.0)] = 1.0
        """What features are multiplied with; interactions count 1."""

    def describe(self, train: Interactions) -> csr_array:
        """Return features and items of each user."""
        return beside(super().describe(train), self.config.feature_weight, train.matrix)
