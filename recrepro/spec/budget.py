"""What a search may spend, when it is over, and how tables say it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recrepro.text.words import count

SAMPLERS = {"tpe": "TPE", "random": "random search", "gp": "Gaussian process"}
"""What tables call them."""


@dataclass(frozen=True)
class Budget:
    """What the search of one model may spend: trials, seconds or both, whichever ends first.

    Parameters
    ----------
    trials : int or None
        How many; 0 if there is no search.
    seconds : float or None
        Of fits and validations. No trial starts when they are spent, and one that trains in epochs
        ends at its next validation.
    last_epoch : int or None
        Where a search is repeated whose last trial ran out of time: the epoch that ended it.
    """

    trials: int | None
    seconds: float | None = None
    last_epoch: int | None = None

    def is_spent(self, times: Sequence[float]) -> bool:
        """Say whether a search is over.

        Parameters
        ----------
        times : sequence of float
            Seconds of each of its trials.
        """
        return self.share(times) >= 1

    def share(self, times: Sequence[float]) -> float:
        """Return how much of it is spent, up to 1; of what is nearer to its end."""
        shares = [0.0]
        if self.trials is not None:
            shares.append(len(times) / self.trials if self.trials else 1.0)
        if self.seconds is not None:
            shares.append(sum(times) / self.seconds)
        return min(max(shares), 1.0)

    def used(self, times: Sequence[float]) -> int:
        """Return how many of the trials that exist belong to a search with this budget.

        A longer search may have made more of them: the first ones count, up to the one that spends
        the budget.

        Parameters
        ----------
        times : sequence of float
            Seconds of each trial that exists.
        """
        return next((n for n in range(len(times)) if self.is_spent(times[:n])), len(times))

    def ends_trial(self, number: int, epoch: int, spent: float) -> bool:
        """Say whether a trial has to end with the epoch that it was just validated after.

        Parameters
        ----------
        number, epoch : int
            The trial, and the epoch.
        spent : float
            Seconds of the search so far, those of the trial included.
        """
        if self.last_epoch is not None and self.trials is not None:
            return number >= self.trials - 1 and epoch >= self.last_epoch
        return self.seconds is not None and spent >= self.seconds

    def __str__(self) -> str:
        """Say it in words: 35 trials, 600 s, or 35 trials or 600 s."""
        parts = [] if self.trials is None else [count(self.trials, "trial")]
        parts += [] if self.seconds is None else [f"{self.seconds:,.10g} s"]
        return " or ".join(parts)


def how(budget: Budget, tuning: Mapping[str, Any]) -> str:
    """Say how a search was made: ``35 trials each (TPE)``.

    Parameters
    ----------
    budget : Budget
        What it could spend.
    tuning : mapping of str to object
        The rules of the search in a cell's identity.
    """
    ways = [SAMPLERS.get(str(tuning.get("sampler")), str(tuning.get("sampler")))]
    if "startup" in tuning:
        ways.append(f"the first {tuning['startup']} at random")
    if "pruner" in tuning:
        ways.append(f"{tuning['pruner']} pruning")
    if "validation_users" in tuning:
        what = "epochs and trials" if tuning.get("compare_trials") == "sample" else "epochs"
        ways.append(f"{what} compared on {tuning['validation_users']:,} users")
    return f"{budget} each ({', '.join(ways)})"


def trials_in_words(numbers: Sequence[int]) -> str:
    """Say how many trials several searches had: 12 trials, or 12 to 40 trials."""
    fewest, most = min(numbers), max(numbers)
    return f"{fewest:,} to {Budget(most)}" if fewest != most else str(Budget(most))


def in_all(budgets: Sequence[Budget]) -> str:
    """Say what several searches may spend together."""
    trials = sum(budget.trials or 0 for budget in budgets)
    seconds = sum(budget.seconds or 0.0 for budget in budgets)
    if not seconds:
        return str(Budget(trials))
    if any(budget.trials is None for budget in budgets):
        return f"at most {Budget(None, seconds)} of trials"
    return f"at most {Budget(trials, seconds)}"
