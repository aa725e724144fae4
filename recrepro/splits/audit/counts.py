"""Checks of item counts: popularity in test, and a catalogue that is made of test."""

import numpy as np
from scipy.special import pdtr

from recrepro.splits.audit.findings import Finding, finding
from recrepro.splits.audit.material import Material

POPULARITY_EXCESS = 0.2
"""So much further from the expected item counts than a random split is, and the test part is
suspicious. Drift in time moves it by up to 0.13 on MovieLens; the split published with SpectralCF
lies at 0.51."""

PROMISED_EXCESS = 0.1
"""The same where the split promises a random draw."""

LESS_POPULAR = 0.9
"""Test items of a split that promises random exposure or a long tail have at most so many times
the train interactions that items of a random draw have."""

REDUCED = 0.25
"""A catalogue is suspicious if at most so many times the expected number of items is not tested."""

_RARER_THAN = 1e-5
_FEW = 50


def odd_popularity(split: Material) -> list[Finding]:
    """Compare item counts in test with those of random splits of the same data."""
    popularity = split.popularity
    distance, random = popularity.distance, popularity.random.distance
    excess = distance - random
    if distance <= popularity.random.largest_distance or excess < 0.02:
        return []
    if split.promise in ("random-exposure", "long-tail", "repeat"):
        suspicious, reason = False, f"the split promises {split.promise!r}"
    elif split.promise == "random":
        suspicious = excess > PROMISED_EXCESS
        reason = "the split promises a random draw" if suspicious else "not far from it"
    elif split.promise == "temporal" or split.kept_order != "none":
        suspicious, reason = False, "drift in time can explain it"
    else:
        suspicious = excess > POPULARITY_EXCESS
        reason = (
            "this is no random split of these data"
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
            int((split.test.user_counts > 0).sum()),
            round(excess * len(split.test)),
            message,
            {"distance": distance, "random_distance": random, "excess": excess},
        )
    ]


def promised_popularity(split: Material) -> list[Finding] | None:
    """Check that test items are less popular, where that is what the split promises."""
    if split.promise not in ("random-exposure", "long-tail") or len(split.test) < _FEW:
        return None
    in_train = split.history.item_counts
    expected = split.popularity.counts.expected
    got = float(in_train @ split.test.item_counts / len(split.test))
    random = float(in_train @ expected / max(expected.sum(), 1))
    if got <= LESS_POPULAR * random:
        return []
    message = (
        f"test items have {got:,.1f} train interactions on average, those of a random split "
        f"{random:,.1f}: they are no less popular, though the split promises {split.promise!r}"
    )
    details = {"popularity": got, "random_popularity": random}
    return [finding("promised-popularity", "suspicious", split.test, message, details)]


def reduced_catalogue(split: Material) -> list[Finding] | None:
    """Find a train part without the items that are not tested: who is in it is told the answers."""
    if split.promise == "random-exposure":
        return None  # Each item is shown as often as any other, so that none need be missing.
    history, test = split.history, split.test
    n_all = history.user_counts + test.user_counts
    chance = test.user_counts / np.maximum(n_all, 1)
    with np.errstate(divide="ignore"):
        log_missed = np.log1p(-chance)
    missed = sum(
        np.bincount(part.items, log_missed[part.users], part.n_items) for part in (history, test)
    )
    in_train = history.item_counts > 0
    expected = float(np.exp(missed)[in_train].sum())
    absent = int((in_train & (test.item_counts == 0)).sum())
    if absent > REDUCED * expected or pdtr(absent, expected) > _RARER_THAN:
        return []
    message = (
        f"{absent:,} of {int(in_train.sum()):,} train items are not tested, where a random split "
        f"has {expected:,.0f}: the catalogue was reduced to what is tested"
    )
    details = {"absent": float(absent), "expected": expected}
    return [finding("reduced-catalogue", "suspicious", test, message, details)]
