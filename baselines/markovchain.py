"""First-order Markov chain."""

from ._rules import RulesModel


class MarkovChain(RulesModel):
    r"""Recommend what followed a user's latest item most often.

    Rendle, Freudenthaler, Schmidt-Thieme: Factorizing personalized Markov chains. WWW 2010 (the
    chain without factors); Ludewig, Jannach: Evaluation of session-based recommendation algorithms.
    UMUAI 2018, section 3.1.

    .. math::

        \hat r_{uj} = \frac{c_{ij}}{n_i}

    with i the latest item of user u, :math:`c_{ij}` the number of users in whose history j comes
    right after i, and :math:`n_i` the number of users of i.

    Notes
    -----
    Dividing by :math:`n_i` changes no ranking, and makes the scores estimates of probabilities.
    Items of a user at the same time are in random order, always the same for the same data.
    """

    def exponents(self) -> tuple[float, float]:
        """Divide by the popularity of the item that a rule starts from."""
        return 1.0, 0.0
