"""The leakage audit: what a split lets training know of its test part, and how odd that part is.

Every finding says how many users and interactions it touches, and weighs one of three:

leaking
    the test part, or its answer, is in what models are fitted or tuned on, or the split breaks
    what it promises;
suspicious
    nothing is given away, but numbers on this split may not mean what they seem to;
note
    what a reader should know; the verdict stays.

Longer than 350 lines: all checks of the audit side by side, as docs/audit.md explains them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_array

from recrepro.interactions import UNKNOWN_TIME, Interactions, sorting_order
from recrepro.randomness import generator
from recrepro.splits.base import Order, rank_within_user
from recrepro.splits.popularity import Popularity, compare_popularity

AUDIT_VERSION = 1
"""Bumped whenever a split can get another verdict than before."""

Severity = Literal["leaking", "suspicious", "note"]
AuditOutcome = Literal["leaking", "suspicious", "clean"]

POPULARITY_EXCESS = 0.2
"""So much further from the expected item counts than a random split is, and the test part is
suspicious. Drift in time moves it by up to 0.13 on MovieLens; the split published with SpectralCF
lies at 0.51."""

HARMLESS_NEGATIVES = 0.001
"""A share of wrong entries in lists of negatives up to which they move no result that is printed
with three digits."""


@dataclass(frozen=True)
class Finding:
    """One thing that the audit found.

    Parameters
    ----------
    id : str
        Which check.
    severity : {"leaking", "suspicious", "note"}
        What it does to the verdict.
    users, interactions : int
        How many it touches; what the interactions are is said in `message`.
    message : str
        What was found, in one sentence.
    details : dict
        Further numbers.
    """

    id: str
    severity: Severity
    users: int
    interactions: int
    message: str
    details: dict[str, float]


@dataclass(frozen=True)
class Audit:
    """The outcome for one split.

    Parameters
    ----------
    findings : tuple of Finding
        Worst first.
    popularity : Popularity
        Item counts of train and test, beside those of random splits of the same data.
    """

    findings: tuple[Finding, ...]
    popularity: Popularity

    @property
    def verdict(self) -> AuditOutcome:
        """The worst severity; clean if there are notes only."""
        worst = self.findings[0].severity if self.findings else "note"
        return "clean" if worst == "note" else worst

    @property
    def line(self) -> str:
        """The verdict and its reasons in one line."""
        reasons = [f.message for f in self.findings if f.severity != "note"]
        return f"{self.verdict}: {'; '.join(reasons)}" if reasons else self.verdict

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "version": AUDIT_VERSION,
            "verdict": self.verdict,
            "findings": [asdict(f) for f in self.findings],
            "popularity": self.popularity.as_dict(),
        }


def audit_split(
    train: Interactions,
    test: Interactions,
    *,
    validation: Interactions | None = None,
    known: Interactions | None = None,
    shown: Interactions | None = None,
    negatives: csr_array | None = None,
    order: Order | None = None,
    unseen_users: bool = False,
    preprocessing: Sequence[Mapping[str, Any]] = (),
    dropped: Mapping[str, int] | None = None,
    seed: int = 0,
) -> Audit:
    """Audit a split.

    Parameters
    ----------
    train, test, validation : Interactions
        The parts; they share their labels. `train` is without `validation`.
    known : Interactions, optional
        What the final model is fitted on; by default train and validation together.
    shown : Interactions, optional
        What models are shown of test users whom they are not fitted on.
    negatives : csr_array, shape (n_users, n_items), optional
        How often each sampled negative is listed for one test item of the user.
    order : {"none", "user", "global"}, optional
        What the split promises about time; by default what it looks like.
    unseen_users : bool
        Whether it promises that no test user is in train.
    preprocessing : sequence of mapping
        As in `recrepro.data.Dataset`.
    dropped : mapping of str to int, optional
        Held-out interactions that the split has left out, by reason.
    seed : int
        Of the random splits that popularity is compared with.

    Returns
    -------
    Audit
    """
    if known is None:
        known = train if validation is None else train.union(validation)
    history = known if shown is None else known.union(shown)
    popularity = compare_popularity(history, test, generator(seed, "audit", "popularity"))
    timed, seen_order = _in_time(history, test, order, seed)
    findings = [
        *_repeated(train, validation, test, shown),
        *timed,
        *_unseen(known, test, promised=unseen_users),
        *_cold(history, known, test, dropped or {}),
        *_odd_popularity(popularity, test, seen_order),
        *_negatives(negatives, history, test),
        *_learned_before(preprocessing),
    ]
    weights = ("leaking", "suspicious", "note")
    return Audit(tuple(sorted(findings, key=lambda f: weights.index(f.severity))), popularity)


def _repeated(
    train: Interactions,
    validation: Interactions | None,
    test: Interactions,
    shown: Interactions | None,
) -> list[Finding]:
    findings = []
    for name, part, held_name, held in (
        ("train", train, "test", test),
        ("train", train, "validation", validation),
        ("validation", validation, "test", test),
        ("what test users are shown", shown, "test", test),
    ):
        if part is None or held is None or not len(part) or not len(held):
            continue
        common = held.select(held.in_common_with(part))
        if not len(common):
            continue
        share = len(common) / len(held)
        same = len(common) == len(held) == len(part)
        message = (
            f"the {name} part is the {held_name} part"
            if same
            else f"{len(common):,} of {len(held):,} {held_name} interactions are in {name} too"
        )
        key = "shown" if part is shown else name
        findings.append(
            _finding(f"{key}-{held_name}-pairs", "leaking", common, message, {"share": share})
        )
    return findings


def _in_time(
    train: Interactions, test: Interactions, promised: Order | None, seed: int
) -> tuple[list[Finding], Order]:
    """Compare times of train and test; return the findings, and the order that the split has."""
    if train.times is None or test.times is None or not len(train) or not len(test):
        return [], promised or "none"
    dated = test.select(test.times != UNKNOWN_TIME)
    if not len(dated) or (train.times == UNKNOWN_TIME).all():
        return [], promised or "none"
    own_later = _later_than_own_test(train, dated)
    moments = dated.times
    assert moments is not None
    in_order = np.sort(train.times)
    n_later = len(train) - np.searchsorted(in_order, moments, side="right")
    with_later = dated.select(n_later > 0)
    order = promised
    if order is None:
        order = "global" if not len(with_later) else "none" if len(own_later) else "user"
    unknown = int((train.times == UNKNOWN_TIME).sum() + len(test) - len(dated))
    lower = f" ({unknown:,} interactions have no time and count as early)" if unknown else ""
    findings = []
    if len(own_later):
        users = int((own_later.user_counts > 0).sum())
        share = users / int((dated.user_counts > 0).sum())
        severity: Severity = "note"
        message = (
            f"{share:.1%} of test users have later interactions in train: the split does not keep "
            f"to time{lower}"
        )
        if order != "none":
            severity = "leaking"
            message = (
                f"{len(own_later):,} train interactions of {users:,} test users are later than "
                f"what these users are tested on, against the order that the split promises{lower}"
            )
        elif promised is None and share < 0.5 * _own_share_at_random(train, dated, seed):
            severity = "suspicious"
            message = (
                f"test is later than train for most users, but {users:,} ({share:.1%}) have "
                f"{len(own_later):,} later interactions in train{lower}"
            )
        findings.append(_finding("own-future", severity, own_later, message, {"share": share}))
    if len(with_later):
        share_later = float(n_later.mean() / len(train))
        broken = order == "global"
        message = (
            f"{len(with_later):,} of {len(dated):,} test interactions have later interactions of "
            f"anybody in train, {share_later:.1%} of train on average"
            + (", against the order that the split promises" if broken else "")
            + lower
        )
        details = {"share": len(with_later) / len(dated), "later_share_of_train": share_later}
        severity = "leaking" if broken else "note"
        findings.append(_finding("others-future", severity, with_later, message, details))
        findings += _items_from_the_future(train, dated, lower)
    return findings, order


def _later_than_own_test(train: Interactions, test: Interactions) -> Interactions:
    """Select train interactions that are later than the user's earliest test interaction."""
    assert train.times is not None
    assert test.times is not None
    earliest = np.full(train.n_users, np.iinfo(np.int64).max)
    np.minimum.at(earliest, test.users, test.times)
    return train.select(train.times > earliest[train.users])


def _own_share_at_random(train: Interactions, test: Interactions, seed: int) -> float:
    """Return the share of users with later train interactions if test was drawn at random."""
    whole = train.union(test)
    draws = generator(seed, "audit", "time").random(len(whole))
    in_test = rank_within_user(whole, (draws,)) < test.user_counts[whole.users]
    later = _later_than_own_test(whole.select(~in_test), whole.select(in_test))
    return float((later.user_counts > 0).sum() / (test.user_counts > 0).sum())


def _items_from_the_future(train: Interactions, test: Interactions, lower: str) -> list[Finding]:
    """Count items that first occur after the moment at which a test interaction happened.

    A model that is fitted on all of train can recommend them, though nobody could have at that
    moment (Ji et al., TOIS 2023).
    """
    assert train.times is not None
    assert test.times is not None
    first_of_item = np.full(train.n_items, np.iinfo(np.int64).max)
    np.minimum.at(first_of_item, train.items, train.times)
    first = np.sort(first_of_item[train.item_counts > 0])
    n_future = len(first) - np.searchsorted(first, test.times, side="right")
    touched = test.select(n_future > 0)
    if not len(touched):
        return []
    share = float(n_future.mean() / len(first))
    message = (
        f"at {len(touched):,} of {len(test):,} test interactions some items had not occurred yet, "
        f"{share:.1%} of the items on average{lower}"
    )
    details = {"share": len(touched) / len(test), "future_share_of_items": share}
    return [_finding("items-from-the-future", "note", touched, message, details)]


def _unseen(fitted: Interactions, test: Interactions, *, promised: bool) -> list[Finding]:
    if not promised:
        return []
    seen = (fitted.user_counts > 0) & (test.user_counts > 0)
    rows = fitted.select(seen[fitted.users])
    if not len(rows):
        return []
    message = (
        f"{int(seen.sum()):,} test users have {len(rows):,} interactions in train, though the "
        "split promises unseen users"
    )
    return [_finding("seen-users", "leaking", rows, message)]


def _cold(
    history: Interactions, fitted: Interactions, test: Interactions, dropped: Mapping[str, int]
) -> list[Finding]:
    findings = []
    for kind, is_cold in (
        ("users", history.user_counts[test.users] == 0),
        ("items", fitted.item_counts[test.items] == 0),
    ):
        rows = test.select(is_cold)
        lost = dropped.get(f"test_cold_{kind}", 0)
        if not len(rows) + lost:
            continue
        share = (len(rows) + lost) / (len(test) + lost)
        of = "of users without any" if kind == "users" else "with items that nobody has"
        message = f"{len(rows) + lost:,} test interactions ({share:.1%}) are {of} in train" + (
            f"; {lost:,} of them are left out" if lost else ""
        )
        details = {"share": share, "dropped": float(lost)}
        users = int((rows.user_counts > 0).sum())
        findings.append(Finding(f"cold-{kind}", "note", users, len(rows) + lost, message, details))
    return findings


def _odd_popularity(popularity: Popularity, test: Interactions, order: Order) -> list[Finding]:
    distance, random = popularity.distance, popularity.random.distance
    excess = distance - random
    if distance <= popularity.random.largest_distance or excess < 0.02:
        return []
    explained = order != "none"
    suspicious = excess > POPULARITY_EXCESS and not explained
    touched = round(excess * len(test))
    reason = (
        "drift in time can explain it"
        if explained
        else "this is no random split of these data"
        if suspicious
        else "a test part that is later than train could look so"
    )
    message = (
        f"{distance:.0%} of test interactions lie on other items than expected, where a random "
        f"split has {random:.0%}; {reason}"
    )
    return [
        Finding(
            "popularity",
            "suspicious" if suspicious else "note",
            int((test.user_counts > 0).sum()),
            touched,
            message,
            {"distance": distance, "random_distance": random, "excess": excess},
        )
    ]


def _negatives(
    negatives: csr_array | None, history: Interactions, test: Interactions
) -> list[Finding]:
    if negatives is None:
        return []
    listed = negatives.tocoo()
    users, items = (array.astype(np.int32) for array in (listed.row, listed.col))
    total = int(listed.data.astype(np.int64).sum())
    rows = sorting_order(users, items)
    drawn = Interactions(
        users[rows],
        items[rows],
        listed.data[rows].astype(np.float32),
        None,
        test.user_ids,
        test.item_ids,
    )
    repeated = drawn.select(drawn.values > 1)
    n_repeats = int(repeated.values.sum()) - len(repeated)
    findings = []
    for key, wrong, entries, what in (
        (
            "negatives-in-train",
            (both := drawn.select(drawn.in_common_with(history))),
            len(both),
            "are train items of the user and vanish from the list",
        ),
        (
            "negatives-in-test",
            (both := drawn.select(drawn.in_common_with(test))),
            len(both),
            "are test items of the user",
        ),
        ("negatives-repeated", repeated, n_repeats, "repeat others of the same list"),
    ):
        if entries:
            lists = int((wrong.user_counts > 0).sum())
            share = entries / total
            severity: Severity = "note" if share <= HARMLESS_NEGATIVES else "suspicious"
            message = f"{entries:,} of {total:,} negatives, of {lists:,} users, {what}"
            findings.append(Finding(key, severity, lists, entries, message, {"share": share}))
    without = (test.user_counts > 0) & (drawn.user_counts == 0)
    if without.any():
        rows_without = test.select(without[test.users])
        message = f"{int(without.sum()):,} test users have no negatives and would always hit"
        findings.append(_finding("negatives-missing", "suspicious", rows_without, message))
    return findings + _uneven(drawn, test)


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


def _learned_before(preprocessing: Sequence[Mapping[str, Any]]) -> list[Finding]:
    return [
        Finding(
            f"before-split-{step['step']}",
            "note",
            0,
            int(step.get("removed", 0)),
            f"{step['step']} ran before the split and removed {step.get('removed', 0):,} "
            "interactions: the test part had a say in what is in train",
            {},
        )
        for step in preprocessing
        if step.get("learns") and step["on"] == "all" and step.get("removed")
    ]


def _finding(
    key: str,
    severity: Severity,
    rows: Interactions,
    message: str,
    details: dict[str, float] | None = None,
) -> Finding:
    users = int((rows.user_counts > 0).sum())
    return Finding(key, severity, users, len(rows), message, details or {})
