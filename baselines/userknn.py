"""User-based nearest neighbours."""

from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.interactions import Interactions
from recrepro.model import Recommender
from recrepro.space import Choice

from ._neighbours import NeighbourConfig, nearest_columns
from ._similarity import dense
from ._weighting import Weighting


class UserKNN(Recommender):
    r"""Recommend what similar users have.

    Resnick, Iacovou, Suchak, Bergstrom, Riedl: GroupLens. CSCW 1994.

    .. math:: \hat r_{ui} = \sum_{v \in N(u)} s_{uv}\, w_{vi}

    where N(u) are the `n_neighbors` users most similar to u and w is the training matrix,
    weighted or raw (`profiles`).

    Attributes
    ----------
    user_weights : csr_array of float32, shape (n_users, n_users)
        Row: user scored; column: user whose profile counts.
    profiles : csr_array of float32, shape (n_users, n_items)
        The training matrix, weighted or raw.

    Notes
    -----
    Values are neither centred nor divided by the sum of similarities. The code of Ferrari Dacrema
    et al. (TOIS 2021) lets v count for u when u is among v's neighbours; ``neighbours="reversed"``
    does the same and reproduces its tables. Both rules agree once `n_neighbors` reaches the
    number of users. Ties and weighting: see `ItemKNN`.
    """

    deterministic = True

    version = 2
    inductive = False

    class Config(NeighbourConfig):
        """Hyperparameters; neighbours are users."""

        neighbours: Annotated[Literal["own", "reversed"], Choice("own", "reversed")] = "own"
        """Whether a user's own neighbours count, or those it is a neighbour of, as in the study."""

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Find the neighbours of each user; nothing is random."""
        weighting = Weighting.fit(self.config.weighting, train.matrix)
        weighted = weighting.apply(train.matrix)
        nearest = nearest_columns(weighted.T.tocsr(), self.config)
        self.profiles = weighted if self.config.profiles == "weighted" else train.matrix
        self.user_weights = nearest if self.config.neighbours == "own" else nearest.T.tocsr()
        return self

    def score(
        self,
        users: NDArray[np.int32],
        histories: csr_array,  # noqa: ARG002  # similarities are those of the training rows
    ) -> NDArray[np.float32]:
        """Sum the neighbours' profiles."""
        return dense(self.fitted("user_weights")[users] @ self.fitted("profiles"))
