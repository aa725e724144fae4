"""Preflight: what rules score that need no search, and whether scores mean anything on a split."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.evaluation.metrics import PerUser
from recrepro.evaluation.rankings import Evaluation
from recrepro.interactions import UNKNOWN_TIME, Interactions
from recrepro.model import Recommender, training_data
from recrepro.models import MODELS
from recrepro.randomness import generator
from recrepro.splits.audit.findings import SIGMAS, Finding, finding
from recrepro.splits.audit.material import Material

RULES = {"toppopular": "popularity"}
TIMED_RULES = {"markovchain": "first-order Markov chain", "sequentialrules": "sequential rules"}
"""Models with their declared defaults, and what they are called; the second ones need times."""

CUTOFF = 10

FEWEST_ROWS = 10_000
"""With fewer interactions nothing is tried: to run the experiment takes no longer."""

MAX_ROWS = 1_000_000
"""Rules are fitted on the interactions of random users, about so many at most."""

MAX_USERS = 2_000
MAX_SCORES = 40_000_000
"""Random users are ranked for, so many at most, and so few that no more scores are computed for
each rule; but never fewer than `FEWEST_USERS`."""

FEWEST_USERS = 50
"""With fewer users nothing is concluded."""

DEALS = 5
"""Rankers with shuffled labels."""

ABOVE_CHANCE = 1.25
"""Shuffled labels are suspicious if they score so many times what chance does."""

TIED = 0.1
"""A split is suspicious if so many of the users have the same outcome whatever the ranker is. Five
shuffled rankings of two items agree with another one in 3 %."""


@dataclass(frozen=True, eq=False)
class _Flight:
    """A task that rules are tried on.

    Parameters
    ----------
    part : str
        Which part of the split is to be found.
    fitted, histories, held : Interactions
        What rules are fitted on, what they are shown, and what they have to find.
    negatives : csr_array or None, shape (n_users, n_items)
        What it is ranked against, if not all items.
    seen_kept : bool
        Whether items of the histories are candidates.
    seed : int
        Of all that is drawn.
    """

    part: str
    fitted: Interactions
    histories: Interactions
    held: Interactions
    negatives: csr_array | None
    seen_kept: bool
    seed: int

    @classmethod
    def of(cls, split: Material) -> Self | None:
        """Return the task of a split; None if it holds out nothing that may be looked at.

        That is the validation part. A split in files that has none is open, so that the test part
        takes its place.
        """
        if split.validation is None:
            part, train, held, shown = "test", split.known, split.test, split.shown
            negatives = split.negatives
        else:
            part, train, held, shown = (
                "validation",
                split.train,
                split.validation,
                split.validation_shown,
            )
            negatives = split.validation_negatives
        histories, kept = train if shown is None else train.union(shown), split.promise == "repeat"
        rng = generator(split.seed, "audit", "preflight")
        can = held.user_counts > 0
        if negatives is not None:
            listed = negatives.astype(bool)
            can &= (listed if kept else listed > histories.matrix.astype(bool)).sum(axis=1) > 0
        n_users = max(FEWEST_USERS, min(MAX_USERS, MAX_SCORES // held.n_items))
        asked = np.zeros(held.n_users, bool)
        asked[rng.permutation(np.flatnonzero(can))[:n_users]] = True
        if not asked.any() or not len(train):
            return None
        order = rng.permutation(train.n_users)
        fits = np.zeros(train.n_users, bool)
        fits[order[np.cumsum(train.user_counts[order]) <= MAX_ROWS]] = True
        return cls(
            part,
            train.select(fits[train.users]) if len(train) > MAX_ROWS else train,
            histories.select(asked[histories.users]),
            held.select(asked[held.users]),
            negatives,
            kept,
            split.seed,
        )

    @property
    def chance(self) -> PerUser:
        """NDCG that each user has in expectation if lists are in random order.

        Sampled lists are taken to be as long as most of them, as a reader does.
        """
        users = np.flatnonzero(self.held.user_counts)
        n_held = self.held.user_counts[users]
        if self.negatives is not None:
            n_candidates = n_held + int(np.median(self.negatives.sum(axis=1)[users]))
        else:
            removed = 0 if self.seen_kept else self.histories.user_counts[users]
            n_candidates = np.maximum(self.held.n_items - removed, n_held)
        gains = np.cumsum(1 / np.log2(np.arange(2, CUTOFF + 2)))
        found = n_held / n_candidates * gains[np.minimum(n_candidates, CUTOFF) - 1]
        chance: PerUser = found / gains[np.minimum(n_held, CUTOFF) - 1]
        return chance

    def rank(self, model: Recommender) -> Evaluation:
        """Rank with a fitted model."""
        evaluator = Evaluator(
            [parse_metric(f"ndcg@{CUTOFF}")],
            tie_seed=self.seed,
            seen="kept" if self.seen_kept else "removed",
        )
        return evaluator.evaluate(model, self.fitted, self.histories, self.held, self.negatives)


class _Shuffled(Recommender):
    """A fitted model whose scores are dealt to the items at random, for each user anew."""

    def __init__(self, model: Recommender, rng: np.random.Generator) -> None:
        super().__init__()
        self._model, self._rng = model, rng

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Learn nothing more."""
        return self

    def score(self, users: NDArray[np.int32], histories: csr_array) -> NDArray[np.float32]:
        """Shuffle each user's scores."""
        return self._rng.permuted(self._model.score(users, histories), axis=1)


def preflight(split: Material) -> list[Finding] | None:
    """Tell what simple rules score; find lists in which labels do not matter, or are given away.

    Parameters
    ----------
    split : Material
        Its validation part is to be found; its test part, where the split lies open in files
        without one. Nothing is tuned, and no test part of an experiment is scored.

    Returns
    -------
    list of Finding, or None
        The note ``rule-scores``, and ``shuffled-labels`` and ``rankers-tie`` where something is
        wrong; None if nothing is held out, or the split has fewer than `FEWEST_ROWS` interactions.
    """
    if len(split.whole) < FEWEST_ROWS:
        return None
    flight = _Flight.of(split)
    if flight is None:
        return None
    times = flight.fitted.times
    timed = times is not None and bool((times != UNKNOWN_TIME).any())
    rules = RULES | TIMED_RULES if timed else RULES
    tried: dict[str, Evaluation] = {}
    for name in rules:
        model = MODELS.resolve(name)()
        rng = generator(flight.seed, "audit", "preflight", name)
        model.fit(training_data(model, flight.fitted), rng)
        tried[name] = flight.rank(model)
    # The last rule scores most items alike, so that ties, which could follow numbers, count most.
    shuffled = [
        flight.rank(_Shuffled(model, generator(flight.seed, "audit", "preflight", "deal", deal)))
        for deal in range(DEALS)
    ]
    dealt = np.mean([_values(one) for one in shuffled], axis=0)
    chance = flight.chance
    details = {name: float(_values(one).mean()) for name, one in tried.items()}
    details |= {"shuffled": float(dealt.mean()), "chance": float(chance.mean())}
    scores = ", ".join(f"{words} {details[name]:.4f}" for name, words in rules.items())
    message = (
        f"NDCG@{CUTOFF} of {len(dealt):,} users on the {flight.part} part: {scores}; shuffled "
        f"labels {details['shuffled']:.4f}, chance {details['chance']:.4f}"
    )
    found = [finding("rule-scores", "note", flight.held, message, details)]
    if len(dealt) >= FEWEST_USERS:
        found += _above_chance(flight, dealt, chance)
        found += _tied(flight, [*tried.values(), *shuffled])
    return found


def _values(evaluation: Evaluation) -> PerUser:
    (values,) = evaluation.per_user.values()
    return values


def _above_chance(flight: _Flight, dealt: PerUser, chance: PerUser) -> list[Finding]:
    got, expected = float(dealt.mean()), float(chance.mean())
    error = float((dealt - chance).std(ddof=1) / np.sqrt(len(dealt)))
    if got <= ABOVE_CHANCE * expected or got - expected <= SIGMAS * error:
        return []
    message = (
        f"with shuffled labels NDCG@{CUTOFF} on the {flight.part} part is {got:.4f}, where chance "
        f"in lists of the usual length is {expected:.4f}: lists are shorter, or their order knows "
        "the answer"
    )
    details = {"shuffled": got, "chance": expected}
    return [finding("shuffled-labels", "suspicious", flight.held, message, details)]


def _tied(flight: _Flight, tried: list[Evaluation]) -> list[Finding]:
    """Find users whose held-out items have the same ranks in all rankings."""
    held = flight.held
    ranks: list[NDArray[Any]] = []
    for evaluation in tried:
        assert evaluation.ranks is not None
        ranks.append(evaluation.ranks[np.lexsort((evaluation.ranks, held.users))])
    differ = (np.stack(ranks) != ranks[0]).any(axis=0)
    tied = (held.user_counts > 0) & (np.bincount(held.users, differ, held.n_users) == 0)
    n_tied, n_users = int(tied.sum()), int((held.user_counts > 0).sum())
    if n_tied <= TIED * n_users:
        return []
    message = (
        f"{n_tied:,} of {n_users:,} users have the same outcome on the {flight.part} part, however "
        f"{len(tried)} different rankers order the items: there is next to nothing to rank"
    )
    rows = held.select(tied[held.users])
    return [finding("rankers-tie", "suspicious", rows, message, {"share": n_tied / n_users})]
