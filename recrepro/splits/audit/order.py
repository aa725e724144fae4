"""Checks of times: what of train is later than test."""

import numpy as np

from recrepro.interactions import UNKNOWN_TIME, Interactions
from recrepro.splits.audit.findings import SIGMAS, Finding, Severity, finding
from recrepro.splits.audit.material import Material
from recrepro.splits.audit.timeline import mean_by_user

MOSTLY = 0.75
"""Share of pairs of train and test in the order of time from which test is not drawn at random."""

ALMOST_CUT = 0.9
"""Share of train before, less that of test before, some moment: from here on it looks like a cut
that was meant for everybody."""


def times_there(split: Material) -> list[Finding] | None:
    """Say that a promise about time cannot be checked."""
    if split.promised_order not in ("user", "global"):
        return None
    if split.dated is not None:
        return []
    message = "the split promises that test is later than train, and without times nobody can tell"
    return [finding("times-missing", "note", split.test, message)]


def own_future(split: Material) -> list[Finding] | None:
    """Find users with train interactions later than one they are tested on."""
    if split.dated is None:
        return None
    later = split.own_later
    if not len(later):
        return []
    users = int((later.user_counts > 0).sum())
    share = users / int((split.dated.user_counts > 0).sum())
    severity: Severity = "note"
    message = (
        f"{share:.1%} of test users have later interactions in train: the split does not keep to "
        f"time{_without_time(split)}"
    )
    if split.promised_order in ("user", "global"):
        severity = "leaking"
        message = (
            f"{len(later):,} train interactions of {users:,} test users are later than what these "
            f"users are tested on, against the order that the split promises{_without_time(split)}"
        )
    return [finding("own-future", severity, later, message, {"share": share})]


def mixed_order(split: Material) -> list[Finding] | None:
    """Find a test part that is neither drawn at random in time nor in order, or not as promised.

    Of each test interaction and each train interaction of its user, the train one is the earlier
    in half of the cases if test is drawn at random, and in all if the split keeps to time.
    """
    keeps = split.promised_order in ("user", "global") and split.promise != "random"
    if split.dated is None or keeps or split.promise in ("random-exposure", "long-tail"):
        return None
    line = split.timeline
    if line is None:
        in_order, error, rows = _in_order_of_all(split)
        of = "anybody"
    else:
        in_order, error, _ = mean_by_user(line.test_users, line.share_earlier)
        rows, of = split.own_later, "the same user"
    if abs(in_order - 0.5) < max(MOSTLY - 0.5, SIGMAS * error):
        return []
    if split.promise != "random" and not len(rows):
        return []
    message = (
        f"test is later than train in {in_order:.1%} of the pairs of one test and one train "
        f"interaction of {of}, "
        + ("and the split promises a random draw" if split.promise == "random" else "not in all")
        + f": {len(rows):,} train interactions are later{_without_time(split)}"
    )
    return [finding("mixed-order", "suspicious", rows, message, {"in_order": in_order})]


def _in_order_of_all(split: Material) -> tuple[float, float, Interactions]:
    """As for pairs of one user, for pairs of anybody: where no user is in both parts."""
    assert split.dated is not None
    assert split.dated.times is not None
    times = split.known.times
    assert times is not None
    shares = 1 - split.n_later / len(times)
    mean, error, _ = mean_by_user(split.dated.users, shares)
    return mean, error, split.known.select(times > split.dated.times.min())


def broken_cut(split: Material) -> list[Finding] | None:
    """Find a cut that was meant for everybody, with some interactions of train behind it."""
    strategy_tells = split.order is not None or split.promised_order == "none"
    if split.dated is None or strategy_tells:
        return None
    if len(split.own_later) or not split.n_later.any():
        return []  # Users who break their own order are another finding.
    assert split.dated.times is not None
    assert split.history.times is not None
    moments = np.sort(split.dated.times)
    before = np.searchsorted(np.sort(split.history.times), moments, side="left")
    apart = before / len(split.history) - np.arange(len(moments)) / len(moments)
    at = int(np.argmax(apart))
    if apart[at] < ALMOST_CUT:
        return []
    rows = split.history.select(split.history.times >= moments[at])
    message = (
        f"one moment divides almost all of train from almost all of test, but {len(rows):,} train "
        "interactions are later"
    )
    return [finding("broken-cut", "suspicious", rows, message, {"apart": float(apart[at])})]


def others_future(split: Material) -> list[Finding] | None:
    """Count test interactions after which anybody acts in train."""
    if split.dated is None:
        return None
    rows = split.dated.select(split.n_later > 0)
    if not len(rows):
        return []
    share_later = float(split.n_later.mean() / len(split.known))
    broken = split.promised_order == "global"
    message = (
        f"{len(rows):,} of {len(split.dated):,} test interactions have later interactions of "
        f"anybody in train, {share_later:.1%} of train on average"
        + (", against the order that the split promises" if broken else "")
        + _without_time(split)
    )
    details = {"share": len(rows) / len(split.dated), "later_share_of_train": share_later}
    return [finding("others-future", "leaking" if broken else "note", rows, message, details)]


def future_items(split: Material) -> list[Finding] | None:
    """Count items that first occur after the moment at which a test interaction happened.

    A model that is fitted on all of train can recommend them, though nobody could have at that
    moment (Ji et al., TOIS 2023).
    """
    history, dated = split.history, split.dated
    if dated is None:
        return None
    assert history.times is not None
    assert dated.times is not None
    first_of_item = np.full(history.n_items, np.iinfo(np.int64).max)
    np.minimum.at(first_of_item, history.items, history.times)
    first = np.sort(first_of_item[history.item_counts > 0])
    n_future = len(first) - np.searchsorted(first, dated.times, side="right")
    touched = dated.select(n_future > 0)
    if not len(touched):
        return []
    share = float(n_future.mean() / len(first))
    message = (
        f"at {len(touched):,} of {len(dated):,} test interactions some items had not occurred yet, "
        f"{share:.1%} of the items on average{_without_time(split)}"
    )
    details = {"share": len(touched) / len(dated), "future_share_of_items": share}
    return [finding("items-from-the-future", "note", touched, message, details)]


def _without_time(split: Material) -> str:
    """Say how many interactions have no time, if there are any."""
    assert split.history.times is not None
    assert split.dated is not None
    unknown = int((split.history.times == UNKNOWN_TIME).sum()) + len(split.test) - len(split.dated)
    return f" ({unknown:,} interactions have no time and count as early)" if unknown else ""
