"""Sequence- and time-aware neighbourhood."""

from typing import Annotated

import numpy as np
from annotated_types import Gt
from numpy.typing import NDArray
from pydantic import FiniteFloat

from recrepro.space import LogUniform

from ._sessions import SessionConfig, SessionModel


class STAN(SessionModel):
    r"""As `SKNN`, with three decays: in the session, in time, and around the item in common.

    Garg, Gupta, Malhotra, Vig, Shroff: Sequence and time aware neighborhood for session-based
    recommendations. SIGIR 2019.

    .. math::

        s(u, v) = e^{-|t_u - t_v| / \lambda_2}
                  \frac{\sum_{i \in L_u \cap H_v} e^{-k_i / \lambda_1}}{\sqrt{|H_v|}}, \qquad
        \hat r_{uj} = \sum_{v \in N(u)} s(u, v)\, e^{-d_v(j, i_{uv}) / \lambda_3}\, [j \in H_v]

    with :math:`k_i` how many later items user u has than i, t the time of a user's latest
    interaction, :math:`i_{uv}` the latest item of v that the session of u has too, and d the number
    of places between two items in the history of v; the rest as in `SKNN`.

    Notes
    -----
    The default decays are those of the code in session-rec. A session's own length, which divides
    the similarity there, changes no ranking.
    """

    class Config(SessionConfig):
        """Hyperparameters."""

        session_decay: Annotated[FiniteFloat, Gt(0), LogUniform(0.5, 50.0)] = 1.02
        """Later items after which an item of the session counts 1/e (lambda 1)."""
        recency_decay: Annotated[FiniteFloat, Gt(0), LogUniform(0.5, 5000.0)] = 5.0
        """Days between the ends of two histories after which one counts 1/e (lambda 2)."""
        item_decay: Annotated[FiniteFloat, Gt(0), LogUniform(0.5, 50.0)] = 2.05
        """Places from the item in common at which an item of a neighbour counts 1/e (lambda 3)."""

    def session_weights(self, n: int) -> NDArray[np.float64]:
        """Let items of the session decay."""
        weights: NDArray[np.float64] = np.exp(-np.arange(n) / self.config.session_decay)
        return weights

    def decays(self) -> tuple[float, float]:
        """Let histories and items decay."""
        return 1 / (self.day * self.config.recency_decay), 1 / self.config.item_decay
