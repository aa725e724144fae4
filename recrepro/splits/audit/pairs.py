"""Checks of users, items and pairs: what is in two parts, and what is in one part only."""

from recrepro.interactions import UNKNOWN_TIME, Interactions
from recrepro.splits.audit.findings import Finding, Severity, finding
from recrepro.splits.audit.material import Material


def shared_pairs(split: Material) -> list[Finding]:
    """Count pairs that are in two parts; repeats are no leak where the split promises some."""
    findings = []
    for name, part, held_name, held in (
        ("train", split.train, "test", split.test),
        ("train", split.train, "validation", split.validation),
        ("validation", split.validation, "test", split.test),
        ("what test users are shown", split.shown, "test", split.test),
    ):
        if part is None or held is None or not len(part) or not len(held):
            continue
        common = held.select(held.in_common_with(part))
        if not len(common):
            continue
        share = len(common) / len(held)
        message = (
            f"the {name} part is the {held_name} part"
            if (same := len(common) == len(held) == len(part))
            else f"{len(common):,} of {len(held):,} {held_name} interactions are in {name} too"
        )
        severity: Severity = "leaking"
        if split.promise == "repeat" and not same:
            severity, message = _repeats(common, part, message, whole=len(common) == len(held))
        kind = "shown" if part is split.shown else name
        findings.append(
            finding(f"{kind}-{held_name}-pairs", severity, common, message, {"share": share})
        )
    return findings


def _repeats(
    common: Interactions, part: Interactions, message: str, *, whole: bool
) -> tuple[Severity, str]:
    """Judge pairs of a split that promises repeats: copies have the time of what they copy."""
    if common.times is not None and part.times is not None:
        earlier = part.select(part.in_common_with(common))
        assert earlier.times is not None
        known = common.times != UNKNOWN_TIME
        copies = int((known & (earlier.times == common.times)).sum())
        if copies:
            return "leaking", f"{message}, {copies:,} of them with the same time: no repeats"
        if known.any():
            return "note", f"{message}: repeats, as the split promises"
    if whole:
        return "suspicious", f"{message}, and no times tell repeats from copies"
    return "note", f"{message}: repeats, as the split promises"


def seen_users(split: Material) -> list[Finding] | None:
    """Find test users in train, where the split promises that there are none."""
    if not split.unseen_users:
        return None
    seen = (split.known.user_counts > 0) & (split.test.user_counts > 0)
    rows = split.known.select(seen[split.known.users])
    if not len(rows):
        return []
    message = (
        f"{int(seen.sum()):,} test users have {len(rows):,} interactions in train, though the "
        "split promises unseen users"
    )
    return [finding("seen-users", "leaking", rows, message)]


def cold(split: Material) -> list[Finding]:
    """Count test interactions of users and with items that train does not know."""
    findings, test = [], split.test
    for kind, is_cold in (
        ("users", split.history.user_counts[test.users] == 0),
        ("items", split.known.item_counts[test.items] == 0),
    ):
        rows = test.select(is_cold)
        lost = split.dropped.get(f"test_cold_{kind}", 0)
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


def learned_before(split: Material) -> list[Finding] | None:
    """Name filters that learn from data and ran before the split."""
    if not split.preprocessing:
        return None
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
        for step in split.preprocessing
        if step.get("learns") and step["on"] == "all" and step.get("removed")
    ]
