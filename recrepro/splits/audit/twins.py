"""Checks for twins: items or users that are nearly the same, one of which holds the answer.

Sets are compared by MinHash (Broder, 1997): the share of hash functions under which two sets have
the same smallest member estimates their Jaccard similarity. Only sets that agree in one band of
signatures are compared at all, and no more than a few with each, so that the time is bounded.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.interactions import Interactions
from recrepro.randomness import generator
from recrepro.splits.audit.findings import Finding, Severity, finding
from recrepro.splits.audit.material import Material

ALIKE = 0.75
"""Share of equal hashes from which two sets are twins."""

HARMLESS = 0.001
"""Share of test interactions told by twins up to which nothing is said of it."""

MANY = 0.15
"""The same from which it is suspicious."""

FEWEST = 5
"""Smaller sets are equal by chance."""

FEWEST_TESTED = 3
"""The same for sets of test interactions that are compared with train."""

_BANDS, _ROWS = 10, 3
_PARTNERS = 8
_UNSEEN = np.uint32(2**32 - 1)


@dataclass(frozen=True, eq=False)
class Signatures:
    """MinHash signatures of sets.

    Parameters
    ----------
    sets : array of int64, shape (n,)
        Numbers of the sets, which have enough members.
    hashes : array of uint32, shape (n, n_hashes)
        The smallest hash of the members, under each function.
    """

    sets: NDArray[np.int64]
    hashes: NDArray[np.uint32]


def twin_items(split: Material) -> list[Finding]:
    """Find test items with a twin among the train items of the same user."""
    parts = (split.whole, split.history, split.test)
    by_item = [csr_array(part.matrix.T.tocsr()) for part in parts]
    pairs = _twins(by_item, split.seed)
    rows = _told(split.test.items, split.test.users, pairs, split.history, of_items=True)
    what = "have a train item of the same user that nearly the same users have"
    return _finding("twin-items", split.test.select(rows), split.test, what)


def twin_users(split: Material) -> list[Finding]:
    """Find test interactions that a twin of the user has in train."""
    by_user = [part.matrix for part in (split.whole, split.history, split.test)]
    pairs = _twins(by_user, split.seed)
    rows = _told(split.test.users, split.test.items, pairs, split.history, of_items=False)
    what = "are in train for another user, who has nearly the same items"
    return _finding("twin-users", split.test.select(rows), split.test, what)


def _finding(kind: str, rows: Interactions, test: Interactions, what: str) -> list[Finding]:
    share = len(rows) / len(test)
    if share <= HARMLESS:
        return []
    severity: Severity = "suspicious" if share >= MANY else "note"
    message = f"{len(rows):,} of {len(test):,} test interactions {what}"
    return [finding(kind, severity, rows, message, {"share": share})]


def _twins(sets: list[csr_array], seed: int) -> NDArray[np.int64]:
    """Return pairs of a set and a twin of it, shape (n_pairs, 2).

    Parameters
    ----------
    sets : list of csr_array
        One set a row: of all interactions, of history, and of test. Twins are alike as a whole, or
        the test part of the one is alike the history of the other.
    seed : int
        Of the hash functions.
    """
    whole, history, test = sets
    tables = generator(seed, "audit", "twins").integers(
        0, _UNSEEN, (_BANDS * _ROWS, whole.shape[1]), np.uint32
    )
    of_whole = _signatures(whole, tables, FEWEST)
    of_test = _signatures(test, tables, FEWEST_TESTED)
    of_history = _signatures(history, tables, FEWEST_TESTED) if len(of_test.sets) else of_test
    return np.concatenate([_alike(of_whole, of_whole), _alike(of_test, of_history)])


def _signatures(sets: csr_array, tables: NDArray[np.uint32], fewest: int) -> Signatures:
    large = np.flatnonzero(np.diff(sets.indptr) >= fewest)
    hashes = np.full((len(large), len(tables)), _UNSEEN, np.uint32)
    if len(large):
        # Pairs of start and end; the parts between the end of one and the next start are left out.
        bounds = np.column_stack([sets.indptr[large], sets.indptr[large + 1]]).ravel()
        last = bounds[-1] == len(sets.indices)
        bounds = bounds[:-1] if last else bounds
        for place, table in enumerate(tables):
            hashes[:, place] = np.minimum.reduceat(table[sets.indices], bounds)[::2]
    return Signatures(large, hashes)


def _alike(ones: Signatures, others: Signatures) -> NDArray[np.int64]:
    """Return pairs of sets whose signatures are alike."""
    if not len(ones.sets) or not len(others.sets):
        return np.zeros((0, 2), np.int64)
    found = []
    for band in range(_BANDS):
        columns = slice(band * _ROWS, (band + 1) * _ROWS)
        keys, wanted = (_band_keys(s.hashes[:, columns]) for s in (others, ones))
        order = np.argsort(keys, kind="stable")
        first = np.searchsorted(keys[order], wanted, side="left")
        stop = np.searchsorted(keys[order], wanted, side="right")
        for step in range(_PARTNERS):
            inside = np.flatnonzero(first + step < stop)
            found.append(np.column_stack([inside, order[first[inside] + step]]))
    pairs = np.unique(np.concatenate(found), axis=0)
    left, right = ones.sets[pairs[:, 0]], others.sets[pairs[:, 1]]
    agree = np.zeros(len(pairs))
    for column in range(ones.hashes.shape[1]):
        agree += ones.hashes[pairs[:, 0], column] == others.hashes[pairs[:, 1], column]
    alike = (agree >= ALIKE * ones.hashes.shape[1]) & (left != right)
    twins: NDArray[np.int64] = np.column_stack([left, right])[alike]
    return twins


def _band_keys(hashes: NDArray[np.uint32]) -> NDArray[np.uint64]:
    keys = np.zeros(len(hashes), np.uint64)
    for column in hashes.T:
        keys = keys * np.uint64(0x9E3779B97F4A7C15) + column.astype(np.uint64) + np.uint64(1)
    return keys


def _told(
    mine: NDArray[np.int32],
    others: NDArray[np.int32],
    pairs: NDArray[np.int64],
    history: Interactions,
    *,
    of_items: bool,
) -> NDArray[np.bool_]:
    """Mark test interactions whose counterpart with a twin is in history.

    Parameters
    ----------
    mine : array of int32, shape (n_test,)
        What may have a twin, the item or the user of each test interaction.
    others : array of int32, shape (n_test,)
        The other one of the two.
    pairs : array of int64, shape (n_pairs, 2)
        From `_twins`.
    history : Interactions
        What the model knows.
    of_items : bool
        Whether twins are items.
    """
    told = np.zeros(len(mine), bool)
    if not len(pairs):
        return told
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    known = history.users.astype(np.int64) * history.n_items + history.items
    first = np.searchsorted(pairs[:, 0], mine, side="left")
    stop = np.searchsorted(pairs[:, 0], mine, side="right")
    for step in range(int((stop - first).max(initial=0))):
        rows = np.flatnonzero((first + step < stop) & ~told)
        twins, rest = pairs[first[rows] + step, 1], others[rows].astype(np.int64)
        users, items = (rest, twins) if of_items else (twins, rest)
        wanted = users * history.n_items + items
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        told[rows] = known[at] == wanted
    return told
