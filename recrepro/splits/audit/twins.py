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
from recrepro.splits.audit.findings import SIGMAS, Finding, Severity, finding
from recrepro.splits.audit.material import Material

ALIKE = 0.75
"""Share of equal hashes from which two sets are twins."""

HARMLESS = 0.001
"""Share of test interactions told by twins up to which nothing is said of it."""

MANY = 0.15
"""Share of those whose sets are large enough that twins tell beyond chance: here it is suspicious.
In CiteULike-a, where groups share libraries, it is 0.10."""

FEWEST = 5
"""Smaller sets are equal by chance."""

FEWEST_TESTED = 3
"""The same for sets of test interactions that are compared with train."""

_ENOUGH = 50
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
    sets = [csr_array(part.matrix.T) for part in (split.whole, split.history, split.test)]
    what = "have a train item of the same user that nearly the same users have"
    return _twins("twin-items", split, sets, what)


def twin_users(split: Material) -> list[Finding]:
    """Find test interactions that a twin of the user has in train."""
    sets = [part.matrix for part in (split.whole, split.history, split.test)]
    what = "are in train for another user, who has nearly the same items"
    return _twins("twin-users", split, sets, what)


def _twins(kind: str, split: Material, sets: list[csr_array], what: str) -> list[Finding]:
    """Find test interactions whose counterpart with a twin is in history.

    Parameters
    ----------
    kind : {"twin-items", "twin-users"}
        Of the finding.
    split : Material
        The split.
    sets : list of csr_array
        One set a row: of all interactions, of history, and of test. Twins are alike as a whole, or
        the test part of the one is alike the history of the other.
    what : str
        What is said of the interactions.
    """
    whole, history, test = sets
    tables = generator(split.seed, "audit", "twins").integers(
        0, _UNSEEN, (_BANDS * _ROWS, whole.shape[1]), np.uint32
    )
    of_items = kind == "twin-items"
    mine = split.test.items if of_items else split.test.users
    told, share = np.zeros(len(mine), bool), 0.0
    of_whole, of_test = _signatures(whole, tables, FEWEST), _signatures(test, tables, FEWEST_TESTED)
    of_history = _signatures(history, tables, FEWEST_TESTED) if len(of_test.sets) else of_test
    for ones, others in ((of_whole, of_whole), (of_test, of_history)):
        large = np.zeros(len(test.indptr) - 1, bool)
        large[ones.sets] = True
        rows, chance = _told(split.test, _alike(ones, others), split.history, of_items=of_items)
        beyond = rows.sum() - chance.sum()
        if beyond > SIGMAS * np.sqrt((chance * (1 - chance)).sum()):
            share = max(share, beyond / max(large[mine].sum(), _ENOUGH))
            told |= rows
    if told.mean() <= HARMLESS:
        return []
    severity: Severity = "suspicious" if share >= MANY else "note"
    message = f"{int(told.sum()):,} of {len(told):,} test interactions {what}"
    details = {"share": float(told.mean()), "beyond_chance_of_large": float(share)}
    return [finding(kind, severity, split.test.select(told), message, details)]


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
    test: Interactions, pairs: NDArray[np.int64], history: Interactions, *, of_items: bool
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Find test interactions whose counterpart with a twin is in history.

    Parameters
    ----------
    test, history : Interactions
        The parts.
    pairs : array of int64, shape (n_pairs, 2)
        An item, or a user, and its twin.
    of_items : bool
        Whether twins are items.

    Returns
    -------
    told : array of bool, shape (n_test,)
        Which they are.
    chance : array of float, shape (n_test,)
        How likely each would be if history were drawn by the popularity of its items alone: in
        small and dense data sets are alike by chance.
    """
    mine, others = (test.items, test.users) if of_items else (test.users, test.items)
    told, missed = np.zeros(len(mine), bool), np.ones(len(mine))
    popularity = history.item_counts / max(1, (history.user_counts > 0).sum())
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    known = history.users.astype(np.int64) * history.n_items + history.items
    first = np.searchsorted(pairs[:, 0], mine, side="left")
    stop = np.searchsorted(pairs[:, 0], mine, side="right")
    for step in range(int((stop - first).max(initial=0))):
        rows = np.flatnonzero(first + step < stop)
        twins, rest = pairs[first[rows] + step, 1], others[rows].astype(np.int64)
        users, items = (rest, twins) if of_items else (twins, rest)
        wanted = users * history.n_items + items
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        told[rows] |= known[at] == wanted
        missed[rows] *= 1 - popularity[items]
    return told, 1 - missed
