"""Factorised personalised Markov chains."""

from collections.abc import Iterator
from itertools import count
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array

from recrepro.compute.sampling import draw_unseen
from recrepro.interactions import Interactions, Sequences
from recrepro.model import EpochStats, IterativeRecommender, ModelConfig
from recrepro.space import IntRange, LogUniform

from ._sgd_kernels import descend_transitions, first_factors

_SAMPLES_AT_ONCE = 2**18


class FPMC(IterativeRecommender):
    r"""Factors of users and items, and of what follows what.

    Rendle, Freudenthaler, Schmidt-Thieme: Factorizing personalized Markov chains for next-basket
    recommendation. WWW 2010.

    .. math::

        \hat r_{ui} = p_u^\top q_i + \frac{1}{|B_u|} \sum_{l \in B_u} m_i^\top r_l, \qquad
        \min \sum_{(u,t,i,j)} -\ln \sigma(\hat r_{uti} - \hat r_{utj})
        + \tfrac{\lambda}{2} \left( |p|^2 + |q|^2 + |m|^2 + |r|^2 \right)

    with :math:`B_u` the last basket of user u, all items of the user's latest moment. It is learned
    by S-BPR: item i is in the basket at moment t and item j is not; the basket before t takes the
    place of :math:`B_u`.

    Notes
    -----
    As in the paper, the factors between users and last items are left out, because they change no
    ranking. An epoch has as many samples as there are interactions after each user's first basket,
    each equally often and with replacement; item j is uniform among those that are not in the
    basket. Every sample makes a step of its own. Values are ignored. The paper has one number of
    factors and one penalty for all tables, and so has this. Factors start from N(0, 0.1^2); those
    of users and items without interactions are 0, so that an unseen user is scored by the last
    basket alone. Where each moment has one item, this is a chain of items.

    Attributes
    ----------
    user_factors, item_factors : array of float32, shape (n_users, n_factors), (n_items, n_factors)
        p and q.
    next_factors, last_factors : array of float32, shape (n_items, n_factors)
        m and r.
    latest : csr_array of float32, shape (n_users, n_items)
        The last basket of each user; a row adds up to 1.
    """

    needs_times = True
    uses = ("order",)

    class Config(ModelConfig):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), IntRange(8, 200)] = 64
        """Number of factors of each table."""
        epochs: Annotated[int, Ge(1)] = 100
        """Number of epochs."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-3, 1e-1)] = 0.02
        """Length of a step."""
        l2: Annotated[FiniteFloat, Ge(0), LogUniform(1e-5, 1e-1)] = 0.01
        """Penalty of all factors, for each sample."""

    def fit_epochs(self, train: Interactions, rng: np.random.Generator) -> Iterator[EpochStats]:
        """Learn epoch by epoch."""
        c, sequences = self.config, Sequences(train)
        baskets = _baskets(sequences)
        ends = np.append(baskets[1:], len(sequences.items))
        sizes = ends - baskets
        basket_of = np.repeat(np.arange(len(baskets)), sizes)
        users = np.repeat(np.arange(train.n_users, dtype=np.int32), sequences.lengths)
        contents = csr_array(
            (np.ones(len(basket_of), np.float32), (basket_of, sequences.items)),
            shape=(len(baskets), train.n_items),
        )
        contents.sort_indices()
        is_later = np.zeros(len(users), bool)
        is_later[1:] = users[baskets[basket_of] - 1][1:] == users[1:]
        is_later &= baskets[basket_of] > 0
        pool = np.flatnonzero(is_later & (sizes[basket_of] < train.n_items))
        counts = (train.user_counts, *(train.item_counts,) * 3)
        p, q, m, r = (first_factors(rng, one, c.n_factors) for one in counts)
        self.user_factors, self.item_factors, self.next_factors, self.last_factors = p, q, m, r
        self.set_histories(train)
        never = train.item_counts == 0
        for epoch in count(1):
            loss = 0.0
            for start in range(0, len(pool), _SAMPLES_AT_ONCE):
                size = min(_SAMPLES_AT_ONCE, len(pool) - start)
                places = pool[rng.integers(len(pool), size=size)]
                current = basket_of[places]
                others = draw_unseen(rng, current.astype(np.int32), contents)
                loss += descend_transitions(
                    *(users[places], sequences.items[places], others),
                    *(baskets[current - 1], ends[current - 1], sequences.items),
                    *(c.learning_rate, c.l2, p, q, m, r),
                )
            q[never] = m[never] = 0  # they have been drawn as others
            yield EpochStats(epoch, {"loss": loss / max(len(pool), 1)})

    def set_histories(self, histories: Interactions) -> None:
        """Take the last basket of each user from here."""
        sequences = Sequences(histories)
        owners = np.repeat(np.arange(histories.n_users), sequences.lengths)
        final = sequences.times == sequences.times[sequences.starts[owners + 1] - 1]
        sizes = np.bincount(owners[final], minlength=histories.n_users)
        shares = (1 / sizes[owners[final]]).astype(np.float32)
        found = (shares, (owners[final], sequences.items[final]))
        self.latest = csr_array(found, shape=histories.shape)

    def score(
        self,
        users: NDArray[np.int32],
        histories: csr_array,  # noqa: ARG002  # rows have no order: see set_histories
    ) -> NDArray[np.float32]:
        """Add what fits the user and what fits the last basket."""
        factors = self.fitted("user_factors")
        own = np.zeros((len(users), factors.shape[1]), np.float32)
        fitted = users < len(factors)
        own[fitted] = factors[users[fitted]]
        last = np.asarray(self.latest[users] @ self.last_factors, np.float32)
        scores: NDArray[np.float32] = own @ self.item_factors.T + last @ self.next_factors.T
        return scores


def _baskets(sequences: Sequences) -> NDArray[np.int64]:
    """Return where each basket, the items of a user at one time, begins in the sequences."""
    begins = np.ones(len(sequences.items), bool)
    begins[1:] = np.diff(sequences.times) != 0
    begins[sequences.starts[:-1][sequences.lengths > 0]] = True
    return np.flatnonzero(begins)
