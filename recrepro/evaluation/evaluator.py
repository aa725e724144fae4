"""The one evaluator: it alone masks, ranks, breaks ties and averages."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.errors import DataError, ModelError
from recrepro.evaluation.definitions import Metric
from recrepro.evaluation.metrics import Ranking
from recrepro.evaluation.topk import UNLISTED, top_k
from recrepro.interactions import Interactions
from recrepro.model import Recommender
from recrepro.randomness import generator

BLOCK_CELLS = 8_000_000
"""Scores held at once: a block of users is as large as this allows (about 200 MB in all)."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model scored.

    Parameters
    ----------
    users : array of int, shape (n,)
        Indices of the users that have held-out items, ascending.
    per_user : dict of str to array of float64, shape (n,)
        One value a user for each metric.
    """

    users: NDArray[np.int64]
    per_user: dict[str, NDArray[np.float64]]

    @property
    def means(self) -> dict[str, float]:
        """The plain mean of each metric over the users."""
        return {name: float(values.mean()) for name, values in self.per_user.items()}


class Evaluator:
    """Ranks a model's scores and measures the lists, in blocks of bounded memory, in one pass.

    Candidates of a user are all items that are not in the user's history, or, given `negatives`,
    the user's held-out items and negatives less those in the history. Users without held-out
    items are not evaluated.

    Parameters
    ----------
    metrics : sequence of Metric
        What to measure.
    tie_seed : int
        Seed of the one random order of the items that decides between equal scores. It is the
        same for every model, and a constant scorer lands at chance.
    block_cells : int
        Number of scores held at once.
    """

    def __init__(
        self, metrics: Sequence[Metric], *, tie_seed: int, block_cells: int = BLOCK_CELLS
    ) -> None:
        self.metrics = tuple(metrics)
        self._tie_seed = tie_seed
        self._block_cells = block_cells

    def evaluate(
        self,
        model: Recommender,
        histories: csr_array,
        holdout: Interactions,
        negatives: csr_array | None = None,
    ) -> Evaluation:
        """Measure a fitted model.

        Parameters
        ----------
        model : Recommender
            Fitted.
        histories : csr_array of float32, shape (n_users, n_items)
            What the model is shown of each user; these items are not recommended.
        holdout : Interactions
            The items to be found.
        negatives : csr_array of bool, shape (n_users, n_items), optional
            Sampled ranking: the items that each user's held-out items are ranked against.

        Raises
        ------
        ModelError
            If the model scores NaN or ``+inf``, or in the wrong shape.
        DataError
            If nobody has held-out items, or, in sampled ranking, somebody has no negatives.
        """
        users = np.flatnonzero(holdout.user_counts)
        if not len(users):
            raise DataError("no user has a held-out item, so there is nothing to evaluate.")
        if negatives is not None:
            _check_negatives(users, negatives.astype(bool) > histories.astype(bool))
        n_items = holdout.n_items
        held_out = holdout.binarised().matrix.astype(bool)  # an interaction of value 0 counts too
        tie_ranks = np.empty(n_items, np.int32)
        tie_ranks[generator(self._tie_seed, "ties").permutation(n_items)] = np.arange(n_items)
        size = max(1, self._block_cells // n_items)
        depth = min(max(metric.k for metric in self.metrics), n_items)
        values: dict[str, list[NDArray[np.float64]]] = {m.name: [] for m in self.metrics}
        for start in range(0, len(users), size):
            block = users[start : start + size]
            scores = _scores(model, block, histories)
            relevant = held_out[block]
            if negatives is None:
                lists = top_k(scores, depth, tie_ranks)
                ranking = _ranking(lists, relevant.toarray(), relevant)
            else:
                candidates = relevant + negatives[block].astype(bool)
                ranking = _rank_candidates(scores, relevant, candidates, depth, tie_ranks)
            for metric in self.metrics:
                values[metric.name].append(metric(ranking))
        return Evaluation(users, {name: np.concatenate(parts) for name, parts in values.items()})


def _rank_candidates(
    scores: NDArray[np.float32],
    relevant: csr_array,
    candidates: csr_array,
    depth: int,
    tie_ranks: NDArray[np.int32],
) -> Ranking:
    """Rank each user's candidates only, packed to the left of a narrow matrix."""
    counts = np.diff(candidates.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    places = np.arange(candidates.nnz) - np.repeat(candidates.indptr[:-1], counts)
    items = candidates.indices
    shape = (len(counts), int(counts.max()))
    packed = np.full(shape, -np.inf, np.float32)
    packed[rows, places] = scores[rows, items]
    packed_ties = np.zeros(shape, np.int32)
    packed_ties[rows, places] = tie_ranks[items]
    packed_relevant = np.zeros(shape, bool)
    packed_relevant[rows, places] = relevant.toarray()[rows, items]
    return _ranking(top_k(packed, depth, packed_ties), packed_relevant, relevant)


def _ranking(
    lists: NDArray[np.int64], is_relevant: NDArray[np.bool_], relevant: csr_array
) -> Ranking:
    listed = lists != UNLISTED
    hits = np.take_along_axis(is_relevant, np.where(listed, lists, 0), axis=1) & listed
    n_relevant = np.diff(relevant.indptr).astype(np.int64)
    return Ranking(hits, n_relevant, listed.sum(axis=1))


def _scores(
    model: Recommender, users: NDArray[np.int64], histories: csr_array
) -> NDArray[np.float32]:
    """Ask the model, check its answer, and mask what the users have seen."""
    shown = histories[users]
    answer = model.score(users.astype(np.int32), shown)
    name = type(model).__name__
    if not isinstance(answer, np.ndarray) or answer.shape != shown.shape:
        given = getattr(answer, "shape", "no shape")
        raise ModelError(
            f"{name}.score gave a {type(answer).__name__} of {given}; it must be an array of shape "
            f"{shown.shape}: a row for each user, a column for each item."
        )
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and infinite is refused below
        scores = np.array(answer, np.float32, order="C")
    wrong = np.isnan(scores) | np.isposinf(scores)
    if wrong.any():
        row, item = np.argwhere(wrong)[0]
        raise ModelError(
            f"{name} scored {scores[row, item]} for user index {users[row]} and item index {item} "
            f"({int(wrong.sum())} such scores in this block). Scores must be finite, or -inf for "
            "an item that cannot be recommended; look for a division by zero or a diverged fit."
        )
    scores[np.repeat(np.arange(len(users)), np.diff(shown.indptr)), shown.indices] = -np.inf
    return scores


def _check_negatives(users: NDArray[np.int64], unseen: csr_array) -> None:
    without = users[unseen.sum(axis=1)[users] == 0]
    if len(without):
        raise DataError(
            f"{len(without)} users have held-out items but no sampled negatives that they have not "
            f"seen (first: user index {without[0]}); ranked against nothing, they would score a "
            "perfect hit each."
        )
