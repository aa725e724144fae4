"""Session-based nearest neighbours."""

from ._sessions import SessionModel


class SKNN(SessionModel):
    r"""Recommend what those have whose history shares most with a user's latest items.

    Jannach, Ludewig: When recurrent neural networks meet the neighborhood for session-based
    recommendation. RecSys 2017.

    .. math::

        s(u, v) = \frac{|L_u \cap H_v|}{\sqrt{|L_u|\,|H_v|}}, \qquad
        \hat r_{uj} = \sum_{v \in N(u)} s(u, v)\, [j \in H_v]

    with :math:`L_u` the `n_latest` items of user u, :math:`H_v` the history of user v, and N(u) the
    `n_neighbors` most similar of the `n_candidates` users with an item in common whose histories
    ended last.

    Notes
    -----
    The paper's sessions are histories here: a user's latest items are the running session, and
    whole histories of others are the past ones. Of equal similarities the lower user index counts.
    """
