"""Checks of sampled negatives: that they are negatives, enough of them, and not too easy."""

import numpy as np
from numpy.typing import NDArray

from recrepro.interactions import Interactions, sorting_order
from recrepro.splits.audit.findings import SIGMAS, Finding, Severity, finding
from recrepro.splits.audit.material import Material
from recrepro.splits.audit.timeline import mean_by_user

HARMLESS_NEGATIVES = 0.001
"""A share of wrong entries in lists of negatives up to which they move no result that is printed
with three digits."""

EASIER = 0.5
"""Negatives are suspicious if popularity alone puts so many times the share of them above the test
item that it would put of uniform ones."""


def wrong_negatives(split: Material) -> list[Finding] | None:
    """Count entries that are no negatives, and users who have none."""
    drawn = _drawn(split)
    if drawn is None:
        return None
    findings: list[Finding] = []
    for kind, part, what in (
        ("negatives-in-train", split.history, "are train items of the user and leave the list"),
        ("negatives-in-test", split.test, "are test items of the user"),
    ):
        wrong = drawn.select(drawn.in_common_with(part))
        whole = _drawn_from_all(len(wrong), drawn, part)
        findings += _wrong(kind, wrong, len(wrong), drawn, what, whole=whole)
    repeated = drawn.select(drawn.values > 1)
    n_repeats = int(repeated.values.sum()) - len(repeated)
    what = "repeat others of the same list"
    findings += _wrong("negatives-repeated", repeated, n_repeats, drawn, what, whole=False)
    without = (split.test.user_counts > 0) & (drawn.user_counts == 0)
    if without.any():
        rows = split.test.select(without[split.test.users])
        message = f"{int(without.sum()):,} test users have no negatives and would always hit"
        findings.append(finding("negatives-missing", "suspicious", rows, message))
    return findings + _uneven(drawn, split.test)


def _drawn(split: Material) -> Interactions | None:
    """Return the negatives as interactions; a value says how often one is listed."""
    if split.negatives is None:
        return None
    listed = split.negatives.tocoo()
    users, items = (array.astype(np.int32) for array in (listed.row, listed.col))
    rows = sorting_order(users, items)
    values = listed.data[rows].astype(np.float32)
    labels = split.test.user_ids, split.test.item_ids
    return Interactions(users[rows], items[rows], values, None, *labels)


def _drawn_from_all(n_wrong: int, drawn: Interactions, part: Interactions) -> bool:
    """Say whether so many negatives are in a part as if nothing had been left out of the draw.

    The draw is one from all items, each with the chance that it has in all lists together.
    """
    listed = np.bincount(drawn.items, drawn.values, drawn.n_items)
    lengths = np.bincount(drawn.users, drawn.values, drawn.n_users)
    mass = np.bincount(part.users, listed[part.items] / listed.sum(), part.n_users)
    chance = float(lengths @ mass)
    return bool(abs(n_wrong - chance) <= SIGMAS * np.sqrt(chance))


def _wrong(
    kind: str, wrong: Interactions, n: int, drawn: Interactions, what: str, *, whole: bool
) -> list[Finding]:
    if not n:
        return []
    lists, total = int((wrong.user_counts > 0).sum()), int(drawn.values.sum())
    share = n / total
    severity: Severity = "note" if share <= HARMLESS_NEGATIVES or whole else "suspicious"
    message = f"{n:,} of {total:,} negatives, of {lists:,} users, {what}" + (
        ", as many as if they were drawn from all items" if whole else ""
    )
    return [Finding(kind, severity, lists, n, message, {"share": share})]


def _uneven(drawn: Interactions, test: Interactions) -> list[Finding]:
    """Compare the numbers of distinct negatives: with fewer of them, a hit is easier."""
    lengths = drawn.user_counts[(test.user_counts > 0) & (drawn.user_counts > 0)]
    if not len(lengths) or lengths.min() == lengths.max():
        return []
    usual = int(np.median(lengths))
    shorter = int((lengths < usual).sum())
    message = f"lists have {lengths.min()} to {lengths.max()} distinct negatives, most {usual}"
    missing = int((usual - lengths[lengths < usual]).sum())
    return [Finding("negatives-uneven", "note", shorter, missing, message, {})]


def easy_negatives(split: Material) -> list[Finding] | None:
    """Compare the popularity of negatives in train with that of test items, and of all items.

    For each test item, the share of its user's negatives that are more popular is set beside that
    of all items that the user has nothing to do with.
    """
    drawn = _drawn(split)
    if drawn is None or not len(drawn):
        return None
    test, history = split.test, split.history
    tested = test.select(drawn.user_counts[test.users] > 0)
    if not len(tested):
        return None
    places = np.unique(history.item_counts, return_inverse=True)[1]
    above = _above(tested, drawn, places, drawn.user_counts)
    own = split.whole
    at = tested.items
    n_above = len(places) - np.searchsorted(np.sort(places), places[at], side="right")
    n_level = np.bincount(places)[places[at]]
    free = np.maximum(test.n_items - own.user_counts[tested.users], 1)
    in_own = _above(tested, own, places, np.ones(test.n_users))
    uniform = np.maximum(n_above + n_level / 2 - in_own, 0) / free
    got, _, _ = mean_by_user(tested.users, above)
    chance, _, _ = mean_by_user(tested.users, uniform)
    _, error, _ = mean_by_user(tested.users, uniform - above)
    easy = got < EASIER * chance and chance - got > SIGMAS * error
    if not easy and abs(got - chance) < max(0.05, SIGMAS * error):
        return []
    message = (
        f"{got:.1%} of the negatives of a test item are more popular than it is, where uniform "
        f"ones are {chance:.1%}"
    ) + (": popularity alone finds what is tested" if easy else "")
    details = {"above": got, "uniform_above": chance}
    severity: Severity = "suspicious" if easy else "note"
    return [finding("negatives-popularity", severity, tested, message, details)]


def _above(
    tested: Interactions,
    others: Interactions,
    places: NDArray[np.int64],
    divisor: NDArray[np.number],
) -> NDArray[np.float64]:
    """Count for each test item the user's items that are more popular; those on a par as half."""
    width = int(places.max()) + 2
    keys = np.sort(others.users.astype(np.int64) * width + places[others.items])
    mine = tested.users.astype(np.int64) * width + places[tested.items]
    ends = np.searchsorted(keys, (tested.users.astype(np.int64) + 1) * width)
    higher = ends - np.searchsorted(keys, mine, side="right")
    level = ends - np.searchsorted(keys, mine, side="left") - higher
    return np.asarray((higher + level / 2) / divisor[tested.users], np.float64)
