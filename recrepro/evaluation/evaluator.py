"""The one evaluator: it alone masks, ranks, breaks ties and averages."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.compute.threads import default_threads, share_rows
from recrepro.errors import DataError, ModelError
from recrepro.evaluation.definitions import LARGEST_CUTOFF, Metric
from recrepro.evaluation.items import CandidateItems
from recrepro.evaluation.kernels import UNRANKED
from recrepro.evaluation.metrics import Hits, PerUser, Ranking
from recrepro.evaluation.rankings import Evaluation, Rankings
from recrepro.evaluation.topk import Ranked, Task, rank, tie_keys
from recrepro.interactions import Interactions
from recrepro.labels import as_text, places
from recrepro.model import Recommender, answer_fault, training_data

BLOCK_CELLS = 4_000_000
"""Scores held at once: a block of users is as large as this allows (16 MB; in larger ones the
memory of each block is new to the process, which costs more than the scores)."""
FEWEST_USERS = 32
"""But no block has fewer users: factors of all items are read once for each block. At a million
items, blocks of 32 users take a third of the time a user that blocks of four take."""

Seen = Literal["removed", "kept"]
"""Whether items of a user's history are left out of the lists, or may be recommended again."""

Outside = Literal["missed", "ignored"]
"""What becomes of held-out items that may not be recommended: no model can find them, and they
count as missed; or they are not looked for."""


SHORTEST_LISTS = 20
"""Length of the lists that are kept of a test, if no metric looks further down."""


class Evaluator:
    """Ranks a model's scores and measures the lists, in blocks of bounded memory, in one pass.

    Candidates of a user are all items that are not in the user's history, or, given `negatives`,
    the user's held-out items and negatives less those in the history. With ``seen = "kept"``,
    items of the history are candidates like all others. Users without held-out items are not
    evaluated.

    Parameters
    ----------
    metrics : sequence of Metric
        What to measure.
    tie_seed : int
        Seed of what decides between equal scores: a random order of the items for each user, the
        same for every model. So a constant scorer lands at chance in a single run.
    items : {"all", "train", "cold"} or collection of str
        What may be recommended at all: every item, those with a train interaction (warm), those
        without one (cold), or those with these labels.
    outside : {"missed", "ignored"}
        What becomes of held-out items that may not be.
    seen : {"removed", "kept"}
        Whether items of the history may be recommended.
    block_cells : int, optional
        Number of scores held at once; by default `BLOCK_CELLS`, or those of `FEWEST_USERS`.
    threads : int, optional
        By default what ``NUMBA_NUM_THREADS`` says, or else one for each core.
    """

    def __init__(
        self,
        metrics: Sequence[Metric],
        *,
        tie_seed: int,
        items: Literal["all", "train", "cold"] | Collection[str] = "all",
        outside: Outside = "missed",
        seen: Seen = "removed",
        block_cells: int | None = None,
        threads: int | None = None,
    ) -> None:
        self.metrics = tuple(metrics)
        self._tie_seed = tie_seed
        self._items = items
        self._outside = outside
        self.seen = seen
        self._block_cells = block_cells
        self._threads = threads or default_threads()
        of_lists = [m.k for m in self.metrics if m.definition.kind == "lists" and m.k]
        self._depth = max(of_lists, default=0)

    def evaluate(
        self,
        model: Recommender,
        train: Interactions,
        histories: Interactions,
        holdout: Interactions,
        negatives: csr_array | None = None,
        features: csr_array | None = None,
        *,
        seen: Interactions | None = None,
    ) -> Evaluation:
        """Rank with a fitted model, and measure the rankings: see `rank` and `measure`."""
        rankings = self.rank(model, train, histories, holdout, negatives, seen=seen)
        return self.measure(rankings, train, features)

    def rank(
        self,
        model: Recommender,
        train: Interactions,
        histories: Interactions,
        holdout: Interactions,
        negatives: csr_array | None = None,
        *,
        seen: Interactions | None = None,
        keep: bool = False,
    ) -> Rankings:
        """Rank the held-out items of each user with a fitted model.

        Parameters
        ----------
        model : Recommender
            Fitted.
        train : Interactions
            What it was fitted on: which items may be recommended.
        histories : Interactions
            What the model is shown of each user.
        holdout : Interactions
            The items to be found.
        negatives : csr_array of bool, shape (n_users, n_items), optional
            Sampled ranking: the items that each user's held-out items are ranked against.
        seen : Interactions, optional
            What is not recommended, unless seen items are kept; by default the histories.
        keep : bool
            True to also list what is needed to add metrics later: `kept_depth` items a user.

        Raises
        ------
        ModelError
            If the model scores NaN or ``+inf``, or in the wrong shape.
        DataError
            If nobody has held-out items, or, in sampled ranking, somebody has no negatives.
        """
        recommendable = self._recommendable(train)
        if self._outside == "ignored":
            holdout = holdout.select(recommendable[holdout.items])
        users = np.flatnonzero(holdout.user_counts)
        if not len(users):
            raise DataError("no user has a held-out item, so there is nothing to evaluate.")
        if histories is not train:
            model.set_histories(training_data(model, histories))
        removed = (histories if seen is None else seen).matrix
        if self.seen == "kept":
            removed = csr_array(([], ([], [])), shape=holdout.shape)
        if negatives is not None:
            _check_negatives(users, negatives.astype(bool) > removed.astype(bool))
        n_items = holdout.n_items
        depth = min(self.kept_depth if keep else self._depth, n_items)
        ties = tie_keys(holdout.n_users, self._tie_seed)
        held = holdout.binarised().matrix.astype(bool)  # an interaction of value 0 counts too
        barred = np.flatnonzero(~recommendable).astype(np.int32)
        size = max(1, (self._block_cells or max(BLOCK_CELLS, FEWEST_USERS * n_items)) // n_items)
        found = []
        with ThreadPoolExecutor(self._threads) as pool:
            for start in range(0, len(users), size):
                block = users[start : start + size]
                relevant = held[block]
                candidates = None
                if negatives is not None:
                    candidates = relevant + negatives[block].astype(bool)
                shown = histories.matrix[block]
                task = Task(removed[block], relevant, barred, candidates, ties[block], depth)
                scores = _scores(model, block, shown, candidates)
                found.append(_rank_in_threads(pool, self._threads, scores, task))
                if found[-1].wrong.any():
                    raise wrong_scores(model, scores, block)
        ranks, lists, lengths = (
            np.concatenate([getattr(one, name) for one in found])
            for name in ("ranks", "lists", "lengths")
        )
        del found
        activity = histories.user_counts
        has_history = activity > 0
        return Rankings(
            users,
            holdout,
            ranks,
            lists,
            lengths,
            None if negatives is None else _n_rankable(removed, barred)[users],
            activity[users],
            int(has_history.sum() - has_history[users].sum()),
        )

    @property
    def kept_depth(self) -> int:
        """Length of the lists that are kept: the largest cutoff, and not less than 20."""
        return max([SHORTEST_LISTS, *(m.k for m in self.metrics if m.k)])

    def can_measure(self, depth: int, n_items: int) -> bool:
        """Say whether all metrics can be computed from lists of a depth.

        Parameters
        ----------
        depth : int
            Length of the lists.
        n_items : int
            Number of all items.
        """
        return min(self._depth, n_items) <= depth

    def measure(
        self, rankings: Rankings, train: Interactions, features: csr_array | None = None
    ) -> Evaluation:
        """Compute the metrics of rankings.

        Parameters
        ----------
        rankings : Rankings
            From `rank`; lists that are longer than a metric needs are cut.
        train : Interactions
            What the model was fitted on: popularity, and which items may be recommended.
        features : csr_array, shape (n_items, n_features), optional
            Features of the items, for metrics that need them.
        """
        depth = min(self._depth, train.n_items)
        ranking = _ranking(
            rankings.held,
            rankings.users,
            rankings.ranks,
            rankings.lengths.astype(np.int64),
            lists=rankings.lists[:, :depth] if depth else None,
            catalogue=CandidateItems(train, self._recommendable(train), features),
            n_unsampled=rankings.n_unsampled,
        )
        values = self._measure(ranking)
        return Evaluation(
            rankings.users,
            {name: value for name, value in values.items() if isinstance(value, np.ndarray)},
            {name: value for name, value in values.items() if isinstance(value, float)},
            rankings.n_skipped,
            rankings.held,
            rankings.ranks,
            rankings.activity,
        )

    def _measure(self, ranking: Ranking) -> dict[str, PerUser | float]:
        """Compute all metrics, in their order."""
        # The largest cutoff first: smaller ones pick from what it has found.
        by_cutoff = sorted(self.metrics, key=lambda metric: -(metric.k or LARGEST_CUTOFF + 1))
        values = {metric.name: metric(ranking) for metric in by_cutoff}
        return {metric.name: values[metric.name] for metric in self.metrics}

    def _recommendable(self, train: Interactions) -> NDArray[np.bool_]:
        warm: NDArray[np.bool_] = train.item_counts > 0
        if self._items == "train":
            return warm
        if self._items == "cold":
            return ~warm
        if self._items == "all":
            return np.ones(train.n_items, bool)
        return places(as_text(list(self._items)), train.item_ids) >= 0


def _rank_in_threads(
    pool: ThreadPoolExecutor, n_threads: int, scores: NDArray[np.float32], task: Task
) -> Ranked:
    """Share the rows of a block among threads; the kernel holds no lock."""
    out = Ranked.empty(task)

    def run(first: int, last: int) -> None:
        rank(scores, task, out, first, last)

    share_rows(run, len(scores), n_threads, shares=4, pool=pool)
    return out


def _ranking(
    holdout: Interactions,
    users: NDArray[np.int64],
    ranks: NDArray[np.int32],
    n_ranked: NDArray[np.int64],
    *,
    lists: NDArray[np.int32] | None,
    catalogue: CandidateItems,
    n_unsampled: NDArray[np.int64] | None,
) -> Ranking:
    """Put the ranks of held-out items in the order that metrics want."""
    n_relevant = holdout.user_counts[users]
    rows = np.repeat(np.arange(len(users)), n_relevant)
    values = holdout.values.astype(np.float64)
    has_rank = np.flatnonzero(ranks != UNRANKED)
    # A rank occurs once in a user, so that the pair is a number that sorts like it.
    width = np.int64(holdout.n_items + 1)
    order = has_rank[np.argsort(rows[has_rank] * width + ranks[has_rank], kind="stable")]
    owners = rows[order]
    n_hits = np.bincount(owners, minlength=len(users))
    numbers = np.arange(1, len(order) + 1) - np.repeat(np.cumsum(n_hits) - n_hits, n_hits)
    hits = Hits(owners, ranks[order].astype(np.int64), numbers, values[order])
    if len(values) and values.min() != values.max():
        values = values[np.lexsort((-values, rows))]
    return Ranking(hits, n_relevant, n_ranked, values, lists, catalogue, n_unsampled)


def _n_rankable(removed: csr_array, barred: NDArray[np.int32]) -> NDArray[np.int64]:
    """Count, for each user, the items that full ranking would rank."""
    allowed = np.ones(removed.shape[1])
    allowed[barred] = 0
    ones = csr_array((np.ones(removed.nnz), removed.indices, removed.indptr), shape=removed.shape)
    counts: NDArray[np.int64] = (allowed.sum() - ones @ allowed).astype(np.int64)
    return counts


def _scores(
    model: Recommender, users: NDArray[np.int64], shown: csr_array, candidates: csr_array | None
) -> NDArray[np.float32]:
    """Ask the model, and check the form of its answer."""
    rows, method = users.astype(np.int32), "score"
    if candidates is None:
        answer = model.score(rows, shown)
    else:
        answer, method = model.score_candidates(rows, shown, candidates), "score_candidates"
    fault = answer_fault(answer, (len(rows), shown.shape[1]))
    if fault is not None:
        raise ModelError(f"{type(model).__name__}.{method} {fault}")
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and infinite is refused
        return np.ascontiguousarray(answer, np.float32)


def wrong_scores(
    model: Recommender, scores: NDArray[np.float32], users: NDArray[np.int64] | NDArray[np.int32]
) -> ModelError:
    """Return the error that names the first NaN or infinite score of some users."""
    wrong = np.isnan(scores) | np.isposinf(scores)
    row, item = np.argwhere(wrong)[0]
    return ModelError(
        f"{type(model).__name__} scored {scores[row, item]} for user index {users[row]} and item "
        f"index {item} ({int(wrong.sum())} such scores in this block). Scores must be finite, or "
        "-inf for an item that cannot be recommended; look for a division by zero or a diverged "
        "fit."
    )


def _check_negatives(users: NDArray[np.int64], unseen: csr_array) -> None:
    without = users[unseen.sum(axis=1)[users] == 0]
    if len(without):
        raise DataError(
            f"{len(without)} users have held-out items but no sampled negatives that they have not "
            f"seen (first: user index {without[0]}); ranked against nothing, they would score a "
            "perfect hit each."
        )
