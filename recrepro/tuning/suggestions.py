"""What to try next, and which trial is not worth its time: the only importer of Optuna."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from recrepro.errors import UsageError
from recrepro.randomness import integer_seed
from recrepro.space import Choice, IntRange, LogUniform, Range, Uniform
from recrepro.spec.experiment import TuneSpec

if TYPE_CHECKING:
    import optuna


def load_ahead() -> None:
    """Load Optuna now, rather than when the first search begins."""
    import optuna  # noqa: F401


State = Literal["complete", "pruned", "failed"]
"""How a trial ended."""


class Suggestions:
    """Optuna behind ask and tell, rebuilt from finished trials.

    The sampler is made anew for each trial from the seed and the number of the trial, so that
    nothing but the finished trials has to be known to go on.

    Parameters
    ----------
    space : mapping of str to Range
        What is searched.
    spec : TuneSpec
        Sampler, random start, pruner.
    seed : int
        Of the search.
    """

    def __init__(self, space: Mapping[str, Range], spec: TuneSpec, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._distributions = {name: _distribution(ends) for name, ends in space.items()}
        self._spec = spec
        self._seed = seed
        self._study = optuna.create_study(
            direction="maximize",
            pruner=optuna.pruners.NopPruner()
            if spec.pruner is None
            else optuna.pruners.MedianPruner(),
        )
        self._asked: optuna.Trial | None = None
        self._reported: set[int] = set()

    def replay(
        self,
        params: Mapping[str, Any],
        state: State,
        value: float | None,
        reached: Mapping[int, float],
    ) -> None:
        """Add a trial of an earlier attempt; they come in their order."""
        import optuna

        self._study.add_trial(
            optuna.trial.create_trial(
                state=_state(state),
                params=dict(params),
                distributions=self._distributions,
                value=value if state == "complete" else None,
                intermediate_values=dict(reached),
            )
        )

    def ask(self, number: int, first: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the values to try in a trial.

        Parameters
        ----------
        number : int
            Of the trial.
        first : mapping of str to object, optional
            What trial 0 is; it is suggested like the others if None.
        """
        if number == 0 and first is not None:
            self._study.enqueue_trial(dict(first))
        self._study.sampler = self._sampler(integer_seed(self._seed, "suggest", number))
        self._asked, self._reported = self._study.ask(self._distributions), set()
        return dict(self._asked.params)

    def prunes(self, reached: Mapping[int, float]) -> bool:
        """Say whether the trial that was asked for should end.

        Parameters
        ----------
        reached : mapping of int to float
            Its validation values so far, by epoch.
        """
        return self._report(reached).should_prune()

    def tell(self, state: State, value: float | None, reached: Mapping[int, float]) -> None:
        """End the trial that was asked for."""
        asked = self._report(reached)
        self._study.tell(asked, value if state == "complete" else None, state=_state(state))

    def _report(self, reached: Mapping[int, float]) -> "optuna.Trial":
        asked = self._asked
        assert asked is not None
        for epoch in sorted(reached.keys() - self._reported):
            asked.report(reached[epoch], epoch)
        self._reported |= reached.keys()
        return asked

    def _sampler(self, seed: int) -> "optuna.samplers.BaseSampler":
        from optuna import samplers

        startup = self._spec.startup
        start: dict[str, Any] = {} if startup is None else {"n_startup_trials": startup}
        match self._spec.sampler:
            case "random":
                return samplers.RandomSampler(seed=seed)
            case "gp":
                return samplers.GPSampler(seed=seed, **start)
            case "tpe":
                return samplers.TPESampler(seed=seed, **start)


def check_sampler(spec: TuneSpec) -> None:
    """Refuse a sampler that lacks what it needs.

    Raises
    ------
    UsageError
        With what to install.
    """
    if spec.sampler == "gp" and find_spec("torch") is None:
        raise UsageError(
            "tune.sampler is 'gp', which computes with torch, and that is not installed. Install "
            "it with: pip install 'recrepro[neural]', or set tune.sampler to 'tpe' or 'random'."
        )


def _state(state: State) -> "optuna.trial.TrialState":
    import optuna

    return {
        "complete": optuna.trial.TrialState.COMPLETE,
        "pruned": optuna.trial.TrialState.PRUNED,
        "failed": optuna.trial.TrialState.FAIL,
    }[state]


def _distribution(ends: Range) -> "optuna.distributions.BaseDistribution":
    from optuna import distributions

    match ends:
        case Uniform():
            return distributions.FloatDistribution(ends.low, ends.high)
        case LogUniform():
            return distributions.FloatDistribution(ends.low, ends.high, log=True)
        case IntRange():
            return distributions.IntDistribution(ends.low, ends.high)
        case Choice():
            return distributions.CategoricalDistribution(ends.options)
