"""Checks of equal times: baskets that are cut, and orders that are made of item numbers."""

import numpy as np

from recrepro.splits.audit.findings import SIGMAS, Finding, Severity, finding
from recrepro.splits.audit.material import Material
from recrepro.splits.audit.timeline import Timeline, mean_by_user

BEYOND_CHANCE = 0.05
"""So much larger than by chance is the share of users whose cut lies inside equal times, or of
items that stand in the order of their numbers, before it is a finding."""

NEARLY_ALL = 0.95
"""From this share on, chance is no excuse: the data are baskets, or in the order of numbers."""

SORTED_TIES = 0.8
"""Share of test items with the largest (or the smallest) number of their moment."""

_RARE = 0.05
"""With fewer ties among neighbours, times may be places in a sequence."""

_FEW = 6
"""Sequences of fewer interactions tell nothing of the order of what is far apart."""


def cut_baskets(split: Material) -> list[Finding] | None:
    """Find test interactions with a train interaction of the same user at the same time.

    A cut that knows nothing of equal times falls inside some in as many users as neighbours in
    their sequences are equal in time.
    """
    line = split.timeline
    if line is None or split.kept_order == "none":
        return None
    in_tie = line.n_same > 0
    if not in_tie.any():
        return []
    users = np.flatnonzero(np.bincount(line.test_users, minlength=line.n_users))
    cut = np.zeros(line.n_users, bool)
    cut[line.test_users[in_tie]] = True
    share, chances = float(cut[users].mean()), line.tie_rate[users]
    chance, error = float(chances.mean()), np.sqrt((chances * (1 - chances)).sum()) / len(users)
    beyond = share - chance > max(BEYOND_CHANCE, SIGMAS * error) or share >= NEARLY_ALL
    severity: Severity = "suspicious" if beyond else "note"
    rows = split.test.select(cut[split.test.users])
    message = (
        f"{int(in_tie.sum()):,} test interactions, of {share:.1%} of the users, happened at the "
        f"time of a train interaction of theirs, where a cut at any place gives {chance:.1%}"
    )
    if beyond:
        message += ": baskets are cut, and what is bought together is told"
    details = {"share": share, "chance": chance}
    found = finding("cut-baskets", severity, rows, message, details)
    return [Finding(found.id, severity, found.users, int(in_tie.sum()), message, details)]


def item_numbers(split: Material) -> list[Finding] | None:
    """Find equal times that stand, or once stood, in the order of item numbers.

    Where times are equal, test has then the largest number (or the smallest) of its moment. Where
    times are places in a sequence, neighbours rise more often than what is far apart.
    """
    line = split.timeline
    if line is None or split.kept_order == "none":
        return None
    found = _in_ties(split, line)
    if not found and line.tied.sum() < _RARE * len(line.tied):
        found = _in_sequences(split, line)
    return found


def _in_ties(split: Material, line: Timeline) -> list[Finding]:
    tied = line.n_same > 0
    places, users = line.places_in_ties[tied], line.test_users[tied]
    decided = places != 0
    if not decided.any():
        return []
    rises, _, n_users = mean_by_user(users[decided], (places[decided] > 0).astype(float))
    error = 0.5 / np.sqrt(n_users)
    far = abs(rises - 0.5)
    if far < max(SORTED_TIES - 0.5, SIGMAS * error):
        return []
    which = "largest" if rises > 0.5 else "smallest"
    message = (
        f"of test items with train items of the user at the same time, {far + 0.5:.1%} have the "
        f"{which} number: equal times are in the order of item numbers"
    )
    rows = split.test.select(np.isin(split.test.users, users))
    return [finding("item-order", "suspicious", rows, message, {"share": far + 0.5})]


def _in_sequences(split: Material, line: Timeline) -> list[Finding]:
    steps = np.sign(np.diff(line.items.astype(np.int64)))
    near, error, _ = mean_by_user(line.users[1:][line.of_user], steps[line.of_user].astype(float))
    half = line.lengths[line.users] // 2
    to = np.minimum(np.arange(len(half)) + half, len(half) - 1)
    long = (line.lengths[line.users] >= _FEW) & (line.users[to] == line.users)
    leaps = np.sign(line.items[to].astype(np.int64) - line.items)[long]
    far = float(leaps.mean()) if len(leaps) else 0.0
    way = 1 if near > 0 else -1
    # As shares of 0.5 to 1 that go this way. New items can have larger numbers, and then what is
    # far apart differs more, not less.
    near, far = 0.5 + way * near / 2, 0.5 + way * far / 2
    if near - max(far, 0.5) < max(BEYOND_CHANCE, SIGMAS * error / 2) and near < NEARLY_ALL:
        return []
    verb = "rise" if way > 0 else "fall"
    message = (
        f"item numbers {verb} from one interaction to the next in {near:.1%} of the cases, and "
        f"over half a sequence in {far:.1%}: equal times were put in the order of item numbers"
    )
    return [finding("item-order", "suspicious", split.test, message, {"near": near, "far": far})]
